# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which parts of the networks bear eight bits, by measurement against float32."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.quantization import TensorsData

from sg_depth_ros.bags.recorded_images import Image
from sg_depth_ros.bundle import Bundle
from sg_depth_ros.engines.protocol import DEPTH_OUTPUT, IMAGE, LABELS
from sg_depth_ros.quantization.calibration import QuantizationError
from sg_depth_ros.quantization.graph import Feed, calibrate, layer_groups, quantise_graph

MAX_HELD = 0.5
"""Largest share of the layers that is kept in float32; with more, eight bits are of no use."""

Step = Callable[[], None]
Networks = tuple[ort.InferenceSession, ort.InferenceSession]


@dataclass(frozen=True)
class Loss:
    """Mean relative difference of depth, and share of labels that differ, from float32."""

    depth: float
    labels: float

    @property
    def worst(self) -> float:
        """The larger of the two, which a limit is set to."""
        return max(self.depth, self.labels)


@dataclass
class Choice:
    """What is kept in float32, the loss with it, and that of each part alone in eight bits."""

    held: list[str] = field(default_factory=list)
    loss: Loss = Loss(0, 0)
    alone: dict[str, Loss] = field(default_factory=dict)


class Quantizer:
    """Both networks of a bundle, calibrated, to be quantised in part and compared.

    :param calibration: frames (H, W, 3) uint8 of network size that give the ranges
    :param measured: other frames, on which losses are measured
    :param step: called after each of the ``len(calibration)`` frames of each network
    """

    def __init__(
        self, bundle: Bundle, calibration: Sequence[Image], measured: Sequence[Image], step: Step
    ) -> None:
        paths = (bundle.segmentation_onnx, bundle.depth_onnx)
        self._exact: Networks = (_session(paths[0]), _session(paths[1]))
        self._models = [onnx.load(path) for path in paths]
        feeds: list[list[Feed]] = [[], []]
        for image in calibration:
            outputs = _run(self._exact[0], {IMAGE: image[None]})
            feeds[0].append({IMAGE: image[None]})
            feeds[1].append({IMAGE: image[None], **_features(outputs)})
        self._ranges: list[TensorsData] = [
            calibrate(path, feed, step) for path, feed in zip(paths, feeds, strict=True)
        ]
        names = ('segmentation', 'depth')
        self._layers = [
            {f'{name}.{part}': layers for part, layers in layer_groups(model.graph).items()}
            for name, model in zip(names, self._models, strict=True)
        ]
        self._measured = measured
        self._expected = [_predict(self._exact, image) for image in measured]

    @property
    def parts(self) -> dict[str, int]:
        """How many layers each part has that can be quantised."""
        return {part: len(layers) for group in self._layers for part, layers in group.items()}

    def graphs(self, held: Collection[str]) -> tuple[bytes, bytes]:
        """Give both graphs, serialised, with all parts but ``held`` in eight bits."""
        data = []
        for model, ranges, group in zip(self._models, self._ranges, self._layers, strict=True):
            layers = [n for part, names in group.items() if part not in held for n in names]
            data.append(quantise_graph(model, ranges, layers).SerializeToString())
        return data[0], data[1]

    def loss(self, held: Collection[str]) -> Loss:
        """Measure with all parts but ``held`` in eight bits."""
        segmentation, depth_graph = self.graphs(held)
        networks = _session(segmentation), _session(depth_graph)
        depth, labels = [], []
        for image, (exact, exact_labels) in zip(self._measured, self._expected, strict=True):
            found, found_labels = _predict(networks, image)
            depth.append(np.mean(np.abs(found - exact) / exact))
            labels.append(np.mean(found_labels != exact_labels))
        return Loss(float(np.mean(depth)), float(np.mean(labels)))

    def search(self, limit: float, step: Step) -> Choice:
        """Keep the most costly parts in float32 until the loss is within a limit.

        First each part is measured alone in eight bits, with a ``step`` after each; then they are
        kept in the order of their loss, up to ``MAX_HELD`` of the layers.

        :raises QuantizationError: if there are no parts
        """
        parts = self.parts
        if not parts:
            raise QuantizationError(
                'the graphs have no convolutions that can be quantised; give a bundle that '
                '`sg_depth export` has written'
            )
        choice = Choice()
        for part in parts:
            choice.alone[part] = self.loss(parts.keys() - {part})
            step()
        order = sorted(parts, key=lambda part: choice.alone[part].worst)
        choice.loss = self.loss(())
        while choice.loss.worst > limit and order:
            held = [*choice.held, order.pop()]
            if sum(parts[part] for part in held) > MAX_HELD * sum(parts.values()):
                break
            choice.held, choice.loss = held, self.loss(held)
        return choice


def _session(model: Path | bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(model, options, providers=['CPUExecutionProvider'])


def _run(session: ort.InferenceSession, feed: Feed) -> dict[str, NDArray[Any]]:
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feed), strict=True))


def _features(outputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name: value for name, value in outputs.items() if name != LABELS}


def _predict(networks: Networks, image: Image) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Give depth and labels, (1, H, W)."""
    outputs = _run(networks[0], {IMAGE: image[None]})
    depth = _run(networks[1], {IMAGE: image[None], **_features(outputs)})[DEPTH_OUTPUT]
    return depth, outputs[LABELS]
