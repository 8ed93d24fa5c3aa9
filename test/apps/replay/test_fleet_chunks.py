"""A recording replayed in chunks is the recording replayed in one go, message by message."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fleet_cases import frames, messages, seldom_told_bag, zooming_bag
from tiny_models import red_depth, tiny_card

from depth_estimation_ros.apps.replay.fleet_board import Board
from depth_estimation_ros.apps.replay.fleet_job import JobResult, do_job
from depth_estimation_ros.apps.replay.fleet_merge import merge
from depth_estimation_ros.apps.replay.fleet_plan import Bag, plan
from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.apps.replay.run import replay
from depth_estimation_ros.apps.replay.summary import ReplaySummary

FRAMES = 15


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return zooming_bag(tmp_path_factory.mktemp("bags") / "drive", FRAMES)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    card = tiny_card(canonical_focal_px=60.0)  # depth follows the CameraInfo of each image
    return str(red_depth(tmp_path_factory.mktemp("models") / "red.onnx", card))


def in_chunks(bag: Path, out: Path, options: ReplayOptions, chunk_s: float) -> tuple[Bag, Board]:
    """Does all jobs of a recording one after the other, the last one first."""
    board = Board(out / ".fleet")
    board.open()
    (one,) = plan([bag], out, options, board.folder, workers=1, chunk_s=chunk_s)
    for job in reversed(one.jobs):
        result = do_job(job, board)
        assert (result.exit_code, result.problem) == (0, "")
    return one, board


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"copy": "all", "outputs": ("depth", "camera_info", "points", "color")},
        {"every": 4},
        {"rate_hz": 3.0},
        {"start_s": 0.3, "end_s": 1.4, "copy": "all"},
        {"storage": "sqlite3", "outputs": ("depth",)},
    ],
    ids=str,
)
def test_chunks_joined_are_the_whole(bag, model, tmp_path, changes):
    options = replace(ReplayOptions(model=model, threads=1), **changes)
    whole = replay(replace(options, inputs=(str(bag),), output=str(tmp_path / "whole")))
    one, board = in_chunks(bag, tmp_path / "out", options, chunk_s=0.42)
    assert len(one.jobs) >= 3
    joined = merge(one, board.room("drive"))
    assert messages(one.output) == messages(tmp_path / "whole")
    assert frames(one.output) == frames(tmp_path / "whole")
    assert joined == ReplaySummary.read(one.output)
    assert joined.cameras == whole.cameras
    for name in ("frames_in", "frames_out", "frames_bad", "complete", "damage", "model_sha256"):
        assert getattr(joined, name) == getattr(whole, name), name
    assert joined.inputs == [str(bag)]
    assert ReplayOptions.from_json(joined.options) == one.options


def test_a_camera_info_told_long_before_a_chunk_counts_in_it(model, tmp_path):
    bag = seldom_told_bag(tmp_path / "seldom", 40, told=(0, 3))
    options = ReplayOptions(model=model, threads=1, outputs=("depth", "camera_info"))
    replay(replace(options, inputs=(str(bag),), output=str(tmp_path / "whole")))
    one, board = in_chunks(bag, tmp_path / "out", options, chunk_s=10.0)
    assert len(one.jobs) == 4  # the last begins 27 s after the CameraInfo that is its own
    merge(one, board.room("seldom"))
    assert messages(one.output) == messages(tmp_path / "whole")


def test_chunks_without_images_are_as_good_as_any(bag, model, tmp_path):
    options = ReplayOptions(model=model, threads=1, outputs=("depth",), every=10)
    one, board = in_chunks(bag, tmp_path, options, chunk_s=0.2)
    counts = [ReplaySummary.read(Path(job.options.output)).frames_out for job in one.jobs]
    assert sorted(counts, reverse=True)[:3] == [1, 1, 0]
    assert merge(one, board.room("drive")).frames_out == 2


def test_joining_is_done_again_where_it_was_broken_off(bag, model, tmp_path, monkeypatch):
    options = ReplayOptions(model=model, threads=1, outputs=("depth",))
    one, board = in_chunks(bag, tmp_path, options, chunk_s=0.7)
    with monkeypatch.context() as broken:
        broken.setattr(ReplaySummary, "write", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            merge(one, board.room("drive"))
    assert not one.output.exists()
    assert merge(one, board.room("drive")).frames_out == FRAMES
    assert len(messages(one.output)) == FRAMES


def test_a_job_that_is_done_is_not_done_again(bag, model, tmp_path):
    options = ReplayOptions(model=model, threads=1, outputs=("depth",))
    one, board = in_chunks(bag, tmp_path, options, chunk_s=0)
    before = (one.output / "replay.json").stat().st_mtime_ns
    assert do_job(one.jobs[0], board) == JobResult("drive", 0, by=board.attempts("drive")[0])
    assert (one.output / "replay.json").stat().st_mtime_ns == before
    assert len(board.attempts("drive")) == 1


def test_a_result_says_where_it_is_and_not_where_it_was_made(bag, model, tmp_path):
    options = ReplayOptions(model=model, threads=1, outputs=("depth",))
    one, _ = in_chunks(bag, tmp_path, options, chunk_s=0)
    values = json.loads((one.output / "replay.json").read_text())
    assert values["output"] == values["options"]["output"] == str(tmp_path / "drive")
    assert ".fleet" not in (one.output / "metadata.yaml").read_text()
    assert not list((tmp_path / ".fleet" / "drive").glob("attempt-*"))
