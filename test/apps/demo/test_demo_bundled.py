"""What a new user sees first: the bundled model on the bundled recording; then on a real one."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

from test_demo import run_demo, stamp_ns

from depth_estimation_ros.apps.demo import graph

SEQUENCE = Path(__file__).resolve().parents[4] / "shared" / "data" / "tum_fr1_rpy_sequence"


def test_the_demo_loses_no_frame_and_sees_a_room_not_a_wall(tmp_path):
    run = run_demo(tmp_path / "out")
    assert run.code == 0, run.text
    summary = run.summary
    assert (summary["frames_in"], summary["frames_out"], summary["dropped"]) == (40, 40, 0)
    assert summary["model"].startswith("compact")
    assert summary["abs_rel"] < 0.25 < 0.5 * summary["constant_median"]["abs_rel"]
    assert summary["delta1"] > 0.6 > 2.0 * summary["constant_median"]["delta1"]
    assert 0.0 < summary["latency_ms"]["p50"] <= summary["latency_ms"]["p99"]


def test_every_frame_of_a_real_30_hz_recording_gets_depth_at_its_own_stamp(tmp_path):
    bags = pytest.importorskip("training.bags", reason="needs the training extra")
    if not SEQUENCE.is_dir():
        pytest.skip("needs the TUM freiburg1_rpy sequence")
    bag = bags.folder_bag(SEQUENCE, tmp_path / "tum")
    run = run_demo(tmp_path / "out", "--input", bag)
    assert run.code == 0, run.text
    assert (run.summary["frames_in"], run.summary["frames_out"]) == (100, 100)
    stamps = [stamp_ns(message) for _, message in run.messages(graph.DEPTH)]
    recorded = (SEQUENCE / "timestamps.txt").read_text().split()
    # Nine digits of nanoseconds: a float would lose the last three.
    assert stamps == [
        int(s.split(".")[0]) * 10**9 + int(s.split(".")[1].ljust(9, "0")) for s in recorded
    ]
    assert run.summary["delta1_median_scaled"] > run.summary["constant_median_per_image"]["delta1"]
