# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From polygons, light and a camera pose to a linear image, exact depth and labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sg_depth_ros.bundle.labels import ID
from sg_depth_ros.geometry.camera import PinholeCamera
from sg_depth_ros.synthetic.lighting import Lighting
from sg_depth_ros.synthetic.materials import SHADERS, Surface
from sg_depth_ros.synthetic.mesh import Material, Mesh
from sg_depth_ros.synthetic.raster import NEAR, Grid, Keep, planes, visible
from sg_depth_ros.synthetic.shadows import ContactMap, ShadowMap
from sg_depth_ros.synthetic.textures import leaf_masks

Array = NDArray[np.floating]


@dataclass
class Rendering:
    """What one frame shows."""

    radiance: Array
    """(H, W, 3) linear RGB before exposure."""
    depth: Array
    """(H, W) metres, +inf for sky."""
    labels: NDArray[np.uint8]
    objects: NDArray[np.int32]
    """(H, W) object numbers, 0 for what stands still and for sky."""


def leaf_filter(mesh: Mesh, rotation: NDArray[np.float64], grid: Grid, pixel: float) -> Keep:
    """Give the test that cuts foliage out of its polygons in a perspective view.

    ``rotation`` (3, 3) turns vectors of the view into the frame in which ``mesh.texture`` is
    given; ``mesh.corners`` are in the view's frame; ``pixel`` is the angle between samples.
    """
    leafy = mesh.material == Material.LEAVES
    leaves = np.flatnonzero(leafy)
    number = np.zeros(len(mesh), np.int32)
    number[leaves] = np.arange(len(leaves))
    gradient, offset = _texture_in_view(mesh, rotation, leaves)
    masks = leaf_masks()
    side = np.array([mask.shape[1] for mask in masks])
    start = np.cumsum([0, *(mask.size for mask in masks)])
    texels = np.concatenate([mask.ravel() for mask in masks]) > 0.45
    # One level of detail a polygon, by the footprint of a pixel at its middle.
    away = np.maximum(mesh.corners[leaves, :, 2].mean(1), NEAR)
    scale = np.linalg.norm(gradient, axis=2).max(1) * pixel * away * side[0]
    level = np.clip(np.log2(np.maximum(scale, 1)), 0, len(masks) - 1).astype(np.intp)
    side = side[level].astype(np.int32)
    first = (start[level] + mesh.params[leaves, 0].astype(np.intp) * side * side).astype(np.int32)
    g = (gradient * side[:, None, None]).reshape(-1, 6).T.astype(np.float32)
    b = (offset * side[:, None]).T.astype(np.float32)
    width = np.int32(len(grid.columns))
    columns, rows = grid.columns.astype(np.float32), grid.rows.astype(np.float32)

    def keep(
        sample: NDArray[np.int32], polygon: NDArray[np.int32], inverse: Array
    ) -> NDArray[np.bool_]:
        kept = np.ones(len(sample), np.bool_)
        at = np.flatnonzero(leafy[polygon])
        p = number[polygon[at]]
        row = sample[at] // width
        column = sample[at] - row * width
        x, y = columns[column], rows[row]
        if grid.row_scale is not None:
            y = y * grid.row_scale.astype(np.float32)[column]
        z = 1 / inverse[at]
        u = ((g[0][p] * x + g[1][p] * y + g[2][p]) * z + b[0][p]).astype(np.int32)
        v = ((g[3][p] * x + g[4][p] * y + g[5][p]) * z + b[1][p]).astype(np.int32)
        last = side[p] - 1
        kept[at] = texels[first[p] + np.clip(v, 0, last) * side[p] + np.clip(u, 0, last)]
        return kept

    return keep


def _texture_in_view(
    mesh: Mesh, rotation: NDArray[np.float64], chosen: NDArray[np.integer]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give g (M, 2, 3), b (M, 2) of chosen polygons: texture = g . point in the view + b."""
    gradient = mesh.texture[chosen][..., :3] @ rotation
    start = (gradient * mesh.corners[chosen, 0][:, None]).sum(2)
    return gradient, mesh.texture[chosen][..., 3] - start


def in_view(mesh: Mesh, view_to_world: NDArray[np.float64]) -> Mesh:
    """Give the mesh with corners in a view's frame; texture and normals stay in the world's."""
    corners = (mesh.corners - view_to_world[:3, 3]) @ view_to_world[:3, :3]
    return Mesh(
        corners, mesh.texture, mesh.normal, mesh.color, mesh.params, mesh.material, mesh.label,
        mesh.two_sided, mesh.object_id,
    )  # fmt: skip


def render(
    world: Mesh,
    camera: PinholeCamera,
    camera_to_world: NDArray[np.float64],
    light: Lighting,
    shadows: ShadowMap,
    contact: ContactMap,
) -> Rendering:
    """Render one frame; depth is exact at the pixel centres."""
    rotation = camera_to_world[:3, :3]
    mesh = in_view(_without_far_sides(world, camera_to_world[:3, 3]), camera_to_world)
    grid = Grid.of_camera(camera)
    keep = leaf_filter(mesh, rotation, grid, 1 / camera.fx)
    polygon_hw, _ = visible(mesh.corners, mesh.two_sided, grid, keep)
    polygon = polygon_hw.ravel()
    hit = np.flatnonzero(polygon >= 0)
    seen, which = np.unique(polygon[hit], return_inverse=True)
    ray = camera.rays().reshape(-1, 3)
    radiance = np.empty((len(polygon), 3), np.float32)
    sky = np.flatnonzero(polygon < 0)
    radiance[sky] = light.sky(ray[sky] @ rotation.T.astype(np.float32))
    depth = np.full(len(polygon), np.inf, np.float32)
    plane = planes(mesh.corners[seen])[which]
    ray64 = ray[hit].astype(np.float64)
    z = 1 / np.einsum('nk,nk->n', plane, ray64)
    depth[hit] = z
    normal = mesh.normal[seen]
    surface = _surface(mesh, seen, which, rotation, camera, ray[hit], z, plane, light.night)
    color, emission = _shade(mesh.material[seen][which], surface)
    world_ray = ray[hit] @ rotation.T.astype(np.float32)
    points = world_ray * z[:, None] + camera_to_world[:3, 3]
    ground = np.isin(mesh.material[seen], (Material.ROAD, Material.PAVING, Material.TERRAIN))
    incoming = _irradiance(
        light, shadows, contact, points, normal.astype(np.float32), which, ground
    )
    if light.night:
        incoming += _headlights(ray[hit], z, normal[which], world_ray)
    result = color * incoming
    if light.wetness > 0:
        wet = np.isin(mesh.material[seen], (Material.ROAD, Material.PAVING))[which]
        result[wet] = _wet(result[wet], world_ray[wet], light)
    if emission is not None:
        result += emission
    distance = z * np.linalg.norm(ray[hit], axis=1)
    clear = np.exp(-distance / light.haze).astype(np.float32)[:, None]
    radiance[hit] = result * clear + light.horizon * (1 - clear)
    labels = np.full(len(polygon), ID['sky'], np.uint8)
    labels[hit] = mesh.label[seen][which]
    objects = np.zeros(len(polygon), np.int32)
    objects[hit] = mesh.object_id[seen][which]
    shape = (camera.height, camera.width)
    return Rendering(
        radiance.reshape(*shape, 3),
        depth.reshape(shape),
        labels.reshape(shape),
        objects.reshape(shape),
    )


def _without_far_sides(world: Mesh, eye: NDArray[np.float64]) -> Mesh:
    """Leave out the foliage on the far side of crowns, which their near side hides."""
    towards = world.corners[:, 0] - eye
    facing_away = np.einsum('nk,nk->n', towards, world.normal)
    distance = np.sqrt(np.einsum('nk,nk->n', towards, towards))
    return world.chosen((world.material != Material.LEAVES) | (facing_away < 0.4 * distance))


def _surface(
    mesh: Mesh, seen: NDArray[np.int32], which: NDArray[np.intp], rotation: NDArray[np.float64],
    camera: PinholeCamera, ray: Array, z: NDArray[np.float64], plane: NDArray[np.float64],
    night: bool,
) -> Surface:  # fmt: skip
    """Interpolate texture coordinates and their footprints at the pixels."""
    gradient, offset = _texture_in_view(mesh, rotation, seen)
    offset = offset[which]
    z32 = z.astype(np.float32)
    # d(uv)/d(pixel) for uv = (g . ray) z + b with 1 / z = plane . ray.
    bend_x, bend_y = (plane[:, :2] * z[:, None]).astype(np.float32).T

    def interpolate(axis: int) -> tuple[Array, Array]:
        g = gradient[:, axis].astype(np.float32)[which]
        along = np.einsum('nk,nk->n', g, ray)
        dx = (g[:, 0] - along * bend_x) / camera.fx
        dy = (g[:, 1] - along * bend_y) / camera.fy
        place = (along * z + offset[:, axis]).astype(np.float32)
        return place, np.maximum(z32 * np.hypot(dx, dy), 1e-5)

    (u, du), (v, dv) = interpolate(0), interpolate(1)
    return Surface(u, v, du, dv, mesh.color[seen][which], mesh.params[seen][which], night)


def _shade(material: NDArray[np.uint8], surface: Surface) -> tuple[Array, Array | None]:
    """Run every material's shader on its own pixels."""
    color = np.empty_like(surface.color)
    emission = None
    for kind, shader in SHADERS.items():
        at = np.flatnonzero(material == kind)
        if not len(at):
            continue
        part = Surface(
            surface.u[at], surface.v[at], surface.du[at], surface.dv[at],
            surface.color[at], surface.params[at], surface.night,
        )  # fmt: skip
        color[at], shine = shader(part)
        if shine is not None:
            if emission is None:
                emission = np.zeros_like(color)
            emission[at] = shine
    return color, emission


def _irradiance(
    light: Lighting, shadows: ShadowMap, contact: ContactMap, points: NDArray[np.float64],
    normal: Array, which: NDArray[np.intp], ground: NDArray[np.bool_],
) -> Array:  # fmt: skip
    """Give the light (N, 3) that falls on the pixels' surfaces, sun and sky together."""
    facing = np.clip(normal @ light.sun, 0, 1)
    open_sky = 0.55 + 0.45 * normal[:, 2]
    sky = open_sky.astype(np.float32)[which]
    on_ground = np.flatnonzero(ground[which])
    sky[on_ground] *= contact.openness(points[on_ground])
    # What falls on the ground comes back up, a fifth of it.
    bounce = 0.2 * (1 - normal[:, 2:]) * 0.5 * (light.sun_color * light.sun[2] + light.ambient)
    incoming = sky[:, None] * light.ambient + bounce.astype(np.float32)[which]
    if light.sun_color.max() > 0:
        sunny = np.flatnonzero(facing[which] > 0)
        share = shadows.lit(points[sunny], normal[which[sunny]]) * facing[which[sunny]]
        incoming[sunny] += share[:, None] * light.sun_color
    return incoming


def _headlights(
    ray: Array, z: NDArray[np.float64], normal: NDArray[np.float64], world_ray: Array
) -> Array:
    """Give the light (N, 3) of the ego's low beams: a wide, flat cone that fades with distance."""
    beam = np.exp(-((ray[:, 0] / 0.5) ** 2)) * np.clip(1.0 - (0.06 - ray[:, 1]) * 9, 0.03, 1)
    facing = np.clip(-np.einsum('nk,nk->n', normal, world_ray), 0.0, 1) * 0.7 + 0.3
    falloff = 1 / (1 + (z / 14) ** 2)
    warm = np.array([1.0, 0.92, 0.78], np.float32)
    return ((beam * facing * falloff)[:, None] * warm).astype(np.float32)


def _wet(color: Array, world_ray: Array, light: Lighting) -> Array:
    """Darken a wet surface and let it mirror the sky above."""
    up = world_ray * np.array([1, 1, -1], np.float32)
    grazing = 1 - np.abs(up[:, 2]) / np.linalg.norm(up, axis=1)
    mirror = (0.03 + 0.45 * grazing**6)[:, None] * light.wetness
    return color * (1 - 0.35 * light.wetness) * (1 - mirror) + light.horizon * 0.7 * mirror
