# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The depth training as a Lightning module: self-supervised, and from truth where there is any."""

from __future__ import annotations

from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sg_depth_ros.evaluation.metrics import mean_errors
from sg_depth_ros.evaluation.protocols import compare, make_protocol
from sg_depth_ros.evaluation.sources.folder import FolderSource
from sg_depth_ros.networks.checkpoint import build_depth, load_networks
from sg_depth_ros.networks.pose import PoseNet
from sg_depth_ros.resize import resize_image
from sg_depth_ros.training import losses
from sg_depth_ros.training.data.triplets import Sample
from sg_depth_ros.training.depth_settings import DepthSettings
from sg_depth_ros.training.intrinsics import LearnedIntrinsics
from sg_depth_ros.training.view_synthesis import pose_matrix, warp


class DepthTraining(L.LightningModule):
    """Depth, pose and unknown intrinsics, learned together under frozen segmentation.

    :param cameras: names of the cameras whose intrinsics are learned
    """

    def __init__(self, settings: DepthSettings, cameras: list[str]) -> None:
        super().__init__()
        self.settings = settings
        self.segmentation, _, self.segmentation_meta = load_networks(settings.segmentation)
        depth = build_depth(settings.network, settings.pretrained)
        self.pose = PoseNet(settings.pose)
        if settings.initial is not None:
            state = torch.load(settings.initial, map_location='cpu', weights_only=True)
            depth.load_state_dict(state['depth']['state_dict'])
            self.pose.load_state_dict(state['pose'])
        # Depthwise convolutions train several times faster on a CPU in this layout.
        self.depth = depth.to(memory_format=torch.channels_last)
        self.segmentation.to(memory_format=torch.channels_last)
        self.intrinsics = LearnedIntrinsics(cameras)

    def training_step(self, batch: Sample, _: int) -> Tensor:
        """Give the loss of a batch."""
        s = self.settings.loss
        batch = Sample(*batch)
        inverse_depths = self._inverse_depths(batch.jittered[:, 0])
        size = batch.images.shape[-2:]
        intrinsics = self.intrinsics(batch.intrinsics, batch.camera)
        # The network predicts for the training focal length; a longer lens sees the same further.
        focal = intrinsics[:, 0, 0].div(self.settings.focal_length)[:, None, None, None]
        poses = self._poses(batch)
        target, neighbours = batch.images[:, 0], batch.images[:, 1:].unbind(1)
        # Where truth is learned from, view synthesis would only disturb.
        unsupervised = batch.truth.isnan().all(3).all(2)[:, 0]
        unwarped = [losses.photometric(n, target, s.ssim_weight) for n in neighbours]
        totals = {name: target.new_zeros(()) for name in ('photometric', 'smooth', 'truth')}
        for scale, inverse_depth in enumerate(inverse_depths[: s.scales]):
            full = F.interpolate(inverse_depth, size, mode='bilinear') if scale else inverse_depth
            totals['truth'] = totals['truth'] + losses.log_depth(
                full / focal, batch.truth, s.max_depth
            )
            if not unsupervised.any():
                continue
            error = self._photometric(
                focal / full, target, neighbours, poses, intrinsics, unwarped, unsupervised
            )
            visible = batch.mask[unsupervised]
            totals['photometric'] = totals['photometric'] + error[visible].mean()
            at_scale = F.interpolate(target[unsupervised], inverse_depth.shape[-2:], mode='area')
            smooth = losses.smoothness(inverse_depth[unsupervised], at_scale)
            totals['smooth'] = totals['smooth'] + smooth / 2**scale
        velocity = losses.velocity(poses, batch.distance)
        loss = (
            totals['photometric']
            + s.smoothness * totals['smooth']
            + s.supervision * totals['truth']
        ) / s.scales + s.velocity * velocity
        for name, value in {**totals, 'velocity': velocity, 'loss': loss}.items():
            self.log(f'train/{name}', value.detach(), prog_bar=name == 'loss')
        return loss

    def validation_step(self, batch: Any, _: int) -> None:
        """Nothing by batch: :meth:`on_validation_epoch_end` runs the evaluation's protocol."""

    def predict_inverse_depth(self, image_hw3: np.ndarray) -> np.ndarray:
        """Give inverse depth (h, w) float32 at network size of an RGB image (H, W, 3) uint8."""
        resized = resize_image(image_hw3, *self.settings.size)
        chw = torch.from_numpy(resized).to(self.device).permute(2, 0, 1).float()[None] / 255
        with torch.no_grad():
            features = self.segmentation.features(chw) if self.depth.guidance_strides else None
            return self.depth(chw, features)[0][0, 0].float().cpu().numpy()

    def on_validation_epoch_end(self) -> None:
        """Measure depth errors on the validation folder by the KITTI Eigen protocol."""
        if self.settings.validation is None:
            return
        self.depth.eval()
        source, protocol = FolderSource(self.settings.validation), make_protocol('eigen-raw')
        errors = mean_errors(
            compare(frame.truth, 1 / self.predict_inverse_depth(frame.image), protocol).errors()
            for frame in source.frames(source.names())
        )
        for name in ('abs_rel', 'rmse', 'delta1'):
            self.log(f'val/{name}', getattr(errors, name), prog_bar=name == 'abs_rel')
        self.depth.train()

    def configure_optimizers(self) -> dict[str, Any]:
        """Adam at two rates: depth, and pose with intrinsics; halved or decayed by step."""
        s = self.settings
        groups: list[dict[str, Any]] = [
            {'params': self.depth.parameters(), 'lr': s.learning_rate},
            {'params': self.pose.parameters(), 'lr': s.pose_learning_rate},
            {'params': self.intrinsics.parameters(), 'lr': s.pose_learning_rate * 10},
        ]
        optimizer = torch.optim.Adam([group for group in groups if list(group['params'])])
        if s.schedule == 'halve':
            schedule: Any = torch.optim.lr_scheduler.StepLR(optimizer, s.halve_every, 0.5)
        else:
            rates = [group['lr'] for group in optimizer.param_groups]
            schedule = torch.optim.lr_scheduler.OneCycleLR(
                optimizer, rates, s.steps, pct_start=0.1, cycle_momentum=False
            )
        return {
            'optimizer': optimizer,
            'lr_scheduler': {'scheduler': schedule, 'interval': 'step'},
        }

    def _inverse_depths(self, image_bchw: Tensor) -> list[Tensor]:
        """Predict, at random from the mirrored images (flips reach the depth network alone)."""
        flipped = self.settings.flip and torch.rand(()) < 0.5
        image = image_bchw.flip(3) if flipped else image_bchw
        image = image.contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            features = self.segmentation.features(image) if self.depth.guidance_strides else None
        predicted = [inverse.float() for inverse in self.depth(image, features)]
        return [inverse.flip(3) for inverse in predicted] if flipped else predicted

    def _poses(self, batch: Sample) -> Tensor:
        """Give (B, N, 4, 4) transforms from the target to its neighbours."""
        vectors = self.pose(batch.jittered[:, 0], batch.jittered[:, 1:]).float()
        return pose_matrix(vectors.flatten(0, 1)).unflatten(0, vectors.shape[:2])

    def _photometric(
        self,
        depth_b1hw: Tensor,
        target: Tensor,
        neighbours: tuple[Tensor, ...],
        poses: Tensor,
        intrinsics: Tensor,
        unwarped: list[Tensor],
        samples: Tensor,
    ) -> Tensor:
        """Give the minimum photometric error (S, 1, H, W) of the chosen samples."""
        warped = []
        for index, neighbour in enumerate(neighbours):
            rebuilt, valid = warp(
                neighbour[samples], depth_b1hw[samples], poses[samples, index], intrinsics[samples]
            )
            error = losses.photometric(rebuilt, target[samples], self.settings.loss.ssim_weight)
            # What left the image explains nothing; the other neighbour or the auto-mask decides.
            warped.append(torch.where(valid, error, torch.full_like(error, 1e3)))
        still = [error[samples] for error in unwarped] if self.settings.loss.automask else None
        best, _ = losses.minimum_reprojection(warped, still)
        return torch.where(best < 1e3, best, torch.zeros_like(best))
