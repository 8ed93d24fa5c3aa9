"""Laser points fall on the pixels where the calibration says, at the depth along the axis."""

import numpy as np
import pytest

from depth_estimation_ros.errors import DatasetError
from training.data.kitti_frames import project, raw_intrinsics, read_scan

# A scanner at the camera: its x is the camera's z, its y is left, its z is up.
AXES = np.array([[0.0, -1.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
K = np.array([[100.0, 0.0, 20.0], [0.0, 90.0, 10.0], [0.0, 0.0, 1.0]])


def test_a_point_falls_where_computed_by_hand():
    # 8 m ahead, 0.4 m left, 0.56 m down: u = 20 - 100 * 0.4 / 8 = 15, v = 10 + 90 * 0.56 / 8 = 16.3
    depth = project(np.array([[8.0, 0.4, -0.56]]), K @ AXES, 20, 40)
    assert depth[16, 15] == 8.0
    assert depth.dtype == np.float32
    assert np.isfinite(depth).sum() == 1


def test_the_nearest_of_several_points_counts_in_any_order():
    points = np.array([[8.0, 0.0, 0.0], [5.0, 0.0, 0.0], [6.0, 0.0, 0.0]])
    for order in ([0, 1, 2], [1, 2, 0], [2, 0, 1]):
        assert project(points[order], K @ AXES, 20, 40)[10, 20] == 5.0


def test_points_behind_the_camera_and_beside_the_picture_are_left_out():
    behind = [-8.0, 0.0, 0.0]
    at_camera = [0.0, 0.0, 0.0]
    left, right = [8.0, 1.7, 0.0], [8.0, -1.7, 0.0]
    points = np.array([behind, at_camera, left, right, [1e-9, 5.0, 5.0]])
    assert not np.isfinite(project(points, K @ AXES, 20, 40)).any()


def test_the_border_pixels_reach_half_a_pixel_beyond_their_centres():
    metres = 10.0
    u = np.array([-0.51, -0.49, 39.49, 39.51])
    points = np.column_stack([np.full(4, metres), -(u - 20.0) / 100.0 * metres, np.zeros(4)])
    depth = project(points, K @ AXES, 20, 40)
    assert np.flatnonzero(np.isfinite(depth[10])).tolist() == [0, 39]


def test_a_scan_is_read_as_written(tmp_path):
    points = np.array([[1.0, 2.0, 3.0, 0.5], [4.0, 5.0, 6.0, 0.0]], np.float32)
    points.tofile(tmp_path / "0.bin")
    np.testing.assert_array_equal(read_scan(tmp_path / "0.bin"), points)


def test_a_cut_scan_is_named(tmp_path):
    (tmp_path / "0.bin").write_bytes(bytes(30))
    with pytest.raises(DatasetError, match=r"0\.bin: found 30 bytes, .* four float32.*cut off"):
        read_scan(tmp_path / "0.bin")
    with pytest.raises(DatasetError, match=r"1\.bin: found no file"):
        read_scan(tmp_path / "1.bin")


def test_calibration_errors_name_file_and_matrix(tmp_path):
    with pytest.raises(DatasetError, match=r"calib_cam_to_cam\.txt: found no file.*raw_data"):
        raw_intrinsics(tmp_path, 2)
    (tmp_path / "calib_cam_to_cam.txt").write_text("calib_time: 09-Jan-2012 13:57:47\n")
    with pytest.raises(DatasetError, match=r"calib_cam_to_cam\.txt has no P_rect_02"):
        raw_intrinsics(tmp_path, 2)
    (tmp_path / "calib_cam_to_cam.txt").write_text("P_rect_02: 1 2 3\n")
    with pytest.raises(DatasetError, match=r"P_rect_02: found '1 2 3', expected 12 numbers"):
        raw_intrinsics(tmp_path, 2)
