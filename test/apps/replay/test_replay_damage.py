"""Recordings that are cut off, corrupt or empty, and disks that fill: what was good is not lost."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import demo_recordings as recordings
import pytest
from replay_runs import image_bag, options, run, summary_file, written

from depth_estimation_ros.apps.replay.run import replay
from depth_estimation_ros.bags import Damage
from depth_estimation_ros.errors import BagError, EngineError
from depth_estimation_ros.estimation import DepthEstimator, Prediction

DEPTH = "/camera/depth_estimation/depth/image"
FRAMES = 500


def cut(bag: Path, share: float) -> Path:
    """Takes away the end of the recording's file; its metadata stay."""
    (file,) = (f for f in [bag, *bag.glob("*")] if f.suffix in (".mcap", ".db3", ".bag"))
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    return bag


def test_cut_off_mcap_is_processed_up_to_there(tmp_path: Path) -> None:
    bag = cut(image_bag(tmp_path / "bag", FRAMES), 0.7)

    summary = run(bag, tmp_path / "out", outputs=("depth",))

    assert summary.complete
    assert summary.exit_code == 2
    assert 0.5 * FRAMES < summary.frames_out == summary.frames_in <= 0.71 * FRAMES
    times = [time for _, _, time, _ in written(tmp_path / "out", DEPTH)]
    assert times == recordings.stamps(FRAMES)[: len(times)]
    (damage,) = summary_file(tmp_path / "out")["damage"]
    assert "bag" in Damage(**damage).where


def test_cut_off_ros1_bag_names_its_repair(tmp_path: Path) -> None:
    bag = cut(image_bag(tmp_path / "old.bag", 20, "ros1"), 0.7)

    with pytest.raises(BagError, match=r"Repair it with: rosbag reindex .*old\.bag"):
        run(bag, tmp_path / "out", outputs=("depth",))

    assert not (tmp_path / "out").exists()


def test_loss_is_counted_in_messages(tmp_path: Path) -> None:
    bag = cut(image_bag(tmp_path / "bag", FRAMES), 0.7)

    summary = run(bag, tmp_path / "out", outputs=("depth",), copy="all")

    read = len(written(tmp_path / "out")) - summary.frames_out
    assert summary.damage[0]["lost_messages"] == 2 * FRAMES - read


def test_images_next_to_a_corrupt_file_are_not_lost(tmp_path: Path) -> None:
    bag = recordings.broken_off_bag(tmp_path / "bag", 5)

    summary = run(bag, tmp_path / "out")

    assert (summary.frames_out, summary.exit_code) == (5, 2)
    assert summary.damage[0]["lost_messages"] == 10


def test_recording_without_images_lists_its_topics(tmp_path: Path) -> None:
    infos = [recordings.camera_info(t) for t in recordings.stamps(2)]
    bag = recordings.write_bag(tmp_path / "bag", {"/camera/camera_info": infos})

    with pytest.raises(
        BagError, match=r"No colour images .*found /camera/camera_info \(sensor_msgs/CameraInfo, 2"
    ):
        run(bag, tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_undecodable_images_are_counted_and_listed(tmp_path: Path) -> None:
    times = recordings.stamps(4)
    images = [recordings.png_image(recordings.picture(i), t) for i, t in enumerate(times)]
    images[1].data = images[1].data[:30]
    images[2].data = images[2].data[:0]
    bag = recordings.write_bag(tmp_path / "bag", {"/camera/image/compressed": images})

    summary = run(bag, tmp_path / "out", copy="all")

    assert (summary.frames_in, summary.frames_out, summary.frames_bad) == (4, 2, 2)
    assert summary.complete
    assert summary.exit_code == 2
    assert [(bad.topic, bad.stamp_ns) for bad in summary.bad_frames] == [
        ("/camera/image/compressed", times[1]),
        ("/camera/image/compressed", times[2]),
    ]
    assert "cannot be decoded" in summary.bad_frames[0].why
    assert [time for _, _, time, _ in written(tmp_path / "out", DEPTH)] == [times[0], times[3]]
    assert len(written(tmp_path / "out", "/camera/image/compressed")) == 4
    states = [line.split(",")[3] for line in (tmp_path / "out" / "frames.csv").open()]
    assert states == ["status", "ok", "bad", "bad", "ok"]


def test_image_with_bytes_of_no_message_is_bad(tmp_path: Path) -> None:
    images = [recordings.raw_image(recordings.picture(i), t) for i, t in enumerate((1, 2, 3))]
    images[1].data = images[1].data[:100]
    bag = recordings.write_bag(tmp_path / "bag", {"/camera/image": images})

    summary = run(bag, tmp_path / "out")

    assert (summary.frames_out, summary.frames_bad) == (2, 1)
    assert "len(data) = 100" in summary.bad_frames[0].why


def test_network_that_fails_midway_leaves_what_was_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bag = image_bag(tmp_path / "bag", 10)
    run(bag, tmp_path / "whole")
    real, calls = DepthEstimator.infer, []

    def failing(self: DepthEstimator, views: Any) -> list[Prediction]:
        calls.append(len(views))
        if len(calls) > 4:
            raise EngineError("the GPU fell off the bus")
        return real(self, views)

    monkeypatch.setattr(DepthEstimator, "infer", failing)
    failed = run(bag, tmp_path / "out")
    monkeypatch.setattr(DepthEstimator, "infer", real)

    assert (failed.frames_out, failed.exit_code) == (4, 2)
    assert failed.problem == "the GPU fell off the bus"
    done = written(tmp_path / "out")
    assert done == written(tmp_path / "whole")[: len(done)]
    assert run(bag, tmp_path / "out", resume=True).complete
    assert written(tmp_path / "out") == written(tmp_path / "whole")


class Usage(NamedTuple):
    """As shutil.disk_usage returns it."""

    total: int
    used: int
    free: int


def test_full_disk_leaves_what_was_done_for_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bag = recordings.standard_bag(tmp_path / "bag", 48)
    more: dict[str, Any] = {"outputs": ("depth", "points"), "cloud_stride": 1, "copy": "all"}
    run(bag, tmp_path / "whole", **more)
    real, room = shutil.disk_usage, 5_500_000

    def limited(path: Any) -> Usage:
        files = [file for file in (tmp_path / "out").rglob("*") if file.is_file()]
        return Usage(room, 0, room - sum(file.stat().st_size for file in files))

    monkeypatch.setattr(shutil, "disk_usage", limited)
    full = replay(options(bag, tmp_path / "out", **more))
    monkeypatch.setattr(shutil, "disk_usage", real)

    assert not full.complete
    assert not full.interrupted
    assert full.exit_code == 2
    assert full.problem.startswith("The disk is full under")
    done = written(tmp_path / "out")
    assert 0 < full.frames_out < 48
    assert done == written(tmp_path / "whole")[: len(done)]
    assert summary_file(tmp_path / "out")["frames_out"] == full.frames_out
    assert full.frames_out == len(written(tmp_path / "out", "/camera/depth_estimation/points"))

    last = run(bag, tmp_path / "out", resume=True, **more)

    assert last.complete
    assert last.frames_out == 48
    assert written(tmp_path / "out") == written(tmp_path / "whole")
