# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Experiments on the procedural street, where truth is exact: what each part of the method does.

Each trains from random or ImageNet weights in its own folder, goes on where it was cut off, and
writes ``result.json``.
"""
