# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of a frame for report and card: input, prediction, truth and error."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.evaluation.frames import Frame, Model, Source
from sg_depth_ros.evaluation.protocols import (
    Protocol,
    compare,
    predict,
    resize_prediction,
    true_depth,
)
from sg_depth_ros.images.visualise import Rgb, colorize_depth, depth_range, side_by_side, strip

WIDTH = 560
"""Width of each picture in pixels."""
WORST_ERROR = 0.5
"""Relative error that is drawn in full colour."""


def frame_pictures(
    source: Source, names: Collection[str], model: Model, protocol: Protocol
) -> Iterator[tuple[str, dict[str, Rgb]]]:
    """Yield (name, picture by title) of some frames, predicted anew."""
    for frame in source.frames(names):
        yield frame.name, _pictures(frame, model, protocol)


def _pictures(frame: Frame, model: Model, protocol: Protocol) -> dict[str, Rgb]:
    truth = true_depth(frame, protocol)
    height, width = truth.shape
    depth = predict(model, frame, protocol).depth
    compared = compare(truth, depth, protocol)
    error = np.full(truth.shape, np.nan, np.float32)
    error[compared.where_hw] = np.abs(compared.prediction_n - compared.truth_n) / compared.truth_n
    full = resize_prediction(depth, height, width, protocol.resize) * compared.scale
    if compared.shift:
        full = 1 / np.maximum(1 / full + compared.shift, 1 / protocol.max_depth)
    near, far = depth_range([compared.truth_n[None]])
    return {
        'input': _small(frame.image),
        'prediction': _small(colorize_depth(full, near, far)),
        'truth': _small(colorize_depth(_thicken(truth, near=True), near, far)),
        'error': _small(_colorize_error(_thicken(error, near=False))),
    }


def _thicken(values_hw: NDArray[np.float32], near: bool) -> NDArray[np.float32]:
    """Let the values of sparse pixels fill 5x5 pixels, else they vanish when made smaller."""
    valid = np.isfinite(values_hw)
    if valid.mean() > 0.5:
        return values_hw
    kernel = np.ones((5, 5), np.uint8)
    if near:
        grown = cv2.erode(np.where(valid, values_hw, 1e9).astype(np.float32), kernel)
    else:
        grown = cv2.dilate(np.where(valid, values_hw, -1).astype(np.float32), kernel)
    reached = cv2.dilate(valid.astype(np.uint8), kernel) > 0
    return np.where(reached, grown, np.nan).astype(np.float32)


def _colorize_error(error_hw: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Colour relative errors from blue (0) over white to red (``WORST_ERROR``); none is black."""
    share = np.nan_to_num(np.clip(error_hw / WORST_ERROR, 0, 1))[..., None]
    good, middle, bad = (np.array(c) for c in ((49, 84, 165), (245, 245, 235), (178, 24, 43)))
    low = good + (middle - good) * np.minimum(2 * share, 1)
    colors = np.where(share < 0.5, low, middle + (bad - middle) * (2 * share - 1))
    colors[~np.isfinite(error_hw)] = 0
    return np.asarray(colors.astype(np.uint8))


def _small(image_hw3: Rgb) -> Rgb:
    """Give a picture of width ``WIDTH``."""
    height = round(image_hw3.shape[0] * WIDTH / image_hw3.shape[1])
    small = cv2.resize(image_hw3, (WIDTH, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def sheet(frames: Collection[Mapping[str, Rgb]]) -> Rgb:
    """Lay the pictures of frames of one size out beside each other, a column for each frame."""
    columns = [side_by_side(list(found.values()), list(found)) for found in frames]
    return strip(columns, columns=len(columns))


def jpeg(picture: Rgb) -> bytes:
    """Encode a picture as JPEG."""
    ok, data = cv2.imencode('.jpg', picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    if not ok:
        raise RuntimeError('OpenCV cannot write JPEG; install a build of OpenCV with JPEG support')
    return data.tobytes()
