# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The depth training as a Lightning module: self-supervised, and from truth where there is any."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from sg_depth_ros.bundle.labels import ids_with
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.images.resize import resize_image
from sg_depth_ros.networks.checkpoint import load_networks, load_pose
from sg_depth_ros.networks.depth_resnet import DepthResNet
from sg_depth_ros.networks.families import build_depth, build_pose
from sg_depth_ros.networks.packnet import PackNet
from sg_depth_ros.networks.pose import PoseNet, PoseResNet
from sg_depth_ros.training import losses
from sg_depth_ros.training.data.triplets import Sample
from sg_depth_ros.training.depth_settings import DepthSettings
from sg_depth_ros.training.intrinsics import LearnedIntrinsics
from sg_depth_ros.training.reconstruction import Reconstruction, reconstruct
from sg_depth_ros.training.schedule import steps
from sg_depth_ros.training.validation import DepthValidation
from sg_depth_ros.training.view_synthesis import pose_matrix
from sg_depth_ros.training.warm_start import find_networks, inherited_licence, take_fitting

_ROAD_USERS = ids_with('dynamic')
_TAGS = {
    'loss': 'train/loss',
    'photometric': 'train/photometric_error',
    'smooth': 'train/roughness_of_inverse_depth',
    'truth': 'train/log_depth_error_to_truth',
    'velocity': 'train/distance_error_metres',
    'outside': 'train/share_outside_of_neighbours',
}
"""Names of the losses in TensorBoard; those over scales are sums of them."""


class Explanation(NamedTuple):
    """What a training makes of a batch, for pictures; sizes as in ``Sample``.

    :ivar depth: (B, 1, H, W) for the sample's own camera
    :ivar labels: (B, H, W) uint8, the segmentation network's
    :ivar reconstruction: of the target from its neighbours
    """

    depth: Tensor
    labels: Tensor
    reconstruction: Reconstruction


class DepthTraining(L.LightningModule):
    """Depth, pose and unknown intrinsics, learned together under frozen segmentation.

    :param cameras: names of the sources whose intrinsics are learned
    :ivar depth_weights: what the depth network's encoder started from
    :ivar licence: of the checkpoints that this begins from, None where none is known
    :ivar replaced: broken samples so far that others stood in for
    """

    def __init__(self, settings: DepthSettings, cameras: list[str]) -> None:
        super().__init__()
        self.settings = settings
        self.validation = DepthValidation(settings.validation) if settings.validation else None
        found = find_networks(settings.segmentation)
        self.segmentation, _, self.segmentation_meta = load_networks(found)
        begun = {found: self.segmentation_meta}
        depth = build_depth(settings.network, settings.pretrained)
        encoder = getattr(depth, 'encoder', None)
        self.depth_weights: str = getattr(encoder, 'weights', 'random')
        self.pose = build_pose(settings.pose, settings.pretrained)
        if settings.initial is not None:
            found = find_networks(settings.initial)
            begun[found] = _start_from(found, depth, self.pose)
            _require_focal_length(settings, begun[found], found)
        elif isinstance(depth, DepthResNet) and settings.has_exact_depth:
            depth.begin_in_the_middle()
        # Depthwise convolutions train several times faster on a CPU in this layout. PackNet has
        # none, but 3D convolutions, which do not know it, and group normalisation, whose sums
        # are less exact in it.
        packed = isinstance(depth, PackNet)
        self._layout = torch.contiguous_format if packed else torch.channels_last
        self.depth = depth.to(memory_format=self._layout)
        self.segmentation.to(memory_format=torch.channels_last)
        self.intrinsics = LearnedIntrinsics(cameras)
        self.licence = inherited_licence(begun)
        self.replaced = 0
        # Not Lightning's to step, as it would after the checkpoint of a validation is written.
        self._plateau: torch.optim.lr_scheduler.ReduceLROnPlateau | None = None
        self._plateau_state: dict[str, Any] | None = None

    def training_step(self, batch: Sample, _: int) -> Tensor:
        """Give the loss of a batch."""
        batch = Sample(*batch)
        self.replaced += int(batch.replaced.sum())
        mirror = batch.mirror if self.settings.flip else None
        inverse_depths = self._inverse_depths(batch.jittered[:, 0], mirror)
        poses = self._poses(batch)
        # Pixel coordinates need more digits than half precision has.
        with torch.autocast(self.device.type, enabled=False):
            terms = self._terms(batch, inverse_depths, poses)
            s = self.settings.loss
            loss = (
                terms['photometric']
                + s.smoothness * terms['smooth']
                + s.supervision * terms['truth']
            ) / s.scales + s.velocity * terms['velocity']
            # Processes that wait for each other's gradients need one for every parameter.
            for unused in (poses, *inverse_depths[s.scales :], self.intrinsics.total()):
                loss = loss + 0 * unused.sum()
        for name, value in {**terms, 'loss': loss}.items():
            self.log(_TAGS[name], value.detach())
        return loss

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what is no weight."""
        checkpoint['replaced'] = self.replaced
        checkpoint['plateau'] = self._plateau and self._plateau.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on counting."""
        self.replaced = checkpoint['replaced']
        self._plateau_state = checkpoint.get('plateau')

    def validation_step(self, batch: Any, _: int) -> None:
        """Nothing by batch: :meth:`on_validation_epoch_end` runs the evaluation's protocol."""

    def on_validation_epoch_end(self) -> None:
        """Measure depth errors by the validation's protocol."""
        if self.validation is not None:
            errors = asdict(self.validation.measure(self.predict_depth))
            for name in ('abs_rel', 'sq_rel', 'rmse', 'rmse_log', 'delta1', 'median_ratio'):
                self.log(f'val/{name}', errors[name])
            if self._plateau is not None:
                # Of all processes the same, as their rates have to be.
                self._plateau.step(self.trainer.strategy.broadcast(errors['abs_rel']))

    def predict_depth(
        self, image_hw3: NDArray[np.uint8], camera: PinholeCamera | None
    ) -> NDArray[np.float32]:
        """Give depth (h, w) float32 at network size of an RGB image (H, W, 3) uint8.

        :param camera: of the image; without it depth is that of the training focal length
        """
        size = self.settings.size
        resized = resize_image(image_hw3, *size)
        chw = torch.from_numpy(resized).to(self.device).permute(2, 0, 1).float()[None] / 255
        with torch.no_grad():
            inverse = self._inverse_depths(chw, None)[0]
        depth: NDArray[np.float32] = inverse[0, 0].reciprocal().cpu().numpy()
        if camera is not None:
            depth *= camera.resized(*size).fx / self.settings.focal_length
        return depth

    @torch.no_grad()
    def explain(self, batch: Sample) -> Explanation:
        """Give what pictures are made of."""
        inverse_depths = self._inverse_depths(batch.images[:, 0], None)
        poses = self._poses(batch)
        intrinsics = self.intrinsics(batch.intrinsics, batch.camera)
        depth = self._focal(intrinsics) / inverse_depths[0]
        _, logits = self.segmentation(batch.images[:, 0])
        return Explanation(
            depth,
            logits.argmax(1).to(torch.uint8),
            reconstruct(batch.images, depth, poses, intrinsics, self.settings.loss),
        )

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Adam at three rates: depth, pose, intrinsics; halved or decayed by step."""
        s = self.settings
        groups: list[dict[str, Any]] = [
            {'params': list(network.parameters()), 'lr': rate, 'name': name}
            for name, network, rate in (
                ('depth', self.depth, s.learning_rate),
                ('pose', self.pose, s.pose_learning_rate),
                ('intrinsics', self.intrinsics, s.intrinsics_learning_rate),
            )
        ]
        kind = torch.optim.AdamW if s.optimizer == 'adamw' else torch.optim.Adam
        optimizer = kind(groups, weight_decay=s.weight_decay)
        if s.schedule == 'plateau':
            validations = max(round(steps(s.patience) / steps(s.validate_every)), 1)
            # Rates fall after more than "patience" validations that are no better.
            self._plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
                optimizer, factor=0.5, patience=validations - 1
            )
            if self._plateau_state is not None:
                self._plateau.load_state_dict(self._plateau_state)
            return optimizer
        if s.schedule == 'halve':
            schedule: Any = torch.optim.lr_scheduler.StepLR(optimizer, steps(s.halve_every), 0.5)
        else:
            rates = [group['lr'] for group in groups]
            schedule = torch.optim.lr_scheduler.OneCycleLR(
                optimizer, rates, steps(s.steps), pct_start=0.1, cycle_momentum=False
            )
        return {
            'optimizer': optimizer,
            'lr_scheduler': {'scheduler': schedule, 'interval': 'step'},
        }

    def _inverse_depths(self, image_bchw: Tensor, mirror_b: Tensor | None) -> list[Tensor]:
        """Predict, for some samples from the mirrored image, and mirror that back."""
        image = _mirrored(image_bchw, mirror_b)
        features = None
        if self.depth.guidance_strides:
            with torch.no_grad():
                together = image.contiguous(memory_format=torch.channels_last)
                features = self.segmentation.features(together)
        image = image.contiguous(memory_format=self._layout)
        return [_mirrored(inverse.float(), mirror_b) for inverse in self.depth(image, features)]

    @torch.no_grad()
    def _road_users(self, image_bchw: Tensor) -> Tensor:
        """Tell where (B, 1, H, W) segmentation sees what can move by itself."""
        _, logits = self.segmentation(image_bchw.contiguous(memory_format=torch.channels_last))
        labels = logits.argmax(1, keepdim=True)
        return torch.isin(labels, torch.tensor(_ROAD_USERS, device=labels.device))

    def _poses(self, batch: Sample) -> Tensor:
        """Give (B, N, 4, 4) transforms from the target to its neighbours.

        Where nothing learns from them, as of stills, no motion stands for them.
        """
        asked = _without_truth(batch) | batch.distance.isfinite().any(1)
        jittered = batch.jittered[asked]
        vectors = self.pose(jittered[:, 0], jittered[:, 1:]).float()
        found = pose_matrix(vectors.flatten(0, 1)).unflatten(0, vectors.shape[:2])
        still = torch.eye(4, device=found.device).repeat(len(asked), found.shape[1], 1, 1)
        return still.index_put((asked,), found)

    def _focal(self, intrinsics_b33: Tensor) -> Tensor:
        """Give (B, 1, 1, 1), by which a longer lens sees the same depth further away."""
        return intrinsics_b33[:, 0, 0].div(self.settings.focal_length)[:, None, None, None]

    def _terms(
        self, batch: Sample, inverse_depths: list[Tensor], poses: Tensor
    ) -> dict[str, Tensor]:
        """Give the parts of the loss, summed over the scales, and the share that is outside."""
        s = self.settings.loss
        size = batch.images.shape[-2:]
        intrinsics = self.intrinsics(batch.intrinsics, batch.camera)
        focal = self._focal(intrinsics)
        # Where truth is learned from, view synthesis would only disturb.
        free = _without_truth(batch)
        images, mask = batch.images[free], batch.mask[free]
        teaches = batch.road_users[free]
        if not teaches.all():
            mask = mask & (teaches[:, None, None, None] | ~self._road_users(images[:, 0]))
        unwarped = losses.unwarped_errors(images, s.ssim_weight)
        zero = poses.new_zeros(())
        terms = {'photometric': zero, 'smooth': zero, 'truth': zero, 'outside': zero}
        for scale, inverse_depth in enumerate(inverse_depths[: s.scales]):
            full = F.interpolate(inverse_depth, size, mode='bilinear') if scale else inverse_depth
            error, known = losses.log_depth_error(full / focal, batch.truth, s.max_depth)
            truth = losses.masked_mean(error.abs(), known)
            if s.shape:
                truth = truth + s.shape * losses.log_depth_gradient(error, known)
            terms['truth'] = terms['truth'] + truth
            if not free.any():
                continue
            depth = focal[free] / full[free]
            built = reconstruct(images, depth, poses[free], intrinsics[free], s, unwarped)
            error = losses.masked_mean(built.error, mask & built.counted)
            terms['photometric'] = terms['photometric'] + error
            if scale == 0:
                terms['outside'] = losses.masked_mean(built.outside.float(), mask)
            at_scale = F.interpolate(images[:, 0], inverse_depth.shape[-2:], mode='area')
            smooth = losses.smoothness(inverse_depth[free], at_scale)
            terms['smooth'] = terms['smooth'] + smooth / 2**scale
        terms['velocity'] = losses.velocity(poses, batch.distance)
        return terms


def _without_truth(batch: Sample) -> Tensor:
    """Tell (B,) which samples only view synthesis can teach."""
    return batch.truth.isnan().flatten(1).all(1)


def _mirrored(x_bchw: Tensor, mirror_b: Tensor | None) -> Tensor:
    if mirror_b is None:
        return x_bchw
    return torch.where(mirror_b[:, None, None, None], x_bchw.flip(3), x_bchw)


def _require_focal_length(settings: DepthSettings, meta: dict[str, Any], path: Path) -> None:
    """Refuse another focal length than that for which a checkpoint predicts depth."""
    if 'training_focal_length' not in meta:
        return
    found = meta['training_focal_length'] * settings.size[0] / meta['input_width']
    if not math.isclose(found, settings.focal_length, rel_tol=0.01):
        raise ValueError(
            f'focal_length is {settings.focal_length:g} pixels, but {path} predicts depth for '
            f'{found:.1f} at a width of {settings.size[0]}; set focal_length={found:.1f}, '
            'whatever the camera has'
        )


def _start_from(path: Path, depth: nn.Module, pose: PoseNet | PoseResNet) -> dict[str, Any]:
    """Take what fits from an earlier training: an unguided one may start a guided one.

    :return: the meta values of that training
    """
    _, found, meta = load_networks(path)
    if found is None:
        raise ValueError(f'{path} holds no depth network; give one that was trained before')
    take_fitting(depth, found, path)
    load_pose(path, pose)
    return meta
