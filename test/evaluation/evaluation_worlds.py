# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Small worlds with known truth, and networks whose output is a formula of the image."""

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper

from sg_depth_ros.bags import (
    BagWriter,
    camera_info_message,
    compressed_image_message,
    point_cloud_message,
    static_transform_message,
)
from sg_depth_ros.bundle import write_bundle
from sg_depth_ros.camera import PinholeCamera

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


def write_bag(path, *, tf=True, lidar_offset_s=0.0, transform=LIDAR_IN_CAMERA, info=True):
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
                bag.write('/camera/camera_info', message, stamp)
            message = compressed_image_message(image, stamp, 'camera_optical', 'png')
            bag.write('/camera/image_rect/compressed', message, stamp)
            stamp += round(lidar_offset_s * 1e9)
            message = point_cloud_message(lidar_points(depth), stamp, 'lidar')
            bag.write('/points', message, stamp)
    return path


def image_to_depth(path, *, inverse=False, size=(96, 64), channels_first=True, dynamic=False):
    """Write an ONNX network whose depth is the image's red channel / 4, or the inverse of it."""
    width, height = ('w', 'h') if dynamic else size
    if channels_first:
        shape, axis, kind = [1, 3, height, width], 1, TensorProto.FLOAT
    else:
        shape, axis, kind = [1, height, width, 3], 3, TensorProto.UINT8
    nodes = [
        helper.make_node('Cast', ['image'], ['float'], to=TensorProto.FLOAT),
        helper.make_node('Slice', ['float', 'zero', 'one', 'axis'], ['red']),
        helper.make_node('Div', ['red', 'four'], ['quarter']),
        helper.make_node('Squeeze', ['quarter', 'axis'], ['depth_raw']),
        helper.make_node('Reciprocal' if inverse else 'Identity', ['depth_raw'], ['out']),
    ]
    constants = [
        helper.make_tensor('zero', TensorProto.INT64, [1], [0]),
        helper.make_tensor('one', TensorProto.INT64, [1], [1]),
        helper.make_tensor('axis', TensorProto.INT64, [1], [axis]),
        helper.make_tensor('four', TensorProto.FLOAT, [], [4.0]),
    ]
    graph = helper.make_graph(
        nodes,
        'red',
        [helper.make_tensor_value_info('image', kind, shape)],
        [helper.make_tensor_value_info('out', TensorProto.FLOAT, [1, height, width])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=10)
    onnx.save(model, path)
    return path


def write_red_bundle(folder):
    """Write a bundle that reads depth from red; label 13 (car) where it is below 10 m."""
    image_to_depth(folder / 'depth.onnx', channels_first=False)
    depth = onnx.load(folder / 'depth.onnx')
    depth.graph.node[-1].output[0] = depth.graph.output[0].name = 'depth'
    labels = onnx.load(folder / 'depth.onnx')
    labels.graph.node[-1].output[0] = 'metres'
    labels.graph.initializer.append(helper.make_tensor('ten', TensorProto.FLOAT, [], [10.0]))
    labels.graph.initializer.append(helper.make_tensor('car', TensorProto.UINT8, [], [13]))
    labels.graph.node.extend(
        [
            helper.make_node('Less', ['metres', 'ten'], ['near']),
            helper.make_node('Cast', ['near'], ['bit'], to=TensorProto.UINT8),
            helper.make_node('Mul', ['bit', 'car'], ['labels']),
        ]
    )
    del labels.graph.output[:]
    labels.graph.output.append(
        helper.make_tensor_value_info('labels', TensorProto.UINT8, [1, 64, 96])
    )
    fields = {
        'name': 'red',
        'description': 'depth from the red channel',
        'licence': 'Apache-2.0',
        'input': {'width': 96, 'height': 64},
        'normalisation': {'mean': (0, 0, 0), 'std': (1, 1, 1)},
        'labels': [
            {'id': 0, 'name': 'road', 'color': (128, 64, 128), 'roles': ['road', 'ground']},
            {'id': 13, 'name': 'car', 'color': (0, 0, 142), 'roles': ['dynamic']},
        ],
        'depth': {'min': 0.1, 'max': 80, 'scale': 'metric', 'training_focal_length': CAMERA.fx},
        'precision': 'fp32',
        'provenance': {},
        'metrics': [],
    }
    return write_bundle(
        folder / 'red', fields, labels.SerializeToString(), depth.SerializeToString()
    ).path
