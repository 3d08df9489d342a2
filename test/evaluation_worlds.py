# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Small worlds with known truth, and networks whose output is a formula of the image."""

import cv2
import numpy as np
import pytest
from formula import graph_bytes, manifest_fields

from sg_depth_ros.bags import (
    BagWriter,
    camera_info_message,
    compressed_image_message,
    point_cloud_message,
    static_transform_message,
)
from sg_depth_ros.bundle import write_bundle
from sg_depth_ros.geometry.camera import PinholeCamera

CAMERA = PinholeCamera(96, 64, 80.0, 80.0, 47.5, 31.5)
LIDAR_IN_CAMERA = np.array([[0, -1, 0, 0.05], [0, 0, -1, -0.1], [1, 0, 0, -0.2], [0, 0, 0, 1.0]])
"""LiDAR axes are x forward, y left, z up."""


def road(frame=0, camera=CAMERA):
    """Give image (H, W, 3) and depth (H, W) of a road under a wall 40 m away, nearer by frame.

    The image's red channel is 4 * depth, so that a network can read the depth from it.
    """
    v = np.arange(camera.height)[:, None] + np.zeros((1, camera.width))
    with np.errstate(divide='ignore'):
        ground = np.where(v > camera.cy, 1.5 * camera.fy / (v - camera.cy), np.inf)
    depth = np.minimum(ground, 40 - frame)
    depth[30:50, 20:40] = np.minimum(depth[30:50, 20:40], 8 + 0.5 * frame)
    image = np.repeat((4 * depth[..., None]).round().astype(np.uint8), 3, 2)
    return image, depth.astype(np.float32)


def lidar_points(depth, camera=CAMERA, step=2):
    """Give points (N, 4) in the LiDAR's frame that project onto every ``step``-th pixel."""
    points = camera.back_project(depth)[1::step, ::step].reshape(-1, 3)
    inverse = np.linalg.inv(LIDAR_IN_CAMERA)
    points = points @ inverse[:3, :3].T + inverse[:3, 3]
    return np.concatenate([points, np.ones((len(points), 1))], 1).astype(np.float32)


def write_folder(path):
    """Write four frames in the layout of an evaluation folder."""
    for name in ('images', 'depth', 'labels'):
        (path / name).mkdir(parents=True)
    rows = ['name,fx,fy,cx,cy']
    for frame in range(4):
        image, depth = road(frame)
        labels = np.where(depth == 8 + 0.5 * frame, 13, 0).astype(np.uint8)
        cv2.imwrite(str(path / f'images/{frame:03d}.png'), image[..., ::-1])
        cv2.imwrite(str(path / f'depth/{frame:03d}.png'), (depth * 256).round().astype(np.uint16))
        cv2.imwrite(str(path / f'labels/{frame:03d}.png'), labels)
        rows.append(f'{frame:03d},{CAMERA.fx},{CAMERA.fy},{CAMERA.cx},{CAMERA.cy}')
    (path / 'intrinsics.csv').write_text('\n'.join(rows) + '\n')
    return path


def write_bag(
    path,
    *,
    tf=True,
    lidar_offset_s=0.0,
    transform=LIDAR_IN_CAMERA,
    info=True,
    camera='/camera/image_rect',
    distortion=0.0,
    empty_sweeps=(),
    image_frame='camera_optical',
):
    """Write four frames with sweeps; the arguments break it in the ways that bags are broken."""
    with BagWriter(path) as bag:
        if tf:
            message = static_transform_message(transform, 'camera_optical', 'lidar', 10**18)
            bag.write('/tf_static', message, 10**18)
        for frame in range(4):
            stamp = 10**18 + frame * 10**8
            image, depth = road(frame)
            if info:
                message = camera_info_message(CAMERA, stamp, 'camera_optical')
                message.d[0] = distortion
                bag.write('/camera/camera_info', message, stamp)
            message = compressed_image_message(image, stamp, image_frame, 'png')
            bag.write(f'{camera}/compressed', message, stamp)
            stamp += round(lidar_offset_s * 1e9)
            points = lidar_points(depth)[: 0 if frame in empty_sweeps else None]
            message = point_cloud_message(points, stamp, 'lidar')
            bag.write('/points', message, stamp)
    return path


RED_TEXT = """
<ir_version: 8, opset_import: ["": 18]>
red ({kind}[1,{shape}] image) => (float[1,{h},{w}] depth)
{{
  values = Cast<to: int = 1>(image)
  zero = Constant<value_ints: ints = [0]>()
  one = Constant<value_ints: ints = [1]>()
  axis = Constant<value_ints: ints = [{axis}]>()
  four = Constant<value_float: float = 4.0>()
  plane = Slice(values, zero, one, axis)
  red = Squeeze(plane, axis)
  metres = Div(red, four)
  depth = {last}(metres)
}}
"""
CAR_TEXT = """
<ir_version: 8, opset_import: ["": 18]>
car (uint8[1,{h},{w},3] image) => (uint8[1,{h},{w}] labels)
{{
  values = Cast<to: int = 1>(image)
  zero = Constant<value_ints: ints = [0]>()
  one = Constant<value_ints: ints = [1]>()
  axis = Constant<value_ints: ints = [3]>()
  forty = Constant<value_float: float = 40.0>()
  plane = Slice(values, zero, one, axis)
  red = Squeeze(plane, axis)
  near = Less(red, forty)
  bit = Cast<to: int = 1>(near)
  thirteen = Constant<value_float: float = 13.0>()
  id = Mul(bit, thirteen)
  labels = Cast<to: int = 2>(id)
}}
"""


def red_graph(*, inverse=False, channels_first=True, dynamic=False, kind=None):
    """Serialise a network whose depth is the image's red channel / 4, or the inverse of it."""
    width, height = ('w', 'h') if dynamic else (CAMERA.width, CAMERA.height)
    text = RED_TEXT.format(
        kind=kind or ('float' if channels_first else 'uint8'),
        shape=f'3,{height},{width}' if channels_first else f'{height},{width},3',
        axis=1 if channels_first else 3,
        last='Reciprocal' if inverse else 'Identity',
        h=height,
        w=width,
    )
    parser = pytest.importorskip('onnx.parser')
    return parser.parse_model(text).SerializeToString()


def image_to_depth(path, **options):
    """Write :func:`red_graph` as a file."""
    path.write_bytes(red_graph(**options))
    return path


def write_red_bundle(folder, near_label=13):
    """Write a bundle that reads depth from red; label 13 (car) where it is below 10 m, else 0."""
    fields = manifest_fields(
        name='red',
        input={'width': CAMERA.width, 'height': CAMERA.height},
        depth={'min': 0.1, 'max': 80, 'scale': 'metric', 'training_focal_length': CAMERA.fx},
    )
    text = CAR_TEXT.replace('float = 13.0', f'float = {near_label}.0')
    labels = graph_bytes(text, CAMERA.width, CAMERA.height)
    return write_bundle(folder / 'red', fields, labels, red_graph(channels_first=False)).path


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / 'world')


@pytest.fixture
def bag(tmp_path):
    return write_bag(tmp_path / 'world_bag')


@pytest.fixture(scope='session')
def bundle(tmp_path_factory):
    return write_red_bundle(tmp_path_factory.mktemp('bundle'))
