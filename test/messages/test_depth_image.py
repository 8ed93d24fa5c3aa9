"""decode_depth and depth_image: metres and millimetres, and the values that mean no depth."""

import sys
from array import array

import cv2
import numpy as np
import pytest

from depth_estimation_ros.errors import ImageError, ParameterError
from depth_estimation_ros.messages import decode_depth, depth_image
from depth_estimation_ros.messages.factory import ReusingMessageFactory

sensor_msgs = pytest.importorskip("sensor_msgs.msg", reason="needs ROS 2 (sensor_msgs)")
std_msgs = pytest.importorskip("std_msgs.msg", reason="needs ROS 2 (std_msgs)")

HEADER = std_msgs.Header(frame_id="camera_optical")
DEPTH = np.random.default_rng(3).uniform(0.1, 60.0, (5, 7)).astype(np.float32)


def image(encoding, pixels, *, padding=0, big_endian=False):
    """A depth Image of pixels (H, W), each row followed by bytes of padding."""
    pixels = pixels.astype(pixels.dtype.newbyteorder(">" if big_endian else "<"))
    rows = np.frombuffer(pixels.tobytes(), np.uint8).reshape(len(pixels), -1)
    rows = np.hstack([rows, np.full((len(rows), padding), 0xCD, np.uint8)])
    msg = sensor_msgs.Image(encoding=encoding, is_bigendian=int(big_endian), step=rows.shape[1])
    msg.height, msg.width = pixels.shape
    msg.data = array("B", rows.tobytes())
    return msg


def png(pixels):
    data = cv2.imencode(".png", pixels)[1].tobytes()
    return sensor_msgs.CompressedImage(format="16UC1; png compressed", data=array("B", data))


# Messages to metres


@pytest.mark.parametrize("padding", [0, 3, 8])
@pytest.mark.parametrize("big_endian", [False, True])
def test_32fc1_is_metres_as_they_are(big_endian, padding):
    depth = DEPTH.copy()
    depth[0, :4] = np.nan, np.inf, -np.inf, 0.0
    decoded = decode_depth(image("32FC1", depth, padding=padding, big_endian=big_endian))
    assert decoded.dtype == np.float32
    assert decoded.dtype.isnative
    assert decoded.flags.c_contiguous
    assert np.array_equal(decoded, depth, equal_nan=True)


def test_32fc1_is_not_copied():
    msg = image("32FC1", DEPTH)
    assert np.shares_memory(decode_depth(msg), np.frombuffer(msg.data, np.uint8))


@pytest.mark.parametrize("padding", [0, 3, 8])
@pytest.mark.parametrize("big_endian", [False, True])
def test_16uc1_is_millimetres_and_zero_is_unknown(big_endian, padding):
    millimetres = np.array([[0, 1, 999], [1000, 1234, 65535]], np.uint16)
    decoded = decode_depth(image("16UC1", millimetres, padding=padding, big_endian=big_endian))
    assert decoded.dtype == np.float32
    expected = np.array([[np.nan, 0.001, 0.999], [1.0, 1.234, 65.535]], np.float32)
    assert np.array_equal(decoded, expected, equal_nan=True)


def test_png_is_millimetres_and_65535_beyond_range():
    decoded = decode_depth(png(np.array([[0, 1, 1234], [65534, 65535, 2000]], np.uint16)))
    expected = np.array([[np.nan, 0.001, 1.234], [65.534, np.inf, 2.0]], np.float32)
    assert decoded.dtype == np.float32
    assert np.array_equal(decoded, expected, equal_nan=True)


def compressed_depth(pixels, kind):
    """As image_transport's compressedDepth sends it: twelve bytes of its own, then a PNG."""
    data = bytes(12) + cv2.imencode(".png", pixels)[1].tobytes()
    return sensor_msgs.CompressedImage(format=kind, data=array("B", data))


@pytest.mark.parametrize("kind", ["16UC1; compressedDepth", "16UC1; compressedDepth png"])
def test_compressed_depth_is_millimetres(kind):
    millimetres = np.array([[0, 1, 1234], [65534, 65535, 2000]], np.uint16)
    decoded = decode_depth(compressed_depth(millimetres, kind))
    expected = np.array([[np.nan, 0.001, 1.234], [65.534, 65.535, 2.0]], np.float32)
    assert decoded.dtype == np.float32
    assert np.array_equal(decoded, expected, equal_nan=True)


def test_compressed_depth_of_floats_is_no_millimetres():
    message = compressed_depth(np.ones((4, 4), np.uint16), "32FC1; compressedDepth png")
    with pytest.raises(ImageError, match="format '32FC1; compressedDepth png'"):
        decode_depth(message)
    message = compressed_depth(np.ones((4, 4), np.uint16), "16UC1; compressedDepth rvl")
    message.data = array("B", bytes(40))
    with pytest.raises(ImageError, match="compressedDepth rvl"):
        decode_depth(message)


@pytest.mark.parametrize("pixels", [np.ones((4, 4), np.uint8), np.ones((4, 4, 3), np.uint16)])
def test_png_that_is_not_depth(pixels):
    with pytest.raises(ImageError, match=rf"found {pixels.dtype}.*one channel of 16 bits"):
        decode_depth(png(pixels))


def test_png_cut_short():
    msg = png(np.ones((40, 40), np.uint16))
    msg.data = msg.data[:60]
    with pytest.raises(ImageError, match="found 60 bytes"):
        decode_depth(msg)


def test_encoding_that_is_not_depth():
    with pytest.raises(ImageError, match=r"found 'mono16', expected 32FC1 \(metres\), 16UC1"):
        decode_depth(image("mono16", np.ones((4, 4), np.uint16)))


@pytest.mark.parametrize(("encoding", "dtype"), [("32FC1", np.float32), ("16UC1", np.uint16)])
def test_data_that_does_not_fit(encoding, dtype):
    msg = image(encoding, np.ones((5, 7), dtype))
    msg.data = msg.data[:-1]
    with pytest.raises(ImageError, match=rf"len\(data\) = {len(msg.data)}, expected"):
        decode_depth(msg)
    with pytest.raises(ImageError, match="image is empty: found 0 x 0"):
        decode_depth(sensor_msgs.Image(encoding=encoding))


# Metres to messages


@pytest.mark.parametrize(("encoding", "step"), [("32FC1", 28), ("16UC1", 14)])
def test_depth_image_fields(encoding, step):
    msg = depth_image(DEPTH, HEADER, encoding)
    assert (msg.height, msg.width, msg.encoding, msg.step) == (5, 7, encoding, step)
    assert msg.is_bigendian == (sys.byteorder == "big")
    assert msg.header == HEADER
    assert isinstance(msg.data, array)
    assert msg.data.typecode == "B"
    assert len(msg.data) == 5 * step


def test_32fc1_keeps_every_bit():
    depth = DEPTH.copy()
    depth[1, :4] = np.nan, np.inf, -np.inf, 0.0
    msg = depth_image(depth, HEADER, "32FC1")
    assert msg.data.tobytes() == depth.tobytes()
    assert np.array_equal(decode_depth(msg), depth, equal_nan=True)


@pytest.mark.parametrize(
    ("metres", "millimetres"),
    [
        (1.0, 1000),
        (1.2344, 1234),
        (1.2346, 1235),
        (0.0004, 0),
        (0.0006, 1),
        (65.535, 65535),
        (65.5354, 65535),
        (65.536, 0),
        (70.0, 0),
        (1e30, 0),
        (0.0, 0),
        (-0.0001, 0),
        (-1.0, 0),
        (np.nan, 0),
        (np.inf, 0),
        (-np.inf, 0),
    ],
)
@pytest.mark.filterwarnings("error")
def test_16uc1_rounds_and_invalid_is_zero(metres, millimetres):
    msg = depth_image(np.full((2, 3), metres, np.float32), HEADER, "16UC1")
    assert np.frombuffer(msg.data, np.uint16).tolist() == [millimetres] * 6


def test_16uc1_round_trip_is_within_half_a_millimetre():
    back = decode_depth(depth_image(DEPTH, HEADER, "16UC1"))
    assert np.abs(back - DEPTH).max() < 0.000_51


@pytest.mark.parametrize("encoding", ["32FC1", "16UC1"])
def test_strided_depth(encoding):
    whole, part = (decode_depth(depth_image(d, HEADER, encoding)) for d in (DEPTH, DEPTH[::2, ::3]))
    assert np.array_equal(part, whole[::2, ::3])


@pytest.mark.parametrize("encoding", ["32FC1", "16UC1"])
def test_reused_buffer_holds_only_the_new_depth(encoding):
    kind = ReusingMessageFactory()
    unknown = DEPTH.copy()
    unknown[2, 3:] = np.nan
    messages = []
    for depth, frame_id in ((DEPTH, "one"), (unknown, "two"), (DEPTH[::-1], "three")):
        header = std_msgs.Header(frame_id=frame_id)
        messages.append(depth_image(depth, header, encoding, kind))
        assert messages[-1] == depth_image(depth, header, encoding)
    assert messages[0] is messages[1] is messages[2]
    assert len(depth_image(DEPTH[:2], HEADER, encoding, kind).data) * 5 == len(messages[0].data) * 2


def test_depth_image_of_another_encoding():
    with pytest.raises(ParameterError, match=r"depth_encoding.*found '64FC1', expected 32FC1"):
        depth_image(DEPTH, HEADER, "64FC1")
