# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Band-limited patterns: noise, pulse trains and cell hashes that fade out below a pixel.

Every function takes the footprint of a pixel in the pattern's own units, so that a surface looks
the same, only coarser, from further away, and neighbouring frames agree.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

_SIZE = 512
_GRAIN = 4
"""Texels between independent values of the noise tile."""


@cache
def noise_tile() -> Array:
    """Give smooth noise (512, 512) that tiles, with mean 0 and standard deviation 1."""
    rng = np.random.default_rng(20260)
    white = rng.standard_normal((_SIZE, _SIZE)).astype(np.float32)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(_SIZE), np.fft.fftfreq(_SIZE)))
    # A ring of frequencies makes an octave; what it lacks, the other octaves bring.
    ring = np.exp(-(((frequency * _GRAIN * 1.6 - 1) / 0.55) ** 2)) * (frequency > 0)
    tile = np.real(np.fft.ifft2(np.fft.fft2(white) * ring))
    return (tile / tile.std()).astype(np.float32)


def sample_tile(tile: Array, x: Array, y: Array) -> Array:
    """Interpolate a periodic tile at texel positions x, y of any one shape."""
    height, width = tile.shape[:2]
    flat_x, flat_y = np.mod(x, width).ravel(), np.mod(y, height).ravel()
    count = len(flat_x)
    # OpenCV wants images with sides below 32768.
    columns = 1024
    rows = -(-count // columns)
    grid_x, grid_y = np.zeros(rows * columns, np.float32), np.zeros(rows * columns, np.float32)
    grid_x[:count], grid_y[:count] = flat_x, flat_y
    values = cv2.remap(
        tile,
        grid_x.reshape(rows, columns),
        grid_y.reshape(rows, columns),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )
    # OpenCV's types say integers too; the tile's type stays.
    flat = np.asarray(values, np.float32).reshape(rows * columns, *tile.shape[2:])[:count]
    return flat.reshape(*x.shape, *tile.shape[2:])


def noise(
    u: Array, v: Array, footprint: Array, wavelength: Array | float, octaves: int, seed: Array
) -> Array:
    """Give multi-octave noise of about unit deviation at (u, v) metres.

    Each octave halves the wavelength and the amplitude by 0.7; one whose wavelength comes near
    two footprints is faded out.
    """
    total = np.zeros_like(u)
    amplitude, power = 1.0, 0.0
    for octave in range(octaves):
        size = wavelength / 2**octave
        weight = np.clip(size / np.maximum(footprint, 1e-6) * 0.5 - 0.5, 0, 1)
        if weight.max(initial=0) > 0:
            scale = _GRAIN * 1.6 / size
            shift = seed * 37.7 + octave * 101.3
            layer = sample_tile(noise_tile(), u * scale + shift, v * scale + 1.7 * shift)
            total += (amplitude * weight) * layer
        power += amplitude**2
        amplitude *= 0.7
    return total / np.float32(np.sqrt(power))


def pulses(x: Array, width: Array | float, period: Array | float, on: Array | float) -> Array:
    """Average, over a box of ``width`` around x, a train of pulses [0, on) of a period.

    Exact for any width (Apodaca and Gritz, Advanced RenderMan, 11.2), so nothing aliases.
    """
    width = np.maximum(width, 1e-4)
    low, high = (x - 0.5 * width) / period, (x + 0.5 * width) / period
    share = on / period

    def integral(t: Array) -> Array:
        whole = np.floor(t)
        return share * whole + np.minimum(t - whole, share)

    return (integral(high) - integral(low)) * period / width


def cover(x: Array, width: Array | float, low: Array | float, high: Array | float) -> Array:
    """Give the share of a box of ``width`` around x that lies in [low, high]."""
    width = np.maximum(width, 1e-4)
    return np.clip(
        (np.minimum(x + 0.5 * width, high) - np.maximum(x - 0.5 * width, low)) / width, 0, 1
    )


def cell_hash(i: Array, j: Array, seed: Array) -> Array:
    """Give a repeatable value in [0, 1) for integer cells (i, j) and a seed."""
    h = (
        np.asarray(i).astype(np.int64).astype(np.uint32) * np.uint32(0x9E3779B1)
        ^ np.asarray(j).astype(np.int64).astype(np.uint32) * np.uint32(0x85EBCA77)
        ^ np.asarray(seed * 1024).astype(np.int64).astype(np.uint32) * np.uint32(0xC2B2AE3D)
    )
    h ^= h >> np.uint32(15)
    h *= np.uint32(0x2C1B3C6D)
    h ^= h >> np.uint32(12)
    return (h & np.uint32(0xFFFF)).astype(np.float32) / np.float32(65536)


@cache
def leaf_masks() -> tuple[NDArray[np.float32], ...]:
    """Give four leafy outlines (4, S, S) at S = 64, 32, 16, 8: above 0.5 is leaf."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    masks = []
    for _ in range(4):
        leaf = np.zeros((64, 64), np.float32)
        for _ in range(130):
            radius, angle = 26 * rng.uniform() ** 0.6, rng.uniform(0, 2 * np.pi)
            center = (32 + radius * np.cos(angle), 32 + radius * np.sin(angle))
            axes = (int(rng.integers(2, 6)), int(rng.integers(1, 4)))
            cv2.ellipse(
                leaf,
                (int(center[0]), int(center[1])), axes,
                float(rng.uniform(0, 180)), 0, 360, 1.0, -1,
            )  # fmt: skip
        masks.append(leaf * (np.hypot(x, y) < 1))
    levels: list[Array] = [np.stack(masks).astype(np.float32)]
    while levels[-1].shape[1] > 8:
        m = levels[-1]
        levels.append((m[:, ::2, ::2] + m[:, 1::2, ::2] + m[:, ::2, 1::2] + m[:, 1::2, 1::2]) / 4)
    return tuple(np.ascontiguousarray(level, np.float32) for level in levels)
