"""Where depth ends: the near and the far limit, and the edges of bodies."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from estimator_cases import H, W, constant_pipeline, depth_of, red, red_pipeline
from tiny_models import tiny_card

from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.estimation import (
    LIMIT_TOLERANCE,
    EstimatorSettings,
    apply_limits,
    to_depth,
)
from depth_estimation_ros.geometry.camera_model import CameraModel

# --- limits --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (0.05, -math.inf),
        (0.1, -math.inf),  # a clamped output says the limit for all that is nearer
        (0.11, 0.11),
        (9.9, 9.9),
        (10.0, math.inf),
        (12.0, math.inf),
        (math.inf, math.inf),
        (0.0, -math.inf),
        (-3.0, -math.inf),
        (math.nan, math.nan),
    ],
)
def test_the_cards_limits_become_infinities_not_walls(
    tmp_path: Path, output: float, said: float
) -> None:
    depth = constant_pipeline(tmp_path, output).run(red(np.zeros((H, W))), None).depth
    np.testing.assert_allclose(depth, np.float32(said))


@pytest.mark.parametrize("limit", [0.1, 80.0])
@pytest.mark.parametrize("tolerances", [-3.0, -1.5, -0.99, -0.5, 0.0, 0.5, 0.99, 1.5, 3.0])
def test_one_pixel_near_a_limit_is_named_as_if_all_were_looked_through(
    limit: float, tolerances: float
) -> None:
    raw = np.random.default_rng(1).uniform(1.0, 9.0, (24, 32)).astype(np.float32)
    raw[7, 9] = limit * (1.0 + tolerances * LIMIT_TOLERANCE)
    expected = cv2.resize(np.clip(raw, 0.1, 80.0), (131, 97))
    apply_limits(expected, 0.1, 80.0)
    found = to_depth(raw, 0.1, 80.0, (97, 131))
    np.testing.assert_array_equal(found, expected)


def test_an_unknown_pixel_hides_no_limit() -> None:
    raw = np.full((24, 32), 5.0, np.float32)
    raw[0, 0], raw[7, 9], raw[20, 3] = np.nan, 90.0, 0.01
    found = to_depth(raw, 0.1, 80.0, (24, 32))
    assert np.isnan(found[0, 0])
    assert (found[7, 9], found[20, 3]) == (np.inf, -np.inf)
    assert np.isfinite(found).sum() == 24 * 32 - 3


@pytest.mark.parametrize("size", [(24, 32), (97, 131)])
def test_depth_never_shares_the_engines_memory(size: tuple[int, int]) -> None:
    raw = np.full((24, 32), 5.0, np.float32)
    found = to_depth(raw, 0.1, 80.0, size)
    raw[:] = 0.0
    np.testing.assert_array_equal(found, np.full(size, 5.0, np.float32))


def test_the_tighter_limit_holds(tmp_path: Path) -> None:
    ramp = np.broadcast_to(np.arange(0, 2 * W, 2, dtype=np.uint8), (H, W))
    pipeline = red_pipeline(tmp_path, tiny_card(min_depth=2.0, max_depth=8.0))

    def limits() -> tuple[float, float]:
        depth = pipeline.run(red(ramp), None).depth
        finite = depth[np.isfinite(depth)]
        return float(finite.min()), float(finite.max())

    pipeline.settings = EstimatorSettings()
    assert limits() == pytest.approx((2.0, 8.0), abs=0.1)
    pipeline.settings = EstimatorSettings(min_depth=3.0, max_depth=6.0)
    assert limits() == pytest.approx((3.0, 6.0), abs=0.1)
    pipeline.settings = EstimatorSettings(min_depth=1.0, max_depth=50.0)
    assert limits() == pytest.approx((2.0, 8.0), abs=0.1)


@pytest.mark.parametrize(("output", "said"), [(79.0, 39.5), (80.0, np.inf), (0.1, -np.inf)])
def test_the_cards_limits_are_those_of_the_canonical_camera(
    tmp_path: Path, output: float, said: float
) -> None:
    # Half the canonical focal length: the network's 80 m, its "out of range", are 40 m here.
    card = tiny_card(min_depth=0.1, max_depth=80.0, canonical_focal_px=100.0)
    camera = CameraModel.from_intrinsics(100.0, 100.0, 63.5, 47.5, W, H)  # 50 px in the network
    depth = constant_pipeline(tmp_path, output, card).run(red(np.zeros((H, W))), camera).depth
    np.testing.assert_allclose(depth, np.float32(said))


@pytest.mark.parametrize(
    ("settings", "near_and_far"),
    [({}, (0.3, 30.0)), ({"min_depth": 1.0, "max_depth": 50.0}, (1.0, 30.0))],
)
def test_a_frame_tells_the_limits_that_hold_for_it(
    tmp_path: Path, settings: dict, near_and_far: tuple[float, float]
) -> None:
    card = tiny_card(canonical_focal_px=50.0)  # 0.1 m to 10 m, here three times as far
    camera = CameraModel.from_intrinsics(300.0, 300.0, 63.5, 47.5, W, H)
    pipeline = constant_pipeline(tmp_path, 2.0, card, **settings)
    frame = pipeline.run(red(np.zeros((H, W))), camera)
    assert (frame.near, frame.far) == pytest.approx(near_and_far)


def test_limits_that_a_camera_leaves_empty_are_an_error_not_free_space(tmp_path: Path) -> None:
    # 6 m is within the card's 10 m, but with half the canonical focal length the network ends at 5.
    card = tiny_card(max_depth=10.0, canonical_focal_px=100.0)
    camera = CameraModel.from_intrinsics(100.0, 100.0, 63.5, 47.5, W, H)
    pipeline = constant_pipeline(tmp_path, 2.0, card, min_depth=6.0)
    with pytest.raises(
        ParameterError, match=r"found 6 m to 5 m, .* 0\.05 m to 5 m with this camera"
    ):
        pipeline.run(red(np.zeros((H, W))), camera)


def test_limits_beyond_the_canonical_cameras_hold_for_a_tele_lens(tmp_path: Path) -> None:
    # Three times the canonical focal length: the network's 0.1 m to 10 m are 0.3 m to 30 m.
    card = tiny_card(canonical_focal_px=50.0)
    camera = CameraModel.from_intrinsics(300.0, 300.0, 63.5, 47.5, W, H)  # 150 px in the network
    image = red(np.zeros((H, W)))
    for output, said in ((3.9, -math.inf), (6.0, 18.0), (8.5, math.inf)):
        pipeline = constant_pipeline(tmp_path, output, card, min_depth=12.0, max_depth=25.0)
        np.testing.assert_allclose(pipeline.run(image, camera).depth, said, rtol=1e-6)


def test_limits_out_of_order_are_refused_without_a_camera_too(tmp_path: Path) -> None:
    pipeline = constant_pipeline(tmp_path, 2.0, tiny_card(canonical_focal_px=50.0))
    with pytest.raises(ParameterError, match=r"found 30 m to 20 m, expected min_depth < max_depth"):
        pipeline.settings = EstimatorSettings(min_depth=30.0, max_depth=20.0)
    assert pipeline.settings == EstimatorSettings()


def test_an_infinity_does_not_smear_over_its_neighbours(tmp_path: Path) -> None:
    values = np.zeros((H, W), np.uint8)
    values[:, W // 2 :] = 255  # 9 m: beyond the limit of 8 m
    depth = red_pipeline(tmp_path, max_depth=8.0).run(red(values), None).depth
    assert not np.isnan(depth).any()
    np.testing.assert_allclose(depth[:, : W // 2 - 2], 1.0)
    assert np.isposinf(depth[:, W // 2 + 2 :]).all()


def test_no_row_of_numbers_just_below_the_limit(tmp_path: Path) -> None:
    # Odd sizes bring every bilinear weight; a clamped far plane must be +Inf everywhere.
    pipeline = constant_pipeline(tmp_path, 50.0, tiny_card(max_depth=9.9))
    for size in ((97, 131), (333, 517)):
        assert np.isposinf(pipeline.run(red(np.zeros(size)), None).depth).all()


@pytest.mark.parametrize(
    "settings",
    [{"min_depth": 10.0}, {"min_depth": 5.0, "max_depth": 4.0}, {"max_depth": 0.05}],
)
def test_limits_that_leave_nothing_are_refused_and_the_old_ones_stay(
    tmp_path: Path, settings: dict
) -> None:
    pipeline = red_pipeline(tmp_path)
    with pytest.raises(
        ParameterError, match=r"leave no depth between them: found .* 0\.1 m to 10 m"
    ):
        pipeline.settings = EstimatorSettings(**settings)
    assert pipeline.settings == EstimatorSettings()


# --- edges ---------------------------------------------------------------------------------------


def step_picture() -> np.ndarray:
    values = np.zeros((H, W), np.uint8)
    values[:, W // 2 :] = 128  # 1 m beside 5 m
    return red(values)


def test_the_edge_filter_takes_out_the_edge_and_only_that(tmp_path: Path) -> None:
    depth = red_pipeline(tmp_path, edge_filter=0.5).run(step_picture(), None).depth
    unknown = np.isnan(depth).all(axis=0)
    # One pixel of the network on each side of the jump, two of the image.
    np.testing.assert_array_equal(np.flatnonzero(unknown), np.arange(W // 2 - 2, W // 2 + 2))
    assert np.isfinite(depth[:, ~unknown]).all()


def test_no_blend_of_front_and_back_is_left(tmp_path: Path) -> None:
    depth = red_pipeline(tmp_path, edge_filter=0.5).run(step_picture(), None).depth
    known = depth[np.isfinite(depth)]
    blended = (known > 1.05) & (known < depth_of(128) - 0.05)
    assert not blended.any()
    off = red_pipeline(tmp_path).run(step_picture(), None).depth
    assert ((off > 1.05) & (off < depth_of(128) - 0.05)).any()


@pytest.mark.parametrize(("edge_filter", "edges"), [(0.0, 0), (4.1, 0), (3.9, 4 * H)])
def test_the_threshold_is_the_jump_over_the_nearer_depth(
    tmp_path: Path, edge_filter: float, edges: int
) -> None:
    # From 1 m to 5.016 m is a relative jump of 4.016.
    depth = red_pipeline(tmp_path, edge_filter=edge_filter).run(step_picture(), None).depth
    assert np.isnan(depth).sum() == edges


def test_the_far_beyond_is_one_surface_without_edges(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(150, 256, (H, W))  # 5.7 m to 9 m, noisy
    pipeline = red_pipeline(tmp_path, edge_filter=0.02, max_depth=5.0)
    assert np.isposinf(pipeline.run(red(values), None).depth).all()
