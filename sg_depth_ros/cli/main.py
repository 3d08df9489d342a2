# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The program ``sg_depth``: a table of commands whose modules are imported when they are run.

A command is a function whose parameters are typer's, or a ``typer.Typer`` of several, in a file
beside this one. Another one needs such a file and a line in ``COMMANDS``.
"""

from __future__ import annotations

import importlib
import io
import logging
import sys
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup
from typer.main import get_command

from sg_depth_ros import __version__
from sg_depth_ros.cli.signals import ended_in_order


class Command(NamedTuple):
    """Where a command is (``module:name`` of a function or a ``typer.Typer``), and its help.

    ``extra`` is what has to be installed for it besides the package itself: ``pip install
    sg_depth_ros[extra]``.
    """

    target: str
    help: str
    extra: str | None = None


COMMANDS = {
    'replay': Command(
        'sg_depth_ros.cli.replay:replay',
        'Play a bag through the running node; write numbers, video, cloud.',
        'ros',
    ),
    'predict': Command(
        'sg_depth_ros.cli.predict:predict',
        'Depth of an image, a folder of images or a video; no ROS needed.',
    ),
    'demo': Command(
        'sg_depth_ros.cli.demo:demo',
        'Drive through a synthetic street and measure the node against exact depth.',
        'ros',
    ),
    'street': Command(
        'sg_depth_ros.cli.street:street',
        'Write a synthetic street drive with exact depth, as a folder or a bag.',
    ),
    'evaluate': Command(
        'sg_depth_ros.cli.evaluate:app',
        'Measure depth and labels against truth: folders, bags with LiDAR, KITTI, street.',
        'report',
    ),
    'train': Command(
        'sg_depth_ros.cli.train:app',
        'Train segmentation or depth: your own bag, KITTI, folders, videos, the street.',
        'train',
    ),
    'filter': Command(
        'sg_depth_ros.cli.filter:filter_data',
        'Drop images with infinite depth before training again (two-stage training).',
        'train',
    ),
    'engine': Command(
        'sg_depth_ros.cli.engine:app',
        'Build TensorRT engines ahead; list, show and clear the cached ones.',
        'tensorrt-rtx',
    ),
    'bench': Command(
        'sg_depth_ros.cli.bench:bench',
        'Measure the speed of bundles in engines, stage by stage.',
    ),
    'info': Command('sg_depth_ros.cli.info:info', 'Check a model bundle and show what it holds.'),
    'export': Command(
        'sg_depth_ros.cli.export:export',
        'Turn a checkpoint into a model bundle, proven equal to torch.',
        'train',
    ),
    'import': Command(
        'sg_depth_ros.cli.import_:import_published',
        'Turn a published network (packnet-sfm, monodepth2) into a model bundle.',
        'train',
    ),
    'quantize': Command(
        'sg_depth_ros.cli.quantize:quantize',
        'Turn a bundle into eight bits; what costs too much stays in float32.',
        'quantize',
    ),
}


class LazyGroup(TyperGroup):
    """Shows the table for ``--help``; imports a command's module when that command is run."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command so that signals end it in order."""
        with ended_in_order():
            return super().invoke(ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Replace the placeholder that the name resolves to by the command itself."""
        name, _, rest = super().resolve_command(ctx, args)
        assert name is not None
        return name, load_command(name), rest


app = typer.Typer(
    cls=LazyGroup,
    help='Monocular depth guided by semantics, for robots.',
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={'help_option_names': ['-h', '--help']},
)
for _name, _command in COMMANDS.items():
    app.command(_name, help=_command.help)(lambda: None)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f'sg_depth {__version__}')
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[
        bool, typer.Option('--debug', help='Show the traceback of an error.')
    ] = False,
    verbose: Annotated[bool, typer.Option('--verbose', '-v', help='Log what is done.')] = False,
    version: Annotated[
        bool,
        typer.Option('--version', help='Show the version.', callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Set up logging; ``--debug`` is looked at by :func:`main`."""
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.INFO if verbose else logging.WARNING,
        format='%(levelname)s %(name)s: %(message)s',
    )


def load_command(name: str) -> Any:
    """Import a command of the table.

    :raises ImportError: when what it needs is not installed; the message says what to install.
    """
    command = COMMANDS[name]
    module, _, attribute = command.target.partition(':')
    found = getattr(importlib.import_module(module), attribute)
    if not isinstance(found, typer.Typer):
        single = typer.Typer(pretty_exceptions_enable=False)
        single.command(name, help=found.__doc__ or command.help)(found)
        found = single
    return get_command(found)


def main() -> None:
    """Run ``sg_depth``; an error is one sentence and exit code 1."""
    for stream in (sys.stdout, sys.stderr):
        # Names of files may hold what the terminal cannot show.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors='backslashreplace')
    try:
        app()
    except Exception as error:
        if '--debug' in sys.argv:
            raise
        from rich.console import Console
        from rich.text import Text

        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(Text.assemble(('error:', 'bold red'), ' ', _explain(error)))
        sys.exit(1)


def _explain(error: Exception) -> str:
    """Give the sentence of an error: what a user can mend, or that the fault is ours."""
    sentence = ' '.join(str(error).split())
    if isinstance(error, ImportError) and (missing := _missing(error)):
        return missing
    if isinstance(error, MemoryError):
        return f'the memory of this machine is too small for that: {sentence or "none is left"}'
    ours = type(error).__module__.partition('.')[0] == __name__.partition('.')[0]
    if ours or isinstance(error, ValueError | OSError):
        return sentence
    return (
        f'{type(error).__name__}: {sentence}; this is a fault of sg_depth: run "sg_depth --debug" '
        'with the same command, and report what it shows'
    )


def _missing(error: ImportError) -> str | None:
    if (error.name or '').partition('.')[0] == __name__.partition('.')[0]:
        return None
    name = next((word for word in sys.argv[1:] if word in COMMANDS), None)
    extra = COMMANDS[name].extra if name else None
    if extra is None:
        return f'{error}; install the package with all it needs: pip install sg_depth_ros'
    hint = ', or on a robot: source /opt/ros/<distro>/setup.bash' if extra == 'ros' else ''
    return (
        f'"{name}" cannot start ({error}); install what it needs with '
        f'pip install "sg_depth_ros[{extra}]"{hint}'
    )
