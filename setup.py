# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Install as an ament_python package (colcon) or with pip."""

from glob import glob
from pathlib import Path

from setuptools import find_packages, setup

NAME = 'sg_depth_ros'

setup(
    name=NAME,
    version='0.1.0',
    packages=find_packages(include=[NAME, f'{NAME}.*']),
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        (f'share/{NAME}', ['package.xml']),
        (f'share/{NAME}/launch', glob('launch/*.launch.py')),
        (f'share/{NAME}/config', [path for path in glob('config/*') if Path(path).is_file()]),
        (f'share/{NAME}/config/train', glob('config/train/*')),
        *(
            (f'share/{NAME}/{folder}', [str(p) for p in Path(folder).iterdir() if p.is_file()])
            for folder in glob('models/*')
        ),
    ],
    python_requires='>=3.10',
    install_requires=['setuptools'],
    entry_points={
        'console_scripts': [
            'sg_depth = sg_depth_ros.cli:main',
            'depth_node = sg_depth_ros.ros.node:main',
        ],
    },
)
