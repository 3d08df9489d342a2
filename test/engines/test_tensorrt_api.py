# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All that the engines use of TensorRT and CUDA is there: installed, and in published versions.

So are the stand-ins: what they have, the real ones have too.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sg_depth_ros.engines.tensorrt

pytest.importorskip('cuda.bindings.runtime', reason='cuda-python is not installed')

import fake_tensorrt
from cuda.bindings import runtime
from fake_cuda import RESULTS, FakeCuda
from published_api import (
    ONLY_RTX,
    OVERRIDDEN,
    RECORD,
    USED,
    cuda_parameters,
    find,
    tensorrt_signatures,
)

FOLDER = Path(sg_depth_ros.engines.tensorrt.__path__[0])
PUBLISHED = json.loads(RECORD.read_text())
NUMBERS = ('int', 'typing.SupportsInt')
KINDS = {
    'int': NUMBERS,
    'str': ('str',),
    'bytes': ('buffer', 'Buffer', 'typing_extensions.Buffer'),
}
"""What pybind11 writes for what Python is given."""
FUNCTIONS = {name.rpartition('.')[2]: kinds for name, kinds in (USED | ONLY_RTX).items()}


VERSIONS = [*PUBLISHED['tensorrt'], 'tensorrt_rtx']


def signatures_of(version: str) -> dict[str, list[str]]:
    if version in PUBLISHED['tensorrt']:
        return PUBLISHED['tensorrt'][version]  # type: ignore[no-any-return]
    return tensorrt_signatures(pytest.importorskip(version, reason='TensorRT-RTX: x86 only'))


def parameters(signature: str) -> list[tuple[str, str, bool]]:
    """Names, types and whether they must be given, of all but ``self``."""
    inside = signature[1 : signature.rindex(')')] if ')' in signature else ''
    found = []
    for text in filter(None, re.split(r', (?=\w+\b(?:[:,)]|$))', inside)):
        name, _, kind = text.partition(':')
        kind, _, default = kind.partition('=')
        found.append((name.strip(), kind.strip(), not default))
    return [p for p in found if p[0] != 'self']


def takes(signature: str, kinds: tuple[str, ...]) -> bool:
    """Whether a function of this signature can be called with arguments of these types."""
    wanted = parameters(signature)
    if len(kinds) > len(wanted) or any(must for _, _, must in wanted[len(kinds) :]):
        return False
    return all(
        kind in KINDS.get(given, (given,)) or not kind
        for given, (_, kind, _) in zip(kinds, wanted, strict=False)
    )


@pytest.mark.parametrize('version', VERSIONS)
def test_every_tensorrt_has_what_is_used(version: str) -> None:
    found = signatures_of(version)
    used = USED | (ONLY_RTX if version == 'tensorrt_rtx' else {})
    assert used.keys() | OVERRIDDEN.keys() <= found.keys()
    for name, kinds in used.items():
        if kinds is not None:
            assert any(takes(signature, kinds) for signature in found[name]), (name, found[name])
    for name, names in OVERRIDDEN.items():
        assert len(parameters(found[name][0])) == len(names), name


def test_a_signature_that_does_not_fit_is_seen() -> None:
    signature = '(self: IExecutionContext, name: str, memory: int = 0) -> bool'
    assert takes(signature, ('str', 'int')) and takes(signature, ('str',))
    assert not takes(signature, ()) and not takes(signature, ('str', 'str'))
    assert not takes(signature, ('str', 'int', 'int'))


def test_what_is_only_in_tensorrt_rtx_is_asked_for_there_alone() -> None:
    for version in PUBLISHED['tensorrt']:
        assert not ONLY_RTX.keys() & signatures_of(version).keys()
    source = (FOLDER / 'builder.py').read_text() + (FOLDER / 'flavour.py').read_text()
    assert "if hasattr(trt.BuilderFlag, 'REQUIRE_USER_ALLOCATION'):" in source
    assert 'if flavour.builds_ahead:\n        config.num_compute_capabilities' in source
    assert '.ComputeCapability.__members__ if self.builds_ahead' in source


# That the lists of what is used are complete.


SPEAKERS = ('builder', 'engine', 'flavour', 'precision')
"""Modules that speak to TensorRT."""


def nodes(kind: type[ast.AST], file: str) -> Iterator[Any]:
    tree = ast.parse((FOLDER / f'{file}.py').read_text())
    return (node for node in ast.walk(tree) if isinstance(node, kind))


def test_the_list_holds_all_that_is_used_of_tensorrt() -> None:
    trt = pytest.importorskip('tensorrt_rtx', reason='TensorRT-RTX: x86 only')
    owners = {name.partition('.')[0] for name in USED | ONLY_RTX if '.' in name}
    theirs = {name for owner in owners for name in dir(getattr(trt, owner)) if name[0] != '_'}
    theirs |= {name for name in vars(trt) if name[0].isupper()} | {'nptype', 'volume'}
    listed = {part for name in USED | ONLY_RTX | OVERRIDDEN for part in name.split('.')}
    written = {node.attr for file in SPEAKERS for node in nodes(ast.Attribute, file)}
    assert written & theirs <= listed
    # The version is asked for by its name, as a folder of stubs has none.
    assert {name.rpartition('.')[2] for name in USED | ONLY_RTX} <= written | {'__version__'}


def test_functions_are_called_with_as_many_arguments_as_the_list_says() -> None:
    called = set()
    for node in (node for file in SPEAKERS for node in nodes(ast.Call, file)):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ''
        kinds = FUNCTIONS.get(name)
        if kinds is not None:
            assert len(node.args) == len(kinds) and not node.keywords, name
            called.add(name)
    assert called == {name for name, kinds in FUNCTIONS.items() if kinds is not None}


def test_what_tensorrt_calls_takes_what_it_gives() -> None:
    trt = pytest.importorskip('tensorrt_rtx', reason='TensorRT-RTX: x86 only')
    from sg_depth_ros.engines.protocol import go_on
    from sg_depth_ros.engines.tensorrt.builder import _make_monitor
    from sg_depth_ros.engines.tensorrt.flavour import make_logger

    made = {'ILogger': make_logger(trt), 'IProgressMonitor': _make_monitor(trt, go_on)}
    for name, names in OVERRIDDEN.items():
        owner, _, method = name.partition('.')
        assert tuple(inspect.signature(getattr(made[owner], method)).parameters) == names


# CUDA.


def cuda_names() -> set[str]:
    """What gpu.py uses of cuda.bindings.runtime, with dots."""
    tree = ast.parse((FOLDER / 'gpu.py').read_text())
    found = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return {name.removeprefix('cuda.') for name in found if re.fullmatch(r'cuda(\.\w+)+', name)}


@pytest.mark.parametrize('version', [*PUBLISHED['cuda'], 'installed'])
def test_every_cuda_has_what_is_used(version: str) -> None:
    names = cuda_names()
    here = cuda_parameters(runtime, names)
    found = here if version == 'installed' else PUBLISHED['cuda'][version]
    assert found.keys() == names
    assert {n: p and len(p) for n, p in found.items()} == {
        n: p and len(p) for n, p in here.items()
    }


def test_the_fake_cuda_has_functions_of_the_real_one_with_as_many_results() -> None:
    faked = {name.removeprefix('do_') for name in vars(FakeCuda) if name.startswith('do_')}
    for name in faked:
        real = getattr(runtime, name)
        own = inspect.signature(getattr(FakeCuda, f'do_{name}')).parameters
        assert len(own) - 1 == len(inspect.signature(real).parameters), name
        returned = (real.__doc__ or '').partition('Returns\n-------\n')[2].partition('See Also')[0]
        results = re.findall(r'^(\w+) ?: ?|^(cudaError_t)\s*$', returned, re.M)
        assert len(results) - 1 == RESULTS.get(name, 0), (name, returned)


# The stand-in for TensorRT.


@pytest.mark.parametrize(
    'name', ['Runtime', 'ICudaEngine', 'IExecutionContext', 'ILogger', 'Dims']
)
def test_the_fake_tensorrt_has_what_the_real_one_has(name: str) -> None:
    trt = pytest.importorskip('tensorrt_rtx', reason='TensorRT-RTX: x86 only')
    fake, real = getattr(fake_tensorrt, name), getattr(trt, name)
    methods = {key: value for key, value in vars(fake).items() if inspect.isfunction(value)}
    for key, value in methods.items():
        if not key.startswith('_'):
            assert f'{name}.{key}' in USED
            own = list(inspect.signature(value).parameters)[1:]
            signatures = tensorrt_signatures(trt)[f'{name}.{key}']
            assert any([p[0] for p in parameters(s)][: len(own)] == own for s in signatures), key
        elif key.startswith('__'):
            assert hasattr(real, key), key


@pytest.mark.parametrize('name', ['DataType', 'TensorIOMode', 'ProfilingVerbosity'])
def test_the_fake_enumerations_are_the_real_ones(name: str) -> None:
    trt = pytest.importorskip('tensorrt_rtx', reason='TensorRT-RTX: x86 only')
    for member in getattr(fake_tensorrt, name):
        assert int(getattr(getattr(trt, name), member.name)) == member.value
    for member in fake_tensorrt.ILogger.Severity:
        assert int(getattr(trt.ILogger.Severity, member.name)) == member.value


def test_the_fake_types_become_those_of_numpy_that_the_real_ones_become() -> None:
    trt = pytest.importorskip('tensorrt_rtx', reason='TensorRT-RTX: x86 only')
    for kind, expected in fake_tensorrt.NUMPY_TYPES.items():
        assert trt.nptype(getattr(trt.DataType, kind.name)) == expected
    assert find(importlib.import_module('tensorrt_rtx'), 'Runtime.nothing') is None
