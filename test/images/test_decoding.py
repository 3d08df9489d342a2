# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Each encoding against plain-loop formulas that share nothing with the module."""

import struct

import cv2
import numpy as np
import pytest

from sg_depth_ros.images.decoding import (
    ENCODINGS,
    ImageError,
    UnknownEncodingError,
    decode_compressed,
    decode_image,
)

HEIGHT, WIDTH = 6, 8


@pytest.fixture
def rgb():
    return np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.fixture
def smooth():
    """A colour gradient: demosaicing must give it back almost exactly."""
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([40 + 10 * u, 90 + 8 * v, 200 - 6 * u - 4 * v], -1).astype(np.uint8)


def rows(lines, padding):
    """Join rows of bytes, each followed by padding that must not be read as pixels."""
    return b''.join(bytes(line) + b'\xee' * padding for line in lines)


def yuv_to_rgb(y, u, v):
    """Apply ITU-R BT.601, limited range."""
    c, d, e = 1.164 * (y - 16), u - 128, v - 128
    values = c + 1.596 * e, c - 0.813 * e - 0.391 * d, c + 2.018 * d
    return [min(255, max(0, value)) for value in values]


@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize(
    ('encoding', 'order'), [('rgb8', 'rgb'), ('bgr8', 'bgr'), ('rgba8', 'rgba'), ('bgra8', 'bgra')]
)
def test_channel_orders(rgb, encoding, order, padding):
    lines = [
        [77 if c == 'a' else int(pixel['rgb'.index(c)]) for pixel in line for c in order]
        for line in rgb
    ]
    step = WIDTH * len(order) + padding
    decoded = decode_image(encoding, HEIGHT, WIDTH, step, rows(lines, padding))
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, rgb)


@pytest.mark.parametrize('step', [WIDTH * 3, WIDTH * 3 + 4])
def test_rgb_is_a_view(step):
    data = np.zeros(step * HEIGHT, np.uint8)
    decoded = decode_image('rgb8', HEIGHT, WIDTH, step, data)
    data[step + 3 * 2 + 1] = 9
    assert decoded[1, 2, 1] == 9
    assert decoded.sum() == 9


@pytest.mark.parametrize('encoding', ['mono8', '8UC1'])
def test_gray(rgb, encoding):
    decoded = decode_image(encoding, HEIGHT, WIDTH, WIDTH + 3, rows(rgb[..., 0], 3))
    np.testing.assert_array_equal(decoded, np.stack([rgb[..., 0]] * 3, -1))


@pytest.mark.parametrize(('big', 'order'), [(False, '<'), (True, '>')])
@pytest.mark.parametrize('encoding', ['mono16', '16UC1'])
def test_gray_of_16_bits_keeps_the_high_byte(encoding, big, order):
    values = [[(4099 * (WIDTH * v + u)) % 65536 for u in range(WIDTH)] for v in range(HEIGHT)]
    lines = [struct.pack(f'{order}{WIDTH}H', *line) for line in values]
    decoded = decode_image(encoding, HEIGHT, WIDTH, WIDTH * 2 + 3, rows(lines, 3), big)
    np.testing.assert_array_equal(decoded[..., 1], [[v // 256 for v in line] for line in values])


@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
def test_bayer(smooth, pattern):
    lines = [
        [smooth[v, u]['rgb'.index(pattern[2 * (v % 2) + u % 2])] for u in range(WIDTH)]
        for v in range(HEIGHT)
    ]
    data = rows(lines, 2)
    decoded = decode_image(f'bayer_{pattern}8', HEIGHT, WIDTH, WIDTH + 2, data).astype(int)
    inner = np.s_[1:-1, 1:-1]
    assert np.abs(decoded[inner] - smooth[inner]).max() <= 1


@pytest.mark.parametrize(
    ('encoding', 'order'),
    [('yuv422', 'uyvy'), ('uyvy', 'uyvy'), ('yuv422_yuy2', 'yuyv'), ('yuyv', 'yuyv')],
)
def test_yuv422(rgb, encoding, order):
    luma, u, v = rgb[..., 0].clip(16, 235), rgb[:, ::2, 1], rgb[:, ::2, 2]
    lines = []
    for i in range(HEIGHT):
        line = []
        for j in range(WIDTH // 2):
            parts = {'u': [u[i, j]], 'v': [v[i, j]], 'y': [luma[i, 2 * j], luma[i, 2 * j + 1]]}
            line += [parts[c].pop(0) for c in order]
        lines.append(line)
    decoded = decode_image(encoding, HEIGHT, WIDTH, WIDTH * 2 + 6, rows(lines, 6))
    expected = [
        [yuv_to_rgb(*(float(p[i, j]) for p in (luma, u.repeat(2, 1), v.repeat(2, 1)))) for j in
         range(WIDTH)]
        for i in range(HEIGHT)
    ]  # fmt: skip
    np.testing.assert_allclose(decoded, expected, atol=2)


@pytest.mark.parametrize(('encoding', 'first'), [('nv12', 'u'), ('nv21', 'v')])
def test_semi_planar(rgb, encoding, first):
    luma, u, v = rgb[..., 0].clip(16, 235), rgb[::2, ::2, 1], rgb[::2, ::2, 2]
    a, b = (u, v) if first == 'u' else (v, u)
    chroma = [
        [x for pair in zip(*line, strict=True) for x in pair] for line in zip(a, b, strict=True)
    ]
    decoded = decode_image(encoding, HEIGHT, WIDTH, WIDTH + 4, rows([*luma, *chroma], 4))
    expected = [
        [yuv_to_rgb(*map(float, (luma[i, j], u[i // 2, j // 2], v[i // 2, j // 2]))) for j in
         range(WIDTH)]
        for i in range(HEIGHT)
    ]  # fmt: skip
    assert decoded.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_allclose(decoded, expected, atol=2)


def test_padding_of_the_last_row_may_be_missing(rgb):
    data = rows([line.tobytes() for line in rgb], 5)[:-5]
    decoded = decode_image('rgb8', HEIGHT, WIDTH, WIDTH * 3 + 5, data)
    np.testing.assert_array_equal(decoded, rgb)


def test_every_encoding_is_tested_here():
    assert len(ENCODINGS) == 18


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('rgb8', 2, 4, 12, bytes(23)), 'needs 24 bytes, found 23.*truncated'),
        (('bgr8', 2, 4, 11, bytes(24)), 'step of at least 12 bytes, found 11'),
        (('mono16', 2, 4, 4, bytes(24)), 'step of at least 8'),
        (('rgb8', 0, 4, 12, b''), 'empty rgb8 image of 4x0'),
        (('yuv422', 2, 3, 6, bytes(12)), 'even'),
        (('nv12', 3, 4, 4, bytes(24)), 'even'),
        (('nv12', 2, 4, 4, bytes(11)), 'needs 12 bytes, found 11'),
    ],
)
def test_broken_images_are_refused(arguments, message):
    with pytest.raises(ImageError, match=message):
        decode_image(*arguments)


def test_unknown_encoding_names_the_known_ones():
    with pytest.raises(
        UnknownEncodingError, match="'rgb32' is not known; publish one of rgb8, bgr8"
    ):
        decode_image('rgb32', 2, 2, 8, bytes(16))


def compressed(extension, pixels):
    return cv2.imencode(extension, pixels)[1].tobytes()


@pytest.mark.parametrize(
    'format', ['', 'png', 'rgb8; png compressed bgr8', 'bgr8; png compressed ']
)
def test_png(rgb, format):
    data = compressed('.png', rgb[..., ::-1])
    np.testing.assert_array_equal(decode_compressed(data, format), rgb)


def test_png_whose_encoder_was_given_rgb_as_bgr(rgb):
    data = compressed('.png', rgb)
    np.testing.assert_array_equal(decode_compressed(data, 'rgb8; png compressed rgb8'), rgb)


def test_png_with_alpha(rgb):
    alpha = np.full((HEIGHT, WIDTH, 1), 128, np.uint8)
    data = compressed('.png', np.concatenate([rgb[..., ::-1], alpha], -1))
    decoded = decode_compressed(data, 'bgra8; png compressed bgra8')
    np.testing.assert_array_equal(decoded, rgb)


def test_png_of_16_bits(rgb):
    wide = rgb.astype(np.uint16) * 256 + 200
    data = compressed('.png', wide[..., 0])
    decoded = decode_compressed(data, 'mono16; png compressed ')
    np.testing.assert_array_equal(decoded, np.stack([rgb[..., 0]] * 3, -1))
    data = compressed('.png', wide[..., ::-1])
    np.testing.assert_array_equal(decode_compressed(data, 'rgb16; png compressed bgr16'), rgb)


def test_bayer_png_is_demosaiced(rgb):
    raw = rgb[..., 0]
    expected = decode_image('bayer_grbg8', HEIGHT, WIDTH, WIDTH, raw.tobytes())
    data = compressed('.png', raw)
    np.testing.assert_array_equal(
        decode_compressed(data, 'bayer_grbg8; png compressed '), expected
    )
    gray = decode_compressed(data, 'mono8; png compressed ')
    np.testing.assert_array_equal(gray, np.stack([raw] * 3, -1))


@pytest.mark.parametrize('format', ['jpeg', 'rgb8; jpeg compressed bgr8'])
def test_jpeg_keeps_red_red(format):
    red = np.full((16, 16, 3), (0, 0, 250), np.uint8)
    data = compressed('.jpg', red) + bytes(7)  # cameras pad MJPEG frames
    decoded = decode_compressed(data, format)
    np.testing.assert_allclose(decoded[8, 8], (250, 0, 0), atol=3)


def test_gray_jpeg_has_three_channels():
    decoded = decode_compressed(compressed('.jpg', np.full((16, 16), 90, np.uint8)), 'jpeg')
    assert decoded.shape == (16, 16, 3)
    np.testing.assert_allclose(decoded, 90, atol=2)


def test_exif_rotation_is_not_applied():
    jpeg = compressed('.jpg', np.zeros((16, 32, 3), np.uint8))
    tiff = b'Exif\0\0II*\0' + struct.pack('<IHHHIHHI', 8, 1, 0x0112, 3, 1, 6, 0, 0)
    rotated = jpeg[:2] + b'\xff\xe1' + struct.pack('>H', len(tiff) + 2) + tiff + jpeg[2:]
    assert cv2.imdecode(np.frombuffer(rotated, np.uint8), cv2.IMREAD_COLOR).shape[0] == 32
    assert decode_compressed(rotated, 'jpeg').shape == (16, 32, 3)


@pytest.mark.parametrize('extension', ['.jpg', '.png'])
def test_truncated_compressed_images_are_refused(extension):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = compressed(extension, noise)
    with pytest.raises(ImageError, match='truncated'):
        decode_compressed(data[: len(data) // 2])


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        (b'', '0 bytes that are neither JPEG nor PNG'),
        (b'no image', '8 bytes that are neither JPEG nor PNG'),
        (b'\xff\xd8\xff\xd9', 'holds no picture'),
        (b'\xff\xd8', 'truncated'),
        (b'\x89PNG', 'truncated'),
    ],
)
def test_what_is_no_image_is_refused(data, message):
    with pytest.raises(ImageError, match=message):
        decode_compressed(data, 'jpeg')


@pytest.mark.parametrize('extension', ['.bmp', '.webp', '.tiff', '.ppm'])
def test_only_jpeg_and_png_are_decoded(rgb, extension):
    with pytest.raises(ImageError, match='neither JPEG nor PNG; convert'):
        decode_compressed(compressed(extension, rgb), 'jpeg')


def test_depth_is_not_colour():
    with pytest.raises(ImageError, match='depth image'):
        decode_compressed(b'', '32FC1; compressedDepth png')
