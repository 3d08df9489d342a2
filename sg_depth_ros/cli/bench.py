# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command ``sg_depth bench``."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from sg_depth_ros.cli.shared import PrecisionChoice, parse_size, progress_bar

if TYPE_CHECKING:
    from sg_depth_ros.bench.measure import Case

STREET_FRAMES = 10
BUILT = 'tensorrt'
"""How the names of engines begin that are built in a precision of the user's choice."""
CHECKPOINT_SUFFIXES = ('.pt', '.pth', '.ckpt')


def bench(
    networks: Annotated[
        list[str],
        typer.Argument(
            metavar='BUNDLE...',
            help='Bundles (folders or names), or checkpoints: these are exported for the '
            'measurement, with guidance and with plain convolutions in its place.',
        ),
    ],
    engine: Annotated[
        list[str] | None,
        typer.Option(help='May be given several times. Default: every engine that works here.'),
    ] = None,
    precision: Annotated[
        list[PrecisionChoice] | None,
        typer.Option(
            help='What TensorRT builds, and which bundles the other engines take, as they run '
            'the graphs as they are; may be given several times. Default: as the bundles are.'
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help='CPU threads at most. Default: all cores.')
    ] = None,
    frames: Annotated[int, typer.Option(min=1, help='Frames for each bundle and engine.')] = 100,
    seconds: Annotated[
        float | None, typer.Option(min=0, help='Begin no more frames after this time.')
    ] = None,
    size: Annotated[
        str, typer.Option(help='WIDTHxHEIGHT of the images that come in.')
    ] = '1242x375',
    json_file: Annotated[
        Path | None, typer.Option('--json', help='Write all figures to this file.')
    ] = None,
) -> None:
    """Measure the speed of bundles in engines, from the image to scaled depth and a cloud.

    All take turns on each frame of a synthetic street, so that ratios are fair.
    """
    from sg_depth_ros.bench.measure import Subject, figures, price_of_guidance, street_frames
    from sg_depth_ros.bench.measure import take_turns as run
    from sg_depth_ros.bench.memory import peak_memory_mib
    from sg_depth_ros.engines import ENGINES, available_cores, create_engine
    from sg_depth_ros.synthetic import street_camera

    console = Console(markup=False)
    width_height = parse_size(size)
    if unknown := sorted(set(engine or ()) - set(ENGINES)):
        raise ValueError(f'no engine {unknown[0]!r}; choose of {", ".join(ENGINES)}')
    threads = threads or available_cores()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(TemporaryDirectory(prefix='sg_depth_bench_')))
        camera = street_camera(*width_height)
        subjects = []
        precisions = [choice.value for choice in precision or ()]
        for case in list_cases(networks, engine or tuple(ENGINES), precisions, scratch, console):
            try:
                made = create_engine(case.bundle, case.engine, threads, case.precision)
            except RuntimeError as error:
                if engine:
                    raise
                # Which of all engines work here is what the user wants to know.
                console.print(f'left out: {error}', highlight=False)
                continue
            stack.callback(made.close)
            subjects.append(Subject(case, made, camera))
        if not subjects:
            raise ValueError('nothing is left to measure; install one of the engines above')
        street = street_frames(camera, min(frames, STREET_FRAMES))
        with progress_bar() as bar:
            task = bar.add_task('bench', total=frames, note=f'{len(subjects)} take turns')
            run(subjects, street, frames, seconds, lambda n: bar.update(task, completed=n))
        results = [
            figures(
                subject,
                peak_memory_mib(
                    subject.case.bundle, subject.case.engine, threads, subject.case.precision
                ),
            )
            for subject in subjects
        ]
    report = {
        'machine': {
            'system': f'{platform.system()} {platform.machine()}',
            'cores': available_cores(),
            'threads': threads,
            'python': platform.python_version(),
            'numpy': np.__version__,
        },
        'image_size': size,
        'results': results,
        'price_of_guidance': price_of_guidance(results),
    }
    _print(console, report)
    if json_file:
        _write(json_file, report)


def list_cases(
    networks: Sequence[str],
    engines: Sequence[str],
    precisions: Sequence[Any],
    scratch: Path,
    console: Console,
) -> list[Case]:
    """List what is to be measured; checkpoints are exported into the folder ``scratch``."""
    from sg_depth_ros.bench.measure import Case
    from sg_depth_ros.bundle import load_bundle

    found = []
    for number, network in enumerate(networks):
        name = Path(network).name
        if Path(network).suffix in CHECKPOINT_SUFFIXES:
            from sg_depth_ros.export import export_checkpoint
            from sg_depth_ros.networks.checkpoint import save_unguided

            twin = scratch / f'{number}.pt'
            save_unguided(network, twin)
            console.print(f'exporting {name}, guided and plain', highlight=False)
            guided = export_checkpoint(network, scratch / f'{number}_guided', name=name)
            plain = export_checkpoint(twin, scratch / f'{number}_plain', name=f'{name} plain')
            found += [(name, guided, None), (f'{name} plain', plain, name)]
        else:
            found.append((name, load_bundle(network), None))
    names = [name for name, _, _ in found]
    if doubles := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(
            f'several bundles are called {doubles[0]}, so nobody could tell which is which; give '
            f'their folders different names'
        )
    cases = [
        Case(name, bundle, engine, twin_of, precision)
        for name, bundle, twin_of in found
        for engine in engines
        for precision in precisions or [None]
        if precision in (None, bundle.manifest.precision) or engine.startswith(BUILT)
    ]
    if not cases:
        there = sorted({bundle.manifest.precision for _, bundle, _ in found})
        raise ValueError(
            f'no bundle is of precision {", ".join(precisions)}, found {", ".join(there)}; give '
            f'such a bundle (see sg_depth quantize) or leave --precision out'
        )
    return cases


def _print(console: Console, report: dict[str, Any]) -> None:
    """Show the figures as tables."""
    devices = sorted({result['device'] for result in report['results']})
    title = f'{report["image_size"]} images on {"; ".join(devices)}: ms and share'
    table = Table(title=title, box=SIMPLE_HEAD, pad_edge=False)
    table.add_column('bundle\nengine', overflow='fold')
    for column in ('bits', 'p50', 'p95', 'img/s', 'prep.', 'segm.', 'depth', 'post', 'MiB'):
        table.add_column(column, justify='right', no_wrap=True)
    for result in report['results']:
        times, share = result['milliseconds'], result['share']
        memory = result['peak_memory_mib']
        table.add_row(
            f'{result["name"]}\n{result["engine"]}',
            result['precision'],
            f'{times["total"]["p50"]:.1f}',
            f'{times["total"]["p95"]:.1f}',
            f'{result["images_per_second"]:.1f}',
            *(f'{times[stage]["p50"]:.1f}\n{share[stage]:.0%}' for stage in share),
            '-' if memory is None else f'{memory:.0f}',
        )
    console.print(table)
    for price in report['price_of_guidance']:
        console.print(
            f'{price["name"]}, {price["engine"]}: the guided depth network takes '
            f'{price["depth_ratio"]:.2f} times the plain one, the frame '
            f'{price["total_ratio"]:.2f} times',
            highlight=False,
        )
    if not report['price_of_guidance']:
        console.print(
            'The price of guidance shows where a checkpoint is given instead of a bundle, as a '
            'bundle cannot be had with plain convolutions (needs sg_depth_ros[train]).',
            highlight=False,
            markup=False,
        )


def _write(path: Path, report: dict[str, Any]) -> None:
    from sg_depth_ros.files import atomic_path

    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(report, indent=2) + '\n', encoding='utf-8')
