"""Depth comes out of a PNG as it was put in, or not at all."""

import cv2
import numpy as np
import pytest

from depth_estimation_ros.errors import DatasetError
from training.data.image_files import check_same_size, read_depth_png, read_depth_values, read_rgb


def write(path, values):
    assert cv2.imwrite(str(path), np.asarray(values))
    return path


@pytest.mark.parametrize(("unit", "metres"), [(0.001, 0.256), (1 / 256, 1.0), (1 / 5000, 0.0512)])
def test_the_unit_is_the_data_sets(tmp_path, unit, metres):
    path = write(tmp_path / "d.png", np.array([[0, 256, 65535]], np.uint16))
    depth = read_depth_png(path, metres_per_unit=unit)
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth, [[np.nan, metres, 65535 * unit]], rtol=1e-6)


def test_beyond_range_is_infinite_where_a_value_says_so(tmp_path):
    path = write(tmp_path / "d.png", np.array([[0, 65535]], np.uint16))
    depth = read_depth_png(path, metres_per_unit=0.001, infinite_value=65535)
    np.testing.assert_array_equal(depth, np.array([[np.nan, np.inf]], np.float32))


def test_eight_and_sixteen_bits_are_never_mixed_up(tmp_path):
    eight = write(tmp_path / "8.png", np.full((2, 3), 7, np.uint8))
    sixteen = write(tmp_path / "16.png", np.full((2, 3), 7, np.uint16))
    with pytest.raises(DatasetError, match=r"8\.png: found 8 bits, 1 channel, expected .* 16 bits"):
        read_depth_png(eight, metres_per_unit=0.001)
    with pytest.raises(
        DatasetError, match=r"16\.png: found 16 bits, 1 channel, expected .* 8 bits"
    ):
        read_depth_values(sixteen, bits=8)
    np.testing.assert_array_equal(read_depth_values(eight, bits=8), np.full((2, 3), 7, np.uint8))


def test_a_coloured_picture_is_no_depth(tmp_path):
    path = write(tmp_path / "c.png", np.full((2, 3, 3), 7, np.uint16))
    with pytest.raises(DatasetError, match=r"found 16 bits, 3 channels, expected .* one channel"):
        read_depth_png(path, metres_per_unit=0.001)


def test_missing_and_cut_files_are_named_with_the_next_step(tmp_path):
    with pytest.raises(DatasetError, match=r"none\.png: found no file.*Get it at example\.org"):
        read_depth_png(tmp_path / "none.png", metres_per_unit=1.0, fix="Get it at example.org")
    whole = write(tmp_path / "d.png", np.full((50, 50), 7, np.uint16)).read_bytes()
    (tmp_path / "d.png").write_bytes(whole[:20])
    with pytest.raises(DatasetError, match=r"d\.png: found 20 bytes that are no image"):
        read_depth_png(tmp_path / "d.png", metres_per_unit=1.0)
    with pytest.raises(DatasetError, match=r"d\.png: found 20 bytes that are no image"):
        read_rgb(tmp_path / "d.png")


def test_pictures_are_red_green_blue(tmp_path):
    path = write(tmp_path / "c.png", np.full((2, 3, 3), (10, 20, 200), np.uint8))
    assert read_rgb(path)[0, 0].tolist() == [200, 20, 10]


def test_a_picture_and_depth_of_other_sizes_are_no_pair():
    with pytest.raises(DatasetError, match=r"f7: .* found 3x2 and 2x3, expected one size"):
        check_same_size(np.zeros((2, 3, 3)), np.zeros((3, 2)), "f7")
