# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0

import numpy as np
import pytest
import torch

from sg_depth_ros.training import losses


def images(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator, dtype=torch.float64)


def test_ssim_is_the_published_formula():
    a, b = images(1, 2, 5, 6), images(1, 2, 5, 6, seed=1)
    found = losses.ssim(a, b).numpy()
    padded = [np.pad(x[0].numpy(), ((0, 0), (1, 1), (1, 1)), 'reflect') for x in (a, b)]
    for c in range(2):
        for y in range(5):
            for x in range(6):
                p, q = (image[c, y : y + 3, x : x + 3].ravel() for image in padded)
                cov = np.mean((p - p.mean()) * (q - q.mean()))
                top = (2 * p.mean() * q.mean() + 0.01**2) * (2 * cov + 0.03**2)
                low = (p.mean() ** 2 + q.mean() ** 2 + 0.01**2) * (p.var() + q.var() + 0.03**2)
                assert found[0, c, y, x] == pytest.approx(top / low, abs=1e-9)


def test_ssim_equals_pooling_in_single_precision():
    a, b = images(2, 3, 24, 40).float(), images(2, 3, 24, 40, seed=1).float()
    pool = torch.nn.AvgPool2d(3, 1)
    pa, pb = (torch.nn.functional.pad(x, [1, 1, 1, 1], mode='reflect') for x in (a, b))
    ma, mb = pool(pa), pool(pb)
    va, vb, cov = pool(pa**2) - ma**2, pool(pb**2) - mb**2, pool(pa * pb) - ma * mb
    reference = ((2 * ma * mb + 1e-4) * (2 * cov + 9e-4)) / (
        (ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4)
    )
    torch.testing.assert_close(losses.ssim(a, b), reference, atol=1e-4, rtol=0)


def test_photometric_weighs_ssim_and_l1():
    a = images(1, 3, 8, 8)
    torch.testing.assert_close(losses.photometric(a, a), torch.zeros(1, 1, 8, 8).double())
    # Constant images: SSIM is (2ab + c1) / (a2 + b2 + c1), and L1 the difference.
    gray, dark = torch.full((1, 3, 4, 4), 0.6), torch.full((1, 3, 4, 4), 0.2)
    similarity = (2 * 0.12 + 1e-4) / (0.36 + 0.04 + 1e-4)
    expected = 0.85 * (1 - similarity) / 2 + 0.15 * 0.4
    found = losses.photometric(gray, dark)
    torch.testing.assert_close(found, torch.full((1, 1, 4, 4), expected), atol=1e-4, rtol=0)


def test_minimum_takes_the_best_neighbour_and_masks_what_stands():
    first = torch.tensor([[[[0.1, 0.5, 0.3, 0.2]]]])
    second = torch.tensor([[[[0.4, 0.2, 0.3, 0.9]]]])
    still = torch.tensor([[[[0.3, 0.1, 0.3, 0.5]]]])
    best, moving = losses.minimum_reprojection([first, second], [still, still + 1])
    assert best.flatten().tolist() == pytest.approx([0.1, 0.1, 0.3, 0.2])
    # A tie, as in an image that stands still, is not taken for motion.
    assert moving.flatten().tolist() == [True, False, False, True]
    best, moving = losses.minimum_reprojection([first, second], None)
    assert best.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3, 0.2])
    assert moving.all()


def test_smoothness_is_edge_aware_and_without_scale():
    inverse, image = images(2, 1, 4, 5), images(2, 3, 4, 5, seed=1)
    total = 0.0
    for axis in (0, 1):
        parts = []
        for b in range(2):
            d = (inverse[b, 0] / inverse[b, 0].mean()).numpy()
            i = image[b].numpy()
            edge = np.abs(np.diff(i, axis=axis + 1)).mean(0)
            parts.append(np.abs(np.diff(d, axis=axis)) * np.exp(-edge))
        total += np.mean(parts)
    assert losses.smoothness(inverse, image).item() == pytest.approx(total)
    assert losses.smoothness(7 * inverse, image).item() == pytest.approx(total)


def test_velocity_compares_lengths_where_they_are_known():
    pose = torch.eye(4).expand(2, 2, 4, 4).clone()
    pose[:, :, :3, 3] = torch.tensor([3.0, 0, -4.0])
    measured = torch.tensor([[4.0, float('nan')], [float('nan'), 7.0]])
    assert losses.velocity(pose, measured).item() == pytest.approx((1 + 2) / 2)
    assert losses.velocity(pose, measured * float('nan')).item() == 0


def test_log_depth_takes_sky_as_far_and_leaves_out_the_unknown():
    inverse = torch.tensor([[[[1 / 10, 1 / 50, 1 / 3]]]])
    truth = torch.tensor([[[[20.0, float('inf'), float('nan')]]]])
    expected = (np.log(2) + np.log(2)) / 2
    error, known = losses.log_depth_error(inverse, truth, 100.0)
    assert losses.masked_mean(error.abs(), known).item() == pytest.approx(expected)
    assert error[~known].tolist() == [0]


def test_the_gradient_of_log_depth_knows_shapes_and_not_scale():
    rng = np.random.default_rng(0)
    truth = torch.from_numpy(rng.uniform(2, 50, (2, 1, 9, 12)))
    truth[0, 0, 3, 4], truth[1, 0, 0, 0] = float('nan'), float('inf')
    far = truth.clamp(max=100.0)
    none = losses.log_depth_gradient(*losses.log_depth_error(3 / far, truth, 100.0), 3)
    assert none.item() == pytest.approx(0, abs=1e-12)
    inverse = torch.from_numpy(rng.uniform(0.02, 0.5, (2, 1, 9, 12))).requires_grad_()
    error = (inverse.detach() * far).log().numpy()
    expected = 0.0
    for step in (1, 2, 4):
        for axis in (2, 3):
            change = np.diff(error[..., ::step, ::step], axis=axis)
            expected += np.nanmean(np.abs(change))
    found = losses.log_depth_gradient(*losses.log_depth_error(inverse, truth, 100.0), 3)
    assert found.item() == pytest.approx(expected)
    found.backward()
    assert inverse.grad.isfinite().all() and inverse.grad[0, 0, 3, 4] == 0
    unknown = losses.log_depth_error(inverse, truth * float('nan'), 100.0)
    assert losses.log_depth_gradient(*unknown).item() == 0


def test_masked_mean_of_nothing_is_zero():
    values = torch.tensor([1.0, float('nan'), 3.0])
    assert losses.masked_mean(values, torch.tensor([True, False, True])).item() == 2
    assert losses.masked_mean(values, torch.zeros(3, dtype=torch.bool)).item() == 0
