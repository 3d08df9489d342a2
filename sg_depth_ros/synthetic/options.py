# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a street may look like: typed settings, all with defaults that vary from seed to seed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

Area = Literal['urban', 'residential', 'country', 'highway']
Light = Literal['sunny', 'overcast', 'hazy', 'dusk', 'rain', 'night']


def _ordered(values: tuple[float, float]) -> tuple[float, float]:
    if values[0] > values[1]:
        raise ValueError(f'a range is (lowest, highest), found {values}')
    return values


def _check() -> Any:
    """Give pydantic 2's check; robots have pydantic 1, and draw a street of defaults alone."""
    try:
        from pydantic import AfterValidator
    except ImportError:
        return None
    return AfterValidator(_ordered)


# Each number below has a Field of its own, since pydantic 1 keeps the default in it.
Range = Annotated[tuple[float, float], _check()]


class StreetOptions(BaseModel, extra='forbid', frozen=True):
    """Settings of a clip; ranges are drawn from uniformly, once for each seed."""

    areas: dict[Area, float] = {
        'urban': 0.35,
        'residential': 0.35,
        'country': 0.15,
        'highway': 0.15,
    }
    """Weights with which the kind of street is drawn."""
    lights: dict[Light, float] = {
        'sunny': 0.4,
        'overcast': 0.25,
        'hazy': 0.12,
        'dusk': 0.08,
        'rain': 0.08,
        'night': 0.07,
    }
    """Weights with which light and weather are drawn."""
    left_hand_traffic: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Share of clips that drive on the left."""
    follow_probability: Annotated[float, Field(ge=0, le=1)] = 0.15
    """Share of clips in which a vehicle ahead moves at exactly the ego's speed."""
    lead_probability: Annotated[float, Field(ge=0, le=1)] = 0.35
    """Share of the other clips in which traffic in the ego's own lane starts in view."""
    queue_probability: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the remaining clips that creep in a queue, with vehicles close by in all lanes."""
    traffic_density: Annotated[float, Field(ge=0, le=3)] = 1.0
    """Factor on the number of moving vehicles and people."""
    parked_density: Annotated[float, Field(ge=0, le=2)] = 1.0
    """Factor on the share of kerb taken by parked cars."""
    building_density: Annotated[float, Field(ge=0, le=2)] = 1.0
    """Factor on the share of frontage with buildings."""
    tree_density: Annotated[float, Field(ge=0, le=3)] = 1.0
    """Factor on the number of trees and hedges."""
    furniture_density: Annotated[float, Field(ge=0, le=3)] = 1.0
    """Factor on the number of poles, signs and traffic lights."""
    texture_randomness: Annotated[float, Field(ge=0, le=1)] = 0.15
    """Share of surfaces with a colour from anywhere instead of from its class."""
    camera_height: Range = (1.4, 1.8)
    """Metres above the road."""
    camera_pitch: Range = (-1.0, 1.0)
    """Degrees, positive looks up; fixed for a clip."""
    camera_roll: Range = (-0.8, 0.8)
    """Degrees; fixed for a clip."""
    shake: Annotated[float, Field(ge=0, le=3)] = 0.3
    """Standard deviation of pitch and roll from frame to frame in degrees."""
    hills: Annotated[float, Field(ge=0, le=1)] = 0.5
    """0 is flat, 1 has gradients up to about 8 %."""
    curvature: Annotated[float, Field(ge=0, le=1)] = 0.5
    """0 is straight, 1 has curves down to a radius of about 60 m in town."""
    speed: Range | None = None
    """Cruising speed in m/s; by the kind of street when absent."""
    stop_probability: Annotated[float, Field(ge=0, le=1)] = 0.15
    """Chance, every ten seconds, that the ego brakes to a stop and drives on."""
    sensor_noise: Annotated[float, Field(ge=0, le=0.1)] = 0.006
    """Standard deviation of the image noise, of the full range."""
    blur: Annotated[float, Field(ge=0, le=3)] = 0.45
    """Standard deviation of the lens's point spread in pixels."""
    vignetting: Annotated[float, Field(ge=0, le=1)] = 0.15
    """How much darker the corners may be."""
