"""The metrics of Eigen et al. 2014, on numbers small enough to do by hand."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from depth_estimation_ros.estimation.metrics import (
    METRICS,
    constant_median,
    depth_metrics,
    match_stamps,
    mean_metrics,
    measure_accuracy,
    registered_topics,
    sample_nearest,
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


# --- against the ground truth of a recording -----------------------------------------------------

MS = 1_000_000


def test_truth_is_paired_with_the_nearest_frame_within_20_ms() -> None:
    frames = [(0, "a"), (100 * MS, "b"), (200 * MS, "c"), (300 * MS, "d")]
    truths = [(19 * MS, "A"), (121 * MS, "B"), (181 * MS, "C"), (195 * MS, "C2"), (320 * MS, "D")]
    assert list(match_stamps(frames, truths)) == [
        (0, "a", "A"),
        (200 * MS, "c", "C2"),
        (300 * MS, "d", "D"),
    ]


def test_truth_is_read_in_step_with_the_frames() -> None:
    given = []

    def truths() -> Iterator[tuple[int, str]]:
        for i in range(100):
            given.append(i)
            yield i * 100 * MS, f"T{i}"

    pairs = match_stamps([(0, "a"), (200 * MS, "b")], truths())
    assert next(pairs) == (0, "a", "T0")
    assert given == [0]
    assert next(pairs) == (200 * MS, "b", "T2")
    assert given == [0, 1, 2]


@pytest.mark.parametrize(("frames", "truths"), [([], [(0, "A")]), ([(0, "a")], []), ([], [])])
def test_nothing_to_pair(frames: list[tuple[int, str]], truths: list[tuple[int, str]]) -> None:
    assert list(match_stamps(frames, truths)) == []


def test_depth_is_compared_at_the_pixels_of_the_truth() -> None:
    depth = np.arange(24, dtype=np.float32).reshape(4, 6)
    np.testing.assert_array_equal(sample_nearest(depth, (4, 6)), depth)
    np.testing.assert_array_equal(sample_nearest(depth, (2, 3)), depth[1::2, 1::2])
    np.testing.assert_array_equal(sample_nearest(depth, (4, 2)), depth[:, [1, 4]])
    np.testing.assert_array_equal(sample_nearest(depth, (8, 12)), depth.repeat(2, 0).repeat(2, 1))


TRUTHS = [np.array([[1.0, 2.0], [4.0, np.nan]], np.float32), np.full((2, 2), 3.0, np.float32)]


def test_errors_as_predicted_and_with_the_scale_taken_out() -> None:
    found = measure_accuracy(lambda: [(1.2 * truth, truth) for truth in TRUTHS], 10.0)
    assert found.images == 2
    assert found.scale_correction == pytest.approx(1 / 1.2)
    assert found.as_predicted["abs_rel"] == pytest.approx(0.2)
    # 0.2 of 1, 2 and 4 m, and 0.6 m everywhere: the mean over images of each image's root.
    rmse = (0.2 * np.sqrt((1 + 4 + 16) / 3) + 0.6) / 2
    assert found.as_predicted["rmse"] == pytest.approx(rmse)
    assert found.as_predicted["delta1"] == 1.0
    assert found.as_predicted["coverage"] == 1.0
    assert found.median_scaled["abs_rel"] == pytest.approx(0.0, abs=1e-6)


def test_what_constants_would_score() -> None:
    found = measure_accuracy(lambda: [(truth, truth) for truth in TRUTHS], 10.0)
    assert found.constant_m == 3.0  # the median of 1, 2, 4, 3, 3, 3, 3
    assert found.one_constant["abs_rel"] == pytest.approx(((2 + 0.5 + 0.25) / 3 + 0.0) / 2)
    # Each image's own median: 2 m for the first, 3 m for the second.
    assert found.constant_per_image["abs_rel"] == pytest.approx(((1 + 0 + 0.5) / 3 + 0.0) / 2)


def test_truth_beyond_the_cap_is_not_scored() -> None:
    depths = [np.full((2, 2), 2.0, np.float32), np.full((2, 2), 9.0, np.float32)]
    found = measure_accuracy(lambda: zip(depths, TRUTHS, strict=True), 2.5)
    assert found.max_depth == 2.5
    assert found.as_predicted["valid_pixels"] == 2  # 1 m and 2 m of the first
    assert found.as_predicted["abs_rel"] == pytest.approx((1.0 + 0.0) / 2)
    assert found.constant_m == 1.5


def test_an_image_without_a_pixel_to_compare_does_not_count() -> None:
    unknown = np.full((2, 2), np.nan, np.float32)
    good = (TRUTHS[0], TRUTHS[0])
    found = measure_accuracy(lambda: [good, (unknown, TRUTHS[1]), good], 10.0)
    assert found.images == 2
    assert found.as_predicted["abs_rel"] == 0.0
    assert found.as_predicted["coverage"] == pytest.approx(2 / 3)


def test_no_pairs_score_nothing() -> None:
    found = measure_accuracy(list, 10.0)
    assert found.images == 0
    assert found.as_predicted == {}
    assert np.isnan(found.constant_m)


@pytest.mark.parametrize(
    ("depths", "chosen"),
    [
        ({"/depth": "color"}, ["/depth"]),
        ({"/depth": "/color"}, ["/depth"]),  # tf1 names frames with a slash
        ({"/depth": "infrared"}, []),
        ({"/raw": "infrared", "/aligned": "color"}, ["/aligned"]),
        ({"/stereo": "color", "/ground_truth/depth": "color"}, ["/ground_truth/depth"]),
        ({"/a": "color", "/b": "color"}, ["/a", "/b"]),
    ],
)
def test_depth_lies_on_the_pictures_that_have_its_frame(
    depths: dict[str, str], chosen: list[str]
) -> None:
    assert registered_topics("color", depths) == chosen
