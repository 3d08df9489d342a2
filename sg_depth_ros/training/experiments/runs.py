# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The experiments themselves."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sg_depth_ros.files import atomic_path
from sg_depth_ros.synthetic import StreetOptions
from sg_depth_ros.training.data.labelled import StreetLabels
from sg_depth_ros.training.data.sources import StreetSource, short_name
from sg_depth_ros.training.depth_settings import DepthSettings, LossSettings, StreetValidation
from sg_depth_ros.training.experiments.holes import (
    HOLE,
    SOUND,
    too_far,
    worst_of_each_clip,
    write_picture,
)
from sg_depth_ros.training.experiments.judging import (
    class_errors,
    error,
    judge,
    part_error,
    score,
)
from sg_depth_ros.training.experiments.settings import ExperimentSettings
from sg_depth_ros.training.run import train_depth
from sg_depth_ros.training.segmentation import train_segmentation
from sg_depth_ros.training.segmentation_settings import SegmentationSettings
from sg_depth_ros.training.settings import check_settings
from sg_depth_ros.training.two_stage import INFINITE

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


class Experiments:
    """All experiments, with what they share: rendered clips and one segmentation network.

    :param out: folder of everything; clips and networks that lie there are used again
    """

    def __init__(self, settings: ExperimentSettings, out: Path) -> None:
        self.settings, self.out = settings, out

    def truth(self) -> dict[str, Any]:
        """Learn from exact depth: how small the error gets from random weights."""
        final = self._train('truth', street=_STILLS)
        return self._write('truth', score(final, self._test()))

    def velocity(self) -> dict[str, Any]:
        """Learn from images and speed: how far the scale is from metres, with no scaling."""
        final = self._train('velocity')
        return self._write('velocity', score(final, self._test()))

    def two_stage(self) -> dict[str, Any]:
        """Learn where some clips follow a car: what the filter finds and what it is good for.

        Without the auto-mask, which leaves out whatever keeps exactly the camera's speed. Which
        vehicles are holes is known from the truth, of which the filter sees nothing; so are those
        ahead in the other clips, that keep the camera's speed more or less.
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
        stages = [out / stage / 'networks.pt' for stage in ('stage_1', 'stage_2')]
        marked = {short_name(clip) for clip in followers.folders()}
        with (out / 'filter' / 'frames.csv').open(newline='') as file:
            verdicts = {row['frame']: row['verdict'] for row in csv.DictReader(file)}
        dropped = {frame: verdict == INFINITE for frame, verdict in verdicts.items()}
        follow = {frame for frame in dropped if frame.rpartition(':')[0] in marked}
        found = too_far(stages[0], (usual, followers), dropped)
        holes = {frame for frame, (times, _) in found.items() if times > HOLE}
        sound = {frame for frame, (times, _) in found.items() if times < SOUND}
        cars = [part_error(judge(stage, test), DYNAMIC) for stage in stages]
        worst = worst_of_each_clip({frame: found[frame] for frame in follow})[:_PICTURES]
        write_picture(worst, stages, ('stage one', 'stage two'), out / 'followed.jpg')
        result = {
            'holes_of_following': len(holes & follow) / len(follow),
            'holes_of_others': len(holes - follow) / len(set(dropped) - follow),
            'found_of_holes': _share(dropped, holes),
            'dropped_of_sound': _share(dropped, sound),
            'dropped_without_hole': _share(dropped, set(dropped) - holes),
            'dropped_of_following': _share(dropped, follow),
            'dropped_of_others': _share(dropped, set(dropped) - follow),
            'abs_rel_of_vehicles': {'stage_1': cars[0], 'stage_2': cars[1]},
            **score(final, test),
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
                records = judge(final, self._test())
                found.append(
                    {
                        'all': error(records),
                        'edges': part_error(records, 'edges'),
                        'dynamic': part_error(records, DYNAMIC),
                        'classes': class_errors(records),
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

    def _write(self, name: str, result: dict[str, Any]) -> dict[str, Any]:
        result = {**result, 'settings': self.settings.model_dump(mode='json')}
        with atomic_path(self.out / name / 'result.json') as temporary:
            temporary.write_text(json.dumps(result, indent=1) + '\n')
        return result


def _share(dropped: Mapping[str, bool], names: Collection[str]) -> float:
    """Give the share of these frames that were dropped, NaN of none."""
    return float(np.mean([dropped[name] for name in names])) if names else float('nan')


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
