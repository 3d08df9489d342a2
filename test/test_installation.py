# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The package as pip and colcon install it, apart from the source tree."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAME = 'sg_depth_ros'
SHARE = {'LICENSE', 'package.xml'} | {
    str(path.relative_to(ROOT))
    for pattern in ('launch/*.launch.py', 'config/*', 'config/train/*', 'models/*', 'models/*/*')
    for path in ROOT.glob(pattern)
    if path.is_file()
}
WHERE = """
import json
from importlib.resources import files
from sg_depth_ros.bundle.share import share_directory
template = files("sg_depth_ros.evaluation") / "templates" / "report.html.j2"
print(json.dumps({"share": str(share_directory()), "template": str(template)}))
"""
NOT_SOURCE = ('.git', '.venv*', 'build', 'install', 'log', 'out', 'runs', '*.egg-info', '*_cache')


def run(*command, cwd, **environment):
    """Run a program that must succeed; give what it prints."""
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, f'{command}\n{result.stdout}\n{result.stderr}'
    return result.stdout


def copy_source(target):
    shutil.copytree(ROOT, target, ignore=shutil.ignore_patterns(*NOT_SOURCE, '__pycache__'))


@pytest.fixture(scope='module')
def prefix(tmp_path_factory):
    """Where pip has installed the package."""
    if sys.prefix == sys.base_prefix:
        pytest.skip('pip installs into virtual environments, this is none')
    if not any(map(importlib.util.find_spec, ('setuptools.command.bdist_wheel', 'wheel'))):
        pytest.skip('setuptools is too old to make wheels by itself, and wheel is not installed')
    folder = tmp_path_factory.mktemp('pip')
    copy_source(folder / 'source')
    options = ('--no-deps', '--no-build-isolation', '--no-index', '--no-warn-script-location')
    # Without this pip takes the package of the environment that runs the tests away.
    options += ('--ignore-installed',)
    command = (sys.executable, '-m', 'pip', 'install', *options, '--prefix', folder / 'prefix')
    run(*command, folder / 'source', cwd=folder)
    shutil.rmtree(folder / 'source')
    return folder / 'prefix'


@pytest.fixture(scope='module')
def workspace(tmp_path_factory):
    """A workspace that colcon has built."""
    return build(tmp_path_factory.mktemp('colcon'))


def build(workspace, *options):
    """Put the source into a workspace and let colcon build it."""
    pytest.importorskip('colcon', reason='colcon is not installed beside this Python')
    copy_source(workspace / 'src' / NAME)
    (workspace / 'colcon-home').mkdir()
    colcon(workspace, 'build', *options)
    return workspace


def colcon(workspace, *arguments):
    """Run colcon, which takes the Python it runs in, after whose programs env looks too."""
    return run(
        *(sys.executable, '-m', 'colcon', *arguments),
        cwd=workspace,
        COLCON_HOME=str(workspace / 'colcon-home'),
        PATH=f'{Path(sys.executable).parent}:{os.environ["PATH"]}',
    )


def in_workspace(workspace, command):
    """Run a line of shell as a user does who has sourced the workspace."""
    return run(
        *('sh', '-c', f'. install/setup.sh && {command}'),
        cwd=workspace,
        PATH=f'{Path(sys.executable).parent}:{os.environ["PATH"]}',
        COLCON_PYTHON_EXECUTABLE=sys.executable,
    )


def files_below(folder):
    return {
        str(path.relative_to(folder))
        for path in folder.rglob('*')
        if path.is_file() and path.suffix != '.pyc'
    }


def test_pip_installs_programs_share_and_templates(prefix):
    packages = next(prefix.rglob('site-packages'))
    output = run(sys.executable, '-c', WHERE, cwd=prefix, PYTHONPATH=str(packages))
    where = json.loads(output)
    assert Path(where['share']) == prefix / 'share' / NAME
    assert Path(where['template']).is_file()
    assert prefix in Path(where['template']).parents
    assert files_below(prefix / 'share' / NAME) == SHARE
    assert not (prefix / 'lib' / NAME).exists(), 'the place that setup.cfg names is for colcon'
    assert (prefix / 'bin' / 'depth_node').is_file()
    program = prefix / 'bin' / 'sg_depth'
    assert 'predict' in run(program, '--help', cwd=prefix, PYTHONPATH=str(packages))


def test_colcon_installs_what_ros2_run_and_launch_look_for(workspace):
    assert '(ros.ament_python)' in colcon(workspace, 'list')
    installed = workspace / 'install' / NAME
    for program in ('depth_node', 'sg_depth'):
        path = installed / 'lib' / NAME / program
        assert os.access(path, os.X_OK)
        # Not the Python that colcon happens to run in.
        assert path.read_text().startswith('#!/usr/bin/env python3\n')
    assert files_below(installed / 'share' / NAME) >= SHARE
    assert (installed / 'share/ament_index/resource_index/packages' / NAME).is_file()
    where = json.loads(in_workspace(workspace, f"python3 -c '{WHERE}'"))
    assert Path(where['share']) == installed / 'share' / NAME
    assert Path(where['template']).is_file()
    assert installed in Path(where['template']).parents
    assert 'predict' in in_workspace(workspace, f'install/{NAME}/lib/{NAME}/sg_depth --help')


def test_a_symlink_install_uses_the_source(tmp_path):
    workspace = build(tmp_path, '--symlink-install')
    where = json.loads(in_workspace(workspace, f"python3 -c '{WHERE}'"))
    assert Path(where['share']) == workspace / 'src' / NAME
    assert 'predict' in in_workspace(workspace, f'install/{NAME}/lib/{NAME}/sg_depth --help')


def test_the_node_starts_from_the_workspace(workspace):
    pytest.importorskip('rclpy', reason='ROS 2 is not installed')
    program = f'install/{NAME}/lib/{NAME}/depth_node'
    line = f'{program} --ros-args -p engine:=steam 2>&1 || echo ended with $?'
    output = in_workspace(workspace, line)
    assert 'engine must be one of auto' in output
    assert 'ended with 1' in output


def test_colcon_runs_the_tests_of_the_package(workspace):
    """A few of them: how colcon finds and reports them is the same for all."""
    colcon(workspace, 'test', '--pytest-args', 'test/bundle/test_share.py')
    assert ' 0 errors, 0 failures' in colcon(workspace, 'test-result', '--all')
    report = (workspace / 'build' / NAME / 'pytest.xml').read_text()
    assert 'test_code_without_a_share_folder_is_an_error' in report
