# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""In which precision a built engine computes each product of its network.

TensorRT fuses layers and may compute a quantised convolution as a float one between conversions.
What it did stands in the list of the engine's layers, which the builder writes into its log when
it has built; the inspector gives the same list, but only where a GPU can load the engine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from sg_depth_ros.engines.tensorrt.precision import Product

HEADING = 'Layers:\n'
"""What the builder's list of layers begins with."""
UNLISTED = 'a precision that TensorRT does not tell'
_LAYER = re.compile(
    r'^Name: (?P<name>.*?), LayerType: (?P<kind>\w+), Inputs: \[(?P<rest>.*)$', re.M
)
_TYPE = re.compile(r'Datatype: (?P<type>[^}]*)')
_NODE = re.compile(r'\[ONNX Layer: (.*?)\]')
_WORDS = {'Int8': 'int8', 'Half': 'fp16', 'FP16': 'fp16', 'Float': 'fp32', 'FP32': 'fp32'}
"""Older versions write the type within a sentence about the layout in memory."""
_AROUND = frozenset(('kgen', 'Reformat', 'NoOp', 'Constant', 'PointWise', 'PointWiseV2'))
"""Kinds of layers that compute what lies around products: conversions, additions, activations."""


class _Layer(NamedTuple):
    kind: str
    precision: str
    nodes: frozenset[str]


def as_built(products: Iterable[Product], listing: str) -> list[Product]:
    """Give a network's products, each with the precision that the engine computes it in.

    :param listing: what the builder has written of the layers; empty if it did not
    """
    layers = [_read(match) for match in _LAYER.finditer(listing)]
    return [_found(product, layers) for product in products]


def node_names(words: str) -> list[str]:
    """Give the names of the nodes of the ONNX graph that TensorRT's words are about."""
    return _NODE.findall(words)


def _read(match: re.Match[str]) -> _Layer:
    kind = _TYPE.search(match['rest'])
    words = kind['type'].replace(',', ' ').split() if kind else []
    precision = next((_WORDS[word] for word in words if word in _WORDS), UNLISTED)
    return _Layer(match['kind'], precision, frozenset(node_names(match['rest'])))


def _found(product: Product, layers: list[_Layer]) -> Product:
    wanted = set(node_names(product.name))
    about = [layer for layer in layers if wanted & layer.nodes]
    # What is added or rounded after a convolution is told to come from it too.
    about.sort(key=lambda layer: layer.kind in _AROUND)
    return product._replace(precision=about[0].precision if about else UNLISTED)
