# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Real engines, built by TensorRT-RTX for GPUs that are not there; and what goes wrong."""

from __future__ import annotations

import dataclasses
import logging
import signal
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from formula import DEPTH_TEXT, HEIGHT, SEGMENTATION_TEXT, WIDTH, BundleMaker, graph_bytes
from numpy.typing import NDArray

onnx = pytest.importorskip('onnx', reason='onnx is not installed')
trt = pytest.importorskip('tensorrt_rtx', reason='TensorRT-RTX is not installed (x86 only)')
pytest.importorskip('cuda.bindings.runtime', reason='cuda-python is not installed')

from sg_depth_ros.bundle import Bundle, load_bundle  # noqa: E402
from sg_depth_ros.engines import Engine, EngineCancelled, EngineError, create_engine  # noqa: E402
from sg_depth_ros.engines.comparison import ComparisonError  # noqa: E402
from sg_depth_ros.engines.protocol import EngineOptions, go_on  # noqa: E402
from sg_depth_ros.engines.tensorrt import builder, gpu, loading, orders  # noqa: E402
from sg_depth_ros.engines.tensorrt.builder import build_plan  # noqa: E402
from sg_depth_ros.engines.tensorrt.cache import NOT_CHECKED, EngineCache, Entry  # noqa: E402
from sg_depth_ros.engines.tensorrt.flavour import (  # noqa: E402
    load_flavour,
    parse_capability,
)
from sg_depth_ros.engines.tensorrt.gpu import Gpu  # noqa: E402
from sg_depth_ros.engines.tensorrt.graph import prepare_graph  # noqa: E402
from sg_depth_ros.engines.tensorrt.orders import Order, make_orders, staleness  # noqa: E402

FLAVOUR = load_flavour('tensorrt_rtx')
CAPABILITIES = [(8, 9), (12, 0)]
MODELS = Path(__file__).parents[2] / 'models'
BUNDLES = sorted(file.parent.name for file in MODELS.glob('*/bundle.yaml'))
ADA = Gpu('Ada', (8, 9), '1')


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / 'engines')


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide a GPU, if this machine has one."""
    insufficient = gpu.cuda.cudaError_t.cudaErrorNoDevice
    monkeypatch.setattr(gpu.cuda, 'cudaGetDeviceCount', lambda: (insufficient, None))


def order(bundle: Bundle, **changes: object) -> Order:
    values = {'precision': bundle.manifest.precision, 'capability': (8, 9), **changes}
    return Order(bundle=bundle, flavour=FLAVOUR, **values)


@pytest.mark.parametrize('capability', CAPABILITIES, ids=['sm89', 'sm120'])
@pytest.mark.parametrize('name', BUNDLES)
def test_every_bundle_builds(name: str, capability: tuple[int, int]) -> None:
    """That the types are those of the precision is checked by the build itself."""
    bundle = load_bundle(MODELS / name)
    own = bundle.manifest.precision
    sizes = []
    for precision in dict.fromkeys([own, 'fp16' if own == 'fp32' else own]):
        entry = loading.build(order(bundle, capability=capability, precision=precision))
        assert entry.check == NOT_CHECKED
        sizes.append(len(entry.segmentation) + len(entry.depth))
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] > 100_000


def test_every_known_capability_builds(formula_bundle: Bundle) -> None:
    assert {(7, 5), (8, 0), (8, 6), (8, 9), (12, 0), (12, 1)} <= set(FLAVOUR.capabilities)
    for capability in FLAVOUR.capabilities:
        loading.build(order(formula_bundle, capability=capability))


def test_a_capability_that_is_not_known_lists_those_that_are(formula_bundle: Bundle) -> None:
    with pytest.raises(EngineError, match=r'capability 9\.0, expected one of 7\.5, 8\.0, .*12\.1'):
        loading.build(order(formula_bundle, capability=(9, 0)))


def test_progress_rises_to_the_end_and_names_the_networks(formula_bundle: Bundle) -> None:
    reports: list[tuple[str, float]] = []

    def progress(phase: str, fraction: float) -> bool:
        reports.append((phase, fraction))
        return True

    loading.build(order(formula_bundle), progress)
    fractions = [fraction for _, fraction in reports]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0 and 0.9 < fractions[-1] <= 1
    assert {phase.partition(':')[0] for phase, _ in reports} == {'segmentation', 'depth'}
    assert any('Building engine' in phase for phase, _ in reports)


def test_progress_comes_from_several_threads() -> None:
    """So TensorRT documents it."""
    monitor = builder._make_monitor(SimpleNamespace(IProgressMonitor=object), go_on)

    def work(name: str) -> None:
        for _ in range(5000):
            monitor.phase_start(name, None, 1)
            monitor.step_complete(name, 0)
            monitor.phase_finish(name)

    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(name,)) for name in 'abcd']
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(usual)
    assert monitor.interruption is None


@pytest.mark.parametrize('at', [1, 12])
def test_a_build_can_be_stopped(formula_bundle: Bundle, cache: EngineCache, at: int) -> None:
    calls = 0

    def progress(phase: str, fraction: float) -> bool:
        nonlocal calls
        calls += 1
        assert calls <= at, 'went on'
        return calls < at

    with pytest.raises(EngineCancelled):
        loading.obtain(order(formula_bundle), cache, progress)
    assert cache.list() == []


def test_what_progress_raises_comes_out(formula_bundle: Bundle) -> None:
    def progress(phase: str, fraction: float) -> bool:
        if 'Building' in phase:
            raise KeyboardInterrupt
        return True

    with pytest.raises(KeyboardInterrupt):
        loading.build(order(formula_bundle), progress)


def test_ctrl_c_within_a_message_of_tensorrt_is_not_lost(formula_bundle: Bundle) -> None:
    """What Python raises there ends in TensorRT."""
    messages = logging.getLogger('sg_depth_ros.engines.tensorrt.flavour')

    class Press(logging.Filter):
        started = False

        def filter(self, record: logging.LogRecord) -> bool:
            if self.started:
                self.started = False
                signal.raise_signal(signal.SIGINT)
            return False

    press = Press()

    def progress(phase: str, fraction: float) -> bool:
        press.started = phase.startswith('segmentation: Building')
        return True

    level = messages.level
    messages.setLevel(logging.DEBUG)
    messages.addFilter(press)
    # What a shell starts in the background ignores Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            loading.build(order(formula_bundle), progress)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
        messages.removeFilter(press)
        messages.setLevel(level)


def test_all_that_the_parser_finds_is_one_message(make_bundle: BundleMaker) -> None:
    depth = DEPTH_TEXT.replace(
        'sum = Add(green, guided)',
        'odd = NoSuchThing(green) strange = Unheard(guided) sum = Add(odd, strange)',
    )
    bundle = make_bundle(SEGMENTATION_TEXT, depth)
    with pytest.raises(EngineError) as caught:
        loading.build(order(bundle))
    assert 'cannot read the graph' in str(caught.value)
    assert 'NoSuchThing' in str(caught.value)


def test_images_are_cast_before_anything_else(formula_bundle: Bundle, tmp_path: Path) -> None:
    """TensorRT refuses to transpose bytes, as graphs of earlier exports do."""
    text = SEGMENTATION_TEXT.replace(
        'values = Cast<to: int = 1>(image)',
        'turned = Transpose<perm: ints = [0, 1, 2, 3]>(image) values = Cast<to: int = 1>(turned)',
    )
    (tmp_path / 'turned.onnx').write_bytes(graph_bytes(text))
    build_plan(FLAVOUR, prepare_graph(tmp_path / 'turned.onnx'), 'fp32', go_on, (8, 9))
    before = onnx.load(formula_bundle.depth_onnx)
    assert prepare_graph(formula_bundle.depth_onnx) == before.SerializeToString()


def test_labels_become_bytes_from_floats(formula_bundle: Bundle) -> None:
    """NVIDIA's documents disagree on whether integers may be cast to bytes."""
    graph = onnx.load_from_string(prepare_graph(formula_bundle.segmentation_onnx)).graph
    makers = {node.output[0]: node for node in graph.node}
    bytes_from = makers[makers['labels'].input[0]]
    assert bytes_from.op_type == 'Cast'
    assert bytes_from.attribute[0].i == onnx.TensorProto.FLOAT


def test_a_precision_that_cannot_be_had_is_refused_before_the_work(
    formula_bundle: Bundle, make_bundle: BundleMaker
) -> None:
    with pytest.raises(EngineError, match='quantised bundle of it with sg_depth quantize'):
        order(formula_bundle, precision='int8')
    half = make_bundle(folder='half', precision='fp16')
    with pytest.raises(EngineError, match='whose graphs are in fp16; ask for fp16, or take'):
        order(half, precision='fp32')
    assert order(formula_bundle, precision='fp16').key != order(formula_bundle).key


def test_workspace_reaches_the_builder(formula_bundle: Bundle) -> None:
    build_plan(
        FLAVOUR, prepare_graph(formula_bundle.depth_onnx), 'fp32', go_on, (8, 9), workspace_mib=64
    )


# The checks after a build, where what runs in the place of the GPU is ONNX Runtime.


def pretend(
    monkeypatch: pytest.MonkeyPatch, change: float = 1.0, runs: list[Entry] | None = None
) -> None:
    """Let a built engine answer as ONNX Runtime does, with depth times ``change``."""

    class Changed:
        name, version, device = 'tensorrt_rtx', '1', 'GPU (Ada)'

        def __init__(self, bundle: Bundle) -> None:
            self._engine = create_engine(bundle, 'onnxruntime', 1)

        def infer(self, image_hw3: NDArray[np.uint8]) -> object:
            raw = self._engine.infer(image_hw3)
            return dataclasses.replace(raw, depth_hw=raw.depth_hw * np.float32(change))

        def close(self) -> None:
            self._engine.close()

    def run(order: Order, gpu: Gpu, entry: Entry) -> Engine:
        if runs is not None:
            runs.append(entry)
        return Changed(order.bundle)

    monkeypatch.setattr(loading, '_run', run)


def ramps(width: int, height: int) -> Iterable[NDArray[np.uint8]]:
    yield np.linspace(0, 255, width * height * 3).astype(np.uint8).reshape(height, width, 3)


RAMPS = list(ramps(WIDTH, HEIGHT))


def test_a_good_engine_is_kept_with_its_check_and_not_checked_again(
    formula_bundle: Bundle, cache: EngineCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[Entry] = []
    pretend(monkeypatch, runs=runs)
    monkeypatch.setattr(loading, 'street_images', ramps)
    wanted = order(formula_bundle, gpu=ADA)
    assert 'scale drift 0.00e+00 (up to 2e-03), on 1 images' in loading.obtain(wanted, cache).check
    assert 'scale drift' in loading.obtain(wanted, cache).check
    assert len(runs) == 1
    others = dataclasses.replace(wanted, images=RAMPS)
    loading.obtain(others, cache)
    assert len(runs) == 2  # images that are given are looked at


def test_an_engine_that_answers_otherwise_is_not_kept(
    formula_bundle: Bundle, cache: EngineCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, change=1.1)
    wrong = order(formula_bundle, gpu=ADA, images=RAMPS)
    with pytest.raises(ComparisonError, match=r'scale drift 1\.00e-01 \(over 2e-03\)'):
        loading.obtain(wrong, cache)
    assert cache.list() == []
    # Nor one that is there, which the node would go on using.
    loading.obtain(order(formula_bundle), cache)
    assert len(cache.list()) == 1
    with pytest.raises(ComparisonError):
        loading.obtain(wrong, cache)
    assert cache.list() == []


def test_what_was_built_without_a_gpu_is_checked_on_the_first_one(
    formula_bundle: Bundle, cache: EngineCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert loading.obtain(order(formula_bundle), cache).check == NOT_CHECKED
    pretend(monkeypatch)
    monkeypatch.setattr(loading, 'build', lambda *_: pytest.fail('built again'))
    wanted = order(formula_bundle, gpu=ADA, images=RAMPS)
    assert loading.obtain(wanted, cache).check != NOT_CHECKED
    (listed,) = cache.list()
    assert listed.entry is not None and listed.entry.check != NOT_CHECKED


def test_a_check_can_be_stopped(
    formula_bundle: Bundle, cache: EngineCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch)
    wanted = order(formula_bundle, gpu=ADA, images=RAMPS)
    with pytest.raises(EngineCancelled):
        loading.obtain(wanted, cache, lambda phase, _: 'checking' not in phase)
    assert cache.list() == []


# What is asked for, and what there is.


def test_orders_name_one_gpu_each(formula_bundle: Bundle) -> None:
    made = make_orders(formula_bundle, capabilities='8.9, 12.0', workspace_mib=5)
    assert [(o.capability, o.flavour.name, o.workspace_mib) for o in made] == [
        ((8, 9), 'tensorrt_rtx', 5),
        ((12, 0), 'tensorrt_rtx', 5),
    ]
    assert [o.target for o in made] == ['compute capability 8.9', 'compute capability 12.0']
    assert len({o.key.file for o in made}) == 2
    with pytest.raises(ValueError, match=r"number such as 8\.9, found 'sm89'"):
        make_orders(formula_bundle, capabilities='sm89')


def test_images_to_check_on_are_read_before_the_build(
    formula_bundle: Bundle, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match='nowhere does not exist'):
        make_orders(formula_bundle, capabilities='8.9', check_on=tmp_path / 'nowhere')


@pytest.mark.usefixtures('no_gpu')
def test_without_a_gpu_the_message_says_what_can_be_done(formula_bundle: Bundle) -> None:
    with pytest.raises(EngineError, match='give --compute-capability'):
        make_orders(formula_bundle)
    with pytest.raises(EngineError, match='found no NVIDIA GPU with a working driver'):
        create_engine(formula_bundle, 'tensorrt_rtx')


def test_tensorrt_itself_builds_for_its_own_gpu_alone(
    formula_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = dataclasses.replace(FLAVOUR, name='tensorrt', version='10.3.0')
    monkeypatch.setattr(orders, 'load_flavour', lambda name: plain)
    monkeypatch.setattr(gpu, 'find_gpu', lambda: ADA)
    with pytest.raises(EngineError, match='builds for the GPU at hand alone'):
        make_orders(formula_bundle, 'tensorrt', capabilities='8.9')
    (made,) = make_orders(formula_bundle)
    assert (made.target, made.key.gpu, made.key.driver) == ('Ada', 'Ada', '1')
    assert made.key.platform
    assert not staleness(made.key)
    assert 'tensorrt is 10.3.0 now' in staleness(dataclasses.replace(made.key, version='10.0'))
    assert 'the GPU is Ada, driver 1' in staleness(dataclasses.replace(made.key, driver='0'))
    assert 'another version of sg_depth_ros' in staleness(dataclasses.replace(made.key, recipe=0))


def test_without_tensorrt_the_message_says_how_to_get_it(
    formula_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f'No module named {name!r}', name=name)

    monkeypatch.setattr(gpu, 'find_gpu', lambda: ADA)
    monkeypatch.setattr(orders, 'load_flavour', missing)
    with pytest.raises(EngineError, match=r'comes with JetPack.*pip install tensorrt-rtx'):
        make_orders(formula_bundle)


@pytest.mark.parametrize(
    ('source', 'problem'),
    [
        (None, "No module named 'tensorrt'"),
        (
            'raise OSError("libnvinfer.so.10: cannot open")',
            'cannot load its libraries: libnvinfer',
        ),
    ],
    ids=['type stubs alone', 'no libraries'],
)
def test_what_is_no_tensorrt_is_as_if_it_were_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str | None, problem: str
) -> None:
    """tensorrt-stubs installs a folder of that name, which Python takes for a package."""
    folder = tmp_path / 'tensorrt'
    folder.mkdir()
    if source:
        (folder / '__init__.py').write_text(source)
    monkeypatch.delitem(sys.modules, 'tensorrt', raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match=problem) as caught:
        load_flavour('tensorrt')
    assert caught.value.name == 'tensorrt'
    monkeypatch.delitem(sys.modules, 'tensorrt', raising=False)


def test_engines_of_a_tensorrt_that_is_too_old_now_are_stale(
    formula_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = SimpleNamespace(__version__='8.6.1')
    monkeypatch.setitem(sys.modules, 'tensorrt', old)
    key = dataclasses.replace(order(formula_bundle).key, flavour='tensorrt')
    assert staleness(key) == 'stale: found TensorRT 8.6.1, expected 10 or later; update it'


@pytest.mark.parametrize('text', ['89', '8.', 'x.y', ''])
def test_bad_capabilities_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match='a compute capability is a number such as'):
        parse_capability(text)


# What CUDA says where there is no GPU, or it fails.


@pytest.mark.usefixtures('no_gpu')
def test_auto_passes_over_tensorrt_where_there_is_no_gpu(
    formula_bundle: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level('INFO'):
        engine = create_engine(formula_bundle, threads=1)
    engine.close()
    skipped = [r for r in caplog.records if 'engine tensorrt_rtx skipped' in r.message]
    assert [(r.levelname, 'no NVIDIA GPU' in r.message) for r in skipped] == [('INFO', True)]


def test_a_gpu_that_fails_is_worth_a_warning_and_fails_where_it_was_chosen(
    formula_bundle: Bundle,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    def fail(*_: object) -> Engine:
        raise gpu.GpuError('the GPU is out of memory')

    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    monkeypatch.setattr(gpu, 'find_gpu', lambda: ADA)
    monkeypatch.setattr(loading, 'obtain', fail)
    create_engine(formula_bundle, threads=1).close()
    assert [r.levelname for r in caplog.records if 'out of memory' in r.message] == ['WARNING']
    with pytest.raises(EngineError, match='tensorrt_rtx: the GPU is out of memory'):
        create_engine(formula_bundle, 'tensorrt_rtx')


def test_errors_of_cuda_are_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = gpu.cuda.cudaError_t

    def lost(*_: object) -> tuple[object, None]:
        return codes.cudaErrorIllegalAddress, None

    with pytest.raises(gpu.GpuError, match=r'lost failed: an illegal memory access .* kernel log'):
        gpu.call(lost)
    monkeypatch.setattr(gpu.cuda, 'cudaMemGetInfo', lambda: (codes.cudaSuccess, 3 << 20, 9 << 20))
    with pytest.raises(gpu.GpuError, match=r'out of memory \(3 of 9 MiB are free\); end other'):
        gpu.call(lambda: (codes.cudaErrorMemoryAllocation, None))
    assert gpu.call(lambda: (codes.cudaSuccess, 1, 2)) == (1, 2)
    assert gpu.call(lambda: (codes.cudaSuccess, 1)) == 1


def test_an_engine_that_cannot_be_loaded_says_why(formula_bundle: Bundle) -> None:
    """A plan of another kind, or any plan where no GPU is."""
    from sg_depth_ros.engines.tensorrt.engine import Networks

    with pytest.raises(EngineError, match=r'cannot load the engine \(sg_depth engine clear.*: '):
        Networks(FLAVOUR, ADA, formula_bundle, b'nothing' * 100, b'nothing' * 100)


def test_the_registry_asks_for_the_precision(
    formula_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Order] = []

    def obtain(order: Order, *_: object) -> Entry:
        asked.append(order)
        raise EngineCancelled

    monkeypatch.setattr(gpu, 'find_gpu', lambda: ADA)
    monkeypatch.setattr(loading, 'obtain', obtain)
    with pytest.raises(EngineCancelled):
        create_engine(formula_bundle, 'tensorrt_rtx')
    with pytest.raises(EngineError, match='an engine in int8 cannot be made'):
        create_engine(formula_bundle, 'tensorrt_rtx', precision='int8')
    with pytest.raises(EngineError, match='an engine in int8 cannot be made'):
        loading.open_tensorrt_rtx(formula_bundle, EngineOptions(1, 'int8'))
    assert [o.precision for o in asked] == ['fp32']
