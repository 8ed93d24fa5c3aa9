"""Metric scale from pairs: the fit, the filter over time, the smooth field, and the estimator."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from estimator_cases import H, W, depth_of, red, red_pipeline
from tiny_models import tiny_card

from depth_estimation_ros.errors import ModelError
from depth_estimation_ros.estimation.frame import ScaleFit
from depth_estimation_ros.estimation.scale import (
    MAX_AGE_S,
    PERSISTENCE_S,
    Pairs,
    ScaleAnchor,
    ScaleFilter,
    fit_scale,
    fit_scale_and_shift,
    local_deviation,
)
from depth_estimation_ros.estimation.scale_sources import RangePoints
from depth_estimation_ros.geometry.camera_model import CameraModel

CAMERA = CameraModel.from_hfov(W, H, 60.0)
RNG = np.random.default_rng(0)


def noisy(count: int, scale: float, outliers: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and measured depth: 5 % noise, and measurements that lie by 3 times."""
    predicted = RNG.uniform(1.0, 5.0, count)
    measured = scale * predicted * np.exp(RNG.normal(0.0, 0.05, count))
    measured[:outliers] *= 3.0
    return predicted, measured


@pytest.mark.parametrize(("count", "outliers"), [(8, 0), (30, 9), (500, 200)])
def test_a_scale_is_found_among_outliers(count: int, outliers: int) -> None:
    fit = fit_scale(*noisy(count, 2.5, outliers))
    assert fit is not None
    assert fit.scale == pytest.approx(2.5, rel=0.08)
    assert fit.pairs == count
    assert fit.inliers <= count - outliers


def test_too_few_pairs_give_no_scale() -> None:
    assert fit_scale(*noisy(4, 2.5)) is None
    predicted, measured = noisy(8, 2.5)
    predicted[:4] = np.nan
    assert fit_scale(predicted, measured) is None


def test_contradicting_pairs_give_no_scale() -> None:
    predicted, measured = noisy(100, 1.0)
    measured[::2] *= 4.0
    assert fit_scale(predicted, measured) is None


@pytest.mark.parametrize("outliers", [0, 10])
def test_scale_and_shift_of_inverse_depth(outliers: int) -> None:
    depth = RNG.uniform(1.0, 8.0, 60)
    values = 3.0 / depth - 0.2  # so 1 / depth = (value + 0.2) / 3
    depth[:outliers] *= 3.0
    fit = fit_scale_and_shift(values, depth)
    assert fit is not None
    assert (fit.scale, fit.shift) == pytest.approx((3.0, 0.2), rel=0.02)


def test_a_flat_wall_keeps_the_shift_of_before() -> None:
    depth = RNG.uniform(3.0, 3.1, 60)
    values = 6.0 / depth - 0.2
    assert fit_scale_and_shift(values, depth) is None
    fit = fit_scale_and_shift(values, depth, ScaleFit(3.0, 0.2, 60, 60, 0.0))
    assert fit is not None
    assert (fit.scale, fit.shift) == pytest.approx((6.0, 0.2))


def test_inverse_depth_the_wrong_way_round_is_refused() -> None:
    depth = RNG.uniform(1.0, 8.0, 60)
    assert fit_scale_and_shift(depth, depth) is None


# --- over time -----------------------------------------------------------------------------------


def followed(scales: list[float], rate_hz: float = 10.0) -> list[float]:
    scale_filter = ScaleFilter()
    found = []
    for i, scale in enumerate(scales):
        scale_filter.add(ScaleFit(scale, 0.0, 30, 30, 0.05), i / rate_hz)
        assert scale_filter.current is not None
        found.append(scale_filter.current.scale)
    return found


def test_one_bad_measurement_moves_nothing() -> None:
    assert followed([2.0] * 10 + [3.5] + [2.0] * 10) == pytest.approx([2.0] * 21)
    assert followed([2.0] * 10 + [9.0] + [2.0] * 10) == pytest.approx([2.0] * 21)


def test_a_change_within_the_gate_is_followed_within_a_second() -> None:
    found = followed([2.0] * 20 + [3.0] * 10)
    assert found[19] == pytest.approx(2.0)
    assert found[27:] == pytest.approx([3.0] * 3)


def test_a_lie_by_three_for_a_second_is_refused() -> None:
    assert followed([2.0] * 20 + [6.0] * 10 + [2.0] * 20) == pytest.approx([2.0] * 50)


def test_a_change_beyond_the_gate_is_believed_later() -> None:
    found = followed([2.0] * 20 + [6.0] * 20)
    change = 20 + round(10 * PERSISTENCE_S)
    assert found[:change] == pytest.approx([2.0] * change)
    assert found[change:] == pytest.approx([6.0] * (40 - change))


def test_a_stale_scale_is_replaced_at_once() -> None:
    scale_filter = ScaleFilter()
    scale_filter.add(ScaleFit(2.0, 0.0, 30, 30, 0.05), 10.0)
    assert scale_filter.age(12.5) == pytest.approx(2.5)
    scale_filter.add(ScaleFit(6.0, 0.0, 30, 30, 0.05), 10.1 + MAX_AGE_S)
    assert scale_filter.current is not None
    assert scale_filter.current.scale == pytest.approx(6.0)


def test_a_contradiction_is_told_as_a_factor() -> None:
    scale_filter = ScaleFilter()
    assert math.isinf(scale_filter.age(0.0))
    scale_filter.add(ScaleFit(2.0, 0.0, 30, 30, 0.05), 0.0)
    assert scale_filter.contradiction == 1.0
    scale_filter.add(ScaleFit(6.0, 0.0, 30, 30, 0.05), 0.1)
    assert scale_filter.contradiction == pytest.approx(3.0)


def test_time_that_jumps_back_forgets_the_scale() -> None:
    scale_filter = ScaleFilter()
    scale_filter.add(ScaleFit(2.0, 0.0, 30, 30, 0.05), 100.0)
    scale_filter.add(ScaleFit(6.0, 0.0, 30, 30, 0.05), 5.0)
    assert scale_filter.current is not None
    assert scale_filter.current.scale == pytest.approx(6.0)


# --- the field -----------------------------------------------------------------------------------


def grid_pairs(rows: int, columns: int, depth: np.ndarray) -> Pairs:
    row, column = np.meshgrid(
        np.linspace(4, 91, rows).astype(int), np.linspace(4, 123, columns).astype(int)
    )
    row, column = row.ravel(), column.ravel()
    return Pairs(row, column, depth[row, column].astype(np.float64))


def test_a_field_follows_a_tilted_error() -> None:
    predicted = np.full((H, W), 3.0, np.float32)
    truth = predicted * np.exp(np.linspace(-0.3, 0.3, W, dtype=np.float32))
    deviation = local_deviation(predicted, grid_pairs(5, 6, truth))
    assert deviation is not None
    left = np.abs(np.log(truth / predicted)).mean()
    assert np.abs(np.log(truth / predicted) - deviation).mean() < 0.35 * left


def test_one_row_of_pairs_gives_no_field() -> None:
    predicted = np.full((H, W), 3.0, np.float32)
    assert local_deviation(predicted, grid_pairs(1, 60, predicted)) is None
    assert local_deviation(predicted, grid_pairs(3, 3, predicted)) is None


# --- in the estimator ----------------------------------------------------------------------------


def wall_points(depth: float, stamp_ns: int = 0) -> RangePoints:
    """Points all over a wall in front of the camera."""
    x, y = np.meshgrid(np.linspace(-0.5, 0.5, 9), np.linspace(-0.35, 0.35, 9))
    points = np.stack([x.ravel(), y.ravel(), np.ones(81)], axis=1) * depth
    return RangePoints(points, stamp_ns)


def test_depth_and_limits_take_the_measured_scale(tmp_path: Path) -> None:
    estimator = red_pipeline(tmp_path)
    anchor = ScaleAnchor(estimator.engine.card.output)
    (prediction,) = estimator.infer([estimator.prepare(red(np.full((H, W), 51)), CAMERA)])
    before = estimator.finish(prediction, None, 0, anchor)
    assert before.scale is None
    np.testing.assert_allclose(before.depth, depth_of(51), rtol=1e-6)

    anchor.source = wall_points(2.0 * depth_of(51))
    result = estimator.finish(prediction, None, 1, anchor)
    assert result.scale is not None
    assert result.scale.scale == pytest.approx(2.0, rel=1e-5)
    assert (result.near, result.far) == pytest.approx((0.2, 20.0), rel=1e-5)
    np.testing.assert_allclose(result.depth, 2.0 * depth_of(51), rtol=1e-5)

    # An old scan says nothing of a new image; its scale stays.
    anchor.source = wall_points(3.0 * depth_of(51))
    result = estimator.finish(prediction, None, 1_000_000_000, anchor)
    np.testing.assert_allclose(result.depth, 2.0 * depth_of(51), rtol=1e-5)
    assert anchor.filter.age(1.0) == pytest.approx(1.0)


def test_required_scale_leaves_depth_unknown_until_measured(tmp_path: Path) -> None:
    estimator = red_pipeline(tmp_path, scale_required=True)
    assert np.isnan(estimator.run(red(np.full((H, W), 51)), CAMERA).depth).all()


def test_a_relative_network_becomes_metric(tmp_path: Path) -> None:
    card = tiny_card(kind="inverse_depth", unit="", min_depth=0.1, max_depth=50.0)
    with pytest.raises(ModelError, match=r"is not metric.* scale_required"):
        red_pipeline(tmp_path, card)
    estimator = red_pipeline(tmp_path, card, scale_required=True)
    columns = np.broadcast_to(np.linspace(0, 250, W).astype(np.uint8), (H, W))
    (prediction,) = estimator.infer([estimator.prepare(red(columns), CAMERA)])
    truth = 12.0 / (prediction.values + 0.5)
    camera = CAMERA.scaled(*truth.shape[::-1])
    points = camera.rays()[::6, ::6].reshape(-1, 2)
    depth = truth[::6, ::6].reshape(-1, 1)
    anchor = ScaleAnchor(card.output)
    anchor.source = RangePoints(np.hstack([points * depth, depth]), 0)
    result = estimator.finish(prediction, None, 0, anchor)
    inner = result.depth[:, 2:-2]
    expected = np.repeat(np.repeat(truth, 2, axis=0), 2, axis=1)[:, 2:-2]
    assert np.abs(inner / expected - 1).max() < 0.05
    assert result.scale is not None
    assert (result.scale.scale, result.scale.shift) == pytest.approx((12.0, 0.5), rel=0.02)
