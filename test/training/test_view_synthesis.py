# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0

import math

import numpy as np
import pytest
import torch

from sg_depth_ros.training.depth_settings import LossSettings
from sg_depth_ros.training.intrinsics import LearnedIntrinsics
from sg_depth_ros.training.losses import masked_mean
from sg_depth_ros.training.reconstruction import reconstruct
from sg_depth_ros.training.view_synthesis import back_project, pose_matrix, warp

FX, FY, CX, CY = 60.0, 55.0, 31.0, 14.0
K = torch.tensor([[[FX, 0, CX], [0, FY, CY], [0, 0, 1]]], dtype=torch.float64)


def coordinates(height=30, width=64):
    """Give an image (1, 2, H, W) that holds its own pixel coordinates u, v."""
    v, u = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
    return torch.stack([u, v])[None].double()


def vector(**parts):
    names = ('rx', 'ry', 'rz', 'tx', 'ty', 'tz')
    return torch.tensor([[parts.get(name, 0.0) for name in names]], dtype=torch.float64)


def test_driving_forward_spreads_the_image_from_its_centre():
    # The camera moves 2 m ahead: a point at 10 m is then at 8 m.
    depth = torch.full((1, 1, 30, 64), 10.0).double()
    source, valid = warp(coordinates(), depth, pose_matrix(vector(tz=-2.0)), K)
    u, v = coordinates()[0]
    expected = torch.stack([CX + (u - CX) * 10 / 8, CY + (v - CY) * 10 / 8])
    inside = ((expected[0] >= -0.5) & (expected[0] <= 63.5)) & (
        (expected[1] >= -0.5) & (expected[1] <= 29.5)
    )
    assert torch.equal(valid[0, 0], inside)
    centre = inside & (expected[0] >= 0) & (expected[0] <= 63)
    centre &= (expected[1] >= 0) & (expected[1] <= 29)
    torch.testing.assert_close(source[0][:, centre], expected[:, centre], atol=1e-4, rtol=0)


def test_a_pure_turn_moves_pixels_by_the_angle_at_any_depth():
    angle = 0.1
    for depth in (2.0, 300.0):
        depths = torch.full((1, 1, 30, 64), depth).double()
        source, valid = warp(coordinates(), depths, pose_matrix(vector(ry=angle)), K)
        columns = np.arange(64)
        expected = CX + FX * np.tan(np.arctan((columns - CX) / FX) + angle)
        row = 14  # the row of the optical axis: v stays
        inside = valid[0, 0, row].numpy() & (expected <= 63)
        assert inside.sum() > 50
        np.testing.assert_allclose(source[0, 0, row].numpy()[inside], expected[inside], atol=1e-4)


def test_euler_angles_are_rx_ry_rz():
    x, y, z = 0.3, -0.2, 0.5
    about_x = np.array([[1, 0, 0], [0, math.cos(x), -math.sin(x)], [0, math.sin(x), math.cos(x)]])
    about_y = np.array([[math.cos(y), 0, math.sin(y)], [0, 1, 0], [-math.sin(y), 0, math.cos(y)]])
    about_z = np.array([[math.cos(z), -math.sin(z), 0], [math.sin(z), math.cos(z), 0], [0, 0, 1]])
    pose = pose_matrix(vector(rx=x, ry=y, rz=z, tx=1.0, ty=2.0, tz=3.0))[0].numpy()
    np.testing.assert_allclose(pose[:3, :3], about_x @ about_y @ about_z, atol=1e-12)
    np.testing.assert_allclose(pose[:, 3], [1, 2, 3, 1])


def test_the_inverse_pose_leads_back():
    pose = pose_matrix(vector(rx=0.1, ry=0.2, rz=-0.1, tx=0.5, tz=-1.0))
    points = back_project(torch.rand(1, 1, 30, 64).double() + 3, K).flatten(2)
    there = pose[:, :3, :3] @ points + pose[:, :3, 3:]
    inverse = torch.linalg.inv(pose)
    back = inverse[:, :3, :3] @ there + inverse[:, :3, 3:]
    torch.testing.assert_close(back, points)


def test_what_lies_behind_the_neighbour_is_not_valid():
    depth = torch.full((1, 1, 30, 64), 1.0).double()
    _, valid = warp(coordinates(), depth, pose_matrix(vector(tz=-2.0)), K)
    assert not valid.any()


def test_true_depth_and_pose_of_the_street_rebuild_the_neighbour(street_clip):
    """Off occlusions and moving objects, which true depth of the neighbour tells apart."""
    frames, _ = street_clip
    target, neighbour = frames[1], frames[2]
    to_neighbour = np.linalg.inv(neighbour.camera_to_world) @ target.camera_to_world
    pose = torch.from_numpy(to_neighbour)[None].float()
    intrinsics = torch.from_numpy(target.camera.matrix)[None].float()
    finite = np.isfinite(target.depth)
    depth = torch.from_numpy(np.where(finite, target.depth, 1000.0))[None, None].float()
    image = torch.from_numpy(neighbour.image).permute(2, 0, 1)[None].float() / 255
    rebuilt, valid = warp(image, depth, pose, intrinsics)
    seen = torch.from_numpy(np.where(np.isfinite(neighbour.depth), neighbour.depth, 1000.0))
    there, _ = warp(seen[None, None].float(), depth, pose, intrinsics)
    points = back_project(depth, intrinsics).flatten(2)
    z = (pose[:, :3, :3] @ points + pose[:, :3, 3:])[0, 2].reshape(there.shape)
    visible = (valid & ((there - z).abs() < 0.05 * z))[0, 0].numpy()
    visible &= finite & ~target.moving & ~neighbour.moving
    assert visible.mean() > 0.4
    original = target.image.astype(np.float32) / 255
    error = np.abs(rebuilt[0].permute(1, 2, 0).numpy() - original).mean(2)
    assert error[visible].mean() < 0.02
    still = np.abs(neighbour.image.astype(np.float32) / 255 - original).mean(2)
    assert error[visible].mean() < still[visible].mean() / 2


def test_learned_intrinsics_start_at_the_guess_and_leave_known_cameras_alone():
    learned = LearnedIntrinsics(['a', 'b'])
    guess = K.float().expand(3, 3, 3)
    camera = torch.tensor([-1, 0, 1])
    torch.testing.assert_close(learned(guess, camera), guess)
    with torch.no_grad():
        learned.focal += 1.0
        learned.centre += torch.tensor([[0.0, 0.0], [0.1, -0.2]])
    out = learned(guess, camera).detach()
    torch.testing.assert_close(out[0], guess[0])
    most = math.log(2.5)
    factor = math.exp(most * math.tanh(1 / most))
    right, up = 0.2 * math.tanh(0.5), 0.2 * math.tanh(1)
    assert out[1, 0, 0].item() == pytest.approx(FX * factor, rel=1e-5)
    assert out[2, 0, 2].item() == pytest.approx(CX + right * FX * factor, rel=1e-5)
    assert out[2, 1, 2].item() == pytest.approx(CY - up * FY * factor, rel=1e-5)
    np.testing.assert_allclose(learned.matrix(K[0].numpy(), 1), out[2].numpy(), rtol=1e-6)
    with torch.no_grad():
        learned.focal.fill_(-50.0)
        learned.centre.fill_(50.0)
    out = learned(guess, camera).detach()
    assert out[1, 1, 1].item() == pytest.approx(FY / 2.5, rel=1e-5)
    assert out[1, 1, 2].item() == pytest.approx(CY + 0.2 * FY / 2.5, rel=1e-5)


@pytest.mark.parametrize(('metres', 'leaves'), [(0.5, 'some'), (8.0, 'all')])
def test_depth_cannot_escape_from_its_error_out_of_the_image(metres, leaves):
    """Without the auto-mask; what leaves is counted, and what stays is averaged."""
    images = torch.rand(2, 3, 3, 30, 64, generator=torch.Generator().manual_seed(0)).double()
    # The second image of the batch does not move.
    moved = pose_matrix(vector(tx=metres)).repeat(2, 1, 1)
    moved[1] = torch.eye(4).double()
    depth = torch.full((2, 1, 30, 64), 5.0).double()
    built = reconstruct(
        images, depth, moved[:, None].expand(-1, 2, -1, -1), K.expand(2, 3, 3),
        LossSettings(automask=False),
    )  # fmt: skip
    gone = built.outside[0]
    assert gone.all() if leaves == 'all' else gone.any() and not gone.all()
    assert not built.outside[1].any()
    assert built.counted[1].all()
    assert torch.equal(built.counted[0], torch.ones_like(gone) if leaves == 'all' else ~gone)
    for image in range(2):
        mean = masked_mean(built.error[image], built.counted[image])
        assert 0.1 < mean < 1
