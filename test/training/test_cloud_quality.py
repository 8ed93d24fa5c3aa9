"""Flying points and flatness of planes, on depth maps of which both are known."""

from __future__ import annotations

import numpy as np
import pytest

from depth_estimation_ros.geometry.camera_model import CameraModel
from training.research.cloud_quality.edges import (
    edge_radius,
    find_edge_pixels,
    flying,
    jumps_and_smears,
)
from training.research.cloud_quality.measure import angle_deg, fit_plane

NEAR, FAR = 1.0, 2.0  # metres
HEIGHT, WIDTH, EDGE = 48, 256, 100  # the step lies between columns 99 and 100


def step() -> np.ndarray:
    truth = np.full((HEIGHT, WIDTH), FAR, np.float32)
    truth[:, :EDGE] = NEAR
    return truth


def test_the_band_reaches_as_far_from_an_edge_as_two_pixels_of_the_network() -> None:
    edge = find_edge_pixels(step())
    assert edge_radius(WIDTH) == 2
    # A window of radius 2 around columns 97 and 102 does not see the other side.
    assert sorted(set(edge.columns)) == [98, 99, 100, 101]
    assert len(edge) == 4 * HEIGHT
    assert set(edge.near) == {NEAR}
    assert set(edge.far) == {FAR}


def test_known_flying_points_give_exactly_their_share() -> None:
    truth = step()
    prediction = truth.copy()
    prediction[:12, 99] = 1.5  # 12 points hang between
    prediction[12:20, 100] = 1.04  # within 5 % of the near surface: on it, if on the wrong one
    prediction[20:30, 100] = 2.5  # behind everything: wrong, but it does not hang between
    prediction[30:33, 100] = 0.8  # before everything
    prediction[33:40, 100] = np.nan  # no point
    edge = find_edge_pixels(truth)
    flies = flying(prediction, edge)
    assert flies.sum() == 12
    assert flies.mean() == 12 / (4 * HEIGHT)
    assert {(r, c) for r, c in zip(edge.rows[flies], edge.columns[flies], strict=True)} == {
        (row, 99) for row in range(12)
    }


def test_a_point_between_two_surfaces_that_lies_on_a_third_does_not_fly() -> None:
    truth = step()
    truth[:, EDGE : EDGE + 2] = 1.5  # a ledge
    prediction = truth.copy()
    prediction[:, 99] = 1.5
    edge = find_edge_pixels(truth)
    assert flying(prediction, edge).sum() == 0
    prediction[:, 99] = 1.2
    assert flying(prediction, edge).sum() == HEIGHT


def test_a_slope_is_no_edge_where_the_surfaces_are_known() -> None:
    floor = np.repeat(np.geomspace(50.0, 0.5, HEIGHT).astype(np.float32)[:, None], WIDTH, axis=1)
    one = np.zeros(floor.shape, np.int64)
    assert len(find_edge_pixels(floor)) == HEIGHT * WIDTH  # 10 % from row to row
    assert len(find_edge_pixels(floor, one)) == 0


def test_the_shadow_of_a_depth_camera_does_not_hide_an_edge() -> None:
    truth = step()
    truth[:, EDGE : EDGE + 2] = np.nan
    edge = find_edge_pixels(truth)
    # Counts as far, so the edge is where it was; but what was not measured is not counted.
    assert sorted(set(edge.columns)) == [98, 99]
    assert set(edge.far) == {FAR}
    truth[:, EDGE : EDGE + 40] = np.nan
    assert len(find_edge_pixels(truth)) == 0


def test_sky_behind_a_thing_is_an_edge_and_no_point() -> None:
    truth = step()
    truth[:, EDGE:] = np.inf
    edge = find_edge_pixels(truth)
    assert sorted(set(edge.columns)) == [98, 99]
    prediction = np.full(truth.shape, 30.0, np.float32)
    prediction[:, :99] = NEAR
    assert flying(prediction, edge).sum() == HEIGHT  # column 99: between it and the sky


def test_an_edge_between_two_wrong_depths_is_sharp() -> None:
    truth = step()
    wrong = np.where(truth == NEAR, 1.2, 1.7).astype(np.float32)
    edge = find_edge_pixels(truth)
    assert flying(wrong, edge).sum() > 0  # by truth both hang between
    jump, smeared = jumps_and_smears(wrong, edge)
    assert jump.all()
    assert smeared.sum() == 0


def test_a_blend_is_smeared_and_a_flat_prediction_has_no_edge() -> None:
    truth = step()
    blend = truth.copy()
    blend[:7, 99] = np.sqrt(NEAR * FAR)
    edge = find_edge_pixels(truth)
    jump, smeared = jumps_and_smears(blend, edge)
    assert jump.all()
    assert smeared.sum() == 7
    # A factor on all depths changes nothing.
    assert (jumps_and_smears(3.0 * blend, edge)[1] == smeared).all()
    jump, smeared = jumps_and_smears(np.full_like(truth, 1.4), edge)
    assert jump.sum() == smeared.sum() == 0


def plane_depth(camera: CameraModel, normal: np.ndarray, distance: float) -> np.ndarray:
    """Depth of the plane n . X = -distance, whose normal looks towards the camera."""
    rays = np.dstack([camera.rays(), np.ones((camera.height, camera.width))])
    return (-distance / (rays @ normal)).astype(np.float32)


CAMERA = CameraModel.from_intrinsics(220.0, 221.0, 130.0, 90.0, 256, 192)
TILTED = np.array([0.2, -0.3, -np.sqrt(1 - 0.13)])


def test_a_perfect_plane_has_no_residual_and_its_own_normal() -> None:
    depth, rays = plane_depth(CAMERA, TILTED, 1.7), CAMERA.rays()
    plane = fit_plane(depth.ravel(), rays.reshape(-1, 2))
    assert plane is not None
    assert plane.residual < 1e-6  # float32 depth
    assert angle_deg(plane.normal, TILTED) < 1e-3


def test_a_wrong_scale_does_not_bend_a_plane() -> None:
    depth, rays = 1.6 * plane_depth(CAMERA, TILTED, 1.7), CAMERA.rays()
    plane = fit_plane(depth.ravel(), rays.reshape(-1, 2))
    assert plane is not None
    assert plane.residual < 1e-6
    assert angle_deg(plane.normal, TILTED) < 1e-3


def test_noise_of_one_percent_is_a_residual_of_one_percent() -> None:
    depth, rays = plane_depth(CAMERA, TILTED, 1.7), CAMERA.rays()
    noise = np.random.default_rng(3).normal(1.0, 0.01, depth.shape)
    plane = fit_plane((depth * noise).ravel(), rays.reshape(-1, 2))
    assert plane is not None
    assert plane.residual == pytest.approx(0.01, rel=0.02)
    assert angle_deg(plane.normal, TILTED) < 0.2


def test_a_plane_turned_by_ten_degrees_is_ten_degrees_off() -> None:
    def leaning(degrees: float) -> np.ndarray:
        return np.array([0.0, -np.sin(np.radians(degrees)), -np.cos(np.radians(degrees))])

    depth = plane_depth(CAMERA, leaning(35.0), 2.0)
    plane = fit_plane(depth.ravel(), CAMERA.rays().reshape(-1, 2))
    assert plane is not None
    assert angle_deg(plane.normal, leaning(25.0)) == pytest.approx(10.0, abs=1e-3)


def test_too_few_points_are_no_plane() -> None:
    rays = CAMERA.rays()[0, :5]
    assert fit_plane(np.array([1.0, np.nan, np.inf, 1.0, np.nan], np.float32), rays) is None
    # Five points in a row of pixels and in line in space: any plane through the line fits.
    assert fit_plane(np.ones(5, np.float32), rays) is None
