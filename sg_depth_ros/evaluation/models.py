# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Models that see the image: a bundle, or any ONNX network that gives depth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.bundle.labels import ids_with
from sg_depth_ros.estimator import Estimator, Prediction
from sg_depth_ros.evaluation.frames import EvaluationError, Frame, Output
from sg_depth_ros.evaluation.metrics import SMALLEST_M
from sg_depth_ros.files import sha256
from sg_depth_ros.images.depth import mark_sky
from sg_depth_ros.scale import fit_road

Normalisation = Literal['imagenet', 'unit', 'symmetric', 'bytes']

IMAGENET_MEAN = np.array((0.485, 0.456, 0.406), np.float32)
IMAGENET_STD = np.array((0.229, 0.224, 0.225), np.float32)
TYPES: dict[str, type[np.generic]] = {
    'tensor(uint8)': np.uint8,
    'tensor(float16)': np.float16,
    'tensor(float)': np.float32,
}
"""Inputs that an image can be given to, by ONNX Runtime's name."""


class BundleModel:
    """A model bundle through the estimator that the node uses.

    Sky is +inf, as the node publishes it: a return where the network sees sky costs as much as
    one predicted at the far limit.
    """

    uses_image = True

    def __init__(
        self,
        bundle: str | Path,
        engine: str = 'auto',
        threads: int | None = None,
        camera_height: float | None = None,
    ) -> None:
        """Load the bundle.

        :param camera_height: metres over the road, which then make depth metric in every frame
            by itself; in one that shows no road the factor of the frame before holds.
        """
        self._camera_height, self._factor = camera_height, math.nan
        self._estimator = Estimator.load(bundle, engine, threads)
        loaded, running = self._estimator.bundle, self._estimator.engine
        self._sky_ids = ids_with('sky', labels=loaded.labels)
        self.name = loaded.manifest.name
        self._road_ids = ids_with('road', labels=loaded.labels)
        self.identity = f'{loaded.digest[:16]} on {running.name} {running.version}'
        if camera_height is not None:
            self.identity += f', camera {camera_height:g} m over the road'

    def predict(self, frame: Frame) -> Output:
        """Predict depth and labels at network size, corrected for the frame's camera."""
        start = perf_counter()
        prediction = self._estimator.predict(frame.image, frame.camera)
        depth = mark_sky(prediction.depth, prediction.labels, self._sky_ids)
        if self._camera_height is not None:
            depth *= np.float32(self._metres_per_unit(prediction, self._camera_height))
        return Output(depth, prediction.labels, perf_counter() - start)

    def _metres_per_unit(self, prediction: Prediction, camera_height: float) -> float:
        if prediction.camera is None:
            raise EvaluationError(
                "without intrinsics the camera's height gives no scale; leave it out"
            )
        plane, _ = fit_road(prediction.depth, prediction.labels, prediction.camera, self._road_ids)
        if plane is not None:
            self._factor = camera_height / plane.height
        return self._factor


@dataclass(frozen=True)
class OnnxOptions:
    """What an ONNX file does not say about itself.

    ``size`` is (width, height) where the graph leaves it open. ``normalisation`` of RGB:
    ``imagenet`` mean and deviation, ``unit`` 0..1, ``symmetric`` -1..1, ``bytes`` 0..255.
    ``output``: depth, or inverse depth (disparity) up to scale.
    """

    size: tuple[int, int] | None = None
    normalisation: Normalisation = 'imagenet'
    output: Literal['depth', 'inverse'] = 'depth'


class OnnxModel:
    """Any ONNX network with one image in and one depth image out, run by ONNX Runtime.

    The layout (NCHW or NHWC) and type of the input are read from the graph; of several outputs
    the one named ``depth`` is taken, else the first.
    """

    uses_image = True

    def __init__(self, path: str | Path, options: OnnxOptions | None = None) -> None:
        """Load the graph; raises EvaluationError if its input is no single RGB image."""
        try:
            import onnxruntime  # type: ignore[import-untyped]
        except ModuleNotFoundError as error:
            raise EvaluationError(
                'ONNX networks are compared with ONNX Runtime, which is not installed: '
                'pip install onnxruntime'
            ) from error
        self._options = options = options or OnnxOptions()
        path = Path(path)
        if not path.is_file():
            raise EvaluationError(f'{path} does not exist; give the path of an .onnx file')
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), providers=['CPUExecutionProvider']
            )
        except Exception as error:  # ONNX Runtime's exceptions have no public base
            reason = ' '.join(str(error).split())
            raise EvaluationError(
                f'{path} cannot be loaded as an ONNX network: {reason}'
            ) from error
        self.name = path.stem
        self.identity = f'{sha256(path)[:16]}, {options}'
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        shape = list(inputs[0].shape)
        is_image = len(shape) == 4 and 3 in (shape[1], shape[3]) and inputs[0].type in TYPES
        if len(inputs) != 1 or not is_image:
            raise EvaluationError(
                f'{path} takes {[(i.name, i.type, i.shape) for i in inputs]}; expected one image '
                f'of shape (1, 3, H, W) or (1, H, W, 3), {" or ".join(TYPES)}'
            )
        self._input = inputs[0].name
        self._dtype = TYPES[inputs[0].type]
        self._channels_first = shape[1] == 3
        height, width = shape[2:] if self._channels_first else shape[1:3]
        if isinstance(width, int) and isinstance(height, int):
            self._size = (width, height)
        elif options.size is not None:
            self._size = options.size
        else:
            raise EvaluationError(f'{path} leaves its input size open; give it: --onnx-size WxH')
        names = [output.name for output in outputs]
        self._output = 'depth' if 'depth' in names else names[0]

    def predict(self, frame: Frame) -> Output:
        """Predict depth at the network's size; the focal length is not corrected for."""
        start = perf_counter()
        image = self._prepare(frame.image)
        try:
            [answer] = self._session.run([self._output], {self._input: image})
        except Exception as error:  # ONNX Runtime's exceptions have no public base
            reason = ' '.join(str(error).split())
            raise EvaluationError(
                f'{self.name} fails on an image of shape {image.shape} ({reason}); where its '
                'input size is open, give it another: --onnx-size WxH'
            ) from error
        values = np.asarray(answer, np.float32).squeeze()
        if values.ndim != 2:
            raise EvaluationError(
                f'{self.name} gives {self._output} of shape {np.shape(answer)}; expected one '
                'depth image'
            )
        if self._options.output == 'inverse':
            # Zero and less is beyond range, as with every inverse depth.
            values = np.where(values > SMALLEST_M, 1 / np.maximum(values, SMALLEST_M), np.inf)
        return Output(values.astype(np.float32), None, perf_counter() - start)

    def _prepare(self, image_hw3: NDArray[np.uint8]) -> NDArray[np.generic]:
        shrinks = image_hw3.shape[1] >= self._size[0] and image_hw3.shape[0] >= self._size[1]
        method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        resized: NDArray[Any] = cv2.resize(image_hw3, self._size, interpolation=method)
        if self._dtype != np.uint8:
            resized = resized.astype(np.float32)
            if self._options.normalisation == 'symmetric':
                resized = resized / 127.5 - 1
            elif self._options.normalisation != 'bytes':
                resized = resized / 255
            if self._options.normalisation == 'imagenet':
                resized = (resized - IMAGENET_MEAN) / IMAGENET_STD
        if self._channels_first:
            resized = resized.transpose(2, 0, 1)
        return np.ascontiguousarray(resized[None], self._dtype)
