# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Damages files at random and gives them to every reader: ``python fuzz_readers.py SEED ROUNDS``.

A reader gives a value or raises a ValueError of one line. Anything else is printed, and the exit
code is 1. The process may take little memory and time, so that a reader that asks for more ends.
"""

from __future__ import annotations

import logging
import os
import resource
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

MEMORY = 3 << 30
"""Of addresses: the libraries alone map most of a gigabyte."""
SECONDS_PER_ROUND = 10
"""Of processor time, for all readers together; a round takes some tenths."""

Reader = Callable[[Path], object]


def make_files(folder: Path) -> dict[str, tuple[Path, str, Reader]]:
    """Write a good file of every kind: by name, a folder, the file in it, and its reader."""
    import cv2
    import numpy as np
    from formula import DEPTH_TEXT, SEGMENTATION_TEXT, graph_bytes, manifest_fields

    from sg_depth_ros.bags import (
        BagReader,
        BagWriter,
        camera_info_message,
        compressed_image_message,
        image_message,
        point_cloud_array,
        point_cloud_message,
        static_transform_message,
    )
    from sg_depth_ros.bundle import load_bundle, write_bundle
    from sg_depth_ros.bundle.manifest import read_manifest
    from sg_depth_ros.documents import read_table
    from sg_depth_ros.evaluation.segmentation import read_mapping
    from sg_depth_ros.geometry.camera import PinholeCamera
    from sg_depth_ros.images.files import read_depth, read_labels, read_rgb
    from sg_depth_ros.images.video import VideoReader, VideoWriter

    rng = np.random.default_rng(0)
    rgb = cv2.resize(rng.integers(0, 256, (12, 20, 3), dtype=np.uint8), (80, 48))
    camera = PinholeCamera(80, 48, 60.0, 60.0, 39.5, 23.5)

    def read_bag(path: Path) -> None:
        with BagReader(path) as bag:
            bag.camera_info()
            bag.static_transforms()
            for _ in bag.images('/a/image_raw/compressed'):
                pass
            for _ in bag.images('/a/image_raw'):
                pass
            for item in bag.messages(['/points']):
                point_cloud_array(item.message)

    def bag(name: str, storage: str) -> Path:
        with BagWriter(folder / name, storage) as writer:
            transform = static_transform_message(np.eye(4), 'base', 'eye', 1)
            writer.write('/tf_static', transform, 1)
            for i in range(1, 4):
                writer.write('/a/image_raw', image_message(rgb[:9, :12], i, 'eye'), i)
                small = compressed_image_message(rgb, i, 'eye')
                writer.write('/a/image_raw/compressed', small, i)
                writer.write('/a/camera_info', camera_info_message(camera, i, 'eye'), i)
                cloud = point_cloud_message(np.ones((5, 4), np.float32), i, 'eye')
                writer.write('/points', cloud, i)
        return folder / name

    def folder_of(name: str, content: bytes) -> Path:
        path = folder / name.replace('.', '_')
        path.mkdir()
        (path / name).write_bytes(content)
        return path

    def encoded(suffix: str, image: object, *options: int) -> bytes:
        return bytes(cv2.imencode(suffix, image, list(options))[1].tobytes())

    graphs = graph_bytes(SEGMENTATION_TEXT), graph_bytes(DEPTH_TEXT)
    bundle = write_bundle(folder / 'bundle', manifest_fields(), *graphs).path
    camera.to_json(folder / 'json' / 'camera.json')
    (folder / 'mp4').mkdir()
    with VideoWriter(folder / 'mp4' / 'v.mp4', 10) as video:
        for _ in range(5):
            video.write(rgb)
    mcap, database = bag('mcap', 'mcap'), bag('sqlite3', 'sqlite3')
    gray = np.asarray(rgb[..., 0])
    depth = encoded('.png', gray.astype(np.uint16) * 256)
    progressive = encoded('.jpg', rgb, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    restarts = encoded('.jpg', rgb, cv2.IMWRITE_JPEG_RST_INTERVAL, 2)
    mapping = b'classes: {0: road, 1: sky}\nvoid: [255]\nlabels: {road: road, sky: sky}\n'

    def whole_video(path: Path) -> None:
        for _ in VideoReader(path):
            pass

    files: dict[str, tuple[Path, str, Reader]] = {
        'mcap': (mcap, 'mcap.mcap', lambda path: read_bag(path.parent)),
        'mcap alone': (mcap, 'mcap.mcap', read_bag),
        'metadata': (mcap, 'metadata.yaml', lambda path: read_bag(path.parent)),
        'sqlite3': (database, 'sqlite3.db3', lambda path: read_bag(path.parent)),
        'jpeg': (folder_of('a.jpg', encoded('.jpg', rgb)), 'a.jpg', read_rgb),
        'progressive': (folder_of('b.jpg', progressive), 'b.jpg', read_rgb),
        'restarts': (folder_of('c.jpg', restarts), 'c.jpg', read_rgb),
        'png': (folder_of('d.png', encoded('.png', rgb)), 'd.png', read_rgb),
        'depth': (
            folder_of('e.png', depth),
            'e.png',
            read_depth,
        ),
        'labels': (folder_of('f.png', encoded('.png', gray)), 'f.png', read_labels),
        'camera': (folder / 'json', 'camera.json', PinholeCamera.from_json),
        'table': (folder_of('g.csv', b'name,fx\na,1.5\nb,2.5\n'), 'g.csv', read_table),
        'mapping': (folder_of('h.yaml', mapping), 'h.yaml', read_mapping),
        'manifest': (bundle, 'bundle.yaml', read_manifest),
        'bundle': (bundle, 'depth.onnx', lambda path: load_bundle(path.parent)),
    }
    if (folder / 'mp4' / 'v.mp4').exists():  # where OpenCV has an encoder
        files['video'] = (folder / 'mp4', 'v.mp4', whole_video)
    return files


def damage(data: bytes, rng: object) -> bytes:
    """Flip bits, cut, blank, repeat, or write a number that is far too large."""
    import numpy as np

    assert isinstance(rng, np.random.Generator)
    changed = bytearray(data)
    kind = int(rng.integers(6))
    start = int(rng.integers(len(changed)))
    end = min(len(changed), start + int(rng.integers(1, 200)))
    if kind <= 1:
        for place in rng.integers(len(changed), size=int(rng.integers(1, 12))):
            changed[place] ^= 1 << int(rng.integers(8))
    elif kind == 2:
        del changed[start:]
    elif kind == 3:
        changed[start:end] = bytes(end - start)
    elif kind == 4:
        changed[start:start] = changed[start:end] * int(rng.integers(1, 40))
    else:
        size = int(rng.choice([2, 4, 8]))
        changed[start : start + size] = b'\xff' * (size - 1) + b'\x7f'
    return bytes(changed)


def main(seed: int, rounds: int) -> int:
    """Run all readers on files of their own; give the number of faults."""
    import numpy as np

    logging.disable(logging.CRITICAL)
    faults, refused = 0, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = make_files(folder)
        for place, file, read in files.values():
            read(place / file)
        # What OpenCV and FFmpeg print of damaged files is not ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        for number in range(rounds):
            used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
            limit = int(used) + SECONDS_PER_ROUND
            resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
            for index, (kind, (place, file, read)) in enumerate(files.items()):
                rng = np.random.default_rng([seed, number, index])
                copy = folder / 'copy'
                shutil.copytree(place, copy)
                data = damage((copy / file).read_bytes(), rng)
                (copy / file).write_bytes(data)
                try:
                    read(copy / file)
                except ValueError as error:
                    refused += 1
                    if '\n' in str(error) or len(str(error)) < 10:
                        faults += 1
                        print(f'{kind} {seed} {number}: {error!r}', flush=True)
                except BaseException:
                    faults += 1
                    print(f'{kind} {seed} {number}:\n{traceback.format_exc()}', flush=True)
                shutil.rmtree(copy)
    print(f'{rounds * len(files)} files, {refused} refused, {faults} faults')
    return faults


if __name__ == '__main__':
    sys.exit(min(main(int(sys.argv[1]), int(sys.argv[2])), 1))
