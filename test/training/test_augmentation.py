# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0

import numpy as np
import pytest

from sg_depth_ros.training.data.augmentation import ColorJitter, JitterConfig, adjust


def test_changes_are_those_of_torchvision():
    torch = pytest.importorskip('torch')
    functional = pytest.importorskip('torchvision.transforms.v2.functional')
    images = np.random.default_rng(0).random((2, 12, 17, 3), np.float32)
    changes = {'brightness': 1.15, 'contrast': 0.85, 'saturation': 1.2, 'hue': -0.04}
    expected = torch.from_numpy(images).permute(0, 3, 1, 2)
    for name, value in changes.items():
        expected = getattr(functional, f'adjust_{name}')(expected, value)
    found = adjust(images, **changes)
    np.testing.assert_allclose(found, expected.permute(0, 2, 3, 1).numpy(), atol=2e-5)


def test_all_images_of_a_sample_change_alike():
    image = np.random.default_rng(0).random((1, 8, 9, 3), np.float32)
    jitter = ColorJitter(JitterConfig(probability=1.0))
    changed = jitter(np.repeat(image, 3, 0), np.random.default_rng(5))
    np.testing.assert_allclose(changed[0], changed[2], atol=1e-6)
    assert np.abs(changed[0] - image[0]).max() > 0.01
    again = jitter(np.repeat(image, 3, 0), np.random.default_rng(5))
    np.testing.assert_array_equal(changed, again)


def test_gray_has_equal_channels_and_no_chance_changes_nothing():
    image = np.random.default_rng(0).random((1, 8, 9, 3), np.float32)
    gray = ColorJitter(JitterConfig(probability=0, gray=1.0))(image, np.random.default_rng(0))
    assert np.ptp(gray, axis=3).max() == 0
    same = ColorJitter(JitterConfig(probability=0))(image, np.random.default_rng(0))
    np.testing.assert_array_equal(same, image)


def test_noise_blur_and_night_do_what_they_say():
    rng = np.random.default_rng(0)
    flat = np.full((3, 64, 64, 3), 0.6, np.float32)
    noisy = ColorJitter(JitterConfig(probability=0, noise=0.1))(flat, rng)
    assert 0 < noisy.std() <= 0.1 and abs(noisy.mean() - 0.6) < 0.01
    assert np.abs(noisy[0] - noisy[1]).max() > 0  # every frame has grain of its own
    edge = flat * (np.arange(64) > 31)[:, None]
    blur = ColorJitter(JitterConfig(probability=0, blur=2.0))
    steps = [np.diff(blur(edge, rng), axis=2).max() for _ in range(20)]
    assert min(steps) < 0.3 * 0.6 and max(steps) <= 0.6
    dark = ColorJitter(JitterConfig(probability=0, night=1.0))(flat, rng)
    assert 0.06 <= dark.mean() <= 0.3 and 0.015 < dark.std() < 0.025
