# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One evaluation from its options to the files: models, run, figures, report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sg_depth_ros.bundle.manifest import MANIFEST
from sg_depth_ros.evaluation.baselines import Constant, DepthStatistics, RowPrior, Truth
from sg_depth_ros.evaluation.frames import EvaluationError, Model, Source
from sg_depth_ros.evaluation.models import BundleModel, OnnxModel, OnnxOptions
from sg_depth_ros.evaluation.pictures import frame_pictures
from sg_depth_ros.evaluation.predictions import SavedPredictions, are_predictions
from sg_depth_ros.evaluation.protocols import Protocol
from sg_depth_ros.evaluation.report import REPORT, write_report
from sg_depth_ros.evaluation.runner import RECORDS, OnProgress, run, run_settings
from sg_depth_ros.evaluation.summary import SUMMARY, summarise, write_json
from sg_depth_ros.files import prepare_folder
from sg_depth_ros.images.visualise import Rgb

BASELINES = ('prior', 'constant')


@dataclass(frozen=True)
class ModelOptions:
    """How the models named on the command line are loaded."""

    engine: str = 'auto'
    threads: int | None = None
    camera_height: float | None = None
    """Metres over the road, with which bundles give metres."""
    onnx: OnnxOptions = field(default_factory=OnnxOptions)


@dataclass(frozen=True)
class RunOptions:
    """What is run and written: ``limit`` frames at most; ``images`` pictures in the report."""

    out: Path
    limit: int | None = None
    resume: bool = False
    images: bool = True


class ModelFactory:
    """Makes models by name and keeps their names apart.

    A model is the path of an ``.onnx`` file, a bundle (folder or name), saved predictions (see
    ``evaluation.predictions``), or one of ``prior``, ``constant`` and ``truth``.
    """

    def __init__(self, source: Source, protocol: Protocol, options: ModelOptions) -> None:
        self._source, self._protocol, self._options = source, protocol, options
        self._statistics: DepthStatistics | None = None

    def make_all(self, first: Model | str, compare: Sequence[str]) -> list[Model]:
        """Give the first model, those to compare with, and the baselines always."""
        models = [self._make(first) if isinstance(first, str) else first]
        named = [first, *compare]
        models += [self._make(spec) for spec in compare]
        models += [self._make(spec) for spec in BASELINES if spec not in named]
        taken: set[str] = set()
        for model in models:
            name, count = model.name, 2
            while model.name in taken:
                model.name = f'{name} ({count})'
                count += 1
            taken.add(model.name)
        return models

    def _make(self, spec: str) -> Model:
        if spec == 'prior':
            return RowPrior(self._fit())
        if spec == 'constant':
            return Constant(self._fit())
        if spec == 'truth':
            return Truth()
        path = Path(spec)
        if are_predictions(path) and not (path / MANIFEST).exists():
            return SavedPredictions(path, self._source, self._options.onnx.output)
        if spec.endswith('.onnx'):
            return OnnxModel(spec, self._options.onnx)
        options = self._options
        return BundleModel(spec, options.engine, options.threads, options.camera_height)

    def _fit(self) -> DepthStatistics:
        if self._statistics is None:
            low, high = self._protocol.min_depth, self._protocol.max_truth
            self._statistics = DepthStatistics(self._source.truths(), low, high)
        return self._statistics


@dataclass(frozen=True)
class Measured:
    """The figures of a run and the records that they are made of."""

    summary: dict[str, Any]
    records: list[dict[str, Any]]


def prepare(options: RunOptions) -> None:
    """Make the folder for the results, without those of an earlier run; raises OSError.

    The records of single frames stay where a run is to be taken up again.
    """
    prepare_folder(options.out, [SUMMARY, REPORT, *([] if options.resume else [RECORDS])])


def measure(
    source: Source,
    models: Sequence[Model],
    protocol: Protocol,
    options: RunOptions,
    on_progress: OnProgress = lambda done, total: None,
) -> Measured:
    """Run all models, compare the first with the others, and write ``metrics.json``.

    :param on_progress: see :data:`runner.OnProgress`.
    :raises EvaluationError: when there is nothing to compare.
    :raises KeyboardInterrupt: when interrupted; its text says how to go on.
    """
    names = source.names()[: options.limit]
    if not names:
        raise EvaluationError(f'{source.name} has no frames; nothing can be evaluated')
    settings = run_settings(source, names, models, protocol)
    done = 0

    def count(frames: int, total: int) -> None:
        nonlocal done
        done = frames
        on_progress(frames, total)

    try:
        records = run(source, names, models, protocol, options.out, options.resume, count)
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(
            f'{done} of {len(names)} frames are measured; go on with the same command and '
            f'--resume --out {options.out}'
        ) from error
    summary = summarise(records, settings, protocol, source.notes)
    write_json(summary, options.out / SUMMARY)
    return Measured(summary, records)


def report(
    measured: Measured, source: Source, model: Model, protocol: Protocol, options: RunOptions
) -> list[Mapping[str, Rgb]]:
    """Write ``report.html``; ``model`` predicts the best and worst frames once more.

    :return: pictures by title of each of the worst frames; empty where none are wanted
    """
    pictures: dict[str, Mapping[str, Rgb]] = {}
    if options.images:
        shown = {*measured.summary['best'], *measured.summary['worst']}
        pictures = dict(frame_pictures(source, shown, model, protocol))
    write_report(options.out / REPORT, measured.summary, measured.records, pictures)
    return [pictures[name] for name in measured.summary['worst'] if name in pictures]
