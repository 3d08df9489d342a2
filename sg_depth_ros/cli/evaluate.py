# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sg_depth evaluate``: measure depth and labels against truth."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from sg_depth_ros.cli.evaluate_options import (
    CardOption,
    DepthOptions,
    OutOption,
    PathArgument,
    with_depth_options,
)
from sg_depth_ros.cli.shared import (
    DEFAULT_BUNDLE,
    EngineOption,
    parse_size,
    plain_console,
    progress_bar,
)

if TYPE_CHECKING:
    from sg_depth_ros.evaluation.frames import Model, Source
    from sg_depth_ros.evaluation.sources.bag import BagSource

app = typer.Typer(
    help='Measure depth and labels against truth; write metrics.json and report.html.',
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
@with_depth_options
def folder(path: PathArgument, options: DepthOptions) -> None:
    """Evaluate on images/ with depth/ (16-bit PNG, metres * 256) and intrinsics."""
    from sg_depth_ros.evaluation.sources.folder import FolderSource

    _evaluate(FolderSource(path), 'eigen-raw', options)


@app.command()
@with_depth_options
def kitti(
    root: Annotated[Path, typer.Option(help='KITTI raw: the folder with DATE/DRIVE.')],
    split: Annotated[Path, typer.Option(help='Split file with lines DATE/DRIVE INDEX l|r.')],
    options: DepthOptions,
) -> None:
    """Evaluate on KITTI, on raw LiDAR or (protocol improved) on the annotated depth."""
    from sg_depth_ros.evaluation.sources.kitti import KittiSource

    improved = (options.protocol or '').startswith('improved')
    _evaluate(KittiSource(root, split, improved), 'eigen-raw', options)


@app.command()
@with_depth_options
def bag(
    path: PathArgument,
    options: DepthOptions,
    lidar_topic: Annotated[
        str | None, typer.Option(help='PointCloud2 topic; the only one if not given.')
    ] = None,
    image_topic: Annotated[
        str | None, typer.Option(help='Image topic; the only camera if not given.')
    ] = None,
    info_topic: Annotated[
        str | None, typer.Option(help='CameraInfo topic, where the bag has several.')
    ] = None,
    through_node: Annotated[
        bool, typer.Option('--through-node', help='Evaluate what the running node publishes.')
    ] = False,
) -> None:
    """Evaluate on a rosbag2 with a camera, a LiDAR and /tf_static; needs no ROS."""
    from sg_depth_ros.evaluation.frames import EvaluationError
    from sg_depth_ros.evaluation.sources.bag import BagSource

    if through_node and (options.flip or options.threads):
        raise EvaluationError(
            'the node sees each image once and as it comes, with threads of its own: leave --flip '
            'and --threads out with --through-node'
        )
    source = BagSource(path, lidar_topic, image_topic, info_topic)
    node = partial(_node_model, source, options) if through_node else None
    _evaluate(source, 'eigen-raw', options, node, occlusion=True)


@app.command()
@with_depth_options
def street(
    options: DepthOptions,
    frames: Annotated[int, typer.Option(min=1, help='How many frames of each street.')] = 100,
    streets: Annotated[int, typer.Option(min=1, help='How many streets, from SEED on.')] = 1,
    size: Annotated[str, typer.Option(help='WIDTHxHEIGHT in pixels.')] = '640x192',
    seed: Annotated[int, typer.Option(help='Another seed is another street.')] = 0,
) -> None:
    """Evaluate on a synthetic street with exact depth and labels."""
    from sg_depth_ros.evaluation.sources.street import StreetSource
    from sg_depth_ros.synthetic import street_camera

    camera = street_camera(*parse_size(size))
    # Pictures of streets may go where those of recordings may not.
    _evaluate(StreetSource(camera, frames, seed, streets), 'dense', options, card_pictures=True)


@app.command()
def segmentation(
    path: PathArgument,
    mapping: Annotated[
        Path | None, typer.Option(help='Class mapping; config/camvid.yaml.')
    ] = None,
    bundle: Annotated[str, typer.Option(help='Model bundle.')] = DEFAULT_BUNDLE,
    engine: EngineOption = 'auto',
    limit: Annotated[int | None, typer.Option(min=1, help='Only the first images.')] = None,
    out: OutOption = None,
    card: CardOption = False,
) -> None:
    """Evaluate the labels on a CamVid-style folder: mean IoU, accuracy, confusion."""
    from sg_depth_ros.bundle.share import share_directory
    from sg_depth_ros.estimator import Estimator
    from sg_depth_ros.evaluation.segmentation import evaluate_segmentation, read_mapping
    from sg_depth_ros.evaluation.summary import SUMMARY, write_json
    from sg_depth_ros.files import prepare_folder

    classes = read_mapping(mapping or share_directory() / 'config' / 'camvid.yaml')
    folder = out or Path('out/evaluate') / f'segmentation_{path.resolve().name}'
    prepare_folder(folder, [SUMMARY])
    estimator = Estimator.load(bundle, engine)
    with progress_bar() as bar:
        task = bar.add_task('images', total=None, note='')
        scores = evaluate_segmentation(
            path,
            classes,
            estimator.bundle.labels,
            lambda image: estimator.predict(image, size='image').labels,
            limit,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    estimator.close()
    console = plain_console()
    table = Table(title=f'{bundle} on {scores["dataset"]}, {scores["images"]} images')
    table.add_column('class')
    table.add_column('IoU', justify='right')
    for name, iou in scores['iou'].items():
        table.add_row(name, f'{iou:.3f}')
    table.add_section()
    for title in ('mean_iou', 'pixel_accuracy', 'mean_accuracy'):
        table.add_row(title.replace('_', ' '), f'{scores[title]:.3f}')
    console.print(table)
    target = folder / SUMMARY
    write_json({'bundle': bundle, **scores}, target)
    if card:
        from sg_depth_ros.bundle import add_metric
        from sg_depth_ros.evaluation.card import segmentation_metric

        add_metric(bundle, segmentation_metric(scores, '/'.join(path.resolve().parts[-2:])))
    console.print(f'written to {target}', highlight=False)


def _output_folder(options: DepthOptions, source: Source) -> Path:
    name = source.name.replace(' ', '_').replace('/', '_')
    return options.out or Path('out/evaluate') / name


def _node_model(source: BagSource, options: DepthOptions, out: Path) -> Model:
    """Play the bag through the node, frame by frame, and give what it has published."""
    from sg_depth_ros.bags.writer import remove_bag
    from sg_depth_ros.bundle import load_bundle
    from sg_depth_ros.evaluation.recorded import RecordedModel
    from sg_depth_ros.replay.inputs import Choice
    from sg_depth_ros.replay.player import ReplayOptions, replay

    loaded = load_bundle(options.bundle)
    record = out / 'node_outputs'
    remove_bag(record)
    height = options.camera_height or 0.0
    mode = 'camera_height' if height else 'none'
    choice = Choice(source.image_topic, source.info_topic, None, mode, height)
    with progress_bar() as bar:
        task = bar.add_task('node', total=None, note='')
        replayed = replay(
            source.path,
            record,
            out / 'node.log',
            # Rate 0 waits for each frame's depth, so that none is dropped.
            ReplayOptions(str(loaded.path), options.engine, 0, choice),
            progress=lambda done, total, note: bar.update(
                task, completed=done, total=total, note=note
            ),
        )
    if replayed.interrupted:
        raise KeyboardInterrupt('the bag has not been played to its end; nothing was measured')
    source.notes += [f'{count} images: {reason}' for reason, count in replayed.lost.items()]
    name = f'{loaded.manifest.name} through the node'
    identity = f'{loaded.digest[:16]} on {options.engine}'
    if options.camera_height is not None:
        identity += f', camera {options.camera_height:g} m over the road'
    return RecordedModel(record, name, identity)


def _evaluate(
    source: Source,
    base: str,
    options: DepthOptions,
    node: Callable[[Path], Model] | None = None,
    occlusion: bool = False,
    card_pictures: bool = False,
) -> None:
    """Run one evaluation as the options say and print its table; Ctrl-C keeps what is done.

    :param node: makes the first model in the place of the bundle, given the folder for results
    """
    from sg_depth_ros.bundle import add_metric, load_bundle
    from sg_depth_ros.evaluation.card import depth_metric
    from sg_depth_ros.evaluation.models import OnnxOptions
    from sg_depth_ros.evaluation.pictures import jpeg, sheet
    from sg_depth_ros.evaluation.protocols import make_protocol
    from sg_depth_ros.evaluation.session import (
        ModelFactory,
        ModelOptions,
        RunOptions,
        measure,
        prepare,
        report,
    )
    from sg_depth_ros.evaluation.summary import broken_limits, parse_limits

    limits = parse_limits(options.fail_under)
    if options.card:
        load_bundle(options.bundle)  # What has no card is refused before it is measured.
    protocol = make_protocol(
        options.protocol or base,
        options.scaling,
        options.flip,
        occlusion if options.occlusion is None else options.occlusion,
    )
    onnx = OnnxOptions(
        parse_size(options.onnx_size) if options.onnx_size else None,
        options.onnx_normalisation,
        options.onnx_output,
    )
    out = _output_folder(options, source)
    run_options = RunOptions(out, options.limit, options.resume, options.images)
    prepare(run_options)
    console = plain_console()
    loading = ModelOptions(options.engine, options.threads, options.camera_height, onnx)
    factory = ModelFactory(source, protocol, loading)
    # The node plays the whole bag: only after all options have been found good.
    first = node(out) if node else options.bundle
    with console.status('fitting the baselines, loading the models'):
        models = factory.make_all(first, options.compare)
    with progress_bar() as bar:
        task = bar.add_task('frames', total=None, note='')
        measured = measure(
            source,
            models,
            protocol,
            run_options,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    _print_summary(console, measured.summary)
    with console.status('writing the report'):
        worst = report(measured, source, models[0], protocol, run_options)
    if options.card:
        metric = depth_metric(
            measured.summary, models[0].name, options.camera_height, through_node=node is not None
        )
        failures = jpeg(sheet(worst)) if card_pictures and worst else None
        add_metric(options.bundle, metric, failures)
    console.print(f'written to {out}', highlight=False)
    if broken := broken_limits(measured.summary, limits):
        console.print(*broken, sep='\n', style='bold red', highlight=False)
        raise typer.Exit(1)


def _print_summary(console: Console, summary: dict[str, Any]) -> None:
    """Print the errors, a row for each metric so that many models fit beside each other."""
    metrics = ('abs_rel', 'sq_rel', 'rmse', 'rmse_log', 'silog', 'delta1', 'delta2', 'delta3')
    table = Table(
        title=f'{summary["dataset"]}, {summary["frames"]} frames, {summary["protocol"]["name"]}',
        caption='; '.join(summary['notes']) or None,
    )
    table.add_column('mean over frames')
    models = summary['models']
    for name in models:
        table.add_column(name, justify='right')
    for metric in (*metrics, 'coverage'):
        means = [model['mean'][metric] for model in models.values()]
        table.add_row(
            metric, *(f'{m["mean"]:.3f} ({m["low"]:.3f}-{m["high"]:.3f})' for m in means)
        )
    table.add_section()
    ratios = (model['scale']['median_ratio'] for model in models.values())
    table.add_row('scale ratio', *(f'{ratio:.3f}' for ratio in ratios))
    speeds = [model['latency'].get('images_per_second') for model in models.values()]
    table.add_row('images/s', *(f'{speed:.1f}' if speed else '–' for speed in speeds))
    console.print(table)
