"""Clouds thinned by voxels, and PLY files read back by a reader of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from media_files import read_ply

from depth_estimation_ros.errors import ImageError, ParameterError
from depth_estimation_ros.geometry.point_cloud import voxel_downsample, write_ply

RNG = np.random.default_rng(7)


def points_of(*rows):
    return np.array(rows, np.float32)


def colors_of(*rows):
    return np.array(rows, np.uint8)


# Voxels


def test_points_of_a_voxel_become_their_mean():
    points = points_of((0.01, 0.02, 1.01), (0.03, 0.04, 1.03), (0.01, 0.02, 1.11))
    colors = colors_of((10, 0, 255), (21, 100, 255), (1, 2, 3))
    xyz, rgb = voxel_downsample(points, colors, 0.1)
    np.testing.assert_allclose(xyz, [(0.02, 0.03, 1.02), (0.01, 0.02, 1.11)], rtol=1e-6)
    np.testing.assert_array_equal(rgb, [(16, 50, 255), (1, 2, 3)])  # 15.5 rounds to even
    assert (xyz.dtype, rgb.dtype) == (np.float32, np.uint8)


def test_voxels_start_at_the_origin():
    points = points_of((-0.01, 0.0, 1.0), (0.01, 0.0, 1.0))
    xyz, _ = voxel_downsample(points, np.zeros((2, 3), np.uint8), 0.1)
    np.testing.assert_array_equal(xyz, points)


def test_points_that_are_not_finite_are_dropped():
    nan, inf = np.nan, np.inf
    points = points_of((nan, nan, nan), (0.1, 0.2, inf), (-inf, 0, 1), (1, 2, 3))
    xyz, rgb = voxel_downsample(points, colors_of(*[(i, i, i) for i in range(4)]), 0.5)
    np.testing.assert_array_equal(xyz, [(1, 2, 3)])
    np.testing.assert_array_equal(rgb, [(3, 3, 3)])


def test_every_point_counts_once():
    points = RNG.uniform(-2, 2, (40, 50, 3)).astype(np.float32)
    colors = RNG.integers(0, 256, points.shape, np.uint8)
    organised = voxel_downsample(points, colors, 0.3)
    shuffle = RNG.permutation(2000)
    flat = voxel_downsample(points.reshape(-1, 3)[shuffle], colors.reshape(-1, 3)[shuffle], 0.3)
    np.testing.assert_allclose(flat[0], organised[0], atol=1e-6)
    assert np.abs(flat[1].astype(int) - organised[1]).max() <= 1  # sums in another order

    cubes = {}
    for point, color in zip(points.reshape(-1, 3), colors.reshape(-1, 3), strict=True):
        cubes.setdefault(tuple(np.floor(point.astype(float) / 0.3)[::-1]), []).append(
            (*point, *color)
        )
    expected = np.array([np.mean(cubes[key], axis=0) for key in sorted(cubes)])
    np.testing.assert_allclose(organised[0], expected[:, :3], atol=1e-6)
    np.testing.assert_allclose(organised[1], expected[:, 3:], atol=0.5)


def test_a_grid_too_large_to_count():
    points = points_of((-1e6, -1e6, 0), (1e6, 1e6, 1e6), (1e6, 1e6, 1e6), (0, 0, 0))
    xyz, _ = voxel_downsample(points, np.zeros((4, 3), np.uint8), 1e-3)
    np.testing.assert_array_equal(xyz, points_of((-1e6, -1e6, 0), (0, 0, 0), (1e6, 1e6, 1e6)))


def test_an_empty_cloud_stays_empty():
    xyz, rgb = voxel_downsample(
        np.full((2, 2, 3), np.nan, np.float32), np.zeros((2, 2, 3), np.uint8), 0.1
    )
    assert (xyz.shape, rgb.shape) == ((0, 3), (0, 3))


@pytest.mark.parametrize("size", [0.0, -0.1, np.nan, np.inf])
def test_a_cube_has_a_size(size):
    with pytest.raises(ParameterError, match=r"voxel size: found .*, expected metres above 0"):
        voxel_downsample(np.zeros((1, 3), np.float32), np.zeros((1, 3), np.uint8), size)


def test_as_many_colors_as_points():
    with pytest.raises(ImageError, match="differ in size"):
        voxel_downsample(np.zeros((2, 3), np.float32), np.zeros((1, 3), np.uint8), 0.1)


# PLY


def test_a_ply_file_has_metres_and_bytes(tmp_path):
    path = tmp_path / "cloud.ply"
    points = points_of((0.5, -0.25, 1.5), (1, 2, 3)).reshape(1, 2, 3)
    assert write_ply(path, points, colors_of((1, 2, 3), (255, 0, 128)).reshape(1, 2, 3)) == 2
    lines, vertices = read_ply(path)
    assert lines == [
        "ply",
        "format binary_little_endian 1.0",
        "comment metres, camera optical frame: x right, y down, z forward",
        "element vertex 2",
        "property float x",
        "property float y",
        "property float z",
        "property uchar red",
        "property uchar green",
        "property uchar blue",
    ]
    assert vertices == [(0.5, -0.25, 1.5, 1, 2, 3), (1.0, 2.0, 3.0, 255, 0, 128)]


def test_a_ply_file_has_only_finite_points(tmp_path):
    points = points_of((np.nan, 0, 1), (1, 2, 3), (0, 0, np.inf))
    path = tmp_path / "cloud.ply"
    assert write_ply(path, points, colors_of((1, 1, 1), (2, 2, 2), (3, 3, 3))) == 1
    assert read_ply(path)[1] == [(1.0, 2.0, 3.0, 2, 2, 2)]


def test_a_failed_ply_file_leaves_the_earlier_one(tmp_path, monkeypatch):
    path = tmp_path / "cloud.ply"
    path.write_text("earlier")

    def full(self, data):
        Path.open(self, "wb").close()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        write_ply(path, points_of((1, 2, 3)), colors_of((1, 2, 3)))
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]
