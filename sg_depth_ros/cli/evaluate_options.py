# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options that all commands of ``sg_depth evaluate`` share which measure depth."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import typer

from sg_depth_ros.cli.shared import DEFAULT_BUNDLE, EngineOption

Scaling = Literal['median', 'least_squares', 'none']
Normalisation = Literal['imagenet', 'unit', 'symmetric', 'bytes']
PathArgument = Annotated[Path, typer.Argument(help='Where the frames are.')]
OutOption = Annotated[
    Path | None, typer.Option(help='Folder for the results; out/evaluate/NAME if not given.')
]
CardOption = Annotated[
    bool, typer.Option('--card', help="Write the figures into the bundle's model card.")
]
BundleOption = Annotated[
    str,
    typer.Option(
        help='What is evaluated: a bundle, an .onnx file, saved predictions (a folder of '
        'NAME.npy, .npz or 16-bit .png, or one .npy of all), prior, constant or truth.'
    ),
]


@dataclass(frozen=True)
class DepthOptions:
    """Options of every command that evaluates depth."""

    bundle: BundleOption = DEFAULT_BUNDLE
    engine: EngineOption = 'auto'
    threads: Annotated[int | None, typer.Option(min=1, help='CPU threads of the engine.')] = None
    compare: Annotated[
        list[str],
        typer.Option(help='Another model beside it, as for --bundle; may be repeated.'),
    ] = field(default_factory=list)
    onnx_size: Annotated[
        str | None, typer.Option(help='Input WIDTHxHEIGHT of .onnx files that leave it open.')
    ] = None
    onnx_normalisation: Annotated[
        Normalisation, typer.Option(help='What .onnx files expect of RGB.')
    ] = 'imagenet'
    onnx_output: Annotated[
        Literal['depth', 'inverse'], typer.Option(help='What .onnx files and saved arrays give.')
    ] = 'depth'
    protocol: Annotated[
        str | None,
        typer.Option(help='eigen-raw, improved, eigen-raw-packnet, improved-packnet or dense.'),
    ] = None
    scaling: Annotated[Scaling, typer.Option(help='Fit to the truth of each image.')] = 'median'
    camera_height: Annotated[
        float | None,
        typer.Option(
            min=0.01, help='Metres over the road: bundles give metres, for none scaling.'
        ),
    ] = None
    flip: Annotated[
        bool, typer.Option('--flip', help='Average with the mirrored image (post-processing).')
    ] = False
    occlusion: Annotated[
        bool | None,
        typer.Option(
            '--occlusion/--no-occlusion',
            help='Remove LiDAR returns behind a nearer neighbour; on for bags alone by default.',
        ),
    ] = None
    limit: Annotated[int | None, typer.Option(min=1, help='Only the first frames.')] = None
    out: OutOption = None
    resume: Annotated[bool, typer.Option('--resume', help='Take an interrupted run up again.')] = (
        False
    )
    images: Annotated[bool, typer.Option(help='Show the best and worst frames in the report.')] = (
        True
    )
    card: CardOption = False
    fail_under: Annotated[
        list[str],
        typer.Option(help='METRIC=NUMBER, such as abs_rel=0.2: exit code 1 if worse.'),
    ] = field(default_factory=list)


def with_depth_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give the command that takes the fields of ``options`` as options of its own."""
    hints = get_type_hints(function, include_extras=True)
    own = [
        parameter.replace(annotation=hints[name])
        for name, parameter in inspect.signature(function).parameters.items()
        if name != 'options'
    ]
    common_hints = get_type_hints(DepthOptions, include_extras=True)
    common = [
        inspect.Parameter(
            item.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=[] if item.default is MISSING else item.default,
            annotation=common_hints[item.name],
        )
        for item in fields(DepthOptions)
    ]

    def command(**values: Any) -> None:
        options = DepthOptions(
            **{item.name: values.pop(item.name) for item in fields(DepthOptions)}
        )
        function(**values, options=options)

    keyword = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    command.__signature__ = inspect.Signature([*keyword, *common])  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in (*keyword, *common)}
    command.__name__, command.__doc__ = function.__name__, function.__doc__
    return command
