# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The program ``sg_depth``: the only room that knows typer and rich, a file for each command.

Another command needs a file here and a line in ``main.COMMANDS``.
"""
