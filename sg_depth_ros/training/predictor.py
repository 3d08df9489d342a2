# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Predictions of a checkpoint in torch, without an export."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.networks.checkpoint import load_networks


class CheckpointPredictor:
    """The networks of a checkpoint on the fastest device.

    :ivar size: width and height that the networks were trained at
    :ivar scale: ``metric`` or ``relative``
    :ivar cameras: what the training has learned of unknown cameras, by the name of the source
    :raises ValueError: if the checkpoint has no depth network
    """

    def __init__(self, checkpoint: Path) -> None:
        segmentation, depth, meta = load_networks(checkpoint)
        if depth is None:
            raise ValueError(f'{checkpoint} holds no depth network; train one first')
        self._device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
        self._segmentation = segmentation.to(self._device)
        self._depth = depth.to(self._device)
        self.size = (int(meta['input_width']), int(meta['input_height']))
        self.scale = str(meta['scale'])
        # Older checkpoints do not have it.
        learned = meta.get('cameras', {})
        self.cameras = {name: PinholeCamera(**camera) for name, camera in learned.items()}
        self._focal_length = float(meta['training_focal_length'])

    @torch.no_grad()
    def __call__(
        self, image_hw3: NDArray[np.uint8], camera: PinholeCamera
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Give depth (H, W) for the camera and train ids (H, W) of an image of network size."""
        chw = torch.from_numpy(image_hw3).to(self._device).permute(2, 0, 1)
        image = chw.float()[None] / 255
        features, logits = self._segmentation(image)
        inverse = self._depth(image, features)[0][0, 0]
        depth = (camera.fx / self._focal_length / inverse).cpu().numpy()
        labels = logits[0].argmax(0).to(torch.uint8).cpu().numpy()
        return np.asarray(depth, np.float32), np.asarray(labels, np.uint8)
