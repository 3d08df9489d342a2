# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sg_depth train``; torch is imported when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sg_depth_ros.bundle.share import share_directory
from sg_depth_ros.cli.shared import training_output

app = typer.Typer(help='Train segmentation, then depth.', no_args_is_help=True)

ConfigArgument = Annotated[
    str, typer.Argument(help='YAML file, or the name of one in config/train, such as small.')
]
OverridesArgument = Annotated[
    list[str] | None,
    typer.Argument(help='Changes to it: key=value, outer.inner=value, list.0.key=value.'),
]
OutOption = Annotated[
    Path | None,
    typer.Option(help='Folder of the training; one that has begun goes on.  [runs/CONFIG]'),
]


@app.command()
@training_output()
def segmentation(
    config: ConfigArgument, overrides: OverridesArgument = None, out: OutOption = None
) -> None:
    """Train the segmentation network on labelled images."""
    from sg_depth_ros.training.segmentation import train_segmentation
    from sg_depth_ros.training.segmentation_settings import SegmentationSettings
    from sg_depth_ros.training.settings import load_settings

    path = find_config(config)
    settings = load_settings(SegmentationSettings, path, overrides or ())
    _done(train_segmentation(settings, out or Path('runs') / path.stem), 'train depth with it')


@app.command()
@training_output()
def depth(
    config: ConfigArgument, overrides: OverridesArgument = None, out: OutOption = None
) -> None:
    """Train the depth network on drives, guided by a trained segmentation network."""
    from sg_depth_ros.training.depth_settings import DepthSettings
    from sg_depth_ros.training.run import train_depth
    from sg_depth_ros.training.settings import load_settings

    path = find_config(config)
    settings = load_settings(DepthSettings, path, overrides or ())
    final = train_depth(settings, out or Path('runs') / path.stem)
    _done(final, f'make a bundle of it: sg_depth export {final} --out models/NAME')


@app.command()
@training_output()
def distil(
    config: ConfigArgument,
    out: Annotated[Path, typer.Option(help='Folder of images and depth; it must not exist.')],
    overrides: OverridesArgument = None,
) -> None:
    """Write what trained networks say of images, to train another one by it."""
    from sg_depth_ros.training.distil import DistilSettings, write_teaching
    from sg_depth_ros.training.settings import load_settings

    settings = load_settings(DistilSettings, find_config(config), overrides or ())
    images, bent, vehicles = write_teaching(settings, out)
    if settings.triangulate:
        typer.echo(f'{bent} images were bent to what parallax tells of what stands still')
    if settings.vehicles is not None:
        typer.echo(f'{vehicles} vehicles were cut out and set nearer; see {out}/examples.png')
    typer.echo(
        f'{images} images are in {out}; train with it as a source: '
        f'{{kind: folder, path: {out}, use_depth: true, stills: true}}'
    )


@app.command()
@training_output()
def experiment(
    name: Annotated[str, typer.Argument(help='truth, velocity, two-stage or guidance.')],
    out: Annotated[Path, typer.Option(help='Folder of clips, networks and result.json.')],
    overrides: Annotated[
        list[str] | None, typer.Argument(help='Changes of sizes, such as steps=300.')
    ] = None,
) -> None:
    """Show on the street, where truth is exact, what a part of the method does."""
    import json

    from sg_depth_ros.training.experiments.runs import EXPERIMENTS, Experiments

    if name not in EXPERIMENTS:
        raise ValueError(f'{name} is no experiment; choose one of {", ".join(EXPERIMENTS)}')
    chosen = EXPERIMENTS[name]
    result = chosen.run(Experiments(chosen.settings(overrides or ()), out))
    typer.echo(json.dumps(result, indent=1))


@app.command()
def settings() -> None:
    """Print the reference of all settings of the trainings, in Markdown."""
    from sg_depth_ros.training.settings_page import settings_page

    typer.echo(settings_page(), nl=False)


def find_config(name: str) -> Path:
    """Give the path of a configuration: a file, or a name of an installed one.

    :raises ValueError: if there is neither; the message lists the installed ones
    """
    if Path(name).is_file():
        return Path(name)
    folder = share_directory() / 'config' / 'train'
    if (installed := folder / f'{name}.yaml').is_file():
        return installed
    known = ', '.join(sorted(path.stem for path in folder.glob('*.yaml')))
    raise ValueError(f'{name} is no file and no installed configuration; there are: {known}')


def _done(path: Path, then: str) -> None:
    typer.echo(f'{path} is written; {then}')
