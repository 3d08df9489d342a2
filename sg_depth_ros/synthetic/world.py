# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The still world, made chunk by chunk along the road and forgotten behind the ego."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.synthetic.buildings import Plot, make_building
from sg_depth_ros.synthetic.centreline import Centreline
from sg_depth_ros.synthetic.furniture import (
    make_barrier,
    make_bridge,
    make_gantry,
    make_lamp,
    make_pole,
    make_sign,
    make_traffic_light,
)
from sg_depth_ros.synthetic.ground import KERB, STEP, draw_ground_colors, make_ground
from sg_depth_ros.synthetic.mesh import Material, Mesh, concatenate, yaw
from sg_depth_ros.synthetic.options import StreetOptions
from sg_depth_ros.synthetic.plants import make_bush, make_hedge, make_tree
from sg_depth_ros.synthetic.styles import SHARPEST, Style
from sg_depth_ros.synthetic.vehicles import footprint, make_vehicle

CHUNK = 48.0
AHEAD = 230.0
BEHIND = 70.0


@dataclass(frozen=True)
class Chunk:
    """What stands between two distances along the road."""

    mesh: Mesh
    footprints: NDArray[np.float64]
    """(N, 4, 2) what stands flat on the ground, world metres."""


class World:
    """The chunks around the ego; equal seeds give equal worlds wherever one looks from."""

    def __init__(self, seed: int, style: Style, options: StreetOptions, night: bool) -> None:
        self.style = style
        self._seed, self._options = seed, options
        self._glow = 1.0 if night else 0.0
        rng = np.random.default_rng([seed, 1])
        self.line = Centreline(rng, SHARPEST[style.area], options.hills, options.curvature)
        self._colors = draw_ground_colors(rng, options.texture_randomness)
        self._trees = [make_tree(rng, rng.uniform(4, 13), rng.uniform(0.1, 0.3)) for _ in range(6)]
        self._street_trees = [
            make_tree(rng, rng.uniform(7, 13), rng.uniform(0.33, 0.45)) for _ in range(2)
        ]
        self._bushes = [make_bush(rng, rng.uniform(0.5, 1.3)) for _ in range(3)]
        self._barriers = [
            str(rng.choice(['wall', 'boards', 'fence', 'hedge', 'none'])) for _ in range(2)
        ]
        self._chunks: deque[Chunk] = deque()
        self._first = self._next = int(-(BEHIND // CHUNK) - 1)
        self.mesh = concatenate([])
        self.footprints = np.zeros((0, 4, 2))
        self.lowest = 0.0
        """Height of the lowest ground in metres."""

    def cover(self, s: float) -> None:
        """Make the world around s."""
        changed = False
        while self._next * CHUNK < s + AHEAD:
            self.line.extend((self._next + 2) * CHUNK)
            self._chunks.append(self._make(self._next))
            self._next += 1
            changed = True
        while (self._first + 1) * CHUNK < s - BEHIND:
            self._chunks.popleft()
            self._first += 1
            changed = True
        if changed:
            self.line.forget(self._first * CHUNK - CHUNK)
            self.mesh = concatenate(chunk.mesh for chunk in self._chunks)
            self.footprints = np.concatenate([chunk.footprints for chunk in self._chunks])
            ground = np.isin(self.mesh.material, (Material.ROAD, Material.TERRAIN))
            self.lowest = float(self.mesh.corners[ground, :, 2].min())

    def _make(self, number: int) -> Chunk:
        rng = np.random.default_rng([self._seed, 2, number + 1000])
        style = self.style
        s0, s1 = number * CHUNK, (number + 1) * CHUNK
        town = style.area in ('urban', 'residential')
        opening = crossing = None
        if town and number > 0 and rng.uniform() < 0.28:
            opening = (s0 + 5 * STEP, s0 + (7 if style.area == 'residential' else 8) * STEP)
            if rng.uniform() < 0.6:
                crossing = s0 + 3 * STEP
        elif town and rng.uniform() < 0.08:
            crossing = s0 + 6 * STEP
        builder = _ChunkBuilder(self, rng, s0, s1, opening)
        builder.meshes.append(
            make_ground(self.line, style, self._colors, s0, s1, opening, crossing, self._seed % 97)
        )
        for side in (-1, 1):
            builder.frontage(side)
            builder.greenery(side)
            builder.furniture(side)
            builder.parked(side)
        if opening is not None and style.area == 'urban' and rng.uniform() < 0.7:
            builder.traffic_lights(opening[0])
        builder.landmarks(number)
        if style.median:
            builder.median()
        footprints = np.array(builder.footprints).reshape(-1, 4, 2)
        return Chunk(concatenate(builder.meshes), footprints)


class _ChunkBuilder:
    """Places things of one chunk in street coordinates."""

    def __init__(
        self, world: World, rng: np.random.Generator, s0: float, s1: float,
        opening: tuple[float, float] | None,
    ) -> None:  # fmt: skip
        self.w, self.rng, self.s0, self.s1 = world, rng, s0, s1
        self.opening = opening
        self.meshes: list[Mesh] = []
        self.footprints: list[NDArray[np.float64]] = []

    def _open_at(self, s: float, margin: float = 1.0) -> bool:
        if self.opening is None:
            return False
        return self.opening[0] - margin < s < self.opening[1] + margin

    def _edge(self, side: int) -> float:
        return self.w.style.half_width(side) + self.w.style.pavement

    def _kerb(self) -> float:
        return KERB if self.w.style.pavement > 0 else 0.0

    def _put(self, mesh: Mesh, s: float, d: float, h: float = 0.0, turn: float = 0.0) -> Mesh:
        line = self.w.line
        placed = mesh.placed(yaw(line.heading(s) + turn), line.place(s, d, h))
        self.meshes.append(placed)
        return placed

    def frontage(self, side: int) -> None:
        """Line one side with houses and what closes the gaps between them."""
        style, rng, line = self.w.style, self.rng, self.w.line
        front = self._edge(side) + style.setback * rng.uniform(0.85, 1.1) + 0.02
        s = self.s0
        pitched_street = rng.uniform() < style.pitched
        while s < self.s1 - 3:
            width = min(rng.uniform(8, 22), self.s1 - s)
            end = s + width
            if self.opening is not None and s < self.opening[1] and end > self.opening[0]:
                if self.opening[0] - s > 6:
                    end = self.opening[0]
                else:
                    s = self.opening[1]
                    continue
            if rng.uniform() < style.building_share and end - s > 5:
                gap = 0.0 if style.area == 'urban' else rng.uniform(0, 2.5)
                depth = rng.uniform(8, 13)
                d0, d1 = side * front, side * (front + depth)
                along = (s, end - gap) if side > 0 else (end - gap, s)
                # The whole front stands at one height; the walls reach below the ground.
                base = line.place(
                    [along[0], along[1], along[1], along[0]], [d0, d0, d1, d1], self._kerb()
                )
                base[:, 2] = base[:2, 2].mean()
                storeys = int(rng.integers(*style.storeys, endpoint=True))
                self.meshes.append(
                    make_building(rng, Plot(base), storeys, pitched_street,
                                  self.w._options.texture_randomness)
                )  # fmt: skip
                self.footprints.append(base[:, :2])
            elif style.area != 'highway' and rng.uniform() < 0.5:
                self._barrier('wall', s, end, side * (front + 0.3))
            self._garden(side, s, end)
            s = end

    def _garden(self, side: int, s: float, end: float) -> None:
        style = self.w.style
        if style.area != 'residential' or style.setback < 1.0:
            return
        kind = self.w._barriers[0 if side < 0 else 1]
        if kind != 'none' and self.rng.uniform() < 0.85:
            gate = self.rng.uniform(1.0, 3.5)
            self._barrier(kind, s, end - gate, side * (self._edge(side) + 0.2))
        for _ in range(self.rng.poisson(1.2 * min(self.w._options.tree_density, 3))):
            bush = self.w._bushes[int(self.rng.integers(len(self.w._bushes)))]
            self._put(bush, self.rng.uniform(s, end), side * (
                self._edge(side) + self.rng.uniform(0.9, max(1.0, style.setback - 0.6))),
                self._kerb(), self.rng.uniform(0, 6))  # fmt: skip

    def _barrier(self, kind: str, s: float, end: float, d: float) -> None:
        if end - s < 1.5:
            return
        marks = np.linspace(s, end, max(2, round((end - s) / 6) + 1))
        points = self.w.line.place(marks, d, self._kerb())
        state = self.rng.integers(1 << 30)
        for a, b in pairwise(points):
            # The same look for every piece.
            rng = np.random.default_rng(state)
            if kind == 'hedge':
                self.meshes.append(make_hedge(rng, a, b, rng.uniform(0.8, 1.8), 0.7))
            else:
                self.meshes.append(make_barrier(rng, kind, a, b))

    def greenery(self, side: int) -> None:
        """Plant trees along the street and behind what lines it."""
        style, rng = self.w.style, self.rng
        density = self.w._options.tree_density
        if density <= 0:
            return
        town = style.area in ('urban', 'residential')
        if town:
            place = self._edge(side) - style.pavement + 0.8
            rows = [(place, style.tree_spacing)] if style.pavement > 2.2 else []
            rows.append((self._edge(side) + style.setback + rng.uniform(9, 20), 14 / density))
        else:
            verge = self._edge(side) + (3.5 if style.area == 'country' else 6)
            rows = [(verge + rng.uniform(0, 4), style.tree_spacing)]
            rows.append((verge + rng.uniform(8, 25), 9 / density))
        for d, spacing in rows:
            s = self.s0 + rng.uniform(0, spacing)
            while s < self.s1:
                if not self._open_at(s, 3) and rng.uniform() < 0.8:
                    on_pavement = town and d < self._edge(side)
                    kinds = self.w._street_trees if on_pavement else self.w._trees
                    tree = kinds[int(rng.integers(len(kinds)))]
                    wander = 0.0 if on_pavement else rng.uniform(-1.5, 5)
                    self._put(
                        tree.scaled(rng.uniform(0.8, 1.2)),
                        s,
                        side * (d + wander),
                        self._kerb(),
                        rng.uniform(0, 6),
                    )
                s += spacing * rng.uniform(0.6, 1.5)
        if not town and rng.uniform() < style.hedge_share:
            kind = 'noise' if style.area == 'highway' and rng.uniform() < 0.5 else 'hedge'
            self._barrier(kind, self.s0, self.s1, side * (self._edge(side) + 2.2))
        if not town:
            for _ in range(rng.poisson(5 * density)):
                bush = self.w._bushes[int(rng.integers(len(self.w._bushes)))]
                d = self._edge(side) + rng.uniform(2.5, 12)
                self._put(bush, rng.uniform(self.s0, self.s1), side * d, 0, rng.uniform(0, 6))

    def furniture(self, side: int) -> None:
        """Set lamps, poles and signs beside the road."""
        style, rng = self.w.style, self.rng
        turn = 0.0 if side < 0 else np.pi
        d = style.half_width(side) + (0.45 if style.pavement else 1.2)
        density = self.w._options.furniture_density
        spacing = {'urban': 26, 'residential': 34, 'country': 45, 'highway': 48}[style.area]
        s = self.s0 + rng.uniform(2, 20)
        while s < self.s1 and density > 0:
            if not self._open_at(s):
                wanted = rng.uniform()
                if wanted < 0.5:
                    self._put(make_lamp(rng, self.w._glow), s, side * d, self._kerb(), turn)
                elif wanted < 0.85:
                    self._put(make_sign(rng), s, side * d, self._kerb(), turn)
                else:
                    self._put(make_pole(rng), s, side * (d + 0.3), self._kerb(), turn)
            s += spacing * rng.uniform(0.4, 1.4) / density
        if style.area == 'highway' or (style.area == 'country' and rng.uniform() < 0.2):
            self._barrier('rail', self.s0, self.s1, side * (style.half_width(side) + 0.6))

    def traffic_lights(self, s: float) -> None:
        """Set signals on both sides before a side street."""
        if self.w._options.furniture_density <= 0:
            return
        for side, turn, at in ((-1, 0.0, s - 1.5), (1, np.pi, s + 14)):
            d = self.w.style.half_width(side) + 0.5
            signal = make_traffic_light(self.rng, self.w._glow)
            self._put(signal, at, side * d, self._kerb(), turn)

    def parked(self, side: int) -> None:
        """Fill the parking lane, or half of the pavement, with parked vehicles."""
        style, rng = self.w.style, self.rng
        width = style.parking[0 if side < 0 else 1]
        density = self.w._options.parked_density
        if style.area in ('country', 'highway') or width == 0:
            density *= 0.04
        share = np.clip(density * rng.uniform(0.25, 0.95), 0, 0.97)
        s = self.s0 + rng.uniform(0, 5)
        while s < self.s1 - 6 and density > 0:
            if rng.uniform() > share or self._open_at(s + 3, 5):
                s += rng.uniform(3, 7)
                continue
            vehicle = make_vehicle(rng, 0.04, 0.0)
            at = s + vehicle.length / 2
            inwards = width - 0.15 if width else 0.2
            d = style.half_width(side) - inwards + vehicle.width / 2 + rng.uniform(-0.05, 0.15)
            forwards = side * style.hand < 0 or rng.uniform() < 0.1
            if width == 0:
                d = style.half_width(side) + vehicle.width / 2 + 0.2
            turn = (0.0 if forwards else np.pi) + rng.normal(0, 0.015)
            parked = self._put(vehicle.mesh, at, side * d, 0.0 if width else self._kerb(), turn)
            self.footprints.append(footprint(parked))
            s += vehicle.length + rng.uniform(0.6, 2.2)

    def landmarks(self, number: int) -> None:
        """Span a bridge or a sign gantry over the road now and then."""
        style, rng = self.w.style, self.rng
        right, left = style.half_width(-1), style.half_width(1)
        chance = {'urban': 0.03, 'highway': 0.10, 'country': 0.02}.get(style.area, 0.0)
        if number > 0 and rng.uniform() < chance * self.w._options.building_density:
            self._put(make_bridge(rng, right, left), self.s0 + 20, 0.0)
        elif style.area == 'highway' and rng.uniform() < 0.2:
            self._put(make_gantry(right + 1.5, 9.0), self.s0 + 30, 0.0)

    def median(self) -> None:
        """Part the directions by a barrier on the centre line."""
        kind = 'concrete' if self.w._seed % 2 else 'rail'
        end = self.opening[0] - 2 if self.opening else self.s1
        self._barrier(kind, self.s0, end, 0.0)
