# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From an RGB image and its camera to depth, labels and points; no ROS and no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.bundle import Bundle, load_bundle
from sg_depth_ros.engines import AUTO, Engine, StageSeconds, create_engine
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.images.resize import resize_depth, resize_image, resize_labels

DEFAULT_BUNDLE = 'sg_depth_small'

Size = Literal['image', 'network']


@dataclass(frozen=True)
class Prediction:
    """What is known about one image; all arrays have one size (h, w).

    ``depth`` (h, w) float32 along the optical axis in the bundle's units, NaN where unknown;
    ``labels`` (h, w) uint8 ids of the bundle's labels; ``image`` (h, w, 3) uint8 RGB, which is the
    caller's own array if it has this size; ``camera`` of this size, or None if none was given;
    ``seconds`` that each network took; ``engine`` is the name of the run-time. ``depth`` and
    ``labels`` belong to the caller.
    """

    depth: NDArray[np.float32]
    labels: NDArray[np.uint8]
    image: NDArray[np.uint8]
    camera: PinholeCamera | None
    seconds: StageSeconds
    engine: str = ''

    def __repr__(self) -> str:
        """Give the size, the range of depth and the engine in one line."""
        height, width = self.depth.shape
        known = self.depth[np.isfinite(self.depth)]
        depth = f'{known.min():.4g} to {known.max():.4g}' if known.size else 'unknown'
        return f'Prediction({width}x{height}, depth {depth}, engine {self.engine or "unknown"})'

    def points(self) -> NDArray[np.float32]:
        """Give the points (h, w, 3) in the optical frame, in the units of depth.

        Raises ValueError if the camera is not known.
        """
        if self.camera is None:
            raise ValueError('points need a camera, found none; give predict the intrinsics')
        return self.camera.back_project(self.depth)


class Estimator:
    """A bundle and the engine that runs it."""

    def __init__(self, bundle: Bundle, engine: Engine) -> None:
        self.bundle = bundle
        self.engine = engine

    @classmethod
    def load(
        cls,
        bundle: str | Path = DEFAULT_BUNDLE,
        engine: str = AUTO,
        threads: int | None = None,
    ) -> Estimator:
        """Load a bundle by folder or name into an engine; see load_bundle and create_engine."""
        loaded = load_bundle(bundle)
        return cls(loaded, create_engine(loaded, engine, threads))

    def predict(
        self,
        image: NDArray[np.uint8],
        camera: PinholeCamera | None = None,
        size: Size = 'network',
    ) -> Prediction:
        """Estimate depth and labels of an image.

        :param image: (H, W, 3) uint8 RGB of any size, rectified; it is stretched to the network's
        :param camera: of the image as it comes in; with it depth is corrected for its focal
            length, as the network knows only how large things look
        :param size: whether to answer at the size of the network or of the image
        :raises ValueError: if the image is of another type or shape, or not of the camera
        """
        _check(image, camera, size)
        spec, depth_spec = self.bundle.manifest.input, self.bundle.manifest.depth
        stretched = resize_image(image, spec.width, spec.height)
        raw = self.engine.infer(stretched)
        answer = camera.resized(spec.width, spec.height) if camera else None
        factor = answer.fx / depth_spec.training_focal_length if answer else 1.0
        depth = raw.depth_hw * np.float32(factor)
        if size == 'network':
            return Prediction(
                depth, raw.labels_hw.copy(), stretched, answer, raw.seconds, self.engine.name
            )
        height, width = image.shape[:2]
        depth = resize_depth(depth, width, height)
        labels = resize_labels(raw.labels_hw, width, height)
        return Prediction(depth, labels, image, camera, raw.seconds, self.engine.name)

    def close(self) -> None:
        """Free the engine; the estimator is of no use afterwards."""
        self.engine.close()


def _check(image: NDArray[np.uint8], camera: PinholeCamera | None, size: str) -> None:
    found = f'{image.dtype} {list(image.shape)}' if isinstance(image, np.ndarray) else type(image)
    if not (
        isinstance(image, np.ndarray)
        and image.dtype == np.uint8
        and image.ndim == 3
        and image.shape[2] == 3
        and image.size
    ):
        raise ValueError(
            f'found an image of {found}, expected RGB uint8 [H, W, 3]; convert it first '
            f'(grayscale: repeat it in three channels)'
        )
    if size not in ('image', 'network'):
        raise ValueError(f"found size {size!r}, expected 'image' or 'network'; choose one")
    if camera and (camera.height, camera.width) != image.shape[:2]:
        raise ValueError(
            f'an image of {image.shape[1]}x{image.shape[0]} does not belong to a camera of '
            f'{camera.width}x{camera.height}; give the camera of this image (see '
            f'PinholeCamera.resized and cropped)'
        )
