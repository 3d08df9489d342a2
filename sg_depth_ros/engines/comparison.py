# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether an engine answers as ONNX Runtime does: relative depth, labels and scale."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.engines.protocol import Engine, EngineError, Precision


class Limits(NamedTuple):
    """How far an engine may be off; the fields are those of ``Comparison``."""

    median_error: float
    p99_error: float
    label_disagreement: float
    scale_drift: float


LIMITS: dict[Precision, Limits] = {
    # TensorRT multiplies fp32 as TF32, of 10 bits, where the GPU has it.
    'fp32': Limits(2e-3, 2e-2, 0.005, 2e-3),
    # sg_depth_small has 5e-4, 3e-3, 0.001 and 5e-4 with ONNX Runtime in fp16.
    'fp16': Limits(3e-3, 3e-2, 0.01, 3e-3),
    # Against ONNX Runtime in int8: what quantising itself costs is measured when it is done.
    'int8': Limits(3e-2, 3e-1, 0.03, 2e-2),
}
"""By the engine's precision: well above what rounding makes of depth and labels, well below what
a wrong kernel would."""


@dataclass(frozen=True)
class Comparison:
    """How an engine's answers differ from the reference's, over all pixels of some images."""

    images: int
    median_error: float
    """Median of the relative error of depth; NaN where some depth was none."""
    p99_error: float
    """Its 99th percentile."""
    label_disagreement: float
    """Share of the pixels with another label."""
    scale_drift: float
    """Largest difference from 1, over the images, of the median ratio of depth."""
    limits: Limits

    @property
    def rows(self) -> list[tuple[str, str, str, bool]]:
        """A table: what, found, limit, and whether it is within."""
        return [
            (
                name.replace('_', ' '),
                f'{getattr(self, name):.2e}',
                f'{limit:.0e}',
                # Written so that a NaN fails as well.
                bool(getattr(self, name) <= limit),
            )
            for name, limit in self.limits._asdict().items()
        ]

    @property
    def passed(self) -> bool:
        """Whether everything is within its limit."""
        return all(row[-1] for row in self.rows)

    def __str__(self) -> str:
        """Give the table as a line."""
        cells = (
            f'{what} {found} ({"up to" if good else "over"} {limit})'
            for what, found, limit, good in self.rows
        )
        return f'{", ".join(cells)}, on {self.images} images'


class ComparisonError(EngineError):
    """An engine answers otherwise than the reference."""

    def __init__(self, engine: Engine, comparison: Comparison) -> None:
        super().__init__(
            f'the engine {engine.name} {engine.version} on {engine.device} answers otherwise than '
            f'ONNX Runtime: {comparison}; it is not used: try another precision, or another '
            'version of the run-time'
        )
        self.comparison = comparison


def compare(
    engine: Engine, reference: Engine, images: Iterable[NDArray[np.uint8]], precision: Precision
) -> Comparison:
    """Run two engines on the same images (H, W, 3) uint8 RGB of network size.

    :raises ValueError: if there are no images
    """
    errors, ratios, disagreements = [], [], []
    for image_hw3 in images:
        expected = reference.infer(image_hw3)
        depth, labels = expected.depth_hw.astype(np.float64), expected.labels_hw.copy()
        found = engine.infer(image_hw3)
        ratio = found.depth_hw / depth
        errors.append(np.abs(ratio - 1))
        ratios.append(np.median(ratio))
        disagreements.append(np.mean(found.labels_hw != labels))
    if not errors:
        raise ValueError('found no images to compare engines on, expected at least one')
    median, p99 = np.percentile(np.stack(errors), (50, 99))
    return Comparison(
        images=len(errors),
        median_error=float(median),
        p99_error=float(p99),
        label_disagreement=float(np.mean(disagreements)),
        scale_drift=float(np.max(np.abs(np.array(ratios) - 1))),
        limits=LIMITS[precision],
    )


def require_agreement(
    engine: Engine, reference: Engine, images: Iterable[NDArray[np.uint8]], precision: Precision
) -> Comparison:
    """Compare two engines; raises ComparisonError where they differ by more than LIMITS."""
    comparison = compare(engine, reference, images, precision)
    if not comparison.passed:
        raise ComparisonError(engine, comparison)
    return comparison
