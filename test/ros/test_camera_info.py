# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
import math

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

import numpy as np
from rig import make_info
from sensor_msgs.msg import CameraInfo, RegionOfInterest
from std_msgs.msg import Header

from sg_depth_ros.geometry.camera import PinholeCamera, is_distorted
from sg_depth_ros.ros.camera_info import (
    MOST_CAMERAS,
    CameraInfoError,
    Cameras,
    camera_from_info,
    camera_info_message,
)


def full_info():
    info = CameraInfo(width=640, height=480, d=[0.1, 0.0, 0.0, 0.0, 0.0])
    info.header.frame_id = 'camera'
    info.k = [500.0, 0.0, 320.0, 0.0, 510.0, 240.0, 0.0, 0.0, 1.0]
    info.p = [400.0, 0.0, 310.0, -20.0, 0.0, 410.0, 230.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    return info


def test_raw_images_have_k_and_rectified_ones_p():
    info = full_info()
    raw = camera_from_info(info, 640, 480, 'camera', rectified=False)
    assert raw == PinholeCamera(640, 480, 500, 510, 320, 240)
    rectified = camera_from_info(info, 640, 480, 'camera', rectified=True)
    assert rectified == PinholeCamera(640, 480, 400, 410, 310, 230)
    info.p = np.zeros(12)
    assert camera_from_info(info, 640, 480, 'camera', rectified=True) == raw


def test_region_of_interest_and_binning():
    """A point seen at one place of the full image is seen there in the part, too."""
    info = full_info()
    info.roi = RegionOfInterest(x_offset=100, y_offset=60, width=400, height=300)
    info.binning_x, info.binning_y = 2, 3
    camera = camera_from_info(info, 200, 100, 'camera', rectified=False)
    point = np.array([[0.2, -0.1, 2.0]])
    u, v = 500 * 0.1 + 320, 510 * -0.05 + 240
    # Pixel n of the binned image covers pixels 2n and 2n+1 of the region.
    expected = ((u - 100) - 0.5) / 2, ((v - 60) - 1) / 3
    np.testing.assert_allclose(camera.project(point)[0][0], expected)


@pytest.mark.parametrize('width', [400, 401])
def test_pixels_that_do_not_fill_a_bin_change_nothing(width):
    info = full_info()
    info.roi = RegionOfInterest(x_offset=100, y_offset=60, width=width, height=300)
    info.binning_x = 2
    camera = camera_from_info(info, 200, 300, 'camera', rectified=False)
    assert camera == PinholeCamera(200, 300, 250, 510, 109.75, 180)


@pytest.mark.parametrize(
    ('width', 'frame', 'change', 'message'),
    [
        (320, 'camera', {}, 'for images of 640x480, the image is 320x480'),
        (640, 'rear', {}, "the frame 'camera', the image 'rear'; remap camera_info"),
        (640, 'camera', {'k': np.zeros(9)}, 'not calibrated.*camera_calibration'),
        (640, 'camera', {'k': -np.eye(3).ravel()}, 'positive focal lengths'),
        (320, 'camera', {'binning_x': 4}, 'for images of 160x480'),
        (640, 'camera', {'k': [0.58, 0, 0.5, 0, 0.57, 0.5, 0, 0, 1]}, 'fx=0.58 .*normalised'),
        (640, 'camera', {'k': [500.0, 0, 320, 0, 1e300, 240, 0, 0, 1]}, 'fy=1e.300 cannot be'),
        (640, 'camera', {'k': [500.0, 0, 1e12, 0, 500, 240, 0, 0, 1]}, r'cx=1e.12 is too far'),
        (640, 'camera', {'k': [500.0, 0, math.nan, 0, 500, 240, 0, 0, 1]}, 'must be finite'),
        (640, 'camera', {'height': 268435831}, '640x268435831, more than the 268435456 pixels'),
        (640, 'camera', {'d': [0.0] * 65}, 'found 65 or more distortion coefficients'),
        (
            *(640, 'camera', {'roi': RegionOfInterest(x_offset=1, width=640, height=480)}),
            r'of 640x480 at \(1, 0\) is not inside the image of 640x480',
        ),
        (
            *(640, 'camera', {'roi': RegionOfInterest(y_offset=7)}),
            r'of 640x480 at \(0, 7\) is not inside',
        ),
    ],
)
def test_what_is_not_the_camera_of_the_image_is_refused(width, frame, change, message):
    info = full_info()
    for name, value in change.items():
        setattr(info, name, value)
    with pytest.raises(CameraInfoError, match=message):
        camera_from_info(info, width, 480, frame, rectified=False)


@pytest.mark.parametrize(('own', 'image'), [('', 'camera'), ('/camera', 'camera'), ('camera', '')])
def test_frames_that_need_not_be_spelt_alike(own, image):
    info = full_info()
    info.header.frame_id = own
    assert camera_from_info(info, 640, 480, image, rectified=False).fx == 500


def test_a_projection_that_is_no_number_is_not_replaced_by_k():
    info = full_info()
    info.p[0] = math.nan
    with pytest.raises(CameraInfoError, match='must be finite'):
        camera_from_info(info, 640, 480, 'camera', rectified=True)


def test_distortion():
    assert is_distorted(full_info())
    assert not is_distorted(make_info())
    assert not is_distorted(CameraInfo(d=[0.0] * 5))


@pytest.mark.parametrize('d', [[], [0.0] * 4])
@pytest.mark.parametrize('model', ['equidistant', 'fisheye', 'kannala_brandt4', 'Omni', 'eucm'])
def test_a_fisheye_is_distorted_without_coefficients(model, d):
    assert is_distorted(CameraInfo(distortion_model=model, d=d))
    assert not is_distorted(CameraInfo(distortion_model='plumb_bob', d=d))


def test_there_and_back():
    camera = PinholeCamera(64, 48, 50.5, 51.5, 31.25, 23.75)
    message = camera_info_message(camera, Header(frame_id='camera'))
    for rectified in (False, True):
        assert camera_from_info(message, 64, 48, 'camera', rectified) == camera


def test_a_good_camera_outlives_infos_that_are_none():
    cameras, good = Cameras(), full_info()
    zero, other_size, other_frame = full_info(), full_info(), full_info()
    zero.k = np.zeros(9)
    other_size.width = 320
    other_frame.header.frame_id = 'rear'
    first = cameras.find(good, 640, 480, 'camera', False)
    assert (first.camera.fx, first.problem, first.kept) == (500, '', False)
    for bad in (zero, other_size, other_frame):
        known = cameras.find(bad, 640, 480, 'camera', False)
        assert known.camera == first.camera
        assert known.kept and known.problem
    # It is that of this size and frame only.
    assert cameras.find(zero, 320, 480, 'camera', False).camera is None
    assert cameras.find(zero, 640, 480, 'rear', False).camera is None
    assert cameras.find(None, 640, 480, 'camera', False).camera is None
    good.k[0] = 600.0
    assert cameras.find(good, 640, 480, 'camera', False).camera.fx == 600
    assert cameras.find(zero, 640, 480, 'camera', False).camera.fx == 600


def test_the_cameras_that_are_remembered_are_few_and_the_newest():
    cameras = Cameras()
    assert cameras.most_pixels == 0
    # The first is used again before there are too many, so that the second goes.
    for n in (*range(MOST_CAMERAS), 0, MOST_CAMERAS):
        cameras.find(make_info(width=100 + n, height=50), 100 + n, 50, 'camera_optical', False)
    assert cameras.most_pixels == 50 * (100 + MOST_CAMERAS)
    bad = CameraInfo(width=1, height=1)
    known = [
        n
        for n in range(MOST_CAMERAS + 1)
        if cameras.find(bad, 100 + n, 50, 'camera_optical', False).kept
    ]
    assert known == [0, *range(2, MOST_CAMERAS + 1)]
