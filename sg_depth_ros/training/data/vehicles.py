# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Vehicles cut out of images and set nearer in others, at a depth that is then known.

View synthesis teaches next to nothing of a vehicle close ahead: traffic moves with the camera. But
one further away stands on the road, which tells its distance, and its picture made larger is that
of the same vehicle nearer by. Lengths are compared in heights of the camera over the ground, the
unit that images of different scale share.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from sg_depth_ros.bundle.labels import ID, VOID, ids_with
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.geometry.ground_plane import GroundPlane
from sg_depth_ros.images.resize import resize_image

_VEHICLES = [ID['car'], ID['truck'], ID['bus']]
_GROUND = ids_with('ground')
_ROAD_USERS = ids_with('dynamic')
_MIN_AREA, _MIN_HEIGHT = 200, 14
"""Pixels at network size of a vehicle that is worth to be cut out."""
_ASPECT = (0.7, 2.2)
"""Width by height of one seen from in front or behind, or from a quarter."""
_FILLED = 0.7
"""Share of its box that a whole vehicle fills, and two that overlap do not."""
_ON_ROAD = 0.6
"""Share of its columns under which the road begins at once."""
_AGREES = (0.6, 1.7)
"""Predicted depth by that of the road where it stands, of one that does stand there."""
_OVERHANG = 1.1
"""How many times further than a vehicle the road is that shows under its lower edge: wheels stand
further in, and what hangs over ends above the ground. Median over the street's exact depth."""
_LANE = 3.3 / 1.65
"""Width of a lane in heights of the camera."""
_TALL = 2.1 / 1.65
"""Heights of the camera above which a vehicle is no car."""
_LENGTH = (4.0 / 1.65, 14.0 / 1.65)
"""Range of lengths of those, likewise."""
_BESIDE = 0.3
"""How near one in the next lane may begin, by the distance that was drawn: its side is seen."""
_FAVOURED = 5.0
"""How many times more often than its share a tall vehicle is drawn at most: a network learns by
heart the few that stand everywhere."""
_FULL = 0.8
"""Share of the lanes of a queue that are full."""
_NEAREST = 0.4
"""Mean logarithm by which the nearest vehicle of a lane is further away than one may be."""
_INTERVAL = (6.0 / 1.65, 14.0 / 1.65)
"""Range of distances from one vehicle in a queue to the next in heights of the camera."""
_QUEUE = 40.0 / 1.65
"""How far a queue reaches, likewise."""
_INNER = (0.15, 0.85)
"""Part of a cut-out in which there is nothing but the vehicle."""
_NEARER = 2.5
"""How many times nearer than it was seen one is set at most: what is made larger is blurred, and a
network would learn that near vehicles are."""
_BLUR = 0.6
"""Standard deviation in pixels of a lens at the edge of what is set into an image."""


class VehicleSettings(BaseModel):
    """How vehicles are set into images."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    copies: int = Field(default=3, ge=1)
    """Of each image, each with other vehicles."""
    most: int = Field(default=4, ge=1)
    """Largest number of vehicles set into one."""
    distance: tuple[float, float] = (3.5, 22.0)
    """Range of their metres from a camera at ``camera_height``, drawn by its logarithm."""
    tall: float = Field(default=0.3, ge=0, le=1)
    """Share of them that is taller than a car, where there are enough: vans, trucks and buses."""
    queue: float = Field(default=0.4, ge=0, le=1)
    """Share of the copies in which vehicles fill the lanes, one close behind the other,
    with what is far in the gaps between them."""
    camera_height: float = Field(default=1.65, gt=0)
    """Metres of the camera over the road."""
    trusted: float = Field(default=20.0, ge=0)
    """Metres, likewise, up to which depth of road users that stand on no road in sight is taken to
    be unknown."""


@dataclass(frozen=True)
class Scene:
    """An image with what is known of it, all of network size.

    :ivar image: (H, W, 3) uint8 RGB
    :ivar depth: (H, W) in the unit of the plane
    :ivar labels: (H, W) uint8 train ids, void where the vehicle itself hides the view
    """

    image: NDArray[np.uint8]
    depth: NDArray[np.float32]
    labels: NDArray[np.uint8]
    camera: PinholeCamera
    plane: GroundPlane


@dataclass(frozen=True)
class Vehicle:
    """A vehicle that stands on the road, seen from in front or behind.

    :ivar image: (h, w, 3) uint8 RGB, the box around it
    :ivar mask: (h, w) bool, where in the box it is
    :ivar size: width and height of the box there, in heights of the camera
    :ivar distance: depth it was seen at, in heights of the camera
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    size: tuple[float, float]
    distance: float

    @property
    def tall(self) -> bool:
        """Whether it is no car but a van, truck or bus."""
        return self.size[1] > _TALL


class _Surface(NamedTuple):
    """A side of a vehicle as it is seen.

    :ivar image: (H, W, 3) RGB
    :ivar mask: (H, W), where it is
    :ivar further: (H, W) depth by that of the vehicle's nearest part
    """

    image: NDArray[np.float32]
    mask: NDArray[np.bool_]
    further: NDArray[np.float32]


@dataclass(frozen=True)
class _Standing:
    """Where (H, W) bool a vehicle is, its box x, y, width, height, and its depth."""

    mask: NDArray[np.bool_]
    box: tuple[int, int, int, int]
    depth: float


def cut_vehicles(scene: Scene, fine_image: NDArray[np.uint8]) -> list[Vehicle]:
    """Cut out the vehicles that are seen whole and stand on the road.

    :param fine_image: the same image in higher resolution, a multiple of network size
    """
    factor = fine_image.shape[0] // scene.image.shape[0]
    found = []
    for standing in _standing(scene):
        x, y, width, height = standing.box
        part = np.s_[y * factor : (y + height) * factor, x * factor : (x + width) * factor]
        mask = standing.mask[y : y + height, x : x + width].astype(np.float32)
        large = cv2.resize(mask, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
        distance = standing.depth / scene.plane.height
        size = width * distance / scene.camera.fx, height * distance / scene.camera.fy
        found.append(Vehicle(fine_image[part].copy(), large > 0.5, size, distance))
    return found


def known_depth(scene: Scene, settings: VehicleSettings) -> NDArray[np.float32]:
    """Correct depth (H, W) of vehicles by where they stand; that of other near ones is NaN."""
    depth = scene.depth.copy()
    limit = settings.trusted * scene.plane.height / settings.camera_height
    depth[np.isin(scene.labels, _ROAD_USERS) & (depth < limit)] = np.nan
    for standing in _standing(scene):
        depth[standing.mask] = standing.depth
    return depth


def set_vehicles(
    scene: Scene,
    known_hw: NDArray[np.float32],
    vehicles: Sequence[Vehicle],
    settings: VehicleSettings,
    rng: np.random.Generator,
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Set some vehicles on the road, in lanes at random, none further away than it was seen.

    :param known_hw: the scene's :func:`known_depth`
    :return: image (H, W, 3) and depth (H, W), NaN where unknown
    """
    image = scene.image.astype(np.float32)
    gray = not np.ptp(scene.image, axis=2).any()
    depth = known_hw.copy()
    standing_things = ~np.isin(scene.labels, _GROUND)
    # Where the vehicle itself hides the view nothing is nearer.
    hidden = scene.labels == VOID
    placed = _placed(vehicles, settings, rng)
    for vehicle, distance, lateral in sorted(placed, key=lambda p: p[1], reverse=True):
        box = _box(scene, vehicle, distance, lateral)
        if min(box[2:]) < 8 or not _on_ground(scene.labels, box):
            continue
        seen = [_seen(vehicle, box, bool(rng.random() < 0.5), scene.image.shape[:2])]
        if vehicle.tall:
            # Drawn first, as its front or back hides where it begins.
            seen.insert(0, _side(scene, vehicle, box, rng.uniform(*_LENGTH) / distance))
        brightness = rng.uniform(0.8, 1.2)
        for looks, mask, further in seen:
            z = np.float32(distance * scene.plane.height) * further
            # What stands clearly nearer stays in front.
            visible = mask & ~hidden & ~(standing_things & (scene.depth < 0.8 * z))
            if gray:
                looks = looks.mean(2, keepdims=True)
            bright = np.clip(looks * brightness, 0, 255)
            share = cv2.GaussianBlur(visible.astype(np.float32), (0, 0), _BLUR)[..., None]
            image = share * bright + (1 - share) * image
            depth = np.where(visible, z, depth)
    return image.round().astype(np.uint8), depth


def _placed(
    vehicles: Sequence[Vehicle], settings: VehicleSettings, rng: np.random.Generator
) -> list[tuple[Vehicle, float, float]]:
    """Draw vehicles with distances and places to the right, in heights of the camera."""
    low, high = np.log(np.array(settings.distance) / settings.camera_height)
    if rng.random() < settings.queue:
        places = _queue(low, rng)
    else:
        places = [
            (float(np.exp(rng.uniform(low, high))), int(rng.integers(-1, 2)))
            for _ in range(rng.integers(1, settings.most + 1))
        ]
    placed = []
    for distance, lane in places:
        vehicle = _drawn(vehicles, distance, settings.tall, rng)
        if vehicle is None:
            continue
        if vehicle.tall and lane:
            # Beside the camera, where only its side is in the image.
            distance *= rng.uniform(_BESIDE, 1)
        placed.append((vehicle, distance, _LANE * lane + rng.normal(0, 0.4)))
    return placed


def _queue(low: float, rng: np.random.Generator) -> list[tuple[float, int]]:
    """Draw distances and lanes of vehicles in a queue, from the logarithm ``low`` on."""
    places = []
    for lane in (-1, 0, 1):
        if rng.random() > _FULL:
            continue
        distance = float(np.exp(low + rng.exponential(_NEAREST)))
        while distance < _QUEUE:
            places.append((distance, lane))
            distance += rng.uniform(*_INTERVAL)
    return places


def _drawn(
    vehicles: Sequence[Vehicle], distance: float, tall: float, rng: np.random.Generator
) -> Vehicle | None:
    """Draw a vehicle to set at a distance, with this chance a tall one; None if there is none."""
    sharp = [v for v in vehicles if distance <= v.distance <= _NEARER * distance]
    if not sharp:
        return None
    share = sum(v.tall for v in sharp) / len(sharp)
    wanted = rng.random() < min(tall, _FAVOURED * share)
    alike = [v for v in sharp if v.tall == wanted] or sharp
    return alike[int(rng.integers(len(alike)))]


def _standing(scene: Scene) -> Iterator[_Standing]:
    """Find the vehicles that are seen whole and stand on the road."""
    rows, columns = scene.labels.shape
    seen = np.isin(scene.labels, _VEHICLES).astype(np.uint8)
    smooth = cv2.morphologyEx(seen, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(smooth, connectivity=4)
    reach = scene.plane.distance_along(scene.camera.rays())
    for index in range(1, count):
        x, y, width, height, area = (int(value) for value in stats[index])
        whole = min(x, y) > 1 and x + width < columns - 1 and y + height < rows - 4
        if not whole or area < _MIN_AREA or height < _MIN_HEIGHT:
            continue
        if area < _FILLED * width * height or not _ASPECT[0] < width / height < _ASPECT[1]:
            continue
        mask = parts == index
        lowest = rows - 1 - mask[::-1, x : x + width].argmax(0)
        under = scene.labels[np.minimum(lowest + 4, rows - 1), np.arange(x, x + width)]
        uneven = float(np.subtract(*np.percentile(lowest, [80, 20])))
        if (under == ID['road']).mean() < _ON_ROAD or uneven > 0.2 * height:
            continue
        # Its wheels and bumper, not the one or other pixel of shadow.
        bottom = round(float(np.percentile(lowest, 75))) + 1
        z = float(reach[bottom, x + width // 2]) / _OVERHANG
        agrees = float(np.median(scene.depth[mask])) / z
        if _AGREES[0] < agrees < _AGREES[1]:
            yield _Standing(mask, (x, y, width, bottom - y), z)


def _box(
    scene: Scene, vehicle: Vehicle, distance: float, lateral: float
) -> tuple[int, int, int, int]:
    """Give x, y, width and height of a vehicle that stands on the ground, in pixels.

    :param distance: along the optical axis, in heights of the camera, as ``lateral`` to the right
    """
    camera, normal = scene.camera, scene.plane.normal
    # The ray (lateral, down, distance) to the road that shows under it, of height one.
    down = -(1 / _OVERHANG + normal[0] * lateral + normal[2] * distance) / normal[1]
    width = camera.fx * vehicle.size[0] / distance
    height = camera.fy * vehicle.size[1] / distance
    x = camera.cx + 0.5 + camera.fx * lateral / distance - width / 2
    y = camera.cy + 0.5 + camera.fy * down / distance - height
    return round(x), round(y), round(width), round(height)


def _on_ground(labels: NDArray[np.uint8], box: tuple[int, int, int, int]) -> bool:
    """Tell if there is ground, or something on it, where a box ends, if that is in the image.

    Where there is none the road goes up or down, and its plane leads into the sky or underground.
    """
    x, y, width, height = box
    row, column = y + height, x + width // 2
    if row >= labels.shape[0] or not 0 <= column < labels.shape[1]:
        return True
    return int(labels[row, column]) in (*_GROUND, *_ROAD_USERS)


def _seen(
    vehicle: Vehicle, box: tuple[int, int, int, int], mirrored: bool, shape: tuple[int, int]
) -> _Surface:
    """Give the front or back of a vehicle in a box that may be half outside."""
    x, y, width, height = box
    looks = resize_image(vehicle.image, width, height).astype(np.float32)
    # Of a larger picture the mean over its pixels, of a smaller one no stairs at its edge.
    way = cv2.INTER_AREA if width < vehicle.mask.shape[1] else cv2.INTER_LINEAR
    share = cv2.resize(vehicle.mask.astype(np.float32), (width, height), interpolation=way)
    if mirrored:
        looks, share = looks[:, ::-1], share[:, ::-1]
    move = np.array([[1, 0, x], [0, 1, y]], np.float32)
    size = shape[::-1]
    # The picture goes on past its box, where the edge is blurred.
    image = cv2.warpAffine(looks, move, size, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpAffine(share, move, size) > 0.5
    return _Surface(
        np.asarray(image, np.float32), np.asarray(inside, bool), np.ones(shape, np.float32)
    )


def _side(
    scene: Scene, vehicle: Vehicle, box: tuple[int, int, int, int], length: float
) -> _Surface:
    """Give the side along the road of a vehicle whose front or back is in a box.

    It is a plane through the vanishing point of the road, with the colours of the cut-out.

    :param length: of the vehicle in distances of its front or back
    """
    normal = scene.plane.normal
    ahead = np.array([0, 0, 1]) - normal[2] * normal
    # Pixels count from their centres, boxes from their edges.
    x_end, y_end = scene.camera.project(ahead[None])[0][0] + 0.5
    x, y, width, height = box
    corner = x + width if x + width / 2 < x_end else x
    rows, columns = np.indices(scene.image.shape[:2], np.float32) + 0.5
    # Where a column lies between the vanishing point, 0, and the corner, 1: 1 / distance.
    nearness = (columns - x_end) / (corner - x_end if corner != x_end else 1)
    further = 1 / np.maximum(nearness, 1e-3)
    along = (further - 1) / length
    down = ((rows - y_end) * further + y_end - y) / height
    inside = (nearness > 0) & (along >= 0) & (along <= 1) & (down >= 0) & (down <= 1)
    source = vehicle.image.shape[:2]
    low, high = _INNER
    looks = cv2.remap(
        vehicle.image,
        np.asarray((low + (high - low) * along.clip(0, 1)) * source[1], np.float32),
        np.asarray((low + (high - low) * down.clip(0, 1)) * source[0], np.float32),
        cv2.INTER_LINEAR,
    )
    return _Surface(np.asarray(looks, np.float32), inside, np.asarray(further, np.float32))
