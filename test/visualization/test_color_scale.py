"""Ranges of the colours over time."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.visualization import ColorScale, colorize

SECOND = 1_000_000_000
FRAME = SECOND // 30


def room(near: float = 1.0, far: float = 4.0, size: tuple[int, int] = (120, 160)) -> np.ndarray:
    """Depths from near to far, equal shares of each ratio."""
    line = np.geomspace(near, far, size[0] * size[1])
    return line.reshape(size).astype(np.float32)


def test_fixed_range_ignores_the_view() -> None:
    scale = ColorScale.fixed(0.5, 8.0)
    assert scale.range_for(room(), 0) == (0.5, 8.0)
    assert scale.range_for(room(0.1, 90.0), 1) == (0.5, 8.0)


def test_near_end_zero_is_the_default() -> None:
    assert ColorScale.fixed(0.0, 10.0).range_for(room(), 0) == (0.3, 10.0)


def test_first_frame_has_its_own_percentiles() -> None:
    near, far = ColorScale.percentiles(10.0, 90.0).range_for(room(1.0, 100.0), 5 * SECOND)
    assert near == pytest.approx(10**0.2, rel=0.01)
    assert far == pytest.approx(10**1.8, rel=0.01)


def test_only_known_depths_count() -> None:
    depth = room()
    holes = depth.copy()
    holes[:30], holes[30:50], holes[50:60], holes[60:62] = np.nan, np.inf, -np.inf, 0.0
    measured = ColorScale.percentiles().range_for(holes, 0)
    expected = ColorScale.percentiles().range_for(depth[62:], 0)
    assert measured == pytest.approx(expected, rel=1e-3)


def test_sampled_percentiles_are_within_one_percent() -> None:
    depth = np.random.default_rng(3).permutation(room(0.7, 9.0, (1080, 1920)).ravel())
    depth = depth.reshape(1080, 1920)
    measured = ColorScale.percentiles().range_for(depth, 0)
    assert measured == pytest.approx(np.percentile(depth, (2, 98)), rel=0.01)


def range_after(seconds: float, first: np.ndarray, then: np.ndarray) -> tuple[float, float]:
    """The range at 300 frames a second, with a time constant of 1 s."""
    scale = ColorScale.percentiles(0.0, 100.0, 1.0)
    frames = round(300 * seconds)
    scale.range_for(first, 0)
    for k in range(1, frames + 1):
        ends = scale.range_for(then, k * SECOND // 300)
    return ends


def test_range_narrows_59_percent_per_time_constant() -> None:
    near, far = range_after(1.0, room(1.0, 16.0), room(2.0, 8.0))
    share = 1.0 - 3.0 * math.exp(-2.0)
    assert math.log2(near) == pytest.approx(share, abs=0.01)
    assert math.log2(16.0 / far) == pytest.approx(share, abs=0.01)


def test_range_widens_four_times_as_fast() -> None:
    near, far = range_after(0.25, room(2.0, 8.0), room(1.0, 16.0))
    share = 1.0 - 3.0 * math.exp(-2.0)
    assert math.log2(2.0 / near) == pytest.approx(share, abs=0.02)
    assert math.log2(far / 8.0) == pytest.approx(share, abs=0.02)


def test_filter_hardly_depends_on_frame_rate() -> None:
    ends = []
    for rate in (5, 60):
        scale = ColorScale.percentiles()
        scale.range_for(room(1.0, 4.0), 0)
        for k in range(1, rate + 1):
            end = scale.range_for(room(2.0, 8.0), k * SECOND // rate)
        ends.append(end)
    assert ends[0] == pytest.approx(ends[1], rel=0.04)


def level_steps(scale: ColorScale, frames: list[np.ndarray], static: float) -> np.ndarray:
    """By how many of 256 levels a point of constant depth changes from frame to frame."""
    point = np.full((1, 1), static, np.float32)
    levels = []
    for k, frame in enumerate(frames):
        near, far = scale.range_for(frame, k * FRAME)
        level = colorize(point, min_depth=near, max_depth=far, color_map="gray")[0, 0, 0]
        levels.append(int(level))
    return np.abs(np.diff(levels))


def outside_of(scale: ColorScale, frames: list[np.ndarray]) -> list[float]:
    """The share of each frame's known pixels that are beyond the ends of the colours."""
    shares = []
    for k, frame in enumerate(frames):
        near, far = scale.range_for(frame, k * FRAME)
        known = frame[frame > 0]
        shares.append(float(((known < near) | (known > far)).mean()))
    return shares


def noisy(frames: int) -> list[np.ndarray]:
    """A room whose depths breathe by 8 % from frame to frame, as those of a network do."""
    rng = np.random.default_rng(7)
    return [room() * np.float32(math.exp(rng.normal(0.0, 0.08))) for _ in range(frames)]


def test_noise_does_not_flicker() -> None:
    frames = noisy(60)
    raw = level_steps(ColorScale.percentiles(time_constant_s=0.0), frames, 2.0)
    smooth = level_steps(ColorScale.percentiles(), frames, 2.0)
    assert raw.max() > 30
    assert np.median(raw) > 8
    assert smooth.max() <= 2


def test_one_outlier_frame_does_not_flicker() -> None:
    frames = [room()] * 30
    frames[15] = room(0.2, 0.8)  # a hand before the lens
    raw = level_steps(ColorScale.percentiles(time_constant_s=0.0), frames, 2.0)
    smooth = level_steps(ColorScale.percentiles(), frames, 2.0)
    assert raw.max() > 100
    assert smooth.max() <= 3


def test_real_sequence_does_not_flicker(shared_data) -> None:
    paths = sorted(shared_data("tum_fr1_rpy_sequence").rglob("*.png"))
    frames = [
        cv2.imread(str(path), cv2.IMREAD_UNCHANGED).astype(np.float32) / 1000.0 for path in paths
    ]
    raw = level_steps(ColorScale.percentiles(time_constant_s=0.0), frames, 1.5)
    smooth = level_steps(ColorScale.percentiles(), frames, 1.5)
    assert len(frames) == 100
    assert raw.max() > 100
    assert smooth.max() <= 3
    assert np.mean(outside_of(ColorScale.percentiles(), frames)) < 0.1  # 0.04 by the percentiles


@pytest.mark.parametrize("stamp", [-SECOND // 10, 3 * SECOND])
def test_jump_back_or_long_gap_resets(stamp: int) -> None:
    scale = ColorScale.percentiles(0.0, 100.0, 1.0)
    scale.range_for(room(1.0, 4.0), 0)
    assert scale.range_for(room(10.0, 80.0), stamp) == pytest.approx((10.0, 80.0), rel=1e-3)


def test_overtaken_frame_resets_nothing() -> None:
    scale = ColorScale.percentiles(0.0, 100.0, 1.0)
    before = scale.range_for(room(1.0, 4.0), SECOND)
    assert scale.range_for(room(10.0, 80.0), SECOND - FRAME) == pytest.approx(before)


def test_reset_forgets_frames() -> None:
    scale = ColorScale.percentiles(0.0, 100.0)
    scale.range_for(room(1.0, 4.0), 0)
    scale.reset()
    assert scale.range_for(room(10.0, 80.0), FRAME) == pytest.approx((10.0, 80.0), rel=1e-3)


def test_frame_without_depth_changes_nothing() -> None:
    scale = ColorScale.percentiles()
    before = scale.range_for(room(), 0)
    unknown = np.full((4, 4), np.nan, np.float32)
    assert scale.range_for(unknown, FRAME) == before
    near, far = ColorScale.percentiles().range_for(unknown, 0)
    assert 0 < near < far


def test_flat_wall_keeps_a_minimum_range() -> None:
    near, far = ColorScale.percentiles().range_for(np.full((9, 9), 2.0, np.float32), 0)
    assert far / near == pytest.approx(1.25)
    assert math.sqrt(near * far) == pytest.approx(2.0)


def test_range_keeps_within_its_limits() -> None:
    scale = ColorScale.percentiles(0.0, 100.0, nearest=0.5, farthest=10.0)
    assert scale.range_for(room(0.1, 80.0), 0) == (0.5, 10.0)
    scale.reset()
    assert scale.range_for(room(1.0, 4.0), 0) == pytest.approx((1.0, 4.0), rel=1e-3)


@pytest.mark.parametrize(
    "arguments",
    [
        {"low": 98.0, "high": 2.0},
        {"high": 101.0},
        {"time_constant_s": -1.0},
        {"nearest": 3.0, "farthest": 2.0},
    ],
)
def test_invalid_percentiles_are_refused(arguments: dict) -> None:
    with pytest.raises(ParameterError, match="percentiles"):
        ColorScale.percentiles(**arguments)


def test_invalid_fixed_range_is_refused() -> None:
    with pytest.raises(ParameterError):
        ColorScale.fixed(3.0, 2.0)
