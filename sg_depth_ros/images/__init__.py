# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images as files, videos and arrays: decoding, resizing, depth images, pictures for people."""
