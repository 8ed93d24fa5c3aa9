"""The metrics of Eigen et al. 2014, on numbers small enough to do by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from depth_estimation_ros.estimation.metrics import (
    METRICS,
    constant_median,
    depth_metrics,
    mean_metrics,
)


def row(*values: float) -> np.ndarray:
    return np.array([values], np.float32)


def test_a_perfect_prediction() -> None:
    gt = row(1.0, 2.0, 5.0)
    result = depth_metrics(gt, gt, max_depth=10.0)
    for name in ("abs_rel", "sq_rel", "rmse", "rmse_log", "log10", "silog"):
        assert result[name] == 0.0
    assert result["delta1"] == result["delta2"] == result["delta3"] == 1.0
    assert (result["valid_pixels"], result["coverage"]) == (3.0, 1.0)


def test_every_formula_on_two_pixels() -> None:
    # Errors: +1 on 2 m and -1 on 4 m.
    result = depth_metrics(row(3.0, 3.0), row(2.0, 4.0), max_depth=10.0)
    a, b = math.log(3.0 / 2.0), math.log(3.0 / 4.0)
    assert result["abs_rel"] == pytest.approx((1 / 2 + 1 / 4) / 2)
    assert result["sq_rel"] == pytest.approx((1 / 2 + 1 / 4) / 2)
    assert result["rmse"] == pytest.approx(1.0)
    assert result["rmse_log"] == pytest.approx(math.sqrt((a * a + b * b) / 2))
    assert result["log10"] == pytest.approx((abs(a) + abs(b)) / 2 / math.log(10))
    variance = (a * a + b * b) / 2 - ((a + b) / 2) ** 2
    assert result["silog"] == pytest.approx(100 * math.sqrt(variance))


def test_delta_counts_ratios_strictly_below_powers_of_1_25() -> None:
    # Ratios 1.2, 1.25 (not below), 1.5, 1.9, 2.0; in both directions.
    gt = np.ones((1, 5)) * 2.0
    pred = np.array([[2.4, 2.5, 2.0 / 1.5, 3.8, 1.0]])
    result = depth_metrics(pred, gt, max_depth=10.0)
    assert result["delta1"] == pytest.approx(1 / 5)
    assert result["delta2"] == pytest.approx(3 / 5)
    assert result["delta3"] == pytest.approx(4 / 5)


def test_only_truth_between_the_limits_is_scored() -> None:
    gt = row(0.0, math.nan, math.inf, -math.inf, 10.0, 12.0, 0.5, 3.0)
    result = depth_metrics(np.ones_like(gt), gt, min_depth=0.6, max_depth=10.0)
    assert result["valid_pixels"] == 1.0  # 3.0; the limits themselves are outside
    assert result["abs_rel"] == pytest.approx(2.0 / 3.0)


def test_a_prediction_beyond_the_limits_scores_as_the_limit() -> None:
    gt = row(5.0, 5.0, 5.0, 5.0)
    pred = row(math.inf, 100.0, -math.inf, -3.0)
    result = depth_metrics(pred, gt, min_depth=1.0, max_depth=10.0)
    assert result["coverage"] == 1.0
    assert result["rmse"] == pytest.approx(math.sqrt((25 + 25 + 16 + 16) / 4))


def test_an_unknown_prediction_is_not_scored_but_lowers_coverage() -> None:
    result = depth_metrics(row(math.nan, 2.0, 2.0, 9.0), row(2.0, 2.0, 2.0, 0.0), max_depth=10.0)
    assert (result["valid_pixels"], result["abs_rel"]) == (2.0, 0.0)
    assert result["coverage"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("gt", [row(0.0, 0.0), row(math.nan, 99.0)])
def test_nothing_to_score_gives_nan_not_a_perfect_score(gt: np.ndarray) -> None:
    result = depth_metrics(np.ones_like(gt), gt, max_depth=10.0)
    assert result["valid_pixels"] == 0.0
    assert all(math.isnan(result[name]) for name in METRICS)
    assert math.isnan(result["coverage"])


def test_median_alignment_removes_scale_and_nothing_else() -> None:
    gt = row(1.0, 2.0, 4.0)
    assert depth_metrics(3.0 * gt, gt, max_depth=20.0)["abs_rel"] == pytest.approx(2.0)
    assert depth_metrics(3.0 * gt, gt, max_depth=20.0, align="median")["abs_rel"] < 1e-7
    assert depth_metrics(gt + 1, gt, max_depth=20.0, align="median")["abs_rel"] == pytest.approx(
        (1 / 3 + 0 + 1 / 6) / 3
    )


def test_median_alignment_leaves_a_prediction_of_infinities_alone() -> None:
    gt = row(2.0, 2.0, 2.0)
    pred = row(math.inf, math.inf, 2.0)
    aligned = depth_metrics(pred, gt, max_depth=10.0, align="median")
    assert aligned == depth_metrics(pred, gt, max_depth=10.0)


def test_silog_ignores_a_common_factor() -> None:
    gt = np.linspace(1, 9, 50)[np.newaxis]
    assert depth_metrics(1.1 * gt, gt, max_depth=20.0)["silog"] == pytest.approx(0.0, abs=1e-5)


def test_the_mean_counts_each_image_once_and_skips_images_without_truth() -> None:
    small = depth_metrics(row(2.0), row(1.0), max_depth=10.0)
    large = depth_metrics(np.ones((9, 9)), np.ones((9, 9)), max_depth=10.0)
    empty = depth_metrics(row(1.0), row(0.0), max_depth=10.0)
    means = mean_metrics([small, large, empty])
    assert means["abs_rel"] == pytest.approx(0.5)
    assert means["valid_pixels"] == 82.0
    assert mean_metrics([]) == {}


def test_constant_median_is_the_median_of_the_valid_truth() -> None:
    gt = row(0.0, 1.0, 2.0, 9.0, 50.0, math.nan)
    baseline = constant_median(gt, max_depth=10.0)
    assert baseline.shape == gt.shape
    assert (baseline == 2.0).all()
    assert np.isnan(constant_median(row(0.0, 0.0), max_depth=10.0)).all()
