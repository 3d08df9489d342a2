# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A training in a process of its own: ``training_process.py SETTINGS.json OUT [KILL_AT_STEP]``."""

import os
import signal
import sys
from pathlib import Path

import torch

from sg_depth_ros.training.depth import DepthTraining
from sg_depth_ros.training.depth_settings import DepthSettings
from sg_depth_ros.training.run import train_depth

if __name__ == '__main__':
    torch.set_num_threads(1)
    settings = DepthSettings.model_validate_json(Path(sys.argv[1]).read_text())
    if len(sys.argv) > 3:
        step = DepthTraining.training_step

        def killed_step(self, batch, index):
            if self.global_step == int(sys.argv[3]):
                os.kill(os.getpid(), signal.SIGKILL)
            return step(self, batch, index)

        DepthTraining.training_step = killed_step
    train_depth(settings, Path(sys.argv[2]))
