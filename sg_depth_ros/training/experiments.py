# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Experiments on the procedural street, where truth is exact: what each part of the method does.

Each trains from random or ImageNet weights in its own folder, goes on where it was cut off, and
writes ``result.json``.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from sg_depth_ros.evaluation.frames import Frame, Output
from sg_depth_ros.evaluation.pictures import jpeg, sheet
from sg_depth_ros.evaluation.protocols import make_protocol
from sg_depth_ros.evaluation.scoring import score_frame
from sg_depth_ros.evaluation.sources.folder import FolderSource
from sg_depth_ros.files import atomic_path
from sg_depth_ros.labels import ID
from sg_depth_ros.networks.depth_resnet import DepthResNetConfig
from sg_depth_ros.networks.pose import PoseNetConfig
from sg_depth_ros.networks.segmentation import SegmentationConfig
from sg_depth_ros.resize import resize_image
from sg_depth_ros.synthetic import StreetOptions
from sg_depth_ros.training.data.labelled import StreetLabels
from sg_depth_ros.training.data.sources import StreetSource, short_name
from sg_depth_ros.training.depth_settings import (
    DepthSettings,
    FilterSettings,
    LossSettings,
    StreetValidation,
)
from sg_depth_ros.training.predictor import CheckpointPredictor
from sg_depth_ros.training.run import train_depth
from sg_depth_ros.training.segmentation import train_segmentation
from sg_depth_ros.training.segmentation_settings import SegmentationSettings
from sg_depth_ros.training.settings import check_settings
from sg_depth_ros.visualise import Rgb, colorize_depth, depth_range

DYNAMIC = 'dynamic'
_FOCAL_LENGTH = 0.58
"""In widths."""
_MOUNTED = StreetOptions(
    stop_probability=0.0,
    camera_height=(1.65, 1.65),
    camera_pitch=(0.0, 0.0),
    camera_roll=(0.0, 0.0),
)
"""Streets seen by one camera on one vehicle, as a robot has."""
_STILLS: Mapping[str, Any] = {'use_depth': True, 'stills': True, 'fps': 1.0}
"""Single images with exact depth; a second apart, as neighbours in time show hardly more."""
_TOWN: Mapping[str, Any] = {
    'areas': {'urban': 0.5, 'residential': 0.5},
    'lights': {'sunny': 0.6, 'overcast': 0.4},
    'lead_probability': 0.0,
}
"""Streets by day; nobody drives ahead in the same lane who does not follow, more or less."""
_SLOW: Mapping[str, Any] = {'fps': 5.0}
"""At ten a second images as small as these hardly show that something 15 m ahead comes nearer."""
_PICTURES = 4


class ExperimentSettings(BaseModel):
    """Sizes of the experiments; :data:`EXPERIMENTS` has those with which each shows its point."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    size: tuple[int, int] = (192, 64)
    clips: int = Field(default=240, ge=1)
    """Fewer are learned by heart: with 60 the error in the test is twice that in training."""
    frames: int = Field(default=5, ge=3)
    test_clips: int = Field(default=12, ge=1)
    steps: int = Field(default=1000, ge=1)
    batch: int = Field(default=6, ge=1)
    learning_rate: float = Field(default=5e-4, gt=0)
    scales: int = Field(default=1, ge=1, le=4)
    """Of the loss; four, as published, take a third more time at this size."""
    velocity: float = Field(default=0.5, ge=0)
    """Weight of the velocity loss; ten times the published one, as there are few steps for it."""
    zoom: float = Field(default=1.0, gt=0, le=1)
    segmentation_steps: int = Field(default=2000, ge=1)
    seeds: int = Field(default=3, ge=1)
    following: float = Field(default=0.25, gt=0, lt=1)
    """Share of the clips that follow a car at its own speed."""
    filter: FilterSettings = FilterSettings(metres=5.0)
    """Between two stages; networks as small as these err too much for the usual 3.3 m."""
    pretrained: bool = True
    workers: int = Field(default=2, ge=0)
    segmentation_network: SegmentationConfig = SegmentationConfig()
    depth_network: DepthResNetConfig = DepthResNetConfig(decoder_channels=(128, 96, 64, 32, 16))
    pose_network: PoseNetConfig = PoseNetConfig(scale=0.1, begin_still=True)
    """A car moves a metre between frames, which takes long to learn from steps of a hundredth."""


class Experiments:
    """All experiments, with what they share: rendered clips and one segmentation network.

    :param out: folder of everything; clips and networks that lie there are used again
    """

    def __init__(self, settings: ExperimentSettings, out: Path) -> None:
        self.settings, self.out = settings, out

    def truth(self) -> dict[str, Any]:
        """Learn from exact depth: how small the error gets from random weights."""
        final = self._train('truth', street=_STILLS)
        return self._write('truth', self._score(final, self._test()))

    def velocity(self) -> dict[str, Any]:
        """Learn from images and speed: how far the scale is from metres, with no scaling."""
        final = self._train('velocity')
        return self._write('velocity', self._score(final, self._test()))

    def two_stage(self) -> dict[str, Any]:
        """Learn where some clips follow a car: what the filter finds and what it is good for.

        Without the auto-mask, which leaves out whatever keeps exactly the camera's speed.
        """
        s = self.settings
        following = max(round(s.clips * s.following), 1)
        usual = self._street(s.clips - following, 0, _SLOW, **_TOWN, follow_probability=0.0)
        followers = self._street(following, 100_000, _SLOW, **_TOWN, follow_probability=1.0)
        sources = [
            source.model_copy(update={'weight': float(source.clips)})
            for source in (usual, followers)
        ]
        out = self.out / 'two_stage'
        loss = self._loss(automask=False)
        test = self._street(s.test_clips, 900_000, _SLOW, **_TOWN, follow_probability=s.following)
        settings = self._depth(sources, test, two_stage=True, filter=s.filter, loss=loss)
        final = train_depth(settings, out)
        marked = {short_name(clip): clip for clip in followers.folders()}
        found: dict[bool, list[bool]] = {True: [], False: []}
        holes: dict[str, tuple[int, str]] = {}
        with (out / 'filter' / 'frames.csv').open(newline='') as file:
            for row in csv.DictReader(file):
                clip, _, frame = row['frame'].rpartition(':')
                found[clip in marked].append('infinite' in row['verdict'])
                if clip in marked:
                    holes[clip] = max(holes.get(clip, (-1, '')), (int(row['pixels_below']), frame))
        stages = [out / stage / 'networks.pt' for stage in ('stage_1', 'stage_2')]
        cars = [self._part_error(self._judge(stage, test), DYNAMIC) for stage in stages]
        worst = sorted(holes, key=lambda clip: holes[clip], reverse=True)[:_PICTURES]
        shown = [_frame(marked[clip], int(holes[clip][1])) for clip in worst]
        _write_picture(shown, stages, ('stage one', 'stage two'), out / 'followed.jpg')
        result = {
            'found_of_following': float(np.mean(found[True])),
            'dropped_of_others': float(np.mean(found[False])),
            'abs_rel_of_vehicles': {'stage_1': cars[0], 'stage_2': cars[1]},
            **self._score(final, test),
        }
        return self._write('two_stage', result)

    def guidance(self) -> dict[str, Any]:
        """Learn exact depth with and without guidance, for several seeds: errors by part."""
        s = self.settings
        runs: dict[str, list[dict[str, Any]]] = {'guided': [], 'unguided': []}
        for seed in range(s.seeds):
            for name, found in runs.items():
                network = s.depth_network
                if name == 'unguided':
                    network = network.model_copy(update={'guidance': None})
                label = f'guidance/{name}_{seed}'
                final = self._train(label, street=_STILLS, network=network, seed=seed)
                records = self._judge(final, self._test())
                found.append(
                    {
                        'all': self._error(records),
                        'edges': self._part_error(records, 'edges'),
                        'dynamic': self._part_error(records, DYNAMIC),
                        'classes': self._class_errors(records),
                    }
                )
        means = {
            name: {
                'all': [run['all'] for run in found],
                'edges': [run['edges'] for run in found],
                'dynamic': [run['dynamic'] for run in found],
                'classes': {
                    key: float(np.mean([run['classes'][key] for run in found]))
                    for key in sorted(set.intersection(*(set(r['classes']) for r in found)))
                },
            }
            for name, found in runs.items()
        }
        return self._write('guidance', means)

    def _street(
        self, clips: int, seed: int, changes: Mapping[str, Any] = {}, **options: Any
    ) -> StreetSource:
        s = self.settings
        values = {'use_depth': False, **changes}
        return StreetSource(
            cache=self.out / 'street',
            clips=clips,
            frames=s.frames,
            seed=seed,
            size=s.size,
            focal_length=(_FOCAL_LENGTH, _FOCAL_LENGTH),
            aspect=(1.0, 1.0),
            principal_point=((0.5, 0.5), (0.48, 0.48)),
            options=_MOUNTED.model_copy(update=options),
            **values,
        )

    def _segmentation(self) -> Path:
        """Train the guide, once for all experiments that begin from the same weights."""
        s = self.settings
        begin = 'imagenet' if s.pretrained else 'random'
        final = self.out / f'segmentation_{begin}_{s.segmentation_steps}' / 'networks.pt'
        if final.exists():
            return final
        settings = SegmentationSettings(
            network=s.segmentation_network,
            pretrained=s.pretrained,
            train=[StreetLabels(street=self._street(s.clips, 0))],
            size=s.size,
            crop=s.size,
            steps=s.segmentation_steps,
            batch=s.batch,
            optimizer='adamw',
            learning_rate=1e-3,
            validate_every=s.segmentation_steps,
            workers=s.workers,
        )
        return train_segmentation(settings, final.parent)

    def _depth(
        self, sources: list[StreetSource], test: StreetSource, **changes: Any
    ) -> DepthSettings:
        s = self.settings
        values: dict[str, Any] = {
            'network': s.depth_network,
            'validation': StreetValidation(street=test, scaling='none'),
            'loss': self._loss(),
            **changes,
        }
        return DepthSettings(
            segmentation=self._segmentation(),
            pose=s.pose_network,
            pretrained=s.pretrained,
            sources=[*sources],
            size=s.size,
            focal_length=_FOCAL_LENGTH * s.size[0],
            steps=s.steps,
            batch=s.batch,
            schedule='onecycle',
            learning_rate=s.learning_rate,
            pose_learning_rate=s.learning_rate,
            zoom=s.zoom,
            validate_every=max(s.steps // 5, 1),
            workers=s.workers,
            **values,
        )

    def _loss(self, *, automask: bool = True) -> LossSettings:
        s = self.settings
        return LossSettings(scales=s.scales, velocity=s.velocity, automask=automask)

    def _test(self) -> StreetSource:
        return self._street(self.settings.test_clips, 900_000)

    def _train(self, name: str, *, street: Mapping[str, Any] = {}, **changes: Any) -> Path:
        source = self._street(self.settings.clips, 0, street)
        return train_depth(self._depth([source], self._test(), **changes), self.out / name)

    def _judge(
        self, checkpoint: Path, test: StreetSource, scaling: str = 'median'
    ) -> list[dict[str, Any]]:
        """Score every frame of the test clips."""
        model = _Model(checkpoint)
        protocol = make_protocol('dense', 'none' if scaling == 'none' else 'median')
        return [
            score_frame(frame, [model], protocol)['models'][model.name] for frame in _frames(test)
        ]

    def _score(self, checkpoint: Path, test: StreetSource) -> dict[str, Any]:
        metric, scaled = self._judge(checkpoint, test, 'none'), self._judge(checkpoint, test)
        ratios = [record['all']['median_ratio'] for record in metric]
        return {
            'abs_rel': self._error(scaled),
            'abs_rel_without_scaling': self._error(metric),
            'true_to_predicted_scale': float(np.median(ratios)),
            'frames': len(metric),
            'settings': self.settings.model_dump(mode='json'),
        }

    @staticmethod
    def _error(records: list[dict[str, Any]]) -> float:
        return float(np.nanmean([record['all']['abs_rel'] for record in records]))

    @staticmethod
    def _part_error(records: list[dict[str, Any]], part: str) -> float:
        found = [r['parts'][part]['abs_rel'] for r in records if part in r['parts']]
        return float(np.mean(found)) if found else float('nan')

    @staticmethod
    def _class_errors(records: list[dict[str, Any]]) -> dict[str, float]:
        names = sorted({name for record in records for name in record['classes']} & set(ID))
        return {
            name: float(
                np.mean([r['classes'][name]['abs_rel'] for r in records if name in r['classes']])
            )
            for name in names
        }

    def _write(self, name: str, result: dict[str, Any]) -> dict[str, Any]:
        with atomic_path(self.out / name / 'result.json') as temporary:
            temporary.write_text(json.dumps(result, indent=1) + '\n')
        return result


def _frames(test: StreetSource) -> Iterator[Frame]:
    for clip in test.folders():
        source = FolderSource(clip)
        yield from source.frames(source.names())


def _frame(clip: Path, index: int) -> Frame:
    source = FolderSource(clip)
    return next(source.frames([source.names()[index]]))


def _write_picture(
    frames: Sequence[Frame], checkpoints: Sequence[Path], titles: Sequence[str], path: Path
) -> None:
    """Show frames side by side, each over the depth of the checkpoints and the true one."""
    models = [_Model(checkpoint) for checkpoint in checkpoints]
    columns: list[dict[str, Rgb]] = []
    for frame in frames:
        height, width = frame.truth.shape
        depths = [*(model.predict(frame).depth for model in models), frame.truth]
        span = depth_range([frame.truth])
        pictures = [frame.image, *(colorize_depth(depth, *span) for depth in depths)]
        # Twice as large, so that the titles can be read.
        large = [resize_image(picture, 2 * width, 2 * height) for picture in pictures]
        columns.append(dict(zip(['image', *titles, 'truth'], large, strict=True)))
    with atomic_path(path) as temporary:
        temporary.write_bytes(jpeg(sheet(columns)))


class _Model:
    """A checkpoint as the evaluation knows models."""

    name, uses_image = 'checkpoint', True

    def __init__(self, checkpoint: Path) -> None:
        self._predict = CheckpointPredictor(checkpoint)
        self.identity = str(checkpoint)

    def predict(self, frame: Frame) -> Output:
        """Predict at network size, for the frame's camera."""
        assert frame.camera is not None
        size = self._predict.size
        depth, labels = self._predict(
            resize_image(frame.image, *size), frame.camera.resized(*size)
        )
        return Output(depth, labels)


@dataclass(frozen=True)
class Experiment:
    """One of the experiments.

    :ivar run: what is done
    :ivar sizes: the :class:`ExperimentSettings` that it needs, where they are not the usual ones
    """

    run: Callable[[Experiments], dict[str, Any]]
    sizes: Mapping[str, Any]

    def settings(self, overrides: Sequence[str] = ()) -> ExperimentSettings:
        """Give its settings, with ``key=value`` changes; raises ValueError for a bad one."""
        return check_settings(
            ExperimentSettings, deepcopy(dict(self.sizes)), overrides, 'the experiment'
        )


EXPERIMENTS = {
    'truth': Experiment(
        Experiments.truth,
        {
            'pretrained': False,
            'segmentation_steps': 400,
            'clips': 400,
            'steps': 3600,
            'batch': 8,
            'learning_rate': 2e-3,
        },
    ),
    'velocity': Experiment(Experiments.velocity, {'steps': 2400, 'test_clips': 48}),
    'two-stage': Experiment(Experiments.two_stage, {'steps': 2800, 'test_clips': 24}),
    'guidance': Experiment(Experiments.guidance, {'clips': 400, 'steps': 550, 'batch': 8}),
}
"""The experiments by the name that the command line knows."""
