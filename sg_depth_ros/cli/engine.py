# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sg_depth engine``: builds TensorRT engines ahead, and looks after the cache of them."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from sg_depth_ros.cli.shared import PrecisionChoice, plain_console

if TYPE_CHECKING:
    from sg_depth_ros.engines.comparison import Comparison
    from sg_depth_ros.engines.tensorrt.cache import Listed

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


class FlavourChoice(str, Enum):
    """Which TensorRT builds."""

    TENSORRT = 'tensorrt'
    TENSORRT_RTX = 'tensorrt_rtx'


@app.command()
def build(
    bundle: Annotated[str, typer.Argument(help='A folder, or the name of an installed bundle.')],
    precision: Annotated[
        PrecisionChoice | None,
        typer.Option(help="Default: the bundle's. int8 needs a bundle of sg_depth quantize."),
    ] = None,
    compute_capability: Annotated[
        str,
        typer.Option(
            help='Of other GPUs, such as 8.9,12.0: TensorRT-RTX builds for them without one.'
        ),
    ] = '',
    flavour: Annotated[
        FlavourChoice | None,
        typer.Option('--engine', help='Default: the first of them that is installed.'),
    ] = None,
    workspace: Annotated[
        int | None, typer.Option(min=1, help='MiB that a layer may take while it runs.')
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option(help='Bag or folder of images to check on, instead of the street.'),
    ] = None,
) -> None:
    """Build the engine of a bundle into the cache and compare it with ONNX Runtime."""
    from sg_depth_ros.bundle import load_bundle
    from sg_depth_ros.engines.comparison import ComparisonError
    from sg_depth_ros.engines.tensorrt.cache import NOT_CHECKED, EngineCache
    from sg_depth_ros.engines.tensorrt.loading import obtain
    from sg_depth_ros.engines.tensorrt.orders import make_orders
    from sg_depth_ros.engines.tensorrt.precision import format_shares, precision_shares

    loaded = load_bundle(bundle)
    orders = make_orders(
        loaded,
        flavour.value if flavour else None,
        precision.value if precision else None,
        compute_capability,
        workspace,
        check,
    )
    cache, console = EngineCache(), plain_console()
    for order in orders:
        title = f'{loaded.manifest.name} {order.precision} for {order.target}'
        with _progress_bar(console) as bar:
            task = bar.add_task(title, total=1.0, phase='')

            def report(phase: str, fraction: float, bar: Progress = bar, task: int = task) -> bool:
                bar.update(task, completed=fraction, phase=phase)  # type: ignore[arg-type]
                return True

            try:
                entry = obtain(order, cache, report)
            except ComparisonError as error:
                bar.stop()
                console.print(_comparison_table(error.comparison))
                raise
            bar.update(task, completed=1.0, phase='done')
        size = (len(entry.segmentation) + len(entry.depth)) / 2**20
        console.print(f'{cache.directory / order.key.file}: {size:.1f} MiB', highlight=False)
        shares = format_shares(precision_shares(entry.products))
        console.print(f'multiply-adds: {shares} (engine info lists them)', highlight=False)
        if entry.check == NOT_CHECKED:
            console.print(
                'check against ONNX Runtime: not done, since no GPU here runs the engine; the '
                'first start on one does it'
            )
        else:
            console.print(f'check against ONNX Runtime: {entry.check}')


@app.command('list')
def list_engines() -> None:
    """List the cached engines; stale ones are of another version of something."""
    from sg_depth_ros.engines.tensorrt.cache import NOT_CHECKED, EngineCache
    from sg_depth_ros.engines.tensorrt.orders import staleness

    cache, console = EngineCache(), plain_console()
    table = Table('file', 'size', 'built by', 'for', 'MiB', 'checked', 'state')
    table.columns[0].overflow = 'fold'
    for listed in cache.list():
        entry, size = listed.entry, f'{listed.size / 2**20:.1f}'
        if entry is None:
            table.add_row(listed.file.name, *[''] * 3, size, '', f'damaged: {listed.problem}')
            continue
        key = entry.key
        table.add_row(
            listed.file.name,
            key.size,
            f'{key.flavour} {key.version}',
            ' '.join(filter(None, (key.gpu, key.capability))),
            size,
            'no' if entry.check == NOT_CHECKED else 'yes',
            staleness(key) or 'good',
        )
    console.print(table if table.row_count else f'no engines in {cache.directory}')


@app.command()
def info(
    file: Annotated[str, typer.Argument(help='A file of the cache, as engine list names it.')],
) -> None:
    """Show what a cached engine depends on, its check, and what it computes in which precision."""
    import dataclasses

    from sg_depth_ros.engines.tensorrt.cache import EngineCache, read_entry
    from sg_depth_ros.engines.tensorrt.layers import node_names
    from sg_depth_ros.engines.tensorrt.orders import staleness
    from sg_depth_ros.engines.tensorrt.precision import format_shares, precision_shares

    cache = EngineCache()
    if not (cache.directory / file).is_file():
        names = ', '.join(path.name for path in cache.files())
        raise FileNotFoundError(
            f'found no engine file {file} in {cache.directory}; it has {names or "none"}'
        )
    entry = read_entry(cache.directory / file)
    table = Table(show_header=False)
    for name, value in dataclasses.asdict(entry.key).items():
        table.add_row(name, str(value) or 'any')
    table.add_row('check', entry.check)
    table.add_row('state', staleness(entry.key) or 'good')
    table.add_row('multiply-adds', format_shares(precision_shares(entry.products)))
    console = plain_console()
    console.print(table)
    products = Table('convolution or matrix product', 'in', 'million multiply-adds')
    products.columns[2].justify = 'right'
    for product in entry.products:
        name = ' '.join(node_names(product.name)) or product.name
        products.add_row(name, product.precision, f'{product.multiply_adds / 1e6:.1f}')
    console.print(products)


@app.command()
def clear(
    stale: Annotated[
        bool, typer.Option('--stale', help='Only those that nothing here can use any more.')
    ] = False,
) -> None:
    """Remove cached engines, except those that a process is building at the moment."""
    from sg_depth_ros.engines.tensorrt.cache import EngineCache
    from sg_depth_ros.engines.tensorrt.orders import staleness

    cache, console = EngineCache(), plain_console()

    def wanted(listed: Listed) -> bool:
        return not stale or listed.entry is None or bool(staleness(listed.entry.key))

    chosen = [listed for listed in cache.list() if wanted(listed)]
    removed = [cache.remove(listed) for listed in chosen]
    for listed, gone in zip(chosen, removed, strict=True):
        if not gone:
            console.print(f'{listed.file.name} is in use by another process and stays')
    console.print(f'{sum(removed)} engines removed from {cache.directory}', highlight=False)


def _progress_bar(console: Console) -> Progress:
    return Progress(
        TextColumn('{task.description}'),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn('{task.fields[phase]}'),
        console=console,
    )


def _comparison_table(comparison: Comparison) -> Table:
    table = Table('engine against ONNX Runtime', 'found', 'limit', '')
    for what, found, limit, good in comparison.rows:
        table.add_row(what, found, limit, 'good' if good else Text('over', 'bold red'))
    return table
