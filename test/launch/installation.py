# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An installation for launch to find, with programs that tell how they were started."""

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).parents[2]
NODE = f"""#!{sys.executable}
import sys
from sg_depth_ros.ros.depth_node import main
sys.exit(main())
"""
RECORDER = f"""#!{sys.executable}
import json, os, sys, time
path = os.path.join(os.path.dirname(__file__), f'{{time.time_ns()}}.json')
said = {{'name': os.path.basename(__file__), 'arguments': sys.argv[1:], 'time': time.time(),
        'environment': dict(os.environ)}}
with open(path + '.new', 'w') as file:
    json.dump(said, file)
os.rename(path + '.new', path)
"""


class Installation:
    """A prefix as colcon and apt make it, with recorders that tell what they were started with."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bin = root / 'bin'
        share = root / 'share' / 'sg_depth_ros' / 'launch'
        share.mkdir(parents=True)
        for file in (ROOT / 'launch').glob('*.launch.py'):
            (share / file.name).symlink_to(file)  # ros2 launch does not follow linked folders

    def add(self, package: str, program: str = '', text: str = RECORDER) -> None:
        """Put a package into the index, with a program if one is named."""
        index = self.root / 'share' / 'ament_index' / 'resource_index' / 'packages'
        index.mkdir(parents=True, exist_ok=True)
        (index / package).touch()
        if program:
            self.write(self.root / 'lib' / package / program, text)

    def write(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def environment(self) -> dict[str, str]:
        """Give the variables of a shell that has sourced it beside what is there already."""
        before = os.environ.get('AMENT_PREFIX_PATH', '')
        return {
            'AMENT_PREFIX_PATH': f'{self.root}:{before}'.rstrip(':'),
            'PATH': f'{self.bin}:{os.environ["PATH"]}',
        }

    def recorded(self) -> list[SimpleNamespace]:
        """Give what was started, in that order."""
        paths = sorted(self.root.rglob('*.json'), key=lambda path: path.name)
        return [SimpleNamespace(**json.loads(path.read_text())) for path in paths]
