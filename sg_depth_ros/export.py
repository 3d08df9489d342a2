# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a checkpoint to a bundle: ONNX graphs that answer as torch does, or nothing.

The graphs come from torch's exporter on ``torch.export``. It resolves the static shapes: 122 and
378 nodes for the default networks, where the older TorchScript exporter leaves 754 and 1989,
most of them shape arithmetic.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnxscript import optimizer
from torch import Tensor, nn

from sg_depth_ros.bundle import Bundle, load_bundle, require_free, write_bundle
from sg_depth_ros.bundle.half_precision import half_precision
from sg_depth_ros.bundle.labels import CITYSCAPES
from sg_depth_ros.engines import create_engine
from sg_depth_ros.engines.protocol import DEPTH_OUTPUT, FEATURES_PREFIX, IMAGE, LABELS
from sg_depth_ros.files import atomic_path
from sg_depth_ros.networks.checkpoint import load_networks, save_half
from sg_depth_ros.networks.encoder import STRIDES
from sg_depth_ros.networks.inference import prepare_for_inference
from sg_depth_ros.training.warm_start import licence_of

OPSET = 18
MAX_DEPTH_ERROR = {'fp32': 1e-4, 'fp16': 0.05}
"""Largest relative error of depth that an export may have against torch, by precision."""
GROUP_NORM_ERROR = 1e-3
"""The same in float32 for networks with group normalisation, as PackNet. ONNX Runtime's rounds
more than torch's where an image is uniform, by 2e-4 in a black one."""
ROUNDING = 8.0
"""So many times the error that float32 makes in torch itself an export may make, each against
float64. Some networks amplify rounding, PackNet by its many normalisations; a run-time adds the
same numbers in another order."""
MOST_ROUNDING = 0.02
"""But not more: a network that amplifies rounding so much answers by chance."""
ERROR_PERCENTILE = {'fp32': 100, 'fp16': 99}
"""Of the pixels that it is asked of. A network amplifies rounding where an image excites it as no
real one does: at the corners of random blocks. What is translated wrongly is off everywhere."""
MIN_LABEL_AGREEMENT = {'fp32': 0.9999, 'fp16': 0.98}
"""Share of pixels whose label must be torch's; ties may fall either way."""
_REQUIRED_META = ('input_width', 'input_height', 'training_focal_length', 'scale', 'provenance')

_log = logging.getLogger(__name__)


class ExportError(RuntimeError):
    """A network cannot be exported, or its graph does not answer as torch does."""


class SegmentationGraph(nn.Module):
    """The segmentation network as a bundle holds it.

    :param strides: those of the features that the depth network takes
    """

    def __init__(self, network: nn.Module, strides: Sequence[int]) -> None:
        super().__init__()
        self.network = network
        self.strides = tuple(strides)

    def forward(self, image_bhw3: Tensor) -> tuple[Tensor, ...]:
        """From uint8 RGB (B, H, W, 3) to uint8 labels (B, H, W) and features (B, D, H/s, W/s)."""
        features, logits_bchw = self.network(_as_network_input(image_bhw3, self.network))
        # Along the innermost axis: OpenVINO takes 5 ms for it, and 14 across planes.
        labels_bhw = logits_bchw.permute(0, 2, 3, 1).argmax(-1).to(torch.uint8)
        return labels_bhw, *(features[stride] for stride in self.strides)


class DepthGraph(nn.Module):
    """The depth network as a bundle holds it; only the finest scale is computed.

    :param strides: those of the features, in the order in which they are given
    """

    def __init__(self, network: nn.Module, strides: Sequence[int]) -> None:
        super().__init__()
        self.network = network
        self.strides = tuple(strides)

    def forward(self, image_bhw3: Tensor, *features: Tensor) -> Tensor:
        """From uint8 RGB (B, H, W, 3) and features to depth (B, H, W)."""
        by_stride = dict(zip(self.strides, features, strict=True))
        image_bchw = _as_network_input(image_bhw3, self.network)
        inverse_depths = self.network(image_bchw, by_stride or None)
        depth_bhw: Tensor = inverse_depths[0].squeeze(1).reciprocal()
        return depth_bhw


def export_checkpoint(
    checkpoint: str | Path,
    out: str | Path,
    *,
    size: tuple[int, int] | None = None,
    name: str | None = None,
    description: str = 'Depth guided by semantics, from one camera.',
    licence: str | None = None,
    metrics: Sequence[Mapping[str, Any]] = (),
    precision: str = 'fp32',
    weights: Path | None = None,
) -> Bundle:
    """Export a checkpoint's networks into a bundle folder and compare it with torch.

    :param checkpoint: a file written by ``networks.checkpoint.save_networks``
    :param out: the bundle's folder; must not exist
    :param size: width and height of the network's input; by default that of the training
    :param name: by default that of the folder
    :param licence: of the weights; by default that of what their training began from
    :param metrics: measured errors, see ``bundle.Metric``
    :param precision: ``fp32``, or ``fp16`` for graphs in half precision, see ``graph_precision``
    :param weights: a file to write the networks to as well, see ``networks.checkpoint.save_half``
    :raises ExportError: if the checkpoint cannot be exported or the graphs answer differently;
        nothing is left behind
    :raises BundleError: if ``out`` holds something
    """
    # Export takes a while: what must fail fails before.
    require_free(out)
    segmentation, depth, meta = load_networks(checkpoint)
    if depth is None:
        raise ExportError(
            f'{checkpoint} holds a segmentation network alone, a bundle needs depth as well; '
            f'train a depth network with it'
        )
    missing = [key for key in _REQUIRED_META if key not in meta]
    if missing:
        raise ExportError(f'{checkpoint} does not record {", ".join(missing)}; train it again')
    licence = licence or licence_of(Path(checkpoint), meta) or 'not stated'
    width, height = size or (meta['input_width'], meta['input_height'])
    step = STRIDES[-1]
    if min(width, height) < step or width % step or height % step:
        raise ExportError(
            f'an input of {width}x{height} does not fit the networks, expected multiples of '
            f'{step}; choose such a size'
        )
    strides: tuple[int, ...] = depth.guidance_strides  # type: ignore[assignment]
    seg_graph, depth_graph = SegmentationGraph(segmentation, strides), DepthGraph(depth, strides)
    labels = meta.get('labels') or [label._asdict() for label in CITYSCAPES]
    image_bhw3 = torch.zeros(1, height, width, 3, dtype=torch.uint8)
    # Not inference_mode: torch.export refuses its tensors and takes a much slower way.
    with torch.no_grad():
        classes = segmentation(_as_network_input(image_bhw3, segmentation))[1].shape[1]
        features = seg_graph(image_bhw3)[1:]
    if classes != len(labels):
        raise ExportError(
            f'{checkpoint} has {classes} classes and {len(labels)} labels; record one label for '
            f'each class in its meta values'
        )
    names = [f'{FEATURES_PREFIX}{stride}' for stride in strides]
    # What is exported is the fast form; it is compared with the network as it was trained.
    fast_graph = DepthGraph(prepare_for_inference(depth), strides)
    graphs = [
        _export_graph(seg_graph, (image_bhw3,), [IMAGE], [LABELS, *names]),
        _export_graph(fast_graph, (image_bhw3, *features), [IMAGE, *names], [DEPTH_OUTPUT]),
    ]
    if precision == 'fp16':
        graphs = [half_precision(onnx.load_from_string(g)).SerializeToString() for g in graphs]
    fields = {
        'name': name or Path(out).resolve().name,
        'description': description,
        'licence': licence,
        'input': {'width': width, 'height': height},
        'normalisation': {
            key: [
                round(value, 6) for value in getattr(segmentation.encoder, key).flatten().tolist()
            ]
            for key in ('mean', 'std')
        },
        'labels': labels,
        'depth': {
            'min': depth.min_depth,
            'max': depth.max_depth,
            'scale': meta['scale'],
            'training_focal_length': meta['training_focal_length'] * width / meta['input_width'],
        },
        'precision': precision,
        'provenance': {
            **meta['provenance'],
            'exported_with': f'torch {torch.__version__}, ONNX opset {OPSET}',
        },
        'metrics': list(metrics),
    }
    with atomic_path(out) as temporary:
        write_bundle(temporary, fields, *graphs)
        _compare(load_bundle(temporary), seg_graph, depth_graph)
    if weights is not None:
        save_half(checkpoint, weights, licence)
    return load_bundle(out)


def _as_network_input(image_bhw3: Tensor, network: nn.Module) -> Tensor:
    """Turn uint8 RGB (B, H, W, 3) into (B, 3, H, W) in 0..1, in the precision of the weights."""
    # Contiguous, as torch's group normalisation is a hundred times less exact on channels that lie
    # together: depth of a PackNet would differ from every run-time's by more than is allowed.
    image = image_bhw3.to(next(network.parameters()).dtype)
    return image.permute(0, 3, 1, 2).contiguous() / 255


def _export_graph(
    graph: nn.Module, arguments: tuple[Tensor, ...], inputs: list[str], outputs: list[str]
) -> bytes:
    program = torch.onnx.export(
        graph.eval(),
        arguments,
        input_names=inputs,
        output_names=outputs,
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    # By itself it folds small constants only, and a large network would cut up its weights at
    # every start.
    optimizer.optimize(program.model, input_size_limit=2**31, output_size_limit=2**31)
    model = program.model_proto
    for node in model.graph.node:
        if any(a.name == 'mode' and a.s == b'reflect' for a in node.attribute):
            raise ExportError(
                f'the node {node.name} pads by reflection, which not every run-time knows; use '
                f'zero padding in the network'
            )
        # The exporter notes the source lines, and with them the paths, of this machine.
        del node.metadata_props[:]
        node.doc_string = ''
    for record in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        del record.metadata_props[:]
    for tensor in model.graph.initializer:
        del tensor.metadata_props[:]
    del model.graph.metadata_props[:], model.metadata_props[:]
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def _compare(bundle: Bundle, seg_graph: nn.Module, depth_graph: nn.Module) -> None:
    """Raise ExportError if ONNX Runtime and torch disagree on any of some test images.

    Where they differ by more than most networks do, float64 tells whether it is rounding.
    """
    spec, precision = bundle.manifest.input, bundle.manifest.precision
    min_agreement, limit = MIN_LABEL_AGREEMENT[precision], MAX_DEPTH_ERROR[precision]
    if any(isinstance(module, nn.GroupNorm) for module in depth_graph.modules()):
        limit = max(limit, GROUP_NORM_ERROR)
    engine = create_engine(bundle, 'onnxruntime')
    try:
        for kind, image_hw3 in _test_images(spec.width, spec.height):
            labels, depth = _answers(seg_graph, depth_graph, image_hw3)
            raw = engine.infer(image_hw3)
            percentile, max_error = ERROR_PERCENTILE[precision], limit
            error = _error(raw.depth_hw, depth, percentile)
            if precision == 'fp32' and not error < max_error:
                _, exact = _answers(
                    copy.deepcopy(seg_graph).double(), copy.deepcopy(depth_graph).double(),
                    image_hw3,
                )  # fmt: skip
                own = _error(depth, exact, percentile)
                error = _error(raw.depth_hw, exact, percentile)
                max_error = min(max(max_error, ROUNDING * own), MOST_ROUNDING)
                _log.info('export, %s image: float32 in torch errs by %.1e', kind, own)
            agreement = float(np.mean(raw.labels_hw == labels))
            _log.info(
                'export, %s image: depth error %.1e, label agreement %.5f', kind, error, agreement
            )
            # Written so that a NaN fails as well.
            if not (error < max_error and agreement >= min_agreement):
                raise ExportError(
                    f'on a {kind} image ONNX Runtime and torch differ by {error:.1e} of depth '
                    f'and agree on {agreement:.3%} of labels, expected below '
                    f'{max_error:.1e} and at least {min_agreement:.2%}; nothing was '
                    f'written: look for an operator that the exporter translates wrongly'
                )
    finally:
        engine.close()


def _answers(
    seg_graph: nn.Module, depth_graph: nn.Module, image_hw3: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.floating]]:
    """Give labels (H, W) and depth (H, W), in the precision of the graphs' weights."""
    image_bhw3 = torch.from_numpy(image_hw3)[None]
    with torch.inference_mode():
        labels, *features = seg_graph(image_bhw3)
        depth = depth_graph(image_bhw3, *features)
    return labels[0].numpy(), depth[0].numpy()


def _error(depth_hw: NDArray, expected_hw: NDArray, percentile: float) -> float:
    """Give the relative error of depth that so many percent of the pixels do not exceed."""
    errors = np.abs(depth_hw - expected_hw) / expected_hw
    return float(np.percentile(errors, percentile))


def _test_images(width: int, height: int) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Give images (H, W, 3) uint8 that reach different parts of a network's range."""
    generator = np.random.default_rng(0)
    yield 'noise', generator.integers(0, 256, (height, width, 3), np.uint8)
    y, x = np.mgrid[:height, :width]
    waves = [127.5 + 127.5 * np.sin(x / (7 + 9 * c) + y / (23 - 6 * c)) for c in range(3)]
    yield 'smooth', np.stack(waves, -1).astype(np.uint8)
    blocks = generator.integers(0, 256, (-(-height // 16), -(-width // 16), 3), np.uint8)
    yield 'block', np.ascontiguousarray(blocks.repeat(16, 0).repeat(16, 1)[:height, :width])
    yield 'black', np.zeros((height, width, 3), np.uint8)
