"""Which frames a report shows, and how."""

import math

import numpy as np
from evaluation_cases import ListedSamples, random_sample, red_pipeline, red_sample

from training.evaluation import evaluate_set
from training.evaluation.report import (
    chosen_frames,
    draw_frames,
    shown_alignment,
    truth_to_show,
)


def test_the_best_median_and_worst_frame() -> None:
    flat = np.full((24, 40), 2.0)
    errors = (0.4, 0.0, 0.9, 0.2, 0.6)
    samples = [red_sample(flat * (1 + error), flat) for error in errors]
    result = evaluate_set(red_pipeline(), ListedSamples(samples))
    chosen = chosen_frames(result)
    assert {name: frame.name for name, frame in chosen.items()} == {
        "best": "frame 1",
        "median": "frame 0",
        "worst": "frame 2",
    }
    assert list(chosen_frames(evaluate_set(red_pipeline(), ListedSamples(samples[:1])))) == ["best"]


def test_without_a_known_camera_the_images_are_scale_aligned() -> None:
    samples = ListedSamples([random_sample(0)])
    assert shown_alignment(evaluate_set(red_pipeline(), samples)) == "none"
    flat = np.full((24, 40), 2.0)
    unknown = ListedSamples([red_sample(2 * flat, flat, camera=None)])
    result = evaluate_set(red_pipeline(), unknown)
    assert shown_alignment(result) == "median"
    sheet = draw_frames(red_pipeline(), unknown, result)
    assert sheet is not None
    # The error panel is the last column: all white, since the aligned prediction is right.
    assert sheet[100, -24 - 160].min() > 245


def test_a_set_without_truth_has_no_image() -> None:
    nothing = ListedSamples([red_sample(np.full((24, 40), 2.0), np.full((24, 40), math.nan))])
    result = evaluate_set(red_pipeline(), nothing)
    assert draw_frames(red_pipeline(), nothing, result) is None


def test_sparse_truth_survives_in_a_small_image() -> None:
    truth = np.full((40, 80), np.nan, np.float32)
    truth[1::4, 1::4] = 5.0  # a sixteenth of the pixels
    truth[21, 21] = 50.0
    small = truth_to_show(truth, "none", 10.0, (20, 10))
    assert np.isfinite(small).mean() > 0.9
    assert set(small[np.isfinite(small)].tolist()) == {5.0}
    dense = np.arange(3200, dtype=np.float32).reshape(40, 80) / 400
    np.testing.assert_array_equal(truth_to_show(dense, "none", 10.0, (80, 40)), dense)
