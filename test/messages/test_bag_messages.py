"""Decoding of messages as the rosbags library gives them: ndarray fields, no ROS installed.

The messages go through their serialised form, so their data are slices of it that start at
whatever byte they happen to.
"""

import cv2
import numpy as np
import pytest

from depth_estimation_ros.errors import ImageError
from depth_estimation_ros.messages import (
    camera_model,
    decode_compressed,
    decode_depth,
    decode_image,
    read_points,
)

typesys = pytest.importorskip("rosbags.typesys", reason="needs rosbags")
STORE = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
RNG = np.random.default_rng(5)


STAMP = STORE.types["builtin_interfaces/msg/Time"](sec=1, nanosec=2)
HEADER = STORE.types["std_msgs/msg/Header"](stamp=STAMP, frame_id="camera_optical")


def recorded(kind, **fields):
    """The message after serialisation, as a bag holds it."""
    name = f"sensor_msgs/msg/{kind}"
    msg = STORE.types[name](header=HEADER, **fields)
    return STORE.deserialize_cdr(STORE.serialize_cdr(msg, name), name)


def recorded_image(encoding, pixels, **fields):
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(len(pixels), -1)
    return recorded(
        "Image",
        encoding=encoding,
        width=pixels.shape[1],
        step=rows.shape[1],
        data=rows.reshape(-1),
        **{"height": pixels.shape[0], "is_bigendian": 0, **fields},
    )


@pytest.mark.parametrize("start", range(5))
def test_depth_that_starts_at_any_byte(start):
    depth = RNG.uniform(0, 10, (5, 7)).astype("<f4")
    msg = recorded_image("32FC1", depth)
    msg.data = np.concatenate([np.zeros(start, np.uint8), msg.data])[start:]
    decoded = decode_depth(msg)
    assert np.array_equal(decoded, depth)
    assert decoded.flags.aligned


def test_big_endian_depth():
    millimetres = RNG.integers(1, 65535, (5, 7)).astype(">u2")
    decoded = decode_depth(recorded_image("16UC1", millimetres, is_bigendian=1))
    assert np.array_equal(decoded, millimetres.astype(np.float32) / np.float32(1000))


def test_colour_image():
    bgr = RNG.integers(0, 256, (5, 7, 3), np.uint8)
    assert np.array_equal(decode_image(recorded_image("bgr8", bgr)), bgr[..., ::-1])
    assert np.array_equal(decode_image(recorded_image("rgb8", bgr)), bgr)


def test_errors_are_the_same():
    with pytest.raises(ImageError, match="found 'rgb32'"):
        decode_image(recorded_image("rgb32", np.zeros((5, 7, 3), np.uint32)))
    with pytest.raises(ImageError, match=r"len\(data\) = 105, expected 90 = step 15 \* 6 rows"):
        decode_image(recorded_image("rgb8", np.zeros((7, 5, 3), np.uint8), height=6))


def test_compressed_images():
    rgb = RNG.integers(0, 256, (6, 8, 3), np.uint8)
    png = cv2.imencode(".png", rgb[..., ::-1])[1].reshape(-1)
    msg = recorded("CompressedImage", format="bgr8; png compressed", data=png)
    assert np.array_equal(decode_compressed(msg), rgb)
    png = cv2.imencode(".png", np.array([[0, 1500, 65535]], np.uint16))[1].reshape(-1)
    msg = recorded("CompressedImage", format="16UC1; png compressed", data=png)
    assert np.array_equal(decode_depth(msg), np.float32([[np.nan, 1.5, np.inf]]), equal_nan=True)


def test_camera_info():
    roi = STORE.types["sensor_msgs/msg/RegionOfInterest"](
        x_offset=20, y_offset=10, width=400, height=300, do_rectify=True
    )
    msg = recorded(
        "CameraInfo",
        height=480,
        width=640,
        distortion_model="plumb_bob",
        d=np.array([0.1, 0.0, 0.0, 0.0, 0.0]),
        k=np.array([500.0, 0, 320, 0, 500, 240, 0, 0, 1]),
        r=np.eye(3).ravel(),
        p=np.zeros(12),
        binning_x=2,
        binning_y=2,
        roi=roi,
    )
    camera = camera_model(msg)
    assert (camera.width, camera.height) == (200, 150)
    assert (camera.fx, camera.cx, camera.cy) == (250.0, 150.0, 115.0)
    assert camera.D.tolist() == [0.1, 0.0, 0.0, 0.0, 0.0]


def test_point_cloud():
    values = np.zeros((2, 3, 4), np.float32)
    values[..., :3] = RNG.normal(size=(2, 3, 3))
    values.view(np.uint32)[..., 3] = 0x00102030
    field = STORE.types["sensor_msgs/msg/PointField"]
    cloud = recorded(
        "PointCloud2",
        height=2,
        width=3,
        fields=[field(name=n, offset=4 * i, datatype=7, count=1) for i, n in enumerate("xyz")]
        + [field(name="rgb", offset=12, datatype=7, count=1)],
        is_bigendian=False,
        point_step=16,
        row_step=48,
        data=values.view(np.uint8).reshape(-1),
        is_dense=False,
    )
    xyz, rgb = read_points(cloud)
    assert np.array_equal(xyz, values[..., :3])
    assert (rgb == [0x10, 0x20, 0x30]).all()
