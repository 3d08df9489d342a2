# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a training says, keeps and follows while it runs."""

import json
import os
import re
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from published_worlds import write_kitti
from training_worlds import depth_settings

from sg_depth_ros.training import checkpoints, pace
from sg_depth_ros.training.checkpoints import LAST
from sg_depth_ros.training.curve import read_curve
from sg_depth_ros.training.data.kitti import KittiRawSource
from sg_depth_ros.training.data.sources import FolderSource
from sg_depth_ros.training.depth import DepthTraining
from sg_depth_ros.training.depth_settings import KittiValidation
from sg_depth_ros.training.pace import ShowPace, duration
from sg_depth_ros.training.progress import shown_by
from sg_depth_ros.training.run import train_depth
from sg_depth_ros.training.validation import DepthValidation


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope='module')
def kitti(tmp_path_factory):
    root = tmp_path_factory.mktemp('kitti')
    write_kitti(root)
    return root


def validated(kitti, **changes):
    split = kitti / 'eigen_zhou'
    source = KittiRawSource(path=kitti, split=split / 'train_files.txt')
    validation = KittiValidation(path=kitti, split=split / 'val_files.txt', **changes)
    return {'sources': [source], 'validation': validation}


class Terminal:
    """Stands for one: keeps what is said and how far bars were."""

    def __init__(self, bars=True):
        self.said, self.counts, self.open, self._bars = [], [], False, bars

    def shown(self):
        def open_bar(title, total, done):
            if not self._bars:
                return None
            self.counts.append((done, total))
            self.open = True
            return self

        return shown_by(lambda items, title: items, self.said.append, open_bar)

    def update(self, done, note):
        self.counts.append((done, note))

    def close(self):
        self.open = False


def cut_off_at(step, monkeypatch):
    """Let the power go out after so many steps."""
    run = DepthTraining.training_step

    def failing(self, batch, index):
        if self.global_step == step:
            raise OSError('the power went out')
        return run(self, batch, index)

    monkeypatch.setattr(DepthTraining, 'training_step', failing)


def test_without_a_terminal_lines_say_how_far_it_is(
    segmentation_checkpoint, drive_folder, tmp_path
):
    settings = depth_settings(
        segmentation_checkpoint, [FolderSource(path=drive_folder)], line_seconds=0.001
    )
    terminal = Terminal(bars=False)
    with terminal.shown():
        train_depth(settings, tmp_path)
    begin, plan, *lines = terminal.said
    assert begin.startswith('6 samples of 8 frames in 1 sequence')
    assert 'no mask' in begin and 'intrinsics known' in begin
    assert plan == '4 steps of 2 samples are 1.33 epochs; validated every 2 steps'
    form = (
        r'step (\d)/4 \((25|50|75|100)\.0%\), loss \d+\.\d{4}, [\d.e+]+ images/s, '
        r'data \d+% of the time, \d\d:\d\d:\d\d left'
    )
    assert [re.fullmatch(form, line)[1] for line in lines] == ['1', '2', '3', '4']


def test_a_bar_counts_in_the_steps_of_the_training(
    segmentation_checkpoint, drive_folder, tmp_path, monkeypatch
):
    sources = [FolderSource(path=drive_folder)]
    settings = depth_settings(segmentation_checkpoint, sources, steps=6)
    terminal = Terminal()
    with terminal.shown(), monkeypatch.context() as patch:
        cut_off_at(3, patch)
        with pytest.raises(OSError, match='power'):
            train_depth(settings, tmp_path)
    assert not terminal.open
    terminal = Terminal()
    with terminal.shown():
        train_depth(settings, tmp_path)
    counts = terminal.counts
    assert counts[0] == (2, 6)
    assert (counts[1][0], counts[-1][0]) == (3, 6)
    assert 'images/s' in counts[1][1]
    assert not terminal.open and not any(line.startswith('step') for line in terminal.said)


def test_a_long_time_is_written_in_days():
    assert duration(3723.4) == '01:02:03'
    assert duration(86400 * 2 + 3600 * 3 + 60 * 5 + 1) == '2 d 03:05'


def test_the_checkpoint_is_written_by_the_minute_too(
    segmentation_checkpoint, drive_folder, tmp_path, monkeypatch
):
    settings = depth_settings(
        segmentation_checkpoint, [FolderSource(path=drive_folder)],
        steps=6, validate_every=6, checkpoint_minutes=10,
    )  # fmt: skip
    # Every step takes four minutes.
    clock = iter(range(0, 100_000, 240))
    monkeypatch.setattr(checkpoints, 'time', SimpleNamespace(monotonic=lambda: next(clock)))
    with monkeypatch.context() as patch:
        cut_off_at(5, patch)
        with pytest.raises(OSError, match='power'):
            train_depth(settings, tmp_path)
    saved = torch.load(tmp_path / LAST, weights_only=True)['global_step']
    assert saved == 3
    assert not list(tmp_path.glob('*.part'))
    train_depth(settings, tmp_path)
    assert torch.load(tmp_path / LAST, weights_only=True)['global_step'] == 6


def test_the_last_step_is_written_where_no_validation_is(
    segmentation_checkpoint, drive_folder, tmp_path
):
    settings = depth_settings(
        segmentation_checkpoint, [FolderSource(path=drive_folder)], steps=3, validate_every=2
    )
    train_depth(settings, tmp_path)
    assert torch.load(tmp_path / LAST, weights_only=True)['global_step'] == 3


@pytest.mark.timeout(1200)  # a process of its own, on a busy machine
@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_training_that_is_asked_to_end_keeps_its_last_step(
    segmentation_checkpoint, drive_folder, tmp_path, number
):
    settings = depth_settings(
        segmentation_checkpoint, [FolderSource(path=drive_folder)],
        steps=100_000, validate_every=100_000, line_seconds=0.001,
    )  # fmt: skip
    config = tmp_path / 'config.yaml'
    config.write_text(json.dumps(json.loads(settings.model_dump_json())))
    command = 'from sg_depth_ros.cli.main import main; main()'
    process = subprocess.Popen(
        [sys.executable, '-c', command, 'train', 'depth', str(config), '--out', str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': os.pathsep.join(sys.path)},
    )  # fmt: skip
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith('step 3/'):
            process.send_signal(number)
    assert process.wait() == 128 + number, said
    step = torch.load(tmp_path / LAST, weights_only=True)['global_step']
    assert step >= 3
    goes_on = f'stopped at step {step}; the same command goes on from there\n'
    assert f'interrupted: {goes_on}' in said
    # Lightning neither advertises nor repeats.
    text = ''.join(said)
    assert not re.search(r'Tip|litlogger|GPU available|Seed set|INFO', text), text
    assert len(set(said)) == len(said)


def test_a_validation_on_kitti_raw_has_a_best_and_a_curve(
    segmentation_checkpoint, kitti, tmp_path
):
    settings = depth_settings(segmentation_checkpoint, steps=2, **validated(kitti, frames=2))
    settings = settings.model_copy(update={'validate_every': 1})
    train_depth(settings, tmp_path)
    assert [row['step'] for row in read_curve(tmp_path)] == [1, 2]
    assert (tmp_path / 'best.pt').exists()


def test_a_validation_takes_frames_evenly(kitti):
    measured = []
    validation = DepthValidation(validated(kitti, frames=2)['validation'])

    def predict(image, camera):
        measured.append(camera)
        return torch.full(image.shape[:2], 10.0).numpy()

    validation.measure(predict)
    assert len(measured) == 2 and measured[0] is not None
    assert [name[-2:] for names in validation._names for name in names] == ['0l', '6l']


def test_a_validation_without_its_truth_is_refused_before_the_training(tmp_path):
    write_kitti(tmp_path)
    for scan in tmp_path.rglob('*.bin'):
        scan.unlink()
    with pytest.raises(ValueError, match=r'0000000000\.bin is missing.*unpack the LiDAR'):
        DepthValidation(validated(tmp_path)['validation'])


def test_a_plateau_halves_the_rates_and_is_remembered(
    segmentation_checkpoint, kitti, tmp_path, monkeypatch
):
    settings = depth_settings(
        segmentation_checkpoint, steps=7, **validated(kitti), schedule='plateau', patience=2
    ).model_copy(update={'validate_every': 1})
    rates, best = {}, 0.5

    class Measured:
        """No validation is better than the second."""

        def measure(self, predict):
            from sg_depth_ros.evaluation.metrics import DepthErrors

            step = len(rates)
            values = dict.fromkeys(DepthErrors.__dataclass_fields__, 0.5)
            return DepthErrors(**{**values, 'abs_rel': best if step >= 2 else 0.9})

    step = DepthTraining.training_step

    def note(self, batch, index):
        rates[self.global_step + 1] = self.optimizers().param_groups[1]['lr']
        return step(self, batch, index)

    init = DepthTraining.__init__

    def measured(self, *arguments):
        init(self, *arguments)
        self.validation = Measured()

    monkeypatch.setattr(DepthTraining, '__init__', measured)
    monkeypatch.setattr(DepthTraining, 'training_step', note)
    with monkeypatch.context() as patch:
        cut_off_at(3, patch)
        with pytest.raises(OSError, match='power'):
            train_depth(settings, tmp_path)
    train_depth(settings, tmp_path)
    # Better at step 2, not at 3 and 4: halved for 5; not at 5 and 6: halved for 7.
    assert [rates[s] for s in range(1, 8)] == [
        pytest.approx(5e-4 * f) for f in (1, 1, 1, 1, 0.5, 0.5, 0.25)
    ]


def test_where_it_waits_for_data_is_told(monkeypatch):
    """Three steps of 6 s that wait 2 s for data, and a validation that does not count."""
    now = [0.0]
    monkeypatch.setattr(pace, 'time', SimpleNamespace(monotonic=lambda: now[0]))
    trainer = SimpleNamespace(global_step=10, max_steps=20, is_global_zero=True, logger=None)
    shown, terminal = ShowPace(batch=4, every=17.0, where=''), Terminal(bars=False)

    def step():
        now[0] += 2
        shown.on_train_batch_start(trainer, None, None, 0)
        now[0] += 6
        trainer.global_step += 1
        shown.on_train_batch_end(trainer, None, torch.tensor(0.5), None, 0)

    with terminal.shown():
        shown.on_train_start(trainer, None)
        step()
        step()
        now[0] += 1000
        shown.on_validation_end(trainer, None)
        step()
    first, second = terminal.said
    # What the first step waits for is the start of all, and not the data's.
    assert first.startswith('step 11/20 (55.0%), loss 0.5000, 0.667 images/s, data 0% of')
    # 2 + 6 + 6 seconds for two steps of four images.
    assert second.startswith('step 13/20 (65.0%), loss 0.5000, 0.571 images/s, data 14% of')
