# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from training_worlds import CAMERA, SPEED, depth_settings, write_drive

import sg_depth_ros
from sg_depth_ros.bundle.labels import ID
from sg_depth_ros.networks.checkpoint import load_networks, save_half
from sg_depth_ros.training import warm_start
from sg_depth_ros.training.curve import read_curve
from sg_depth_ros.training.data.order import Draw
from sg_depth_ros.training.data.sources import FolderSource
from sg_depth_ros.training.data.triplets import Sample, TripletDataset
from sg_depth_ros.training.depth import DepthTraining
from sg_depth_ros.training.depth_settings import LidarValidation, LossSettings
from sg_depth_ros.training.predictor import CheckpointPredictor
from sg_depth_ros.training.run import is_metric, learned_cameras, train_depth
from sg_depth_ros.training.trainer import claim_folder
from sg_depth_ros.training.warm_start import find_networks


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run_process(settings, out, *arguments, **environment):
    """Start ``training_process.py``, as torchrun would where the environment says so."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / 'process.json'
    path.write_text(settings.model_dump_json())
    script = Path(__file__).with_name('training_process.py')
    # The package under test, wherever another one may be installed.
    path_here = os.pathsep.join([str(Path(sg_depth_ros.__file__).parents[1]), *sys.path])
    return subprocess.Popen(
        [sys.executable, str(script), str(path), str(out), *map(str, arguments)],
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': path_here, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def weights(path):
    """Give all learned tensors of a networks.pt by name."""
    content = torch.load(path, weights_only=True)
    return {
        **{f'depth.{k}': v for k, v in content['depth']['state_dict'].items()},
        **{f'pose.{k}': v for k, v in content['pose'].items()},
    }


@pytest.fixture(scope='module')
def reference(segmentation_checkpoint, drive_folder, tmp_path_factory):
    """A training of six steps that nothing disturbs, its settings and its folder."""
    torch.set_num_threads(1)
    truth = tmp_path_factory.mktemp('truth')
    for name in ('images', 'depth'):
        (truth / name).mkdir()
    image = cv2.imread(str(drive_folder / 'images/000003.png'))
    cv2.imwrite(str(truth / 'images/a.png'), image)
    cv2.imwrite(str(truth / 'depth/a.png'), np.full((32, 64), 2560, np.uint16))
    validation = LidarValidation(path=truth, protocol='dense', scaling='none')
    settings = depth_settings(
        segmentation_checkpoint,
        [FolderSource(path=drive_folder)],
        steps=6,
        validation=validation,
    )
    out = tmp_path_factory.mktemp('runs') / 'reference'
    return settings, out, train_depth(settings, out)


def test_a_training_writes_networks_that_load(reference):
    settings, out, final = reference
    segmentation, depth, meta = load_networks(final)
    assert segmentation.frozen and depth.config == settings.network
    assert meta['scale'] == 'metric'
    assert (meta['training_focal_length'], meta['provenance']['depth_steps']) == (50.0, 6)
    assert (meta['licence'], meta['provenance']['depth_begun_from']) == (None, 'random')
    assert load_networks(out / 'best.pt')[1] is not None
    report = json.loads((out / 'data.json').read_text())
    assert report['sequences'][0]['samples'] == 6
    # The checkpoint to go on from is plain data, that runs no code.
    content = torch.load(out / 'last.ckpt', weights_only=True)
    assert content['global_step'] == 6


def test_tensorboard_has_scalars_and_pictures(reference):
    events = pytest.importorskip('tensorboard.backend.event_processing.event_accumulator')
    accumulator = events.EventAccumulator(str(reference[1]), {'images': 0, 'scalars': 0})
    accumulator.Reload()
    tags = accumulator.Tags()
    assert {'val/abs_rel', 'val/median_ratio'} <= set(tags['scalars'])
    names = ('target', 'depth', 'labels', 'learned_from')
    for name in (*names, 'target_rebuilt_from_previous', 'target_rebuilt_from_next'):
        assert any(tag.endswith(f'/pattern:1/{name}') for tag in tags['images'])
    assert len(accumulator.Scalars('val/abs_rel')) == 3


def test_validations_are_a_table_and_a_picture(reference):
    rows = read_curve(reference[1])
    assert [row['step'] for row in rows] == [2, 4, 6]
    assert all(row['abs_rel'] > 0 for row in rows)
    assert cv2.imread(str(reference[1] / 'validation.png')).std() > 0


@pytest.mark.timeout(1200)  # processes of their own, on busy machines
def test_a_killed_training_goes_on_to_the_same_weights(reference, tmp_path):
    settings, _, final = reference
    process = run_process(settings, tmp_path, 5)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert torch.load(tmp_path / 'last.ckpt', weights_only=True)['global_step'] == 4
    resumed, expected = weights(train_depth(settings, tmp_path)), weights(final)
    assert resumed.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(resumed[name], value, atol=1e-7, rtol=0)
    assert [row['step'] for row in read_curve(tmp_path)] == [2, 4, 6]


@pytest.mark.timeout(1200)  # processes of their own, on busy machines
def test_two_processes_reach_the_weights_of_one(reference, tmp_path):
    """Adam turns rounding into steps where a gradient is zero but for it: hence two tolerances."""
    settings, _, _ = reference
    short = settings.model_copy(update={'steps': 3, 'validation': None})
    one = weights(train_depth(short, tmp_path / 'one'))
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    half = short.model_copy(update={'batch': 1, 'devices': 2})
    processes = [
        run_process(
            half,
            tmp_path / f'rank{rank}',
            RANK=str(rank),
            LOCAL_RANK=str(rank),
            GROUP_RANK='0',
            WORLD_SIZE='2',
            LOCAL_WORLD_SIZE='2',
            MASTER_ADDR='127.0.0.1',
            MASTER_PORT=str(port),
            TORCHELASTIC_RUN_ID='test',
        )
        for rank in (0, 1)
    ]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    two = weights(tmp_path / 'rank0' / 'networks.pt')
    differences = torch.cat([(two[name] - value).abs().flatten() for name, value in one.items()])
    start = weights_of(DepthTraining(short, []))
    moved = torch.cat([(one[name] - start[name]).abs().flatten() for name in one])
    assert moved.median() > 1e-4
    assert (differences < 1e-5).float().mean() > 0.995
    assert differences.max() < 2 * 3 * short.pose_learning_rate


def weights_of(module):
    """Give the tensors of a module under the names of :func:`weights`."""
    names = ('depth', 'pose')
    return {
        f'{name}.{k}': v for name in names for k, v in getattr(module, name).state_dict().items()
    }


def make_batch(settings, count=2, kept=None):
    data = TripletDataset(settings.sources, settings.size, settings.jitter)
    samples = [data[Draw(index, index)] for index in range(count)]
    return Sample(*(torch.stack(values) for values in zip(*samples, strict=True)))


def test_the_segmentation_network_is_frozen(reference):
    settings, _, final = reference
    before = torch.load(settings.segmentation, weights_only=True)['segmentation']['state_dict']
    after = torch.load(final, weights_only=True)['segmentation']['state_dict']
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, rtol=0, atol=0)
    module = DepthTraining(settings, []).train()
    assert not any(part.training for part in module.segmentation.modules())
    assert not any(p.requires_grad for p in module.segmentation.parameters())


def test_every_parameter_gets_a_gradient_even_from_truth_alone(reference, street_clip):
    """Two processes wait for each other's gradients: none may be missing in one of them."""
    settings, _, _ = reference
    source = FolderSource(path=street_clip[1], use_depth=True, use_speed=False)
    changed = settings.model_copy(
        update={'sources': [source], 'loss': LossSettings(scales=2, velocity=0)}
    )
    module = DepthTraining(changed, ['unknown'])
    module.log = lambda *_, **__: None
    batch = make_batch(changed, count=1)
    module.training_step(batch, 0).backward()
    trained = [p for p in module.parameters() if p.requires_grad]
    assert all(p.grad is not None for p in trained)
    assert any(p.grad.abs().sum() > 0 for p in module.depth.parameters())


def test_half_precision_leaves_the_geometry_exact(reference):
    settings, _, _ = reference
    module = DepthTraining(settings, [])
    module.log = lambda *_, **__: None
    batch = make_batch(settings)
    torch.manual_seed(0)
    full = module.training_step(batch, 0).item()
    with torch.autocast('cpu', torch.bfloat16):
        half = module.training_step(batch, 0).item()
    assert half == pytest.approx(full, rel=0.02)


def test_mirrored_images_reach_the_depth_network_alone(reference):
    settings, _, _ = reference
    module = DepthTraining(settings, []).eval()
    image = make_batch(settings).images[:, 0]
    plain = module._inverse_depths(image, None)[0]
    mixed = module._inverse_depths(image, torch.tensor([True, False]))[0]
    mirrored = module._inverse_depths(image.flip(3), None)[0].flip(3)
    torch.testing.assert_close(mixed[1], plain[1])
    torch.testing.assert_close(mixed[0], mirrored[0])
    assert (mixed[0] - plain[0]).abs().max() > 1e-6


def test_depth_is_that_of_the_camera(reference):
    settings, _, _ = reference
    module = DepthTraining(settings, []).eval()
    image = (make_batch(settings).images[0, 0] * 255).byte().permute(1, 2, 0).numpy()
    plain = module.predict_depth(image, None)
    longer = module.predict_depth(image, CAMERA.resized(128, 64))
    np.testing.assert_allclose(longer, plain * CAMERA.fx / 50.0, rtol=1e-6)


def test_the_velocity_loss_sees_the_measured_distance(reference):
    settings, _, _ = reference
    module = DepthTraining(settings, [])
    logged = {}
    module.log = lambda name, value, **_: logged.update({name: float(value)})
    batch = make_batch(settings)
    module.training_step(batch, 0)
    with torch.no_grad():
        lengths = module._poses(batch)[..., :3, 3].norm(dim=-1)
    assert logged['train/distance_error_metres'] == pytest.approx(
        float((lengths - SPEED / 10).abs().mean()), rel=1e-4
    )


def test_unknown_intrinsics_are_reported_for_the_stored_image(
    segmentation_checkpoint, tmp_path, caplog
):
    folder = write_drive(tmp_path / 'unknown', camera=False)
    source = FolderSource(path=folder, min_motion=0, crop=(0.0, 0.25, 1.0, 1.0))
    settings = depth_settings(segmentation_checkpoint, [source], steps=1)
    with caplog.at_level(logging.INFO, 'sg_depth_ros'):
        final = train_depth(settings, tmp_path / 'out')
    assert load_networks(final)[2]['scale'] == 'relative'
    name = f'{tmp_path.name}/unknown'
    report = json.loads((tmp_path / 'out' / 'intrinsics.json').read_text())[name]
    assert (report['width'], report['height']) == (64, 32)
    assert report['fx'] == pytest.approx(0.9 * 64, rel=0.05)
    assert f'{name}: learned fx' in caplog.text
    assert vars(CheckpointPredictor(final).cameras[name]) == report
    # A factor on the learned parameters comes back as the same factor in the stored image.
    data = TripletDataset([source], (64, 32))
    module = DepthTraining(settings, data.drives.cameras)
    start = learned_cameras(module, data.drives)[name]
    assert (start.fx, start.cx) == pytest.approx((57.6, 31.5))
    assert (start.fy, start.cy) == pytest.approx((57.6, 15.5))
    with torch.no_grad():
        module.intrinsics.focal += 1.0
    factor = 2.5 ** np.tanh(1 / np.log(2.5))
    assert learned_cameras(module, data.drives)[name].fy == pytest.approx(57.6 * factor)


def test_a_loss_that_is_no_number_stops_before_it_is_saved(reference, tmp_path, monkeypatch):
    settings, _, _ = reference
    step = DepthTraining.training_step

    def broken(self, batch, index):
        return step(self, batch, index) * (float('nan') if self.global_step == 3 else 1.0)

    monkeypatch.setattr(DepthTraining, 'training_step', broken)
    with pytest.raises(ValueError, match='the loss is nan at step 4'):
        train_depth(settings, tmp_path)
    content = torch.load(tmp_path / 'last.ckpt', weights_only=True)
    assert content['global_step'] == 2
    assert all(v.isfinite().all() for v in content['state_dict'].values())


def test_a_folder_takes_no_training_of_other_settings(reference, tmp_path):
    settings, out, final = reference
    before = final.read_bytes()
    other = settings.model_copy(update={'learning_rate': 1e-3, 'steps': 9})
    with pytest.raises(ValueError, match=r'changed learning_rate from 0\.0002 to 0\.001; give'):
        train_depth(other, out)
    without = settings.model_copy(update={'sources': []})
    with pytest.raises(ValueError, match=r'sources\.0\.\w+ from .* and \d+ more; give another f'):
        train_depth(without, out)
    assert final.read_bytes() == before
    # Where nothing has been learned yet nothing is lost.
    claim_folder(settings, tmp_path)
    claim_folder(other, tmp_path)


def test_a_finished_training_says_so(reference, caplog):
    settings, out, final = reference
    before = weights(final)
    with caplog.at_level(logging.INFO, 'sg_depth_ros'):
        train_depth(settings.model_copy(update={'precision': '32-true'}), out)
    assert 'last.ckpt has made all of the 6 steps' in caplog.text
    for name, value in weights(final).items():
        assert torch.equal(value, before[name])


def test_metres_need_speed_for_most_of_the_way_or_metric_truth(tmp_path, street_clip):
    def metric(source):
        data = TripletDataset([source], (64, 32))
        return is_metric(depth_settings(tmp_path, [source]), data.drives), data.drives

    folder = write_drive(tmp_path / 'clocks', speeds=True)
    assert metric(FolderSource(path=folder))[0]
    # Images by another clock than the speeds.
    (folder / 'timestamps.csv').write_text('stamp\n' + '\n'.join(f'{9 + i}' for i in range(5)))
    (folder / 'speeds.csv').write_text('speed\n5\nnan\nnan\nnan\n5\n')
    found, drives = metric(FolderSource(path=folder))
    assert not found and not drives.summary()[0]['speed']
    assert 'the speed is known for 0 of 4 intervals' in ' '.join(drives.notes)

    clip = tmp_path / 'clip'
    shutil.copytree(street_clip[1], clip)
    source = FolderSource(path=clip, use_depth=True, stills=True)
    assert metric(source)[0]
    (clip / 'scale.json').write_text('{"scale": "relative"}')
    assert not metric(source)[0]
    (clip / 'scale.json').write_text('metric')
    with pytest.raises(ValueError, match=r'scale\.json is not'):
        metric(source)


def test_an_unguided_training_starts_a_guided_one(reference, segmentation_checkpoint, tmp_path):
    settings, _, final = reference
    network = settings.network.model_copy(update={'guidance': None})
    unguided = settings.model_copy(update={'network': network, 'initial': final})
    module = DepthTraining(unguided, [])
    expected = weights(final)
    for name, value in weights_of(module).items():
        torch.testing.assert_close(value, expected[name])
    with pytest.raises(ValueError, match='no depth network'):
        DepthTraining(settings.model_copy(update={'initial': segmentation_checkpoint}), [])


@pytest.mark.parametrize(('exact', 'low', 'high'), [(True, 1, 10), (False, 0.1, 0.5)])
def test_depth_from_scratch_begins_a_few_metres_away_where_truth_pulls_it(
    reference, exact, low, high
):
    settings, _, _ = reference
    sources = [source.model_copy(update={'use_depth': exact}) for source in settings.sources]
    torch.manual_seed(0)
    scratch = settings.model_copy(update={'initial': None, 'sources': sources})
    depth = (
        DepthTraining(scratch, []).eval().predict_depth(np.full((32, 64, 3), 128, np.uint8), None)
    )
    assert low < np.median(depth) < high


def test_road_users_may_be_left_to_truth(reference):
    settings, _, _ = reference
    batch = make_batch(settings)
    left = batch._replace(road_users=torch.zeros_like(batch.road_users))
    errors = {}
    for name, label in (('cars', ID['car']), ('road', ID['road'])):
        module = DepthTraining(settings, [])
        module.segmentation.classifier.weight.data.zero_()
        module.segmentation.classifier.bias.data.zero_()[label] = 1
        poses = module._poses(batch)
        inverse_depths = module._inverse_depths(batch.jittered[:, 0], None)
        terms = module._terms(left, inverse_depths, poses)
        everywhere = module._terms(batch, inverse_depths, poses)
        errors[name] = terms['photometric'].item(), everywhere['photometric'].item()
    assert errors['cars'][0] == 0 and errors['cars'][1] > 0
    assert errors['road'][0] == errors['road'][1]


def test_a_shipped_checkpoint_is_found_by_its_name(final_in_share, tmp_path):
    assert find_networks(Path('small')) == final_in_share
    assert find_networks(final_in_share) == final_in_share
    with pytest.raises(ValueError, match=r'large is no checkpoint .* \(small\)'):
        find_networks(Path('large'))


def test_a_training_has_the_licences_of_what_it_begins_from(
    final_in_share, segmentation_checkpoint, reference, make_bundle, tmp_path
):
    settings, _, _ = reference
    begun = settings.model_copy(update={'initial': Path('small')})
    assert DepthTraining(begun, []).licence == 'CC0-1.0'
    assert DepthTraining(settings, []).licence is None
    # What does not say it itself may lie beside a bundle that does.
    bundle = make_bundle(licence='CC-BY-4.0').path
    shutil.copy(segmentation_checkpoint, bundle.with_suffix('.pt'))
    other = begun.model_copy(update={'segmentation': bundle.with_suffix('.pt')})
    assert DepthTraining(other, []).licence == 'CC-BY-4.0 AND CC0-1.0'


@pytest.fixture
def final_in_share(reference, tmp_path, monkeypatch):
    """The networks of the reference, as the weights of a bundle that is called small."""
    (tmp_path / 'models').mkdir()
    shipped = tmp_path / 'models/small.pt'
    save_half(reference[2], shipped, 'CC0-1.0')
    monkeypatch.setattr(warm_start, 'share_directory', lambda: tmp_path)
    return shipped
