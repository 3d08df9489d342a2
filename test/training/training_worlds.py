# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Small drives, labels and networks to train with in seconds."""

import cv2
import numpy as np

from sg_depth_ros.bags import (
    BagWriter,
    camera_info_message,
    compressed_image_message,
    odometry_message,
)
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.networks.depth_resnet import DepthResNetConfig
from sg_depth_ros.networks.guidance import GuidanceConfig
from sg_depth_ros.networks.pose import PoseNetConfig
from sg_depth_ros.networks.segmentation import SegmentationConfig
from sg_depth_ros.training.depth_settings import DepthSettings

ENCODER = 'test_efficientnet_gn'
"""timm's smallest, with group instead of batch statistics."""
CAMERA = PinholeCamera(64, 32, 50.0, 48.0, 31.5, 15.5)
SPEED = 5.0
FPS = 10.0


def picture(frame, width=64, height=32):
    """Give a smooth pattern (H, W, 3) that moves two pixels to the right with every frame."""
    u, v = np.meshgrid(np.arange(width) - 2 * frame, np.arange(height))
    waves = [np.sin(0.35 * u + 0.2 * v), np.sin(0.13 * u - 0.31 * v), np.cos(0.21 * u + 0.4 * v)]
    return (127 + 100 * np.stack(waves, -1)).astype(np.uint8)


def write_drive(path, frames=5, camera=True, poses=False, speeds=False, shift=None):
    """Write a folder of images; ``shift`` gives the pattern's position by frame."""
    (path / 'images').mkdir(parents=True)
    for frame in range(frames):
        image = picture(frame if shift is None else shift[frame])
        cv2.imwrite(str(path / f'images/{frame:06d}.png'), image[..., ::-1])
    if camera:
        CAMERA.to_json(path / 'camera.json')
    if poses:
        matrices = np.tile(np.eye(4)[:3], (frames, 1, 1))
        matrices[:, 2, 3] = np.arange(frames) * SPEED / FPS
        np.savetxt(path / 'poses.txt', matrices.reshape(frames, 12))
    if speeds:
        rows = [f'{i},{i / FPS},{SPEED}' for i in range(frames)]
        (path / 'speeds.csv').write_text('\n'.join(['frame,stamp,speed', *rows]) + '\n')
    return path


def write_bag(path, frames=6, odometry=True, info=True, broken=(), start_ns=10**18, lost=()):
    """Write a bag of compressed images with what is asked for."""
    with BagWriter(path) as bag:
        for frame in range(frames):
            stamp = start_ns + round(frame * 1e9 / FPS)
            message = compressed_image_message(picture(frame), stamp, 'camera', 'png')
            if frame in broken:
                message.data = message.data[:40]
            if frame not in lost:
                bag.write('/camera/image_rect/compressed', message, stamp)
            if info:
                bag.write('/camera/camera_info', camera_info_message(CAMERA, stamp, 'c'), stamp)
            if odometry:
                bag.write('/odom', odometry_message(np.eye(4), SPEED, stamp), stamp)
    return path


def tiny_networks():
    """Give configurations of the smallest segmentation and guided depth networks."""
    guidance = GuidanceConfig(strides=(4,), feature_channels=8, channels=4)
    depth = DepthResNetConfig(
        encoder=ENCODER, decoder_channels=(16, 16, 8, 8, 8), guidance=guidance
    )
    return SegmentationConfig(encoder=ENCODER, pyramid_channels=8), depth


def depth_settings(segmentation, sources, **changes):
    """Give the settings of a training of a few small steps."""
    values = {
        'segmentation': segmentation,
        'network': tiny_networks()[1],
        'pose': PoseNetConfig(channels=(16, 16, 16)),
        'pretrained': False,
        'sources': sources,
        'size': (64, 32),
        'focal_length': 50.0,
        'steps': 4,
        'batch': 2,
        'workers': 0,
        'validate_every': 2,
        'accelerator': 'cpu',
        **changes,
    }
    return DepthSettings(**values)
