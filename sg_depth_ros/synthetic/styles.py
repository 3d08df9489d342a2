# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What kind of street a clip drives through: widths, lanes, what stands beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sg_depth_ros.synthetic.options import Area, StreetOptions


@dataclass(frozen=True)
class Style:
    """The cross-section of a street and what lines it; metres, shares and m/s."""

    area: Area
    lane: float
    lanes: int
    """Lanes in each direction."""
    parking: tuple[float, float]
    """Width of the parking lane on the right and on the left, 0 for none."""
    pavement: float
    """Width of the pavement, 0 where a verge follows the road."""
    setback: float
    """From the pavement to the buildings."""
    hand: int
    """1 drives on the right, -1 on the left."""
    speed: float
    dash: float
    """Painted share of the centre line: 1 is solid."""
    edge: float
    """Strength of the edge lines."""
    wear: float
    storeys: tuple[int, int]
    building_share: float
    pitched: float
    """Share of pitched roofs."""
    tree_spacing: float
    hedge_share: float
    median: bool
    """Whether a barrier parts the directions."""

    def half_width(self, side: int) -> float:
        """Give the distance of the kerb from the centre line, side 1 is left, -1 is right."""
        return self.lane * self.lanes + self.parking[0 if side < 0 else 1]

    def lane_offset(self, number: int, direction: int) -> float:
        """Give the offset d of lane ``number`` (0 next to the centre) for a direction 1 or -1."""
        return -self.hand * direction * self.lane * (number + 0.5)


_SPEEDS = {'urban': (7, 14), 'residential': (5, 11), 'country': (12, 22), 'highway': (20, 33)}
SHARPEST = {'urban': 1 / 80, 'residential': 1 / 60, 'country': 1 / 90, 'highway': 1 / 400}
"""Largest curvature in 1/m at full ``curvature``."""


def draw_style(rng: np.random.Generator, options: StreetOptions) -> Style:
    """Draw the kind of street of a clip."""
    areas = list(options.areas)
    weights = np.array([options.areas[a] for a in areas], float)
    area = areas[int(rng.choice(len(areas), p=weights / weights.sum()))]
    town = area in ('urban', 'residential')
    chance_parking = {'urban': 0.55, 'residential': 0.8}.get(area, 0.0)
    parking = [2.2 * (rng.uniform() < chance_parking) for _ in range(2)]
    speed = options.speed or _SPEEDS[area]
    return Style(
        area=area,
        lane={'residential': rng.uniform(2.6, 3.0), 'highway': rng.uniform(3.4, 3.75)}.get(
            area, rng.uniform(2.9, 3.5)
        ),
        lanes=int(
            {'urban': rng.choice([1, 2], p=[0.65, 0.35]), 'highway': rng.choice([2, 3])}.get(
                area, 1
            )
        ),
        parking=(2.6, 0.8) if area == 'highway' else (parking[0], parking[1]),
        pavement=rng.uniform(2.0, 4.5) if area == 'urban' else rng.uniform(1.4, 2.4) * town,
        setback={
            'urban': float(rng.choice([0.0, 0.0, 2.0])),
            'residential': float(rng.choice([0.0, 0.3, rng.uniform(1.5, 5)])),
            'country': rng.uniform(5, 12),
        }.get(area, 25.0),
        hand=-1 if rng.uniform() < options.left_hand_traffic else 1,
        speed=rng.uniform(*speed),
        dash={'residential': float(rng.choice([0.0, 0.3])), 'highway': 1.0}.get(
            area, float(rng.choice([0.33, 0.4, 0.5, 1.0]))
        ),
        edge={'country': float(rng.choice([0.6, 1.0])), 'highway': 1.0}.get(
            area, float(rng.choice([0.0, 0.8]))
        ),
        wear=rng.uniform(0.0, 0.7),
        storeys={'urban': (3, 7), 'residential': (1, 3)}.get(area, (1, 2)),
        building_share={'urban': 0.9, 'residential': 0.8, 'country': 0.12}.get(area, 0.08)
        * options.building_density,
        pitched={'urban': 0.35, 'residential': 0.9}.get(area, 0.85),
        tree_spacing={'urban': 16.0, 'residential': 14.0, 'country': 6.0}.get(area, 6.5)
        * rng.uniform(0.6, 2.2)
        / max(options.tree_density, 1e-3),
        hedge_share={'residential': 0.35, 'country': 0.35, 'highway': 0.3}.get(area, 0.08)
        * options.tree_density,
        median=area == 'highway' or (area == 'urban' and rng.uniform() < 0.08),
    )
