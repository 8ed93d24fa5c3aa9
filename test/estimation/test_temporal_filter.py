"""Depth over time: what stands still flickers less, and nothing that happens comes late."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from estimator_cases import H, W, constant_pipeline, depth_of, red, red_pipeline
from tiny_models import tiny_card

from depth_estimation_ros.estimation import LIMIT_TOLERANCE, DepthEstimator
from depth_estimation_ros.estimation.temporal_filter import (
    GATE,
    MAX_GAP_S,
    FilterContext,
    TemporalFilter,
)
from depth_estimation_ros.geometry.camera_model import CameraModel

CAMERA = CameraModel.from_intrinsics(100.0, 110.0, 63.5, 47.5, W, H)
STEP_NS = 66_000_000  # 15 frames a second
START = FilterContext(1_000_000_000, (H, W), CAMERA, 0.1, 10.0)


def wall(metres: float) -> np.ndarray:
    return np.full((6, 8), metres, np.float32)


def smoothed(depths: list[np.ndarray], weight: float = 0.5) -> list[np.ndarray]:
    past = TemporalFilter()
    return [
        past.smooth(depth, weight, replace(START, stamp_ns=START.stamp_ns + k * STEP_NS))
        for k, depth in enumerate(depths)
    ]


def flicker(depths: list[np.ndarray]) -> float:
    """RMS change of log depth from a frame to the next."""
    return float(np.sqrt(np.mean(np.diff(np.log(depths), axis=0) ** 2)))


# --- what stands still, and what does not --------------------------------------------------------


@pytest.mark.parametrize(("weight", "left"), [(0.25, 0.671), (0.5, 0.408), (0.75, 0.189)])
def test_noise_on_a_static_scene_flickers_by_that_share(weight: float, left: float) -> None:
    # Of independent noise, exponential smoothing leaves (1 - w) / sqrt(1 + w) of the changes.
    noise = np.random.default_rng(0).normal(0.0, 0.01, (200, 24, 32))
    bare = [np.float32(3.0 * np.exp(values)) for values in noise]
    assert left == pytest.approx((1 - weight) / math.sqrt(1 + weight), abs=1e-3)
    share = flicker(smoothed(bare, weight)[20:]) / flicker(bare[20:])
    assert share == pytest.approx(left, rel=0.01)


def test_a_small_change_comes_exponentially() -> None:
    answers = smoothed([wall(2.0), *[wall(2.1)] * 3])
    shares = [math.log(answer[0, 0] / 2.0) / math.log(2.1 / 2.0) for answer in answers]
    assert shares == pytest.approx([0.0, 0.5, 0.75, 0.875], abs=1e-5)


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.11, 3.0])
def test_a_step_is_there_at_once_and_only_where_it_is(factor: float) -> None:
    after = wall(2.0 * 1.05)
    after[:, :3] = 2.0 * factor
    before, now, later = smoothed([wall(2.0), after, after])
    np.testing.assert_array_equal(before, wall(2.0))
    np.testing.assert_array_equal(now[:, :3], after[:, :3])
    np.testing.assert_array_equal(later[:, :3], after[:, :3])
    np.testing.assert_allclose(now[:, 3:], 2.0 * math.sqrt(1.05), rtol=1e-6)


@pytest.mark.parametrize(("weight", "frames"), [(0.25, 1 / 3), (0.5, 1.0), (0.75, 3.0)])
def test_a_steady_approach_is_late_by_so_many_frames(weight: float, frames: float) -> None:
    approach = [wall(8.0 * 0.98**k) for k in range(40)]
    late = math.log(smoothed(approach, weight)[-1][0, 0] / approach[-1][0, 0]) / -math.log(0.98)
    assert late == pytest.approx(frames, rel=1e-3)


def test_what_is_published_stays_within_a_share_of_the_gate_of_the_networks_answer() -> None:
    steps = np.random.default_rng(1).normal(0.0, 0.08, (100, 24, 32))
    bare = [np.float32(values) for values in np.clip(3.0 * np.exp(steps.cumsum(0)), 0.2, 9.0)]
    apart = np.abs(np.log(smoothed(bare)) - np.log(bare))
    assert 0.9 * 0.5 * GATE < apart.max() <= 0.5 * GATE * (1 + 1e-4)


# --- no depth: unknown, too far, too near --------------------------------------------------------


@pytest.mark.parametrize("none", [np.nan, np.inf, -np.inf, 0.0, -1.0, 10.0, 11.0, 0.1, 0.05])
def test_what_is_no_depth_stays_what_it_is_and_begins_anew(none: float) -> None:
    odd = wall(9.8)
    odd[2, 3] = none
    now, back = smoothed([wall(9.8), odd, wall(9.7)])[1:]
    assert now[2, 3] == np.float32(none) or (np.isnan(none) and np.isnan(now[2, 3]))
    assert back[2, 3] == np.float32(9.7)
    np.testing.assert_allclose(back[0, 0], math.sqrt(9.8 * 9.7), rtol=1e-6)


def test_frames_and_results_are_not_changed_afterwards() -> None:
    depths = [wall(2.0), wall(2.1), wall(2.05)]
    before = [depth.copy() for depth in depths]
    answers = smoothed(depths)
    kept = [answer.copy() for answer in smoothed(before)]
    np.testing.assert_array_equal(depths, before)
    np.testing.assert_array_equal(answers, kept)
    assert all(answer.dtype == np.float32 for answer in answers)


# --- what begins again ----------------------------------------------------------------------------

LENS = {"D": np.full(5, 0.01), "distortion_model": "plumb_bob"}
GAP_NS = round(MAX_GAP_S * 1e9)


@pytest.mark.parametrize(
    "other",
    [
        {"stamp_ns": START.stamp_ns - 1},
        {"stamp_ns": START.stamp_ns + GAP_NS + 1},
        {"size": (2 * H, 2 * W)},
        {"camera": None},
        {"camera": CAMERA.scaled(2 * W, 2 * H)},
        {"camera": replace(CAMERA, **LENS)},
        {"camera": replace(CAMERA, K=CAMERA.K * [[1.01], [1.0], [1.0]])},
        {"camera": replace(CAMERA, P=CAMERA.P * [[1.01], [1.0], [1.0]])},
        {"near": 0.2},
        {"far": 20.0},
    ],
    ids=str,
)
def test_of_something_else_the_past_says_nothing(other: dict) -> None:
    past = TemporalFilter()
    past.smooth(wall(2.0), 0.5, START)
    assert (past.smooth(wall(2.1), 0.5, replace(START, **other)) == wall(2.1)).all()


@pytest.mark.parametrize(
    "same",
    [
        {"stamp_ns": START.stamp_ns},
        {"stamp_ns": START.stamp_ns + GAP_NS},
        {"camera": replace(CAMERA)},  # another message with the same numbers
    ],
    ids=str,
)
def test_of_the_same_it_does(same: dict) -> None:
    past = TemporalFilter()
    past.smooth(wall(2.0), 0.5, START)
    answer = past.smooth(wall(2.1), 0.5, replace(START, **same))
    np.testing.assert_allclose(answer, math.sqrt(2.0 * 2.1), rtol=1e-6)


def test_another_network_size_begins_anew() -> None:
    past = TemporalFilter()
    past.smooth(wall(2.0), 0.5, START)
    other = np.full((3, 4), 2.1, np.float32)
    np.testing.assert_array_equal(past.smooth(other, 0.5, START), other)


def test_what_was_forgotten_is_gone() -> None:
    past = TemporalFilter()
    past.smooth(wall(2.0), 0.5, START)
    past.reset()
    assert (past.smooth(wall(2.1), 0.5, START) == wall(2.1)).all()


# --- in the pipeline -----------------------------------------------------------------------------


def depth(
    pipeline: DepthEstimator, level: int, past: TemporalFilter | None, stamp_ns: int = 0
) -> np.ndarray:
    (answer,) = pipeline.infer([pipeline.prepare(red(np.full((H, W), level)), CAMERA)])
    return pipeline.finish(answer, past, stamp_ns).depth


@pytest.mark.parametrize("output_size", ["image", "network"])
def test_the_pipeline_smooths_metres_of_either_size(tmp_path: Path, output_size: str) -> None:
    pipeline = red_pipeline(tmp_path, temporal_filter=0.75, output_size=output_size)
    past = TemporalFilter()
    depth(pipeline, 100, past)
    expected = depth_of(100) ** 0.75 * depth_of(105) ** 0.25
    np.testing.assert_allclose(depth(pipeline, 105, past), expected, rtol=1e-6)


def test_two_cameras_with_one_network_do_not_mix(tmp_path: Path) -> None:
    pipeline = red_pipeline(tmp_path, temporal_filter=0.5)
    front, left = TemporalFilter(), TemporalFilter()
    seen = [
        depth(pipeline, level, past).mean()
        for level, past in ((100, front), (105, left), (105, front), (100, left))
    ]
    middle = math.sqrt(depth_of(100) * depth_of(105))
    assert seen == pytest.approx([depth_of(100), depth_of(105), middle, middle], rel=1e-5)


def test_off_it_does_nothing_and_on_again_it_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = red_pipeline(tmp_path, temporal_filter=0.5)
    past = TemporalFilter()
    depth(pipeline, 100, past)
    on, pipeline.settings = pipeline.settings, replace(pipeline.settings, temporal_filter=0.0)
    with monkeypatch.context() as patch:
        patch.setattr(TemporalFilter, "smooth", None)  # cannot be called
        off = depth(pipeline, 105, past)
    np.testing.assert_array_equal(off, depth(pipeline, 105, None))
    pipeline.settings = on
    np.testing.assert_array_equal(depth(pipeline, 102, past), depth(pipeline, 102, None))


def test_nothing_is_smoothed_without_a_past(tmp_path: Path) -> None:
    pipeline = red_pipeline(tmp_path, temporal_filter=0.5)
    for level in (100, 105):
        found = pipeline.run(red(np.full((H, W), level)), CAMERA).depth
        np.testing.assert_allclose(found, depth_of(level), rtol=1e-6)


@pytest.mark.parametrize("clamped", [9.0, 9.0 * (1 - 0.5 * LIMIT_TOLERANCE)])
def test_a_network_that_clamps_says_beyond_at_once(tmp_path: Path, clamped: float) -> None:
    # 8.8 m and the limit of 9 m lie within the gate of each other.
    card, past = tiny_card(max_depth=9.0), TemporalFilter()
    found = [
        depth(constant_pipeline(tmp_path, metres, card, temporal_filter=0.5), 0, past)
        for metres in (8.8, clamped, 8.8)
    ]
    assert (found[1] == np.inf).all()
    np.testing.assert_allclose([found[0], found[2]], 8.8, rtol=1e-6)


def test_limits_of_the_user_are_those_of_the_smoothed_depth(tmp_path: Path) -> None:
    # 4.14 m, then 4.29 m: smoothed 4.21 m, which lies within 4.25 m, as the 4.26 m after do not.
    pipeline = red_pipeline(tmp_path, temporal_filter=0.5, max_depth=4.25)
    past = TemporalFilter()
    answers = [depth(pipeline, level, past)[5, 5] for level in (100, 105, 105)]
    middle = math.sqrt(depth_of(100) * depth_of(105))
    assert answers == pytest.approx([depth_of(100), middle, math.inf], rel=1e-5)


def test_a_canonical_network_that_changes_its_camera_begins_anew(tmp_path: Path) -> None:
    pipeline = constant_pipeline(
        tmp_path, 2.0, tiny_card(canonical_focal_px=50.0), temporal_filter=0.5
    )
    past = TemporalFilter()
    image = red(np.zeros((H, W)))
    found = []
    for hfov in (60.0, 62.0, 62.0):
        pipeline.settings = replace(pipeline.settings, assumed_hfov_deg=hfov)
        (answer,) = pipeline.infer([pipeline.prepare(image, None)])
        found.append(pipeline.finish(answer, past).depth[0, 0])
    metres = [2.0 * 32 / math.tan(math.radians(hfov / 2)) / 50 for hfov in (60.0, 62.0, 62.0)]
    assert found == pytest.approx(metres, rel=1e-6)
