# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node: subscriptions, states and diagnostics."""

from __future__ import annotations

import functools
import operator
import time
from collections.abc import Callable, Collection
from typing import Any, cast

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_srvs.srv import Trigger

from sg_depth_ros.bundle import Bundle, load_bundle
from sg_depth_ros.bundle.labels import Label
from sg_depth_ros.engines import PROGRESS_SECONDS, Precision, Progress, create_engine
from sg_depth_ros.engines.shared import Create
from sg_depth_ros.estimator import Estimator
from sg_depth_ros.ros.diagnostics import Health, describe, diagnostic_status
from sg_depth_ros.ros.outputs import Outputs
from sg_depth_ros.ros.parameters import check_labels, declare_parameters, read_parameters
from sg_depth_ros.ros.pipeline import Frame, Pipeline
from sg_depth_ros.ros.statistics import Event, FrameStatistics
from sg_depth_ros.ros.worker import InferenceWorker

NODE_NAME = 'sg_depth'
STOP_TIMEOUT = 5.0
"""Seconds to wait for the frame in work at the end."""


EstimatorFactory = Callable[[Bundle, str, int | None, Precision | None, Progress], Estimator]


def estimators_in(create: Create) -> EstimatorFactory:
    """Give what puts a bundle into an engine of ``create``."""

    def make(bundle: Bundle, *options: Any) -> Estimator:
        return Estimator(bundle, create(bundle, *options))

    return make


create_estimator = estimators_in(create_engine)


class DepthNode(LifecycleNode):
    """Camera images in; depth, labels and points out.

    Configuring reads the bundle and creates the publishers; the networks are loaded in the
    worker's thread from then on, so that services answer meanwhile. Activating subscribes to the
    image, while somebody listens to an output.
    """

    def __init__(
        self,
        load: Callable[[str], Bundle] = load_bundle,
        create: EstimatorFactory = create_estimator,
        **options: Any,
    ) -> None:
        """Declare the parameters and begin with diagnostics.

        :param load: reads a bundle by folder or name.
        :param create: makes the estimator, given the bundle, the engine's kind, the threads, the
            precision, and whom to tell how far it is.
        :param options: those of ``rclpy.node.Node``.
        :raises rclpy.exceptions.ParameterException: when a given parameter is bad.
        """
        super().__init__(NODE_NAME, **options)
        self._load_bundle, self._create_estimator = load, create
        self._statistics = FrameStatistics(time.monotonic())
        self.left_behind = False
        """Whether a thread that could not be stopped may still be building an engine."""
        self._active = False
        self._failure = ''
        self._identity: dict[str, str] = {}
        self._image: Subscription | None = None
        self._camera_info: Subscription | None = None
        self._outputs: Outputs | None = None
        self._pipeline: Pipeline | None = None
        self._worker: InferenceWorker[Estimator, Frame] | None = None
        self._held: Frame | None = None
        self._first_image: float | None = None
        self._labels: Collection[Label] = ()
        declare_parameters(self)
        self.add_on_set_parameters_callback(self._check_parameters)
        compressed = read_parameters(self).image_transport == 'compressed'
        self._image_type = CompressedImage if compressed else Image
        # As image_transport does it, so that a remapping of image holds for both transports.
        self._image_name = (
            f'{self.resolve_topic_name("image")}/compressed' if compressed else 'image'
        )
        self._image_topic = self.resolve_topic_name(self._image_name)
        self._diagnostics = self.create_publisher(
            DiagnosticArray,
            '/diagnostics',
            10,
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        self.create_service(Trigger, '~/reset_scale', self._on_reset_scale)
        # With simulated time a paused simulation would silence the diagnostics.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0, self._on_second, clock=steady)

    def autostart(self) -> None:
        """Configure and activate if the parameter of that name says so."""
        if not read_parameters(self).autostart:
            return
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def destroy_node(self) -> None:
        """Join the worker, then destroy the node."""
        self._tear_down()
        super().destroy_node()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read the bundle, create the publishers and begin to load the networks."""
        parameters = read_parameters(self)
        try:
            bundle = self._load_bundle(parameters.bundle)
            self._set_up(bundle)
        except Exception as error:  # rclpy would swallow it without a word
            self._failure = f'cannot be configured: {error}'
            self.get_logger().error(self._failure)
            self._tear_down()
            return TransitionCallbackReturn.FAILURE
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Enable the publishers and subscribe as soon as somebody listens."""
        result = super().on_activate(state)
        self._statistics.reset(time.monotonic())
        self._active = True
        self._follow_demand()
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Leave the image topic and disable the publishers."""
        self._active = False
        self._follow_demand()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the networks and take the publishers down."""
        self._tear_down()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything from whatever state."""
        self._tear_down()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Go back to unconfigured after a transition that raised."""
        self._tear_down()
        return super().on_error(state)

    def _set_up(self, bundle: Bundle) -> None:
        if reason := check_labels(read_parameters(self).points_exclude_labels, bundle.labels):
            raise ValueError(reason)
        self._labels = bundle.labels
        self._failure = ''
        self._identity = {'bundle': f'{bundle.manifest.name} ({bundle.digest[:12]})'}
        self._identity['scale'] = bundle.manifest.depth.scale
        self._outputs = Outputs(self, bundle.labels, self._follow_demand)
        self._pipeline = Pipeline(
            self, self._image_topic, self._outputs, self._statistics, bundle.labels
        )
        self._camera_info = self.create_subscription(
            CameraInfo,
            'camera_info',
            self._on_camera_info,
            _sensor_qos('best_effort'),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        parameters = read_parameters(self)
        chosen = parameters.engine_precision
        self.get_logger().info(
            f'loading bundle {bundle.manifest.name} from {bundle.path}; an engine that is built '
            'for the first time may take minutes'
        )
        self._worker = InferenceWorker(
            functools.partial(
                self._create_estimator,
                bundle,
                parameters.engine,
                parameters.threads or None,
                None if chosen == 'bundle' else cast(Precision, chosen),
            ),
            self._pipeline.process,
            functools.partial(self._on_loaded, time.monotonic()),
            operator.methodcaller('close'),
        )

    def _tear_down(self) -> None:
        self._active = False
        self._follow_demand()
        worker, outputs, camera_info = self._worker, self._outputs, self._camera_info
        pipeline = self._pipeline
        self._worker = self._outputs = self._camera_info = self._pipeline = None
        builds = worker is not None and worker.state == 'loading'
        if worker and not worker.stop(STOP_TIMEOUT):
            self.left_behind = True
            work = 'the engine is still being built' if builds else 'a frame is still in work'
            self.get_logger().warning(f'{work}; left to itself')
        if camera_info:
            self.destroy_subscription(camera_info)
        if pipeline:
            pipeline.destroy()
        if outputs:
            outputs.destroy()

    def _on_loaded(self, start: float, result: Estimator | Exception) -> None:
        """Take note, in the worker's thread, of how loading went."""
        self._statistics.expect(time.monotonic())
        if isinstance(result, Exception):
            self._failure = f'the networks cannot be loaded: {result}'
            self.get_logger().error(self._failure)
            return
        self._identity |= {'engine': result.engine.name, 'device': result.engine.device}
        self.get_logger().info(
            f'ready after {time.monotonic() - start:.1f} s: {result.engine.name} on '
            f'{result.engine.device}; images from {self._image_topic}'
        )

    def _follow_demand(self) -> None:
        """Subscribe to the image while active and listened to, leave it otherwise."""
        wanted = self._active and self._outputs is not None and bool(self._outputs.wanted())
        if wanted and self._image is None and not self._failure:
            self._first_image = None
            self._statistics.expect(time.monotonic())
            self._subscribe()
        elif not wanted and self._image is not None:
            self.destroy_subscription(self._image)
            self._image = None
            self._drop_held('unwanted')
            if self._worker and self._worker.clear():
                self._statistics.count('unwanted', time.monotonic())

    def _subscribe(self) -> None:
        try:
            self._image = self.create_subscription(
                self._image_type,
                self._image_name,
                self._on_image,
                _sensor_qos(read_parameters(self).image_reliability),
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            )
        except Exception as error:  # in an event's callback it would end the executor
            self._failure = (
                f'cannot subscribe to {self._image_topic}: {error}; correct '
                f'qos_overrides.{self._image_topic}.subscription and start the node again'
            )
            self.get_logger().error(self._failure)

    def _drop_held(self, event: Event) -> None:
        """Give up the frame that waits for camera_info, and count what became of it."""
        if self._held:
            self._statistics.count(event, time.monotonic())
            self._held = None

    def _on_image(self, message: Image | CompressedImage) -> None:
        now = time.monotonic()
        self._statistics.count('received', now)
        if self._worker is None or self._pipeline is None or self._worker.state != 'ready':
            self._statistics.count('dropped_loading', now)
            return
        frame = Frame(message, now)
        self._first_image = now if self._first_image is None else self._first_image
        self._drop_held('dropped_busy')
        self._held = frame
        self._release(now)

    def _on_camera_info(self, message: CameraInfo) -> None:
        if self._pipeline is None:
            return
        self._pipeline.info = message
        self._release(time.monotonic())

    def _release(self, now: float) -> None:
        """Give the frame that is held to the networks, once it has a camera or waited enough.

        Depth that goes out before the focal length is known would have another scale.
        """
        if not self._held or not self._pipeline or not self._worker or self._first_image is None:
            return
        waits = now - self._first_image < read_parameters(self).camera_info_timeout
        if waits and self._pipeline.info is None:
            return
        if self._worker.submit(self._held):
            self._statistics.count('dropped_busy', now)
        self._held = None

    def _check_parameters(self, changed: list[Parameter]) -> SetParametersResult:
        """Refuse labels that the bundle, once it is known, does not have."""
        for parameter in changed:
            if self._labels and parameter.name == 'points_exclude_labels':
                reason = check_labels(parameter.value, self._labels)
                return SetParametersResult(successful=not reason, reason=reason)
        return SetParametersResult(successful=True)

    def _on_reset_scale(
        self, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        """Begin anew to measure the scale."""
        response.success = self._pipeline is not None
        response.message = 'forgotten' if response.success else 'the node is not configured'
        if self._pipeline:
            self._pipeline.reset_scale()
        return response

    def _on_second(self) -> None:
        """Publish diagnostics; look after demand where the middleware has no matched events."""
        self._follow_demand()
        # No image may come after the one that waits.
        self._release(time.monotonic())
        worker, pipeline = self._worker, self._pipeline
        scale = pipeline.scale if pipeline else None
        metric = scale is not None and scale.state not in ('off', 'waiting')
        progress = worker.progress if worker else None
        if progress:
            self.get_logger().info(
                f'building the engine: {describe(*progress)}',
                throttle_duration_sec=PROGRESS_SECONDS,
            )
        health = Health(
            active=self._active,
            wanted=self._image is not None,
            state=worker.state if worker else 'stopped',
            progress=progress,
            failure=self._failure,
            camera_problem=pipeline.camera_problem if pipeline else '',
            image_topic=self._image_topic,
            image_publishers=self.count_publishers(self._image_topic),
            summary=self._statistics.summary(time.monotonic()),
            parameters=read_parameters(self),
            scale=scale,
            identity=self._identity | ({'scale': 'metric'} if metric else {}),
        )
        name = self.get_fully_qualified_name().lstrip('/')
        message = DiagnosticArray(status=[diagnostic_status(f'{name}: depth', health)])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)


def _sensor_qos(reliability: str) -> QoSProfile:
    """Ask for the newest sample only."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=1,
        reliability=ReliabilityPolicy[reliability.upper()],
    )
