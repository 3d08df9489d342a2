# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth and labels for slow links, as image_transport's plugins write them."""

from __future__ import annotations

from sensor_msgs.msg import CompressedImage

from sg_depth_ros.images.compressed_depth import (
    encode_colors,
    encode_metres,
    encode_millimetres,
)
from sg_depth_ros.ros.messages import compressed_message
from sg_depth_ros.ros.products import Products


def compressed_depth(products: Products, message: CompressedImage) -> CompressedImage:
    """Give the depth image as the transport ``compressedDepth``."""
    options, pixels = products.parameters, products.depth_pixels
    farthest, level = options.compressed_depth_max, options.compressed_depth_png_level
    if options.depth_encoding == '32FC1':
        data = encode_metres(pixels, farthest, options.compressed_depth_quantization, level)
    else:
        data = encode_millimetres(pixels, farthest, level)
    kind = f'{options.depth_encoding}; compressedDepth png'
    return compressed_message(products.header, kind, data, message)


def compressed_colors(products: Products, message: CompressedImage) -> CompressedImage:
    """Give the coloured labels as the transport ``compressed``."""
    kind = products.parameters.compressed_colors_format
    data = encode_colors(products.colors, kind)
    return compressed_message(products.header, f'rgb8; {kind} compressed bgr8', data, message)
