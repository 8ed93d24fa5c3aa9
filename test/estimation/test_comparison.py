"""Depth against the truth of a recording: pairing by time, the same pixels, and the errors."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from depth_estimation_ros.estimation.metrics import (
    match_stamps,
    measure_accuracy,
    registered_topics,
    sample_nearest,
)

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
