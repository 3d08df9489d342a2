# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pedestrians and cyclists: meshes around their own origin, facing +x, feet at z = 0."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sg_depth_ros.bundle.labels import ID
from sg_depth_ros.synthetic.mesh import Look, Mesh, concatenate, polygons, prisms


class Person:
    """Someone with a height, clothes and a gait, on foot or on a bicycle."""

    def __init__(self, rng: np.random.Generator, rides: bool) -> None:
        self.rides = rides
        self._height = rng.uniform(1.5, 1.9)
        self._build = rng.uniform(0.85, 1.2)
        self._phase = rng.uniform()
        self._shirt = rng.uniform(0.02, 0.5) * rng.uniform(0.3, 1.3, 3)
        self._trousers = rng.uniform(0.01, 0.2) * rng.uniform(0.7, 1.2, 3)
        self._skin = np.array([0.52, 0.32, 0.22]) * rng.uniform(0.25, 1.2)
        self._hair = rng.uniform(0.01, 0.2) * np.array([1, 0.8, 0.6])
        self._frame = rng.uniform(0.02, 0.5, 3)
        self._poses: dict[int, Mesh] = {}

    def mesh(self, walked: float) -> Mesh:
        """Make the body after having walked or ridden so many metres; 16 poses a gait."""
        cycle = walked * (2.2 if self.rides else 4.2) / (2 * np.pi)
        pose = round(16 * (cycle + self._phase)) % 16 if walked > 0 else -1
        if pose not in self._poses:
            swing = 0.45 * np.sin(2 * np.pi * pose / 16) if pose >= 0 else 0.05
            self._poses[pose] = (
                concatenate([self._body(swing, 0.55, 0.45), self._bicycle()])
                if self.rides
                else self._body(swing, 0.0, 0.05)
            )
        return self._poses[pose]

    def _body(self, swing: float, lift: float, lean: float) -> Mesh:
        h, b = self._height, self._build
        label = ID['rider'] if self.rides else ID['person']
        hip = np.array([0, 0, 0.5 * h + lift * 0.75])
        neck = hip + np.array([lean * 0.6, 0, 0.33 * h])
        limbs: list[tuple[ArrayLike, ArrayLike, tuple[float, float], ArrayLike]] = []

        def limb(start: ArrayLike, end: ArrayLike, r0: float, r1: float, color: ArrayLike) -> None:
            limbs.append((start, end, (r0 * b, r1 * b), color))

        limb(hip - (0, 0, 0.06 * h), hip + (neck - hip) * 0.55, 0.15, 0.165, self._shirt)
        limb(hip + (neck - hip) * 0.55, neck, 0.165, 0.09, self._shirt)
        head = neck + np.array([0.03, 0, 0.03 * h])
        limb(neck, head + np.array((0, 0, 0.05 * h)), 0.06, 0.095, self._skin)
        limb(
            head + np.array((0, 0, 0.05 * h)),
            head + np.array((0, 0, 0.125 * h)),
            0.1,
            0.07,
            self._hair,
        )
        for side in (-1, 1):
            step = side * swing
            foot = np.array([0.25 * h * step, side * 0.1, 0.03])
            if self.rides:
                foot = np.array([0.12 + 0.15 * np.sin(side * 1.5 + step), side * 0.1, 0.32])
            knee = (hip + foot) / 2 + (0.03 + 0.22 * self.rides, side * 0.03, 0)
            limb(foot, knee, 0.055, 0.075, self._trousers)
            limb(knee, hip + np.array((0, side * 0.08, 0)), 0.075, 0.1, self._trousers)
            shoulder = neck + np.array((0, side * 0.18, -0.03))
            hand = shoulder + np.array((-0.2 * h * step, side * 0.05, -0.34 * h))
            if self.rides:
                hand = np.array([0.52, side * 0.24, 1.02])
            limb(hand, shoulder, 0.04, 0.055, self._shirt if b > 0.95 else self._skin)
        starts, ends, radii, colors = zip(*limbs, strict=True)
        params = (0.15, 0.12, 0, 0, 0, self._phase)
        return prisms(starts, ends, radii, 6, label, color=colors, params=params)

    def _bicycle(self) -> Mesh:
        label = ID['bicycle']
        dark: Look = {'color': (0.02, 0.02, 0.02), 'two_sided': True}
        frame: Look = {'color': self._frame, 'params': (0.2, 0.1, 0, 0, 0, 0)}
        parts = []
        angle = 2 * np.pi * np.arange(13) / 12
        ring = np.stack([np.cos(angle), np.zeros(13), np.sin(angle)], 1)
        for x in (-0.5, 0.55):
            center = np.array([x, 0, 0.34])
            outer, inner = center + 0.34 * ring, center + 0.29 * ring
            corners = np.stack([outer[:-1], outer[1:], inner[1:], inner[:-1]], 1)
            parts.append(polygons(corners, label, **dark))
        joints = [
            ((-0.5, 0, 0.34), (-0.15, 0, 0.8)), ((-0.5, 0, 0.34), (0.05, 0, 0.3)),
            ((0.05, 0, 0.3), (-0.18, 0, 0.9)), ((0.05, 0, 0.3), (0.42, 0, 0.85)),
            ((-0.15, 0, 0.8), (0.4, 0, 0.85)), ((0.55, 0, 0.34), (0.42, 0, 1.02)),
            ((0.45, -0.28, 1.0), (0.45, 0.28, 1.0)),
        ]  # fmt: skip
        starts, ends = zip(*joints, strict=True)
        parts.append(prisms(starts, ends, [(0.02, 0.02)] * len(joints), 4, label, **frame))
        return concatenate(parts)
