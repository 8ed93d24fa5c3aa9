"""decode_image for every encoding, decode_compressed, and color_image, by known colors."""

import sys
from array import array
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from depth_estimation_ros.errors import ImageError
from depth_estimation_ros.messages import color_image, decode_compressed, decode_image
from depth_estimation_ros.messages import image as messages_image
from depth_estimation_ros.messages.image import _BAYER, _cv_bridge

sensor_msgs = pytest.importorskip("sensor_msgs.msg", reason="needs ROS 2 (sensor_msgs)")
std_msgs = pytest.importorskip("std_msgs.msg", reason="needs ROS 2 (std_msgs)")

HEIGHT, WIDTH = 6, 8
RNG = np.random.default_rng(7)
RGB = RNG.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
GRAY = RNG.integers(0, 256, (HEIGHT, WIDTH), np.uint8)
ALPHA = np.full((HEIGHT, WIDTH, 1), 77, np.uint8)


def image(encoding, rows, *, size=None, padding=0, big_endian=False):
    """An Image whose data are these rows (n, ...), each followed by bytes of padding."""
    rows = np.ascontiguousarray(rows)
    rows = rows.view(np.uint8).reshape(len(rows), -1)
    rows = np.hstack([rows, np.full((len(rows), padding), 0xAB, np.uint8)])
    height, width = size or (HEIGHT, WIDTH)
    msg = sensor_msgs.Image(height=height, width=width, encoding=encoding)
    msg.is_bigendian = int(big_endian)
    msg.step = rows.shape[1]
    msg.data = array("B", rows.tobytes())
    return msg


def gray_image(gray):
    return np.repeat(gray[..., None], 3, axis=2)


def assert_image(decoded, expected, tolerance=0):
    assert decoded.dtype == np.uint8
    assert decoded.shape == expected.shape
    assert decoded.flags.c_contiguous
    assert np.abs(decoded.astype(int) - np.asarray(expected, int)).max() <= tolerance


# Channels one after the other

PACKED = {
    "rgb8": (RGB, RGB),
    "bgr8": (RGB[..., ::-1], RGB),
    "rgba8": (np.dstack([RGB, ALPHA]), RGB),
    "bgra8": (np.dstack([RGB[..., ::-1], ALPHA]), RGB),
    "8UC3": (RGB[..., ::-1], RGB),
    "8UC4": (np.dstack([RGB[..., ::-1], ALPHA]), RGB),
    "mono8": (GRAY, gray_image(GRAY)),
    "8UC1": (GRAY, gray_image(GRAY)),
}


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("padding", [0, 1, 24])
@pytest.mark.parametrize("encoding", PACKED)
def test_packed_encodings(encoding, padding, big_endian):
    rows, expected = PACKED[encoding]
    msg = image(encoding, rows, padding=padding, big_endian=big_endian)
    assert_image(decode_image(msg), expected)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1), (3, 7)])
@pytest.mark.parametrize("encoding", PACKED)
def test_packed_encodings_of_odd_size(encoding, size):
    rows, expected = (a[: size[0], : size[1]] for a in PACKED[encoding])
    assert_image(decode_image(image(encoding, rows, size=size, padding=3)), expected)


def test_rgb8_without_padding_is_not_copied():
    msg = image("rgb8", RGB)
    assert np.shares_memory(decode_image(msg), np.frombuffer(msg.data, np.uint8))


# Sixteen bits

DEEP = {
    "mono16": (1, [0]),
    "rgb16": (3, [0, 1, 2]),
    "bgr16": (3, [2, 1, 0]),
    "rgba16": (4, [0, 1, 2]),
    "bgra16": (4, [2, 1, 0]),
}


@pytest.mark.parametrize("padding", [0, 1, 6])
@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("encoding", DEEP)
def test_sixteen_bits_are_scaled_to_eight(encoding, big_endian, padding):
    channels, order = DEEP[encoding]
    values = RNG.integers(0, 65536, (HEIGHT, WIDTH, channels)).astype(np.uint16)
    values[0, :4, :] = [[0], [128], [129], [65535]]  # 128 / 257 rounds down, 129 / 257 up
    rows = values.astype(">u2" if big_endian else "<u2")
    msg = image(encoding, rows, padding=padding, big_endian=big_endian)
    expected = np.rint(values[..., order] / 257.0)
    assert expected[0, :4, 0].tolist() == [0, 0, 1, 255]
    assert_image(decode_image(msg), np.broadcast_to(expected, (HEIGHT, WIDTH, 3)))


@pytest.mark.parametrize(("bits", "used"), [(10, 7), (10, 10), (12, 11), (12, 12), (14, 13)])
def test_bits_of_the_sensor_are_not_black(bits, used):
    values = np.linspace(0, 2**used - 1, HEIGHT * WIDTH).astype(np.uint16).reshape(HEIGHT, WIDTH)
    expected = gray_image(np.rint(values * (255.0 / (2**bits - 1))))
    assert_image(decode_image(image("mono16", values)), expected)


# Bayer: a scene of one color must come out in that color, at the borders too. The four patterns
# differ in which pixel sees which color, so a wrong one swaps red and blue or mixes in green.

COLOR = {"r": 200, "g": 100, "b": 50}


def mosaic(pattern, size):
    """What a sensor with this pattern (colors of pixels 00 01 10 11) sees of COLOR."""
    tile = np.array([COLOR[c] for c in pattern], np.uint8).reshape(2, 2)
    return np.tile(tile, (size[0] // 2 + 1, size[1] // 2 + 1))[: size[0], : size[1]]


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("size", [(6, 8), (7, 9), (3, 3)])
@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_patterns(pattern, size, padding):
    msg = image(f"bayer_{pattern}8", mosaic(pattern, size), size=size, padding=padding)
    assert_image(decode_image(msg), np.full((*size, 3), list(COLOR.values())))


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_of_twelve_bits(pattern):
    values = np.rint(mosaic(pattern, (7, 9)) * (4095 / 255.0)).astype(np.uint16)
    values[3, 4] = 4095  # a reflection fixes the range
    msg = image(f"bayer_{pattern}16", values, size=(7, 9))
    expected = np.full((2, 9, 3), list(COLOR.values()))
    assert_image(np.ascontiguousarray(decode_image(msg)[:2]), expected)


@pytest.mark.parametrize("size", [(1, 1), (2, 8), (8, 2)])
def test_bayer_smaller_than_its_filter_is_refused(size):
    with pytest.raises(ImageError, match=rf"found {size[1]} x {size[0]}, expected at least 3 x 3"):
        decode_image(image("bayer_rggb8", mosaic("rggb", size), size=size))


# YUV, BT.601 limited range: Y 16...235, U and V 16...240 about 128


def bt601(y, u, v):
    y, u, v = (np.asarray(a, float) for a in (y, u, v))
    luma = (y - 16) * 255 / 219
    red = luma + 1.596 * (v - 128)
    green = luma - 0.391 * (u - 128) - 0.813 * (v - 128)
    blue = luma + 2.018 * (u - 128)
    return np.clip(np.rint(np.dstack([red, green, blue])), 0, 255)


Y = RNG.integers(16, 236, (HEIGHT, WIDTH), np.uint8)


def chroma(height, width):
    return RNG.integers(60, 200, (2, height, width), np.uint8)


@pytest.mark.parametrize("padding", [0, 2, 7])
@pytest.mark.parametrize("encoding", ["yuv422", "uyvy", "yuv422_yuy2", "yuyv"])
def test_yuv422(encoding, padding):
    u, v = chroma(HEIGHT, WIDTH // 2)
    pairs = {"u": u, "v": v, "0": Y[:, 0::2], "1": Y[:, 1::2]}
    order = "u0v1" if encoding in ("yuv422", "uyvy") else "0u1v"
    rows = np.dstack([pairs[c] for c in order])
    expected = bt601(Y, u.repeat(2, axis=1), v.repeat(2, axis=1))
    assert_image(decode_image(image(encoding, rows, padding=padding)), expected, tolerance=2)


@pytest.mark.parametrize("padding", [0, 4, 5])
@pytest.mark.parametrize("encoding", ["nv12", "nv21"])
def test_yuv420_in_two_planes(encoding, padding):
    """The height is the image's: data has half as many rows again, of U V (nv12) or V U pairs."""
    u, v = chroma(HEIGHT // 2, WIDTH // 2)
    pairs = np.dstack([u, v] if encoding == "nv12" else [v, u]).reshape(HEIGHT // 2, WIDTH)
    msg = image(encoding, np.vstack([Y, pairs]), padding=padding)
    assert len(msg.data) == HEIGHT * 3 // 2 * msg.step
    expected = bt601(Y, *(c.repeat(2, axis=0).repeat(2, axis=1) for c in (u, v)))
    assert_image(decode_image(msg), expected, tolerance=2)


@pytest.mark.parametrize("padding", [0, 4, 5])
@pytest.mark.parametrize("size", [(HEIGHT, WIDTH), (3, 5)])
def test_nv24_has_color_for_every_pixel(size, padding):
    """Rows of Y at the step, then rows of U V pairs at twice the step."""
    y, (u, v) = Y[: size[0], : size[1]], chroma(*size)
    luma = np.hstack([y, np.zeros((size[0], padding), np.uint8)])
    pairs = np.hstack([np.dstack([u, v]).reshape(size[0], -1), np.zeros((size[0], 2 * padding))])
    rows = np.vstack([luma, pairs.astype(np.uint8).reshape(2 * size[0], -1)])
    msg = image("nv24", rows, size=size)
    assert_image(decode_image(msg), bt601(y, u, v), tolerance=1)


@pytest.mark.parametrize(
    ("encoding", "size", "expected"),
    [
        ("yuv422", (4, 5), "an even width"),
        ("yuyv", (4, 5), "an even width"),
        ("nv12", (4, 5), "even width and height"),
        ("nv12", (5, 4), "even width and height"),
        ("nv21", (5, 5), "even width and height"),
    ],
)
def test_sizes_that_shared_color_cannot_have(encoding, size, expected):
    msg = image(encoding, np.zeros((size[0], 2 * size[1]), np.uint8), size=size)
    with pytest.raises(ImageError, match=rf"found {size[1]} x {size[0]}, expected {expected}"):
        decode_image(msg)


# Messages that contradict themselves


def test_unknown_encoding_names_all_known_ones():
    with pytest.raises(ImageError, match="found 'rgb32'") as raised:
        decode_image(image("rgb32", np.zeros((HEIGHT, WIDTH, 3), np.uint32)))
    for encoding in [
        *PACKED,
        *DEEP,
        "bayer_grbg8",
        "bayer_grbg16",
        "yuv422",
        "yuyv",
        "nv12",
        "nv21",
        "nv24",
    ]:
        assert encoding in str(raised.value)


@pytest.mark.parametrize("encoding", ["rgb8", "mono16", "bayer_rggb8", "uyvy", "nv12", "nv24"])
@pytest.mark.parametrize("size", [(0, 8), (6, 0), (0, 0)])
def test_zero_size(encoding, size):
    with pytest.raises(ImageError, match=rf"image is empty: found {size[1]} x {size[0]}"):
        decode_image(sensor_msgs.Image(height=size[0], width=size[1], encoding=encoding))


@pytest.mark.parametrize("missing", [1, -1])
def test_data_of_another_length_names_the_numbers(missing):
    msg = image("rgb8", RGB)
    msg.data = array("B", bytes(6 * 24 - missing))
    with pytest.raises(
        ImageError, match=rf"len\(data\) = {144 - missing}, expected 144 = step 24 \* 6 rows"
    ):
        decode_image(msg)


def test_nv12_with_the_data_of_a_gray_image():
    with pytest.raises(ImageError, match=r"len\(data\) = 48, expected 72 = step 8 \* 9 rows"):
        decode_image(image("nv12", Y))


@pytest.mark.parametrize(
    ("encoding", "row_bytes"),
    [("rgb8", 24), ("bgra8", 32), ("mono8", 8), ("mono16", 16), ("uyvy", 16), ("nv24", 8)],
)
def test_step_shorter_than_the_row(encoding, row_bytes):
    msg = image(encoding, np.zeros((HEIGHT, row_bytes - 1), np.uint8))
    with pytest.raises(
        ImageError, match=rf"step = {row_bytes - 1} bytes, expected at least {row_bytes}"
    ):
        decode_image(msg)


def test_step_of_zero():
    msg = image("rgb8", RGB)
    msg.step = 0
    with pytest.raises(ImageError, match=r"found step = 0 bytes, expected at least 24"):
        decode_image(msg)


# cv_bridge, where it is installed and works

BRIDGED = ["rgba8", "bgra8", "rgba16", "bgra16", "yuv422", "yuv422_yuy2"]
BRIDGED += [f"bayer_{pattern}{bits}" for pattern in _BAYER for bits in (8, 16)]


@pytest.mark.parametrize("padding", [0, 4])
@pytest.mark.parametrize("encoding", BRIDGED)
def test_cv_bridge_agrees(encoding, padding, monkeypatch):
    pytest.importorskip("cv_bridge", reason="needs cv_bridge")
    if _cv_bridge() is None:
        pytest.skip("this cv_bridge does not work beside this numpy")
    channels = {"rgba": 4, "bgra": 4, "yuv4": 2, "baye": 1}[encoding[:4]]
    dtype = np.uint16 if encoding.endswith("16") else np.uint8
    pixels = RNG.integers(0, np.iinfo(dtype).max, (HEIGHT, WIDTH, channels), dtype, endpoint=True)
    msg = image(encoding, pixels, padding=padding)
    bridged = decode_image(msg)
    monkeypatch.setattr(messages_image, "_cv_bridge", lambda: None)
    assert_image(bridged, decode_image(msg))


@pytest.mark.parametrize("fails", [ImportError, AttributeError, SystemError])
def test_broken_cv_bridge_is_not_used(fails, monkeypatch):
    def broken():
        raise fails("compiled against another numpy")

    monkeypatch.setitem(sys.modules, "cv_bridge", SimpleNamespace(CvBridge=broken))
    _cv_bridge.cache_clear()
    try:
        assert_image(decode_image(image("bgra8", PACKED["bgra8"][0])), RGB)
        assert _cv_bridge() is None
    finally:
        _cv_bridge.cache_clear()


# RGB to a message


def test_color_image_holds_pixels_and_header():
    header = std_msgs.Header(frame_id="camera_optical")
    header.stamp.sec, header.stamp.nanosec = 12, 34
    msg = color_image(RGB, header)
    assert (msg.height, msg.width, msg.encoding, msg.step) == (HEIGHT, WIDTH, "rgb8", 3 * WIDTH)
    assert msg.is_bigendian == (sys.byteorder == "big")
    assert msg.header == header
    assert isinstance(msg.data, array)
    assert msg.data.tobytes() == RGB.tobytes()
    assert_image(decode_image(msg), RGB)


def test_color_image_of_a_strided_view():
    header = std_msgs.Header()
    assert_image(decode_image(color_image(RGB[::2, ::3, ::-1], header)), RGB[::2, ::3, ::-1])


# Compressed images

# Smooth, so that JPEG keeps it; its channels differ, so that swapped ones are seen.
COLUMN, ROW = np.meshgrid(np.linspace(0, 1, 48), np.linspace(0, 1, 32))
SMOOTH = np.dstack([40 + 200 * COLUMN, 200 - 150 * ROW, 90 + 60 * COLUMN * ROW]).astype(np.uint8)


def compressed(data, format="jpeg"):
    return sensor_msgs.CompressedImage(format=format, data=array("B", data))


def encoded(pixels, extension, *parameters):
    return cv2.imencode(extension, pixels, parameters)[1].tobytes()


def test_jpeg_keeps_the_order_of_colors():
    jpeg = encoded(SMOOTH[..., ::-1], ".jpg", cv2.IMWRITE_JPEG_QUALITY, 95)
    decoded = decode_compressed(compressed(jpeg, "rgb8; jpeg compressed bgr8"))
    assert decoded.shape == (32, 48, 3)
    assert decoded.dtype == np.uint8
    assert decoded.flags.c_contiguous
    assert np.abs(decoded.astype(int) - SMOOTH).mean() < 2.0
    assert np.abs(decoded.astype(int) - SMOOTH).max() < 12


def test_png_is_exact():
    png = encoded(SMOOTH[..., ::-1], ".png")
    assert np.array_equal(decode_compressed(compressed(png, "bgr8; png compressed ")), SMOOTH)


def test_gray_and_transparent_png_become_rgb():
    gray = SMOOTH[..., 0]
    expected = np.dstack([gray, gray, gray])
    assert np.array_equal(decode_compressed(compressed(encoded(gray, ".png"))), expected)
    bgra = np.dstack([SMOOTH[..., ::-1], np.full(gray.shape, 10, np.uint8)])
    assert np.array_equal(decode_compressed(compressed(encoded(bgra, ".png"))), SMOOTH)


def test_sixteen_bits_become_eight():
    gray = SMOOTH[..., 0].astype(np.uint16) * 257
    decoded = decode_compressed(compressed(encoded(gray, ".png"), "mono16; png compressed "))
    assert np.array_equal(decoded[..., 1], SMOOTH[..., 0])


def test_exif_orientation_of_a_message_is_ignored():
    # APP1 segment: EXIF with one tag, 0x0112 orientation = 6 (turn by 90 degrees to view).
    tiff = b"MM\0\x2a\0\0\0\x08\0\x01" + b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0" + b"\0\0\0\0"
    exif = b"Exif\0\0" + tiff
    jpeg = encoded(SMOOTH[..., ::-1], ".jpg")
    turned = jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:]
    assert cv2.imdecode(np.frombuffer(turned, np.uint8), cv2.IMREAD_COLOR).shape == (48, 32, 3)
    assert np.array_equal(
        decode_compressed(compressed(turned)), decode_compressed(compressed(jpeg))
    )


def test_bytes_after_the_end_do_no_harm():
    jpeg = encoded(SMOOTH, ".jpg")
    whole = decode_compressed(compressed(jpeg))
    assert np.array_equal(decode_compressed(compressed(jpeg + bytes(1000))), whole)


@pytest.mark.parametrize("kept", [2, 100, 0.5, 0.9])
@pytest.mark.parametrize("extension", [".jpg", ".png"])
def test_a_compressed_image_cut_off_is_refused(extension, kept):
    data = encoded(SMOOTH[..., ::-1], extension)
    data = data[: kept if kept > 1 else int(kept * len(data))]
    with pytest.raises(ImageError, match=rf"found {len(data)} bytes.*a complete JPEG or PNG"):
        decode_compressed(compressed(data))


@pytest.mark.parametrize("data", [b"", b"\0" * 64, b"no image at all"])
def test_bytes_that_are_no_image(data):
    with pytest.raises(ImageError, match=rf"found {len(data)} bytes.*format 'h264'"):
        decode_compressed(compressed(data, "h264"))
