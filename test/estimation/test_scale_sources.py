"""What a range sensor or the floor says of the pixels of an image."""

from __future__ import annotations

import math

import numpy as np
import pytest

from depth_estimation_ros.estimation.scale_sources import (
    RangeCone,
    down_vector,
    find_floor,
    pose_matrix,
    project_ranges,
    transform_points,
)
from depth_estimation_ros.geometry.camera_model import CameraModel

SIZE = (96, 128)
CAMERA = CameraModel.from_intrinsics(220.0, 220.0, 159.5, 119.5, 320, 240)
OPTICAL = pose_matrix(0, 0, 0, -math.pi / 2, 0, -math.pi / 2)  # of an optical frame in its body


def test_points_land_on_their_pixels() -> None:
    camera = CAMERA.scaled(SIZE[1], SIZE[0])
    rows, columns = np.array([10, 50, 80]), np.array([5, 64, 120])
    depth = np.array([2.0, 3.0, 9.0])
    points = np.hstack([camera.rays()[rows, columns], np.ones((3, 1))]) * depth[:, np.newaxis]
    outside = [[0.0, 0.0, -1.0], [9.0, 0.0, 1.0], [np.nan, 0.0, 1.0], [0.0, 0.0, 0.05]]
    found = project_ranges(np.vstack([points, outside]), CAMERA, SIZE)
    np.testing.assert_array_equal(found.rows, rows)
    np.testing.assert_array_equal(found.columns, columns)
    np.testing.assert_allclose(found.depth, depth)


@pytest.mark.parametrize(
    ("model", "D"),
    [("plumb_bob", [-0.3, 0.1, 0.001, 0.001, 0.0]), ("equidistant", [0.02, -0.01, 0.003, -0.001])],
)
def test_a_lens_bends_points_and_folds_none_back(model: str, D: list[float]) -> None:
    camera = CameraModel(320, 240, CAMERA.K, np.array(D), model)
    rays = camera.rays()[60:200:40, 40:300:40].reshape(-1, 2)
    points = np.hstack([rays, np.ones((len(rays), 1))])
    pixels = camera.project(points)
    expected = np.array([[u, v] for v in range(60, 200, 40) for u in range(40, 300, 40)], float)
    np.testing.assert_allclose(pixels, expected, atol=0.01)
    beside = camera.project(np.array([[8.0, 0.0, 1.0], [0.0, 0.0, -1.0]]))
    assert np.isnan(beside[1]).all()
    assert not ((beside[0] >= 0) & (beside[0] < (320, 240))).all()


def test_points_behind_an_object_are_left_out() -> None:
    y, z = np.meshgrid(np.linspace(-0.5, 0.5, 101), [2.0, 5.0])
    points = np.stack([y.ravel() * z.ravel(), 0 * y.ravel(), z.ravel()], axis=1)
    found = project_ranges(points, CAMERA, SIZE)
    np.testing.assert_allclose(found.depth, 2.0)


def test_poses_turn_about_fixed_axes() -> None:
    moved = transform_points(np.array([[2.0, 0.0, 0.0]]), np.linalg.inv(OPTICAL))
    np.testing.assert_allclose(moved, [[0.0, 0.0, 2.0]], atol=1e-12)
    moved = transform_points(np.array([[1.0, 0.0, 0.0]]), pose_matrix(1, 2, 3, 0, 0, math.pi / 2))
    np.testing.assert_allclose(moved, [[1.0, 3.0, 3.0]], atol=1e-12)


def room(height: float, pitch: float, scale: float, wall: float = 6.0) -> np.ndarray:
    """Predicted depth of a floor below the camera that ends at a wall, with a table in it."""
    down = down_vector(0.0, pitch)
    ahead = np.array([0.0, -math.sin(pitch), math.cos(pitch)])
    camera = CAMERA.scaled(SIZE[1], SIZE[0])
    rays = np.dstack([camera.rays(), np.ones(SIZE)])
    with np.errstate(divide="ignore"):
        floor = height / np.maximum(rays @ down, 0.0)
        table = 0.4 * height / np.maximum(rays @ down, 0.0)
        depth = np.minimum(floor, wall / (rays @ ahead))
    on_table = (np.abs(rays[..., 0] * table - 0.8) < 0.4) & (table > 1.0) & (table < 3.0)
    depth = np.where(on_table, np.minimum(depth, table), depth)
    noise = np.random.default_rng(0).normal(0.0, 0.01, SIZE)
    return (depth * np.exp(noise) / scale).astype(np.float32)


@pytest.mark.parametrize("pitch", [0.0, 0.2, 0.6])
@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_the_floor_gives_the_scale(pitch: float, scale: float) -> None:
    depth = room(1.2, pitch, scale)
    found = find_floor(depth, CAMERA, 1.2, down_vector(0.0, pitch))
    assert found is not None
    ratios = found.depth / depth[found.rows, found.columns]
    assert np.median(ratios) == pytest.approx(scale, rel=0.04)


def test_a_wall_is_no_floor() -> None:
    flat = np.full(SIZE, 2.0, np.float32)
    assert find_floor(flat, CAMERA, 1.2, down_vector(0.0, 0.0)) is None
    assert find_floor(room(1.2, -0.6, 1.0), CAMERA, 1.2, down_vector(0.0, -0.6)) is None
    unknown = np.full(SIZE, np.nan, np.float32)
    assert find_floor(unknown, CAMERA, 1.2, down_vector(0.0, 0.3)) is None


def test_a_range_sensor_is_compared_with_the_nearest_in_its_cone() -> None:
    predicted = np.full(SIZE, 4.0, np.float32)
    predicted[40:56, 56:72] = 1.5
    pose = np.linalg.inv(OPTICAL)
    found = RangeCone(3.0, 0.2, pose, 0).pairs(predicted, CAMERA)
    assert found is not None
    np.testing.assert_allclose(found.depth, 3.0)
    assert predicted[found.rows[0], found.columns[0]] == 1.5
    aside = pose_matrix(0, 0, 0, 0, 0, 0)  # along the image's x axis
    assert RangeCone(3.0, 0.2, aside, 0).pairs(predicted, CAMERA) is None
