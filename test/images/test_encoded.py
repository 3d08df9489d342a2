# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""JPEG and PNG that are not whole, too large, or turned, as cameras and networks leave them."""

import resource
import struct
import zlib

import cv2
import numpy as np
import pytest

from sg_depth_ros.images.decoding import decode_compressed, decode_picture
from sg_depth_ros.images.encoded import decode_pixels, turn_upright
from sg_depth_ros.images.files import image_files, list_images, read_rgb
from sg_depth_ros.images.structure import ImageError, read_structure

OPTIONS = {
    'plain': [],
    'optimised': [cv2.IMWRITE_JPEG_OPTIMIZE, 1],
    'restarts': [cv2.IMWRITE_JPEG_RST_INTERVAL, 3],
    'fine': [cv2.IMWRITE_JPEG_QUALITY, 100],
}


@pytest.fixture(scope='module')
def scene():
    """A picture with texture everywhere, whose last rows are partly flat."""
    rng = np.random.default_rng(0)
    rough = cv2.resize(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8), (481, 333))
    return cv2.add(rough, rng.integers(0, 20, rough.shape, dtype=np.uint8))


def jpeg(image, *options):
    return cv2.imencode('.jpg', image, list(options))[1].tobytes()


def first_scan(data):
    return data.index(b'\xff\xda') + 20


@pytest.mark.parametrize('kind', OPTIONS)
@pytest.mark.parametrize('change', ['none', 'gray below', 'gray beside', 'black below', 'gray'])
@pytest.mark.parametrize('channels', [1, 3])
def test_whole_images_are_never_refused(scene, kind, change, channels, capfd):
    image = scene if channels == 3 else cv2.cvtColor(scene, cv2.COLOR_BGR2GRAY)
    fill = 0 if change.startswith('black') else 128
    if change.endswith('below'):
        image = np.concatenate([image, np.full_like(image[:70], fill)])
    elif change.endswith('beside'):
        image = np.concatenate([image, np.full_like(image[:, :70], fill)], 1)
    elif change == 'gray':
        image = np.full_like(image, 128)
    for height, width in ((0, 0), (1, 5), (15, 3), (332, 480)):
        part = image[height:, width:]
        data = jpeg(part, *OPTIONS[kind])
        np.testing.assert_array_equal(decode_pixels(data), cv2.imdecode(
            np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED))  # fmt: skip
    if kind != 'optimised':  # with tables of its own, the first guess may be wrong
        # What is added at the end for the check must not make libjpeg complain to the user.
        assert capfd.readouterr().err == ''


@pytest.mark.parametrize('kind', OPTIONS)
def test_an_image_without_its_middle_is_refused(scene, kind):
    data = jpeg(scene, *OPTIONS[kind])
    rng = np.random.default_rng(1)
    for size in (1400, 1400, 4200, 4200, 9000):
        start = int(rng.integers(first_scan(data), len(data) - size - 100))
        with pytest.raises(ImageError, match=r'has lost a part|truncated|damaged'):
            decode_pixels(data[:start] + data[start + size :])


def test_an_old_end_behind_lost_data_is_refused(scene):
    data = jpeg(scene)
    with pytest.raises(ImageError, match='has lost a part'):
        decode_pixels(data[: len(data) // 2] + bytes(2000) + b'\xff\xd9')


def test_zeros_that_a_camera_fills_up_with_are_no_loss(scene):
    data = jpeg(scene)
    expected = decode_pixels(data)
    body, end = data[:-2], data[-2:]
    for padded in (data + bytes(5000), body + bytes(6) + end, body + b'\xff' + end):
        np.testing.assert_array_equal(decode_pixels(padded), expected)


def with_exif(data, orientation=1, thumbnail=b'', order='>'):
    mark = b'MM\0*' if order == '>' else b'II*\0'
    entries = struct.pack(f'{order}HHHIHHI', 1, 0x0112, 3, 1, orientation, 0, 0)
    app1 = b'Exif\0\0' + mark + struct.pack(f'{order}I', 8) + entries + thumbnail
    return data[:2] + b'\xff\xe1' + struct.pack('>H', len(app1) + 2) + app1 + data[2:]


def test_a_thumbnail_is_not_taken_for_the_end(scene):
    small = jpeg(cv2.resize(scene, (80, 60)))
    data = with_exif(jpeg(scene), thumbnail=small)
    assert decode_pixels(data).shape == scene.shape
    for cut in (len(data) // 2, len(data) - 2, len(small) + 300):
        with pytest.raises(ImageError, match='truncated'):
            decode_pixels(data[:cut])


@pytest.mark.parametrize('order', ['<', '>'])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_pictures_are_turned_as_exif_says(orientation, order):
    """Against OpenCV's own turning of the same file."""
    image = np.zeros((48, 64, 3), np.uint8)
    image[:16, :16], image[:16, 48:], image[32:, :16] = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    data = with_exif(jpeg(image), orientation, order=order)
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(decode_picture(data), bgr[..., ::-1])
    assert decode_compressed(data).shape == (48, 64, 3)  # a message's pixels stay as they are
    assert turn_upright(image, 6).shape == (64, 48, 3)


def test_orientations_that_are_none_are_upright(scene):
    for orientation in (0, 9, 65535):
        assert read_structure(with_exif(jpeg(scene), orientation)).orientation == 1
    damaged = with_exif(jpeg(scene), 6).replace(struct.pack('>I', 8), struct.pack('>I', 1 << 31))
    assert read_structure(damaged).orientation == 1


def huge_png(width, height):
    def chunk(name, content):
        checksum = zlib.crc32(content, zlib.crc32(name))
        return struct.pack('>I', len(content)) + name + content + struct.pack('>I', checksum)

    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(100_000), 9)
    chunks = chunk(b'IHDR', header), chunk(b'IDAT', rows), chunk(b'IEND', b'')
    return b'\x89PNG\r\n\x1a\n' + b''.join(chunks)


def huge_jpeg(width, height):
    data = jpeg(np.zeros((16, 16, 3), np.uint8))
    place = data.index(b'\xff\xc0') + 5
    return data[:place] + struct.pack('>HH', height, width) + data[place + 4 :]


@pytest.mark.parametrize('make', [huge_png, huge_jpeg])
def test_a_header_that_claims_much_takes_no_memory(make):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ImageError, match='20000x20000 pixels, more than 64000000; make it'):
        decode_compressed(make(20_000, 20_000))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000
    with pytest.raises(ImageError, match='more than 100;'):
        decode_compressed(make(11, 10), max_pixels=100)
    with pytest.raises(ImageError, match='empty'):
        decode_compressed(make(0, 10))


def test_a_png_with_a_wrong_bit_is_refused(scene):
    data = bytearray(cv2.imencode('.png', scene)[1].tobytes())
    data[len(data) // 2] ^= 4
    with pytest.raises(ImageError, match='checksum is wrong'):
        decode_compressed(bytes(data))


def test_files_are_read_upright_and_companions_left_out(tmp_path, scene):
    (tmp_path / 'a.jpg').write_bytes(with_exif(jpeg(scene), 6))
    (tmp_path / '._a.jpg').write_bytes(b'\0\5\x16\7Mac OS X        ')
    assert [path.name for path in image_files(tmp_path)] == ['a.jpg']
    assert list(list_images(tmp_path)) == ['a']
    assert read_rgb(tmp_path / 'a.jpg').shape == (481, 333, 3)
    (tmp_path / 'a.png').write_bytes(b'')
    with pytest.raises(ValueError, match=r'a\.jpg and a\.png, which have one name'):
        list_images(tmp_path)
