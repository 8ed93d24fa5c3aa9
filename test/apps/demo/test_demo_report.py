"""The demo's numbers and images, from recordings whose errors are known by construction."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import demo_recordings as recordings
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

from depth_estimation_ros.apps.demo import graph, report
from depth_estimation_ros.apps.demo.report import Recording
from depth_estimation_ros.apps.demo.session import DemoOptions, Outcome
from depth_estimation_ros.apps.demo.sources import Source, SourceOptions, open_source
from depth_estimation_ros.engines.model_card import ModelCard
from depth_estimation_ros.visualization.figures import PreviewRow

FRAMES = 3
TIMES = recordings.stamps(FRAMES)


def recorded(
    path: Path, depths: list[np.ndarray], *, values: dict[str, str], images: range = range(FRAMES)
) -> Path:
    """What a run of the demo would have left whose node answered with these depths.

    Args:
        path: of the bag.
        depths: of the first frames.
        values: of the diagnostics.
        images: frames whose image was recorded.
    """
    types = recordings.STORE.types
    pairs = [types["diagnostic_msgs/msg/KeyValue"](k, v) for k, v in values.items()]
    status = types["diagnostic_msgs/msg/DiagnosticStatus"](
        level=0, name=f"{graph.NODE}: depth", message="", hardware_id="", values=pairs
    )
    array = types["diagnostic_msgs/msg/DiagnosticArray"](
        header=recordings.header(TIMES[-1]), status=[status]
    )
    pictures = [recordings.png_image(recordings.picture(i), TIMES[i]) for i in images]
    messages = {
        graph.DEPTH: [recordings.float_depth(d, t) for d, t in zip(depths, TIMES, strict=False)],
        graph.DIAGNOSTICS: [array],
    }
    if pictures:
        messages[graph.IMAGES["compressed"][0]] = pictures
    return recordings.write_bag(path, messages)


@pytest.fixture
def source(tmp_path: Path) -> Source:
    path = recordings.standard_bag(tmp_path / "source", FRAMES)
    return open_source(SourceOptions(input=str(path)))


@pytest.fixture
def ten_percent_too_far(tmp_path: Path) -> Iterator[Recording]:
    depths = [1.1 * recordings.depth(i) for i in range(FRAMES)]
    values = {"latency_ms_p50": "12.5", "latency_ms_p99": "20.25", "rss_mb": "99.5", "engine": "E"}
    path = recorded(tmp_path / "bag", depths, values=values)
    with Recording.open(path, "compressed") as recording:
        yield recording


def card() -> ModelCard:
    import tiny_models

    return tiny_models.tiny_card(max_depth=10.0)


def test_errors_as_predicted_and_with_the_scale_taken_out(
    ten_percent_too_far: Recording, source: Source
) -> None:
    numbers = report.accuracy(ten_percent_too_far, source, 10.0)
    assert numbers["abs_rel"] == pytest.approx(0.1, abs=2e-3)  # truth is rounded to millimetres
    assert numbers["delta1"] == 1.0
    assert numbers["abs_rel_median_scaled"] == pytest.approx(0.0, abs=2e-3)
    assert numbers["delta1_median_scaled"] == 1.0
    assert numbers["ground_truth_frames"] == FRAMES
    assert numbers["ground_truth_coverage"] == 1.0
    assert numbers["ground_truth_cap_m"] == 10.0


def test_what_one_constant_would_score(ten_percent_too_far: Recording, source: Source) -> None:
    truths = [np.rint(1000 * recordings.depth(i)) / 1000 for i in range(FRAMES)]
    metres = np.median(np.stack(truths))
    abs_rel = np.mean([np.mean(np.abs(metres - t) / t) for t in truths])
    ratios = [np.maximum(metres / t, t / metres) for t in truths]

    constant = report.accuracy(ten_percent_too_far, source, 10.0)["constant_median"]

    assert constant["metres"] == pytest.approx(metres, abs=1e-4)
    assert constant["abs_rel"] == pytest.approx(abs_rel, abs=1e-3)
    assert constant["delta1"] == pytest.approx(np.mean(np.stack(ratios) < 1.25), abs=1e-3)


def test_truth_beyond_the_cap_is_not_scored(ten_percent_too_far: Recording, source: Source) -> None:
    numbers = report.accuracy(ten_percent_too_far, source, 0.5)  # nothing is that near
    assert numbers["abs_rel"] is None
    assert numbers["constant_median"]["abs_rel"] is None


def test_without_ground_truth_the_numbers_are_null(
    ten_percent_too_far: Recording, source: Source
) -> None:
    blind = open_source(SourceOptions(input=source.name, ground_truth_topic="none"))
    outcome = Outcome(answers=["depth"] * FRAMES, seconds=0.5)
    summary = report.summarize(ten_percent_too_far, blind, options(), outcome, card())
    text = json.dumps(summary, allow_nan=False)
    for name in ("abs_rel", "delta1", "abs_rel_median_scaled", "delta1_median_scaled"):
        assert json.loads(text)[name] is None
    assert summary["constant_median"] == {"abs_rel": None, "delta1": None, "metres": None}
    assert summary["ground_truth_frames"] == 0


def test_the_summary_counts_frames_and_takes_latency_and_memory_from_the_node(
    tmp_path: Path, source: Source
) -> None:
    values = {"latency_ms_p50": "12.5", "latency_ms_p99": "20.25", "rss_mb": "99.5", "engine": "E"}
    path = recorded(tmp_path / "bag", [recordings.depth(i) for i in range(2)], values=values)
    outcome = Outcome(answers=["depth", "depth", "none"], seconds=0.5)
    with Recording.open(path, "compressed") as recording:
        summary = report.summarize(recording, source, options(), outcome, card())
    assert (summary["frames_in"], summary["frames_out"], summary["dropped"]) == (3, 2, 1)
    assert summary["latency_ms"] == {"p50": 12.5, "p99": 20.25}
    assert summary["rss_mb"] == 99.5
    assert summary["engine"] == "E"
    assert summary["model"] == "tiny 1"
    assert summary["ground_truth_frames"] == 2


def test_pictures(ten_percent_too_far: Recording, source: Source, tmp_path: Path) -> None:
    written = report.write_images(ten_percent_too_far, source, 10.0, tmp_path)
    assert written == ["preview.png"]  # no cloud was recorded
    sheet = cv2.imread(str(tmp_path / "preview.png"))
    assert sheet is not None
    assert sheet.shape[1] > 4 * 320  # four columns: camera, depth, truth, error


def test_an_image_that_the_recorder_missed_costs_its_row_of_the_preview(
    tmp_path: Path, source: Source
) -> None:
    depths = [recordings.depth(i) for i in range(FRAMES)]
    heights = []
    for name, images in (("all", range(FRAMES)), ("two", range(1, FRAMES)), ("none", range(0))):
        bag = recorded(tmp_path / name, depths, values={}, images=images)
        (tmp_path / f"{name}_out").mkdir()
        with Recording.open(bag, "compressed") as recording:
            written = report.write_images(recording, source, 10.0, tmp_path / f"{name}_out")
        assert written == (["preview.png"] if images else [])
        if images:
            heights.append(len(cv2.imread(str(tmp_path / f"{name}_out" / "preview.png"))))
    row = 320 * recordings.HEIGHT // recordings.WIDTH + 30 + 8  # panel, caption, gap
    assert heights[0] - heights[1] == row


def options() -> Any:
    return DemoOptions(SourceOptions())


@pytest.mark.parametrize(
    ("nearest", "shown"), [(0.2, 0.0), (0.6, 0.5), (1.8, 1.0), (9.0, 5.0), (10.0, 5.0)]
)
def test_the_colours_of_the_preview_begin_at_a_round_number_that_fits(nearest, shown):
    depth = np.linspace(nearest, 10.0, 40_000, dtype=np.float32).reshape(200, 200)
    row = PreviewRow(rgb=np.zeros((200, 200, 3), np.uint8), depth=depth)
    assert report._shown_range([row], 80.0)[0] == shown


@pytest.mark.parametrize(
    ("farthest", "shown"), [(0.9, 1.0), (4.0, 5.0), (5.1, 10.0), (60.0, 80.0), (np.inf, 80.0)]
)
def test_the_colours_of_the_preview_end_at_a_round_number_that_fits(farthest, shown):
    depth = np.full((4, 4), farthest, np.float32)
    row = PreviewRow(rgb=np.zeros((4, 4, 3), np.uint8), depth=depth, truth=None, caption="")
    assert report._shown_range([row], 80.0)[1] == shown
