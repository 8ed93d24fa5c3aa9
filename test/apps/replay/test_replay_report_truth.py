"""The report's errors against the depth that a recording holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import demo_recordings as recordings
import numpy as np
import pytest
from html_page import Page
from replay_outputs import Camera, write_output

from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.apps.replay.report import truth, write_report

FRAMES = 5
TIMES = [recordings.START_NS + i * 100_000_000 for i in range(FRAMES)]
TRUTHS = [recordings.depth(i) for i in range(FRAMES)]
CAP = 5.0


def report(folder: Path, **fields: Any) -> Page:
    """The page of a replay whose depth is 1.2 times the truth, with a cap of 5 m."""
    depths = [np.float32(1.2) * recordings.depth(i) for i in range(FRAMES)]
    values = {"name": "front", "depths": depths, "stamps": TIMES, "truths": TRUTHS} | fields
    options = ReplayOptions(max_depth=CAP).to_json()
    return Page(write_report(write_output(folder, [Camera(**values)], options=options)))


def scores(depth: np.ndarray, truth: np.ndarray) -> list[float]:
    """abs_rel, rmse and the three deltas of one image, as Eigen et al. 2014 define them."""
    valid = (truth > 1e-3) & (truth < CAP) & ~np.isnan(depth)
    d, t = np.minimum(depth[valid], CAP).astype(np.float64), truth[valid].astype(np.float64)
    ratio = np.maximum(d / t, t / d)
    deltas = [np.mean(ratio < 1.25**power) for power in (1, 2, 3)]
    return [np.mean(np.abs(d - t) / t), np.sqrt(np.mean((d - t) ** 2)), *deltas]


def means(pairs: list[tuple[np.ndarray, np.ndarray]]) -> list[str]:
    """The mean of the scores over images, as the page writes them."""
    return [f"{value:.3f}" for value in np.mean([scores(*pair) for pair in pairs], axis=0)]


def test_errors_are_those_of_the_images(tmp_path: Path) -> None:
    page = report(tmp_path)
    known = [truth[truth < CAP] for truth in TRUTHS]
    constant = float(np.median(np.concatenate(known)))
    assert page.table("in: 5 frames against /front/ground_truth") == [
        ["", "abs_rel", "rmse, m", "delta1", "delta2", "delta3"],
        ["as predicted", *means([(np.float32(1.2) * t, t) for t in TRUTHS])],
        ["median-scaled", *means([(t, t) for t in TRUTHS])],
        [
            f"one constant, {constant:.2f} m",
            *means([(np.full_like(t, constant), t) for t in TRUTHS]),
        ],
        [
            "each image's own median",
            *means([(np.full_like(t, np.median(t[t < CAP])), t) for t in TRUTHS]),
        ],
    ]


def test_the_caption_says_how_it_was_scored(tmp_path: Path) -> None:
    half = [np.float32(1.2) * t for t in TRUTHS]
    for depth in half:
        depth[:24] = np.nan
    captions = [t.all("caption")[0].text for t in report(tmp_path, depths=half).root.all("table")]
    assert captions[0] == (
        "in: 5 frames against /front/ground_truth, taken for the truth; depth to 5 m, no crop, "
        "50.0 % of the true pixels have a depth"
    )


def test_a_row_shows_the_error(tmp_path: Path) -> None:
    row = report(tmp_path).root.all("div", "row")[-1]
    captions = [caption.text for caption in row.all("figcaption")]
    assert captions[0] == "0.20 s"  # the middle one
    assert captions[1:3] == ["Depth", "Ground truth, black unknown"]
    abs_rel = scores(np.float32(1.2) * TRUTHS[2], TRUTHS[2])[0]
    assert captions[3].endswith(f"abs_rel {abs_rel:.3f}")


def test_bad_frames_and_frames_without_truth_are_not_compared(tmp_path: Path) -> None:
    depths = [None, *TRUTHS[1:]]
    truths = [*TRUTHS[:4], np.full((48, 64), np.nan, np.float32)]
    page = report(tmp_path, depths=depths, truths=truths)
    assert page.table("in: 3 frames")[1][1] == "0.000"


def test_truth_that_is_all_beyond_the_cap_is_said(tmp_path: Path) -> None:
    page = report(tmp_path, truths=[truth + np.float32(CAP) for truth in TRUTHS])
    words = [p.text for p in page.root.all("p")]
    assert (
        words.count(
            "No frame has a depth of up to 5 m on /front/ground_truth within 20 ms, so none was "
            "compared."
        )
        == 1
    )


def test_no_truth_no_section(tmp_path: Path) -> None:
    assert "Against ground truth" not in report(tmp_path, truths=None).headings()


def test_depth_of_another_frame_is_not_registered(tmp_path: Path) -> None:
    page = report(tmp_path, truth_frame="infrared")
    words = (
        "There is depth (/front/ground_truth), but not in the frame 'cam_optical' of these "
        "images: it is not registered to them, so nothing was compared."
    )
    assert words in [p.text for p in page.root.all("p")]


def test_truth_of_a_lower_resolution_is_compared_at_its_own_pixels(tmp_path: Path) -> None:
    page = report(tmp_path, truths=[truth[1::2, 1::2] for truth in TRUTHS])
    small = [(np.float32(1.2) * t[1::2, 1::2], t[1::2, 1::2]) for t in TRUTHS]
    assert page.table("in: 5 frames")[1] == ["as predicted", *means(small)]


def test_of_a_long_recording_some_frames_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(truth, "SCORED", 3)
    page = report(tmp_path)
    chosen = [(np.float32(1.2) * TRUTHS[i], TRUTHS[i]) for i in (0, 2, 4)]
    assert page.table("in: 3 frames")[1] == ["as predicted", *means(chosen)]


def test_the_cap_is_the_tighter_of_settings_and_model() -> None:
    from depth_estimation_ros.engines import resolve_model
    from depth_estimation_ros.engines.tensorrt.make import read_model_file

    model = read_model_file(resolve_model("compact")).card.output.max_depth
    assert truth.cap(ReplayOptions()) == model
    assert truth.cap(ReplayOptions(max_depth=2.5)) == 2.5
    assert truth.cap(ReplayOptions(max_depth=1e6)) == model
    assert truth.cap(ReplayOptions(model="gone.onnx")) == 80.0
    assert truth.cap(ReplayOptions(model="gone.onnx", max_depth=30.0)) == 30.0


def test_windows_around_the_frames_are_read_once() -> None:
    near = truth.APART_NS
    times = [0, near, 10 * near]
    assert truth._windows(times) == [(-near, 2 * near + 1), (9 * near, 11 * near + 1)]
