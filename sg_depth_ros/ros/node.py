# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node: subscriptions, states and diagnostics."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Collection
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from sg_depth_ros.bundle import Bundle, load_bundle
from sg_depth_ros.bundle.labels import Label
from sg_depth_ros.engines import PROGRESS_SECONDS
from sg_depth_ros.estimator import Estimator
from sg_depth_ros.ros.camera_input import CameraInput
from sg_depth_ros.ros.diagnostics import Health, describe, diagnostic_status
from sg_depth_ros.ros.errors import sentence
from sg_depth_ros.ros.loading import EstimatorFactory, Networks, create_estimator
from sg_depth_ros.ros.manager_bond import ManagerBond
from sg_depth_ros.ros.outputs import Outputs
from sg_depth_ros.ros.pairing import Frame
from sg_depth_ros.ros.parameters import check_labels, declare_parameters, read_parameters
from sg_depth_ros.ros.pipeline import Pipeline
from sg_depth_ros.ros.qos import overridable, warn_of_unused
from sg_depth_ros.ros.scale_inputs import SPEED_TOPICS
from sg_depth_ros.ros.statistics import FrameStatistics
from sg_depth_ros.ros.transitions import refuse_impossible_transitions

NODE_NAME = 'sg_depth'
STOP_TIMEOUT = 0.5
"""Seconds to wait for the frame in work at the end; in them no callback is answered."""


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
        refuse_impossible_transitions(self)
        self._load_bundle = load
        self._networks = Networks(create)
        self._statistics = FrameStatistics(time.monotonic())
        self.start_failed = False
        """Whether the node was to start by itself and could not; nobody else would see to it."""
        self._starting = False
        self._active = False
        self._bond = ManagerBond(self)
        self._failure = ''
        self._identity: dict[str, str] = {}
        self._outputs: Outputs | None = None
        self._pipeline: Pipeline | None = None
        self._labels: Collection[Label] = ()
        self._camera = CameraInput(self, self._statistics, self._ready, self._submit)
        declare_parameters(self)
        self.add_on_set_parameters_callback(self._check_parameters)
        self._diagnostics = self.create_publisher(
            DiagnosticArray,
            '/diagnostics',
            10,
            qos_overriding_options=overridable(),
        )
        self.create_service(Trigger, '~/reset_scale', self._on_reset_scale)
        # With simulated time a paused simulation would silence the diagnostics.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0, self._on_second, clock=steady)

    @property
    def left_behind(self) -> bool:
        """Whether a thread that could not be stopped may still be at work in an engine."""
        return self._networks.left_behind

    def autostart(self) -> None:
        """Configure and activate if the parameter of that name says so."""
        if not read_parameters(self).autostart:
            return
        self._starting = True
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()
        else:  # unless a signal has ended what it is made of
            self.start_failed = self.context.ok()

    def end_work(self, timeout: float) -> None:
        """Stop to work on images, and wait at most so many seconds for the one in work."""
        if left := self._networks.stop(timeout):
            self.get_logger().warning(f'{left}; left to itself')

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
            self._failure = f'cannot be configured: {sentence(error)}'
            # A signal has ended what the node is made of.
            if self.context.ok():
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
        if not read_parameters(self).autostart:  # so somebody else is in charge of the states
            self._bond.form()
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Leave the image topic and disable the publishers."""
        self._active = False
        self._bond.dissolve()
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
            self, self._camera.topic, self._outputs, self._statistics, bundle
        )
        self._camera.open()
        speeds = (self.resolve_topic_name(topic) for topic in SPEED_TOPICS)
        warn_of_unused(self, later=(self._camera.topic, *speeds))
        self.get_logger().info(
            f'loading bundle {bundle.manifest.name} from {bundle.path}; an engine that is built '
            'for the first time may take minutes'
        )
        loaded = functools.partial(self._on_loaded, time.monotonic())
        self._networks.start(bundle, read_parameters(self), self._pipeline.process, loaded)

    def _tear_down(self) -> None:
        self._active = self._starting = False
        self._bond.dissolve()
        self._follow_demand()
        outputs, pipeline = self._outputs, self._pipeline
        self._outputs = self._pipeline = None
        self.end_work(STOP_TIMEOUT)
        self._camera.close()
        if pipeline:
            pipeline.destroy()
        if outputs:
            outputs.destroy()

    def _on_loaded(self, start: float, result: Estimator | Exception) -> None:
        """Take note, in the worker's thread, of how loading went."""
        self._statistics.expect(time.monotonic())
        if isinstance(result, Exception):
            self._failure = f'the networks cannot be loaded: {sentence(result)}'
            self.get_logger().error(self._failure)
            self.start_failed = self._starting and self.context.ok()
            return
        self._starting = False
        self._identity |= {'engine': result.engine.name, 'device': result.engine.device}
        self.get_logger().info(
            f'ready after {time.monotonic() - start:.1f} s: {result.engine.name} on '
            f'{result.engine.device}; images from {self._camera.topic}'
        )

    def _follow_demand(self) -> None:
        """Subscribe to the image while active and listened to, leave it otherwise."""
        wanted = self._active and self._outputs is not None and bool(self._outputs.wanted())
        if wanted and not self._camera.subscribed and not self._failure:
            self._statistics.expect(time.monotonic())
            self._subscribe()
        elif not wanted and self._camera.subscribed:
            self._camera.leave()
            worker = self._networks.worker
            if worker and worker.clear():
                self._statistics.count('unwanted', time.monotonic())

    def _subscribe(self) -> None:
        topic = self._camera.topic
        try:
            self._camera.subscribe()
        except Exception as error:  # in an event's callback it would end the executor
            self._failure = (
                f'cannot subscribe to {topic}: {sentence(error)}; correct '
                f'qos_overrides.{topic}.subscription and start the node again'
            )
            self.get_logger().error(self._failure)

    def _follow_scale_mode(self) -> None:
        """Listen to the speed where a mode that was set meanwhile needs it."""
        try:
            if self._pipeline:
                self._pipeline.follow_scale_mode()
        except Exception as error:  # in a timer's callback it would end the executor
            self.get_logger().error(
                f'cannot listen to the speed: {sentence(error)}; correct qos_overrides and start '
                'the node again',
                throttle_duration_sec=10.0,
            )

    def _ready(self) -> bool:
        """Whether an image that comes now can be worked on."""
        worker = self._networks.worker
        return worker is not None and worker.state == 'ready'

    def _submit(self, frame: Frame) -> bool:
        worker = self._networks.worker
        return worker is not None and worker.submit(frame)

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
        self._camera.follow_publishers()
        self._follow_scale_mode()
        worker, pipeline = self._networks.worker, self._pipeline
        scale = pipeline.scale if pipeline else None
        identity = self._identity
        if scale and scale.state in ('fixed', 'tracking', 'held'):
            identity = identity | {'scale': 'metric'}
        elif scale and scale.factor is None and identity['scale'] == 'metric':
            identity = identity | {'scale': 'unknown'}
        progress = worker.progress if worker else None
        if progress:
            self.get_logger().info(
                f'building the engine: {describe(*progress)}',
                throttle_duration_sec=PROGRESS_SECONDS,
            )
        health = Health(
            active=self._active,
            wanted=self._camera.subscribed,
            state=worker.state if worker else 'stopped',
            progress=progress,
            failure=self._failure,
            camera_findings=pipeline.findings if pipeline else (),
            image_topic=self._camera.topic,
            image_publishers=self.count_publishers(self._camera.topic),
            summary=self._statistics.summary(time.monotonic()),
            parameters=read_parameters(self),
            scale=scale,
            identity=identity,
        )
        name = self.get_fully_qualified_name().lstrip('/')
        message = DiagnosticArray(status=[diagnostic_status(f'{name}: depth', health)])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)
