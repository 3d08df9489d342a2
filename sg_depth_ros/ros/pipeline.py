# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What happens to one frame: decode, find its camera, estimate, publish."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import NamedTuple, cast

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from sg_depth_ros.bags import is_rectified_topic
from sg_depth_ros.bags.messages import stamp_to_ns
from sg_depth_ros.bundle import Bundle
from sg_depth_ros.estimator import Estimator, Prediction, Size
from sg_depth_ros.geometry.camera import PinholeCamera, is_distorted
from sg_depth_ros.images.decoding import ImageError
from sg_depth_ros.ros.camera_info import Cameras
from sg_depth_ros.ros.errors import sentence
from sg_depth_ros.ros.messages import rgb_from_message
from sg_depth_ros.ros.outputs import Outputs
from sg_depth_ros.ros.pairing import Frame
from sg_depth_ros.ros.parameter_table import DepthParameters
from sg_depth_ros.ros.parameters import read_parameters, scale_settings
from sg_depth_ros.ros.scale_inputs import ScaleInputs
from sg_depth_ros.ros.scale_report import scale_finding
from sg_depth_ros.ros.statistics import FrameStatistics, FrameTimes
from sg_depth_ros.scale import ScaleEstimate, ScaleEstimator, ScaleSettings

THROTTLE = 5.0
"""Seconds between two warnings of one kind."""
BINNINGS = 16
"""How many times the pixels of an image that had a camera another one may have: a driver may stop
to bin four by four."""


class Finding(NamedTuple):
    """Something that is wrong, in a sentence; grave if depth is not what was asked for."""

    grave: bool
    text: str


class Pipeline:
    """Processes frames one at a time; all but ``process`` belongs to the executor's thread."""

    def __init__(
        self,
        node: Node,
        image_topic: str,
        outputs: Outputs,
        statistics: FrameStatistics,
        bundle: Bundle,
    ) -> None:
        """Publish on ``outputs``; ``image_topic`` is the resolved name."""
        self._metric = bundle.manifest.depth.scale == 'metric'
        self._scaler = ScaleEstimator(ScaleSettings(), bundle.labels, self._metric)
        self._inputs = ScaleInputs(node, self._scaler.speeds)
        self._node = node
        self.follow_scale_mode()
        self.scale: ScaleEstimate | None = None
        """The scale of the last frame."""
        self._reset_scale = False
        self._stamp = -math.inf
        self._image_topic = image_topic
        self._rectified = is_rectified_topic(image_topic)
        self._outputs = outputs
        self._statistics = statistics
        self._cameras = Cameras()
        self._destroyed = False
        self.findings: tuple[Finding, ...] = ()
        """What was wrong with the last frame's camera."""

    def destroy(self) -> None:
        """Leave the topics that the scale is made from."""
        self._destroyed = True
        self._inputs.destroy()

    def follow_scale_mode(self) -> None:
        """Listen to the speed in the mode that is made from it; modes change while all runs."""
        self._inputs.listen_to_speed(read_parameters(self._node).scale_mode == 'odometry')

    def reset_scale(self) -> None:
        """Forget the scale before the next frame."""
        self._reset_scale = True

    def process(self, estimator: Estimator, frame: Frame) -> None:
        """Bring one frame to the wanted outputs; errors are logged and counted."""
        logger = self._node.get_logger()
        try:
            self._process(estimator, frame)
        except ImageError as error:
            self._statistics.count('bad', time.monotonic())
            logger.error(
                f'{self._image_topic}: {error}; skipping such images',
                throttle_duration_sec=THROTTLE,
            )
        except Exception as error:  # the node must outlive whatever one frame does
            # Once the publishers are gone, publishing fails and nobody is left to be told.
            if self._node.context.ok() and not self._destroyed:
                self._statistics.count('failed', time.monotonic())
                logger.error(
                    f'an image could not be processed: {sentence(error)}',
                    throttle_duration_sec=THROTTLE,
                )

    def _process(self, estimator: Estimator, frame: Frame) -> None:
        wanted = self._outputs.wanted()
        if not wanted:
            self._statistics.count('unwanted', time.monotonic())
            return
        clock: Callable[[], float] = time.monotonic
        parameters = read_parameters(self._node)
        start = clock()
        image = rgb_from_message(frame.message, self._most_pixels(parameters))
        decoded = clock()
        header = self._header(frame)
        height, width = image.shape[:2]
        camera = self._camera(frame.info, width, height, header.frame_id, parameters)
        prediction = estimator.predict(image, camera, cast(Size, parameters.output_size))
        inferred = clock()
        scale = self._observe(prediction, header, parameters)
        sent = self._outputs.publish(prediction, header, wanted, parameters, scale)
        done = clock()
        if not sent:
            self._statistics.count('withheld', done)
            return
        age_ns = self._node.get_clock().now().nanoseconds - stamp_to_ns(header.stamp)
        self._statistics.published(
            FrameTimes(
                latency=done - frame.received,
                decode=decoded - start,
                inference=inferred - decoded,
                publish=done - inferred,
                age=age_ns * 1e-9,
            ),
            done,
        )

    def _observe(
        self, prediction: Prediction, header: Header, parameters: DepthParameters
    ) -> ScaleEstimate:
        """Give the scale of this frame, and say what keeps it from being measured."""
        height = self._inputs.height(parameters.scale_base_frame, header.frame_id)
        settings = scale_settings(parameters, height)
        stamp = stamp_to_ns(header.stamp) * 1e-9
        reset, self._reset_scale = self._reset_scale, False
        if reset or stamp < self._stamp:
            self._outputs.forget_plane()
        self._stamp = stamp
        if reset or settings != self._scaler.settings:
            self._scaler.settings = settings
            self._scaler.reset()
        scale = self._scaler.observe(
            prediction.depth, prediction.labels, prediction.image, prediction.camera, stamp
        )
        self.scale = scale
        if finding := scale_finding(scale):
            self._node.get_logger().warning(finding, throttle_duration_sec=THROTTLE)
        return scale

    def _most_pixels(self, parameters: DepthParameters) -> int:
        """Give the pixels that an image may have: damaged headers promise any number."""
        usual = BINNINGS * self._cameras.most_pixels
        return min(parameters.max_image_pixels, usual or parameters.max_image_pixels)

    def _header(self, frame: Frame) -> Header:
        """Give the image's header; an image without a frame takes that of its camera_info."""
        header = frame.message.header
        if header.frame_id:
            return header
        frame_id = frame.info.header.frame_id if frame.info else ''
        instead = f"camera_info's '{frame_id}' is used" if frame_id else 'the outputs have none'
        self._node.get_logger().warning(
            f'images on {self._image_topic} have no frame_id, {instead}; set it in the driver',
            throttle_duration_sec=60.0,
        )
        return Header(stamp=header.stamp, frame_id=frame_id)

    def _camera(
        self,
        info: CameraInfo | None,
        width: int,
        height: int,
        frame_id: str,
        parameters: DepthParameters,
    ) -> PinholeCamera | None:
        """Give the camera of an image if it is known; note and say what is wrong with it."""
        logger = self._node.get_logger()
        known = self._cameras.find(info, width, height, frame_id, self._rectified)
        findings = []
        if known.problem:
            text = known.problem
            if info is None:
                topic = self._node.resolve_topic_name('camera_info')
                text += f' on {topic}; publish it or remap camera_info'
            metres = self._metric or parameters.scale_mode != 'none'
            if known.kept:
                text += '. Until then the last good one of this image size is used'
            elif metres:
                text += '. Until then there is no depth in metres'
            else:
                text += (
                    '. Until then depth is not corrected for the focal length, and there are no '
                    'points and no depth/camera_info'
                )
            logger.warning(text, throttle_duration_sec=THROTTLE)
            findings.append(Finding(metres or info is not None, text))
        if known.camera and info and is_distorted(info) and not self._rectified:
            text = (
                f'camera_info has lens distortion and {self._image_topic} does not look '
                'rectified; depth bends towards the borders. Remap image to the image_rect of '
                'image_proc'
            )
            logger.warning(text, once=True)
            findings.append(Finding(False, text))
        self.findings = tuple(findings)
        return known.camera
