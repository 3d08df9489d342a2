# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The reference of the settings is that of the models."""

from pathlib import Path

from sg_depth_ros.training.settings_page import settings_page, undescribed

PAGE = Path(__file__).parents[2] / 'docs' / 'training_settings.md'


def test_the_page_is_current():
    """If not: ``sg_depth train settings > docs/training_settings.md``."""
    assert PAGE.read_text() == settings_page()


def test_every_setting_says_what_it_is():
    assert undescribed() == []


def test_the_page_has_defaults_and_the_values_of_the_paper():
    lines = settings_page().splitlines()
    (line,) = [line for line in lines if line.startswith('| `learning_rate`') and '0.01' in line]
    assert line.startswith('| `learning_rate` | `0.01` | `0.01` | Falls to zero over the steps')
    assert any(line.startswith('| `steps` | `200000` | `30 epochs` |') for line in lines)
    assert any(line.startswith('| `sigma` | `1` |  | Width of the kernel K') for line in lines)
