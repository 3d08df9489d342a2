# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The networks of a node, from one configuring to the next."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any, TypeAlias, cast

from sg_depth_ros.bundle import Bundle
from sg_depth_ros.engines import Precision, Progress, create_engine
from sg_depth_ros.engines.shared import Create
from sg_depth_ros.estimator import Estimator
from sg_depth_ros.ros.pairing import Frame
from sg_depth_ros.ros.parameter_table import DepthParameters
from sg_depth_ros.ros.worker import InferenceWorker

EstimatorFactory = Callable[[Bundle, str, int | None, Precision | None, Progress], Estimator]
Worker: TypeAlias = InferenceWorker[Estimator, Frame]


def estimators_in(create: Create) -> EstimatorFactory:
    """Give what puts a bundle into an engine of ``create``."""

    def make(bundle: Bundle, *options: Any) -> Estimator:
        return Estimator(bundle, create(bundle, *options))

    return make


create_estimator = estimators_in(create_engine)


class Networks:
    """Starts and stops the worker with a node's networks; there is one at a time.

    Loading cannot be stopped in every run-time. What is still being loaded when the node is
    cleaned up goes on: the next configuring takes it over, or waits for its end if it wants
    another bundle.
    """

    def __init__(self, create: EstimatorFactory) -> None:
        self._create = create
        self._key: tuple[object, ...] = ()
        self._left: Worker | None = None
        self.worker: Worker | None = None
        """The one that works; None before ``start`` and after ``stop``."""

    @property
    def left_behind(self) -> bool:
        """Whether a thread that could not be stopped is still at work."""
        return self._left is not None and self._left.alive

    def start(
        self,
        bundle: Bundle,
        parameters: DepthParameters,
        process: Callable[[Estimator, Frame], None],
        loaded: Callable[[Estimator | Exception], None],
    ) -> None:
        """Begin to load a bundle; the callbacks are those of ``InferenceWorker``."""
        chosen = parameters.engine_precision
        precision = None if chosen == 'bundle' else cast(Precision, chosen)
        threads = parameters.threads or None
        key = (bundle.path, bundle.digest, parameters.engine, threads, precision)
        left, self._left = self._left, None
        if left and key == self._key and left.resume(process, loaded):
            self.worker = left
            return
        self._key = key
        self.worker = InferenceWorker(
            functools.partial(self._create, bundle, parameters.engine, threads, precision),
            process,
            loaded,
            operator.methodcaller('close'),
            after=left,
        )

    def stop(self, timeout: float) -> str:
        """End the work; give what is left to itself, if its end takes longer than the seconds.

        Loading that does not report how far it is, and so cannot be ended, is not waited for.
        """
        worker, self.worker = self.worker, None
        if worker is None:
            return ''
        loads = worker.state == 'loading'
        silent = loads and worker.progress is None
        if worker.stop(0.0 if silent else timeout):
            return ''
        self._left = worker
        if silent:
            return 'the networks are still being loaded'
        return 'the engine is still being built' if loads else 'a frame is still in work'
