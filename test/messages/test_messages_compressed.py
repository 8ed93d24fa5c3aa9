"""decode_compressed: JPEG and PNG, as cameras and image_transport send them."""

from array import array
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from depth_estimation_ros.errors import ImageError
from depth_estimation_ros.messages import decode_compressed

# Smooth, so that JPEG keeps it; its channels differ, so that swapped ones are seen.
U, V = np.meshgrid(np.linspace(0, 1, 48), np.linspace(0, 1, 32))
RGB = np.dstack([40 + 200 * U, 200 - 150 * V, 90 + 60 * U * V]).astype(np.uint8)


def compressed(data, format="jpeg"):
    """A CompressedImage; the real class where ROS is installed."""
    try:
        from sensor_msgs.msg import CompressedImage
    except ImportError:
        return SimpleNamespace(format=format, data=array("B", data))
    return CompressedImage(format=format, data=array("B", data))


def encoded(picture, extension, *parameters):
    return cv2.imencode(extension, picture, parameters)[1].tobytes()


def test_jpeg_keeps_the_order_of_the_colours():
    jpeg = encoded(RGB[..., ::-1], ".jpg", cv2.IMWRITE_JPEG_QUALITY, 95)
    picture = decode_compressed(compressed(jpeg, "rgb8; jpeg compressed bgr8"))
    assert picture.shape == (32, 48, 3)
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous
    assert np.abs(picture.astype(int) - RGB).mean() < 2.0
    assert np.abs(picture.astype(int) - RGB).max() < 12


def test_png_is_exact():
    png = encoded(RGB[..., ::-1], ".png")
    assert np.array_equal(decode_compressed(compressed(png, "bgr8; png compressed ")), RGB)


def test_gray_and_transparent_png_become_rgb():
    gray = RGB[..., 0]
    expected = np.dstack([gray, gray, gray])
    assert np.array_equal(decode_compressed(compressed(encoded(gray, ".png"))), expected)
    bgra = np.dstack([RGB[..., ::-1], np.full(gray.shape, 10, np.uint8)])
    assert np.array_equal(decode_compressed(compressed(encoded(bgra, ".png"))), RGB)


def test_sixteen_bits_become_eight():
    gray = RGB[..., 0].astype(np.uint16) * 257
    picture = decode_compressed(compressed(encoded(gray, ".png"), "mono16; png compressed "))
    assert np.array_equal(picture[..., 1], RGB[..., 0])


def test_the_orientation_mark_of_a_photograph_does_not_turn_the_picture():
    # APP1 segment: EXIF with one tag, 0x0112 orientation = 6 (turn by 90 degrees to view).
    tiff = b"MM\0\x2a\0\0\0\x08\0\x01" + b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0" + b"\0\0\0\0"
    exif = b"Exif\0\0" + tiff
    jpeg = encoded(RGB[..., ::-1], ".jpg")
    turned = jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:]
    assert cv2.imdecode(np.frombuffer(turned, np.uint8), cv2.IMREAD_COLOR).shape == (48, 32, 3)
    assert np.array_equal(
        decode_compressed(compressed(turned)), decode_compressed(compressed(jpeg))
    )


def test_bytes_after_the_end_do_no_harm():
    jpeg = encoded(RGB, ".jpg")
    whole = decode_compressed(compressed(jpeg))
    assert np.array_equal(decode_compressed(compressed(jpeg + bytes(1000))), whole)


@pytest.mark.parametrize("kept", [2, 100, 0.5, 0.9])
@pytest.mark.parametrize("extension", [".jpg", ".png"])
def test_picture_cut_short(extension, kept):
    data = encoded(RGB[..., ::-1], extension)
    data = data[: kept if kept > 1 else int(kept * len(data))]
    with pytest.raises(ImageError, match=rf"found {len(data)} bytes.*a whole JPEG or PNG"):
        decode_compressed(compressed(data))


@pytest.mark.parametrize("data", [b"", b"\0" * 64, b"no picture at all"])
def test_bytes_that_are_no_picture(data):
    with pytest.raises(ImageError, match=rf"found {len(data)} bytes.*format 'h264'"):
        decode_compressed(compressed(data, "h264"))
