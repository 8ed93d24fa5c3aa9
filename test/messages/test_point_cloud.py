"""point_cloud and read_points: the layout that RViz and PCL read, and the way back."""

import struct
import sys
from array import array

import numpy as np
import pytest

from depth_estimation_ros.errors import ImageError
from depth_estimation_ros.geometry.camera_model import CameraModel, deproject
from depth_estimation_ros.messages import depth_cloud, point_cloud, read_points
from depth_estimation_ros.messages.factory import ReusingMessageFactory

sensor_msgs = pytest.importorskip("sensor_msgs.msg", reason="needs ROS 2 (sensor_msgs)")
std_msgs = pytest.importorskip("std_msgs.msg", reason="needs ROS 2 (std_msgs)")

HEADER = std_msgs.Header(frame_id="camera_optical")
RNG = np.random.default_rng(11)
RGB_OF_ANOTHER = np.zeros((8, 12, 3), np.uint8)


def random_cloud(height, width):
    points = RNG.normal(0, 5, (height, width, 3)).astype(np.float32)
    points[RNG.random((height, width)) < 0.1] = np.nan
    return points, RNG.integers(0, 256, (height, width, 3), np.uint8)


def test_layout_is_xyz_and_rgb_of_four_bytes_each():
    points, rgb = random_cloud(4, 6)
    cloud = point_cloud(points, rgb, HEADER)
    assert [(f.name, f.offset, f.datatype, f.count) for f in cloud.fields] == [
        ("x", 0, 7, 1),
        ("y", 4, 7, 1),
        ("z", 8, 7, 1),
        ("rgb", 12, 7, 1),
    ]
    assert sensor_msgs.PointField.FLOAT32 == 7
    assert (cloud.height, cloud.width) == (4, 6)
    assert (cloud.point_step, cloud.row_step) == (16, 96)
    assert len(cloud.data) == 4 * 96
    assert isinstance(cloud.data, array)
    assert cloud.data.typecode == "B"
    assert cloud.is_bigendian == (sys.byteorder == "big")
    assert not cloud.is_dense
    assert cloud.header == HEADER


def test_each_point_byte_by_byte():
    points, rgb = random_cloud(3, 5)
    data = point_cloud(points, rgb, HEADER).data.tobytes()
    for row in range(3):
        for column in range(5):
            x, y, z, packed = struct.unpack_from("=fffI", data, 16 * (5 * row + column))
            assert np.array_equal([x, y, z], points[row, column], equal_nan=True)
            red, green, blue = (int(c) for c in rgb[row, column])
            assert packed == red << 16 | green << 8 | blue  # 0x00RRGGBB


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (7, 5), (48, 64)])
def test_there_and_back(size):
    points, rgb = random_cloud(*size)
    xyz, color = read_points(point_cloud(points, rgb, HEADER))
    assert xyz.dtype == np.float32
    assert color.dtype == np.uint8
    assert np.array_equal(xyz, points, equal_nan=True)
    assert np.array_equal(color, rgb)


def test_colors_that_are_denormal_floats_survive():
    # 0x007F8000 and the like are denormal floats; arithmetic on them would lose bits.
    rgb = np.array([[[0, 0, 1], [0x7F, 0x80, 0], [255, 255, 255], [0, 0, 0]]], np.uint8)
    points = np.zeros((1, 4, 3), np.float32)
    assert np.array_equal(read_points(point_cloud(points, rgb, HEADER))[1], rgb)


def test_strided_points_and_colors():
    points, rgb = random_cloud(9, 8)
    xyz, color = read_points(point_cloud(points[::2, ::3], rgb[::2, ::3], HEADER))
    assert np.array_equal(xyz, points[::2, ::3], equal_nan=True)
    assert np.array_equal(color, rgb[::2, ::3])


def test_cloud_survives_serialisation():
    serialization = pytest.importorskip("rclpy.serialization", reason="needs ROS 2 (rclpy)")
    points, rgb = random_cloud(12, 16)
    cloud = point_cloud(points, rgb, HEADER)
    received = serialization.deserialize_message(
        serialization.serialize_message(cloud), sensor_msgs.PointCloud2
    )
    assert received == cloud
    assert np.array_equal(read_points(received)[0], points, equal_nan=True)


def test_clouds_do_not_share_memory():
    points, rgb = random_cloud(2, 2)
    first, second = point_cloud(points, rgb, HEADER), point_cloud(points + 1, rgb, HEADER)
    assert np.array_equal(read_points(first)[0] + 1, read_points(second)[0], equal_nan=True)


def test_points_and_colors_of_different_size():
    with pytest.raises(ImageError, match=r"points \(4, 6, 3\), colors \(8, 12, 3\)"):
        point_cloud(random_cloud(4, 6)[0], random_cloud(8, 12)[1], HEADER)


# Clouds of others


def foreign_cloud(order):
    """Two rows of three points with other fields between, padding at the rows' ends."""
    layout = np.dtype(
        {
            "names": ["intensity", "rgb", "z", "y", "x"],
            "formats": [f"{order}f4", f"{order}u4", f"{order}f4", f"{order}f4", f"{order}f4"],
            "offsets": [0, 4, 12, 16, 20],
            "itemsize": 27,
        }
    )
    values = np.zeros((2, 3), layout)
    values["x"], values["y"], values["z"] = 1.5, -2.5, [[1, 2, 3], [4, 5, 6]]
    values["rgb"] = 0xFF102030  # PCL writes an alpha of 255
    rows = np.frombuffer(values.tobytes(), np.uint8).reshape(2, 81)
    cloud = sensor_msgs.PointCloud2(height=2, width=3, point_step=27, row_step=90)
    cloud.is_bigendian = order == ">"
    cloud.fields = [
        sensor_msgs.PointField(name=name, offset=offset, datatype=7, count=1)
        for name, (_, offset) in layout.fields.items()
    ]
    cloud.data = array("B", np.hstack([rows, np.zeros((2, 9), np.uint8)]).tobytes())
    return cloud


@pytest.mark.parametrize("order", ["<", ">"])
def test_reading_other_layouts(order):
    xyz, rgb = read_points(foreign_cloud(order))
    assert xyz[..., 0].tolist() == [[1.5] * 3] * 2
    assert xyz[..., 1].tolist() == [[-2.5] * 3] * 2
    assert xyz[..., 2].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert rgb.reshape(-1, 3).tolist() == [[0x10, 0x20, 0x30]] * 6


def test_cloud_without_color():
    cloud = foreign_cloud("<")
    cloud.fields = [f for f in cloud.fields if f.name != "rgb"]
    with pytest.raises(ImageError, match=r"lacks fields: found intensity of datatype 7, z .*rgb"):
        read_points(cloud)


def test_cloud_in_double_precision():
    cloud = foreign_cloud("<")
    cloud.fields[2].datatype = sensor_msgs.PointField.FLOAT64
    with pytest.raises(ImageError, match=r"z of datatype 8"):
        read_points(cloud)


@pytest.mark.parametrize(("row_step", "height"), [(90, 3), (80, 2), (0, 2)])
def test_cloud_that_does_not_hold_its_bytes(row_step, height):
    cloud = foreign_cloud("<")
    cloud.row_step, cloud.height = row_step, height
    with pytest.raises(ImageError, match=rf"len\(data\) = 180, row_step = {row_step}"):
        read_points(cloud)


def random_depth(height, width):
    depth = RNG.uniform(0.1, 80.0, (height, width)).astype(np.float32)
    for value in (np.nan, np.inf, -np.inf):
        depth[RNG.random(depth.shape) < 0.05] = value
    return depth, RNG.integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (480, 640), (2, 50_000), (101, 999)])
def test_depth_cloud_equals_cloud_of_deprojected_points(size, stride):
    depth, rgb = random_depth(*size)
    camera = CameraModel.from_hfov(size[1], size[0], 60.0)
    parts = depth[::stride, ::stride], camera.rays(stride), rgb[::stride, ::stride]
    expected = point_cloud(deproject(*parts[:2]), parts[2], HEADER)
    assert depth_cloud(*parts, HEADER) == expected


def test_depth_cloud_has_no_point_without_a_ray():
    depth, rgb = random_depth(6, 8)
    rays = np.zeros((6, 8, 2), np.float32)
    rays[2, 3] = np.nan
    depth[2, 3] = 1.0
    assert np.isnan(read_points(depth_cloud(depth, rays, rgb, HEADER))[0][2, 3]).all()


def test_depth_and_colors_of_two_sizes_are_refused():
    with pytest.raises(ImageError, match="differ in size"):
        depth_cloud(random_depth(4, 6)[0], np.zeros((4, 6, 2), np.float32), RGB_OF_ANOTHER, HEADER)


def test_reused_buffer_holds_only_the_new_cloud():
    kind = ReusingMessageFactory()
    camera = CameraModel.from_hfov(8, 6, 60.0)
    clouds = []
    for frame_id in ("one", "two"):
        depth, rgb = random_depth(6, 8)
        header = std_msgs.Header(frame_id=frame_id)
        cloud = depth_cloud(depth, camera.rays(), rgb, header, kind)
        assert cloud == depth_cloud(depth, camera.rays(), rgb, header)
        clouds.append(cloud)
    assert clouds[0] is clouds[1]


def test_buffer_of_another_size_is_replaced():
    kind = ReusingMessageFactory()
    small = depth_cloud(*of_a_camera(6, 8), HEADER, kind)
    large = depth_cloud(*of_a_camera(12, 16), HEADER, kind)
    assert small is not large
    assert (len(small.data), len(large.data)) == (16 * 48, 16 * 192)


def of_a_camera(height, width):
    depth, rgb = random_depth(height, width)
    return depth, CameraModel.from_hfov(width, height, 60.0).rays(), rgb
