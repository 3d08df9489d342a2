# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Driving down the street: frames with exact depth, labels, poses and speed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.bundle.labels import ID
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.synthetic.lighting import Lighting, draw_lighting
from sg_depth_ros.synthetic.mesh import Material, Mesh, concatenate, polygons, yaw
from sg_depth_ros.synthetic.optics import Optics
from sg_depth_ros.synthetic.options import StreetOptions
from sg_depth_ros.synthetic.renderer import render
from sg_depth_ros.synthetic.shadows import ContactMap, ShadowMap
from sg_depth_ros.synthetic.styles import Style, draw_style
from sg_depth_ros.synthetic.traffic import Traffic
from sg_depth_ros.synthetic.world import World

_OPTICAL = np.array([[0, 0, 1.0], [-1, 0, 0], [0, -1, 0]])
"""The optical frame's axes (x right, y down, z forward) as columns in x forward, y left, z up."""
_FAR = 700.0
_LONGEST_STEP = 0.1
"""Seconds in which traffic moves at once."""
_SHADOW_STEP = 40.0
"""Metres after which shadows are drawn anew for what comes into reach."""


def street_camera(width: int = 640, height: int = 192) -> PinholeCamera:
    """Give KITTI's camera with its image stretched to a size: what the street looks best in."""
    kitti = PinholeCamera(1242, 375, 721.5377, 721.5377, 609.5593, 172.854)
    return kitti.resized(width, height)


def _tilt(pitch: float, roll: float) -> NDArray[np.float64]:
    """Give the (3, 3) rotation that lifts x by ``pitch`` after turning about x by ``roll``."""
    cp, sp, cr, sr = np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    lift = np.array([[cp, 0, -sp], [0, 1, 0], [sp, 0, cp]])
    return lift @ np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])


@dataclass(frozen=True)
class StreetFrame:
    """One frame and its truth."""

    image: NDArray[np.uint8]
    """(H, W, 3) RGB."""
    depth: NDArray[np.float32]
    """(H, W) z-depth in metres at the pixel centres, +inf for sky."""
    labels: NDArray[np.uint8]
    """(H, W) Cityscapes train ids; every pixel has one."""
    camera: PinholeCamera
    camera_to_world: NDArray[np.float64]
    """(4, 4) from the optical frame to the world (x forward at the start, y left, z up)."""
    speed: float
    """The ego's speed in m/s."""
    stamp: float
    """Seconds since the start."""
    moving: NDArray[np.bool_]
    """(H, W) what moves by itself at this moment."""
    following: NDArray[np.bool_]
    """(H, W) the vehicle ahead that keeps exactly the ego's speed; part of ``moving`` unless
    the ego stands."""
    camera_to_base: NDArray[np.float64]
    """(4, 4) from the optical frame to the vehicle's (on the road under the camera, x forward,
    y left, z up), the same for all frames: [2, 3] is the camera's height."""
    scene: Mesh = field(repr=False)
    """All polygons around, in the world frame: what a simulated LiDAR sees."""


class Street:
    """An endless street with the ego on it; equal seeds give equal drives."""

    def __init__(
        self,
        camera: PinholeCamera,
        seed: int,
        options: StreetOptions | None = None,
        fps: float = 10.0,
    ) -> None:
        """Lay out the street.

        :param fps: frames a second, positive.
        """
        if not fps > 0:
            raise ValueError(f'frames a second must be positive, found {fps}')
        options = options or StreetOptions()
        rng = np.random.default_rng([seed, 0])
        self.camera = camera
        self.style: Style = draw_style(rng, options)
        self.light: Lighting = draw_lighting(rng, options)
        self._rng, self._options, self._dt = rng, options, 1 / fps
        self.world = World(seed, self.style, options, self.light.night)
        self.world.cover(0.0)
        self.traffic = Traffic(
            np.random.default_rng([seed, 3]), self.world, options, self.light.night
        )
        self._mount = np.eye(4)
        self._mount[:3, :3] = _tilt(
            np.radians(rng.uniform(*options.camera_pitch)),
            np.radians(rng.uniform(*options.camera_roll)),
        )
        self._mount[:3, :3] = self._mount[:3, :3] @ _OPTICAL
        self._mount[2, 3] = rng.uniform(*options.camera_height)
        self._wander = rng.uniform(0, 2 * np.pi)
        self._shake = np.zeros(2)
        self._optics = Optics(rng, camera.width, camera.height, self.light.exposure, options)
        self._noise = np.random.default_rng([seed, 4])
        self._shadows = ShadowMap(self.light.sun)
        self._shadow_s = -np.inf
        self._count = 0
        self._hill_seed = rng.uniform(0, 50)

    def step(self) -> StreetFrame:
        """Render the next frame."""
        if self._count:
            # Over longer steps drivers would run into each other before they see it.
            parts = math.ceil(self._dt / _LONGEST_STEP)
            for _ in range(parts):
                self.traffic.step(self._dt / parts)
        self.world.cover(self.traffic.s)
        pose = self._pose()
        center = self.world.line.place(self.traffic.s + 60.0, 0.0)
        sunny = self.light.sun_color.max() > 0.05
        if sunny and self.traffic.s - self._shadow_s > _SHADOW_STEP:
            self._shadows.set_static(self.world.mesh, center)
            self._shadow_s = self.traffic.s
        moving, prints = self.traffic.mesh()
        if sunny:
            self._shadows.set_moving(moving)
        contact = ContactMap(np.concatenate([self.world.footprints, prints]), center)
        scene = concatenate([self.world.mesh, moving, self._surroundings(pose[:3, 3])])
        picture = render(scene, self.camera, pose, self.light, self._shadows, contact)
        frame = StreetFrame(
            self._optics.expose(picture.radiance, self._noise),
            picture.depth,
            picture.labels,
            self.camera,
            pose,
            self.traffic.speed,
            self._count * self._dt,
            np.isin(picture.objects, self.traffic.moving_ids()),
            np.isin(picture.objects, self.traffic.following_ids()),
            self._mount,
            scene,
        )
        self._count += 1
        return frame

    def _pose(self) -> NDArray[np.float64]:
        """Give the camera's (4, 4) pose above the road, with a little wander and shake."""
        line, s = self.world.line, self.traffic.s
        shake = np.radians(self._options.shake) * self._noise.standard_normal(2)
        self._shake = 0.7 * self._shake + 0.5 * shake * min(1.0, self.traffic.speed / 8)
        d = self.traffic.d + 0.12 * np.sin(0.05 * s + self._wander)
        drift = np.arctan(0.12 * 0.05 * np.cos(0.05 * s + self._wander))
        heading = line.heading(s) + drift
        sway = _tilt(np.arctan(line.slope(s)) + self._shake[0], 0.5 * self._shake[1])
        pose = np.eye(4)
        pose[:3, :3] = yaw(heading) @ sway @ self._mount[:3, :3]
        pose[:3, 3] = line.place(s, d, self._mount[2, 3])
        return pose

    def _surroundings(self, center: NDArray[np.float64]) -> Mesh:
        """Make far hills and the land before them; they move with the camera, as if very far."""
        angle = np.linspace(0, 2 * np.pi, 49)
        waves = sum(
            np.sin(angle * k + self._hill_seed * (k + 1)) / k**0.7 for k in (2, 3, 5, 9, 14)
        )
        top = center[2] + 9 + 7 * np.clip(waves + 1.0, 0, 4)
        low = self.world.lowest - 0.2
        ring = _FAR * np.stack([np.cos(angle), np.sin(angle)], 1) + center[:2]
        base = np.column_stack([ring, np.full(49, low - 5)])
        peak = np.column_stack([ring, top])
        hills = np.stack([base[1:], base[:-1], peak[:-1], peak[1:]], 1)
        along = angle * _FAR
        uv = np.stack(
            [
                np.stack([along[1:], np.zeros(48)], 1), np.stack([along[:-1], np.zeros(48)], 1),
                np.stack([along[:-1], peak[:-1, 2]], 1), np.stack([along[1:], peak[1:, 2]], 1),
            ], 1,
        )  # fmt: skip
        params = (0.3, 12.0, 0, 0, 0, self._hill_seed)
        far = polygons(hills, ID['vegetation'], (0.07, 0.1, 0.05), Material.BACKDROP, params, uv)
        x, y = center[:2]
        land = [(x - _FAR, y - _FAR), (x + _FAR, y - _FAR), (x + _FAR, y + _FAR),
                (x - _FAR, y + _FAR)]  # fmt: skip
        corners = np.array([[(*p, low) for p in land]])
        uv = np.array([[(px % 6144, py % 6144) for px, py in land]])
        uv = uv[:, :1] + corners[..., :2] - corners[:, :1, :2]
        field_color = (0.12, 0.15, 0.06)
        plain = polygons(corners, ID['terrain'], field_color, Material.TERRAIN, params, uv)
        return concatenate([far, plain])


def drive(
    camera: PinholeCamera,
    frames: int | None,
    seed: int,
    options: StreetOptions | None = None,
    fps: float = 10.0,
) -> Iterator[StreetFrame]:
    """Drive down a street lazily; endless where ``frames`` is None."""
    street = Street(camera, seed, options, fps)
    count = 0
    while frames is None or count < frames:
        yield street.step()
        count += 1
