"""Several recordings through several processes, some of which are killed, stopped, or fail."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from demo_recordings import standard_bag
from fleet_cases import KillsWorker, frames, messages, seldom_told_bag, zooming_bag
from tiny_models import red_depth, slow_depth, tiny_card

from depth_estimation_ros.apps.replay.command import main
from depth_estimation_ros.apps.replay.fleet import Fleet
from depth_estimation_ros.apps.replay.jobs import Bag, merge_chunks, plan_bags, prepare, run_job
from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.apps.replay.run import replay
from depth_estimation_ros.apps.replay.summary import ReplaySummary
from depth_estimation_ros.apps.replay.workers import ProcessWorkers
from depth_estimation_ros.bags import open_recording
from depth_estimation_ros.errors import ParameterError

SLOW_MS = 60
FRAMES = 20
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fleet")


@pytest.fixture(scope="module")
def fast(room: Path) -> ReplayOptions:
    card = tiny_card(canonical_focal_px=60.0)  # depth follows the CameraInfo of each image
    return ReplayOptions(model=str(red_depth(room / "red.onnx", card)), threads=1)


@pytest.fixture(scope="module")
def slow(room: Path) -> ReplayOptions:
    model = str(slow_depth(room / "slow.onnx", SLOW_MS))
    outputs = ("depth", "camera_info")
    return ReplayOptions(model=model, threads=1, outputs=outputs, split_bytes=50_000)


@pytest.fixture(scope="module")
def drive(room: Path) -> Path:
    return zooming_bag(room / "drive", FRAMES)


@pytest.fixture(scope="module")
def whole(drive: Path, slow: ReplayOptions, room: Path) -> Path:
    """The drive through the slow network, in one go."""
    replay(replace(slow, inputs=(str(drive),), output=str(room / "whole")))
    return room / "whole"


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs run in this process: to start others takes seconds."""
    monkeypatch.setattr(ProcessWorkers, "_attempt", lambda self, job: run_job(job))


def test_bad_recording_does_not_stop_the_others(
    drive: Path, fast: ReplayOptions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    walk = standard_bag(tmp_path / "walk", 3)
    inputs = [str(path) for path in (tmp_path / "missing.mcap", drive, walk)]
    out = tmp_path / "out"
    command = [*inputs, "-o", str(out), "--model", fast.model, "--workers", "2"]

    assert main(command) == 1

    printed = capsys.readouterr().out
    written = json.loads((out / "fleet.json").read_text())
    found = {bag["name"]: (bag["exit_code"], bag["frames_out"]) for bag in written["bags"]}
    assert found == {"missing": (1, 0), "drive": (0, FRAMES), "walk": (0, 3)}
    assert (written["exit_code"], written["workers"]) == (1, 2)
    assert "missing.mcap" in written["bags"][0]["problem"]
    assert len({by for bag in written["bags"] for by in bag["by"]}) == 3  # a process for each
    assert all(text in printed for text in ("failed missing", "3 recordings in", "--resume"))
    assert "Traceback" not in printed
    assert (out / "walk" / "report.html").stat().st_size > 1000
    assert ReplaySummary.read(out / "walk").output == str(out / "walk")
    replay(replace(fast, inputs=(str(walk),), output=str(tmp_path / "alone")))
    assert messages(out / "walk") == messages(tmp_path / "alone")
    assert main(command) == 1
    assert "--overwrite, or go on with --resume" in " ".join(capsys.readouterr().out.split())


def test_killed_worker_is_replaced_and_nothing_lost(
    drive: Path, slow: ReplayOptions, whole: Path, tmp_path: Path
) -> None:
    kill = KillsWorker("drive", after=6)
    summary = Fleet([drive], tmp_path / "out", slow, retries=1, on_progress=kill).run()
    (bag,) = summary.bags
    assert (len(kill.killed), summary.exit_code, bag.problem) == (1, 0, "")
    assert str(kill.killed[0]) not in bag.by[0]
    assert messages(tmp_path / "out" / "drive") == messages(whole)
    assert frames(tmp_path / "out" / "drive") == frames(whole)


def test_worker_killed_too_often_names_its_signal(
    drive: Path, slow: ReplayOptions, tmp_path: Path
) -> None:
    kill = KillsWorker("drive", always=True)
    summary = Fleet([drive], tmp_path / "out", slow, retries=1, on_progress=kill).run()
    assert (summary.exit_code, len(kill.killed)) == (1, 2)
    assert "SIGKILL" in summary.bags[0].problem
    assert "memory" in summary.bags[0].problem


def test_stopped_and_resumed_is_as_in_one_go(
    drive: Path, slow: ReplayOptions, whole: Path, tmp_path: Path
) -> None:
    short = standard_bag(tmp_path / "short", 1)
    out = tmp_path / "out"

    def stop(job: str, done: int, pid: int) -> None:
        if job == "drive" and done >= 3:
            fleet.stop()

    fleet = Fleet([short, drive], out, slow, on_progress=stop)
    stopped = fleet.run()
    assert [bag.exit_code for bag in stopped.bags] == [0, 130]
    assert stopped.exit_code == 130
    with open_recording(out / "drive") as recording:  # what is there is a valid recording
        assert recording.damage is None
        done = len({message.time_ns for message in recording.messages()})
    assert 3 <= done < FRAMES
    assert done == stopped.bags[1].frames_out

    before = (out / "short" / "replay.json").stat().st_mtime_ns
    with pytest.raises(ParameterError, match="--resume"):
        Fleet([short, drive], out, slow)
    again = replace(slow, resume=True, threads=2)  # as other numbers of workers make it
    resumed = Fleet([short, drive], out, again, workers=2).run()
    assert (resumed.exit_code, [bag.before for bag in resumed.bags]) == (0, [True, False])
    assert (out / "short" / "replay.json").stat().st_mtime_ns == before
    assert messages(out / "drive") == messages(whole)
    assert frames(out / "drive") == frames(whole)


def test_finished_chunks_are_kept_for_resume(
    drive: Path, slow: ReplayOptions, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"

    def stop(job: str, done: int, pid: int) -> None:
        if job == "drive/0001":
            fleet.stop()

    fleet = Fleet([drive], out, slow, chunk_s=0.9, on_progress=stop)
    stopped = fleet.run()
    names = [Path(job.options.output).name for job in fleet.bags[0].jobs]
    assert names == ["drive_0000", "drive_0001", "drive_0002"]
    summaries = [out / ".chunks" / "drive" / name / "replay.json" for name in names]
    assert [path.exists() for path in summaries] == [True, True, False]
    assert (stopped.exit_code, (out / "drive").exists()) == (130, False)
    before = summaries[0].stat().st_mtime_ns

    progress: list[str] = []
    resume = replace(slow, resume=True)
    again = Fleet(
        [drive], out, resume, chunk_s=0.3, on_progress=lambda job, *_: progress.append(job)
    )
    assert [job.name for job in again.bags[0].jobs] == [f"drive/000{i}" for i in range(3)]
    assert summaries[0].stat().st_mtime_ns == before
    assert again.run().exit_code == 0
    assert "drive/0000" not in progress
    assert messages(out / "drive") == messages(whole)
    assert sorted(path.name for path in out.iterdir()) == ["drive", "fleet.json"]


@pytest.mark.usefixtures("in_process")
def test_fleet_goes_on_with_what_one_process_began(
    drive: Path, fast: ReplayOptions, tmp_path: Path
) -> None:
    out, stop = tmp_path / "out", threading.Event()
    alone = replace(fast, inputs=(str(drive),), output=str(out / "drive"))
    assert replay(alone, lambda progress: stop.set(), stop).interrupted

    resumed = Fleet([drive], out, replace(fast, resume=True), workers=2, chunk_s=1.0).run()
    (bag,) = resumed.bags
    assert (resumed.exit_code, bag.chunks, bag.frames_out) == (0, 1, FRAMES)
    replay(replace(alone, output=str(tmp_path / "whole")))
    assert messages(out / "drive") == messages(tmp_path / "whole")


@pytest.mark.usefixtures("in_process")
def test_results_are_replaced_only_by_new_ones(
    drive: Path, fast: ReplayOptions, tmp_path: Path
) -> None:
    walk = standard_bag(tmp_path / "walk", 2)
    out = tmp_path / "out"
    Fleet([drive, walk], out, fast).run()
    before = {name: messages(out / name) for name in ("drive", "walk")}
    with pytest.raises(ParameterError, match="depth_encoding: '32FC1', '16UC1' now"):
        Fleet([drive], out, replace(fast, resume=True, depth_encoding="16UC1"))

    replaced = replace(fast, overwrite=True, every=2)
    no_model = replace(replaced, model=str(tmp_path / "missing.onnx"))
    assert Fleet([drive, walk], out, no_model).run().exit_code == 1
    assert {name: messages(out / name) for name in before} == before

    walk.rename(tmp_path / "gone")
    summary = Fleet([drive, walk], out, replaced).run()
    assert [bag.exit_code for bag in summary.bags] == [0, 1]
    assert len(frames(out / "drive")) == FRAMES // 2
    assert messages(out / "walk") == before["walk"]


def test_workers_share_the_processors(
    drive: Path, fast: ReplayOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    auto = replace(fast, threads=0)
    for options, workers, threads in ((auto, 3, 2), (auto, 99, 1), (auto, 1, 0), (fast, 3, 1)):
        fleet = Fleet([drive], tmp_path / "out", options, workers=workers, chunk_s=0)
        (job,) = fleet.bags[0].jobs
        assert job.options.threads == threads
        assert Path(job.options.model).is_absolute()


def test_ctrl_c_stops_all_workers_in_order(room: Path, slow: ReplayOptions, tmp_path: Path) -> None:
    inputs = [str(standard_bag(room / f"long{i}", 45)) for i in range(2)]
    out = tmp_path / "out"
    arguments = [*inputs, "-o", str(out), "--model", slow.model, "--outputs", "depth"]
    process = subprocess.Popen(
        [sys.executable, "-m", "depth_estimation_ros.apps.replay", *arguments, "--workers", "2"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # of which all get the signal, as in a terminal
    )
    tables = [out / Path(path).name / "frames.csv" for path in inputs]
    try:
        while not all(path.exists() for path in tables):
            assert process.poll() is None, "it ended before"
        os.killpg(process.pid, signal.SIGINT)
        printed, _ = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert process.returncode == 130, printed
    assert "Traceback" not in printed
    for bag in json.loads((out / "fleet.json").read_text())["bags"]:
        assert bag["exit_code"] == 130
        assert bag["frames_out"] < 45
        assert len(messages(Path(bag["output"]))) == bag["frames_out"]


def in_chunks(bag: Path, out: Path, options: ReplayOptions, chunk_s: float) -> Bag:
    """Do all jobs of a recording one after the other, the last one first."""
    (one,) = plan_bags([bag], out, options, workers=1, chunk_s=chunk_s)
    prepare(one)
    for job in reversed(one.jobs):
        result = run_job(job)
        assert (result.exit_code, result.problem) == (0, "")
    return one


@pytest.mark.parametrize(
    "changes",
    [
        {"copy": "all", "outputs": ("depth", "camera_info", "points", "color")},
        {"every": 4},
        {"rate_hz": 3.0},
        {"start_s": 0.3, "end_s": 1.4, "copy": "all"},
        {"storage": "sqlite3", "outputs": ("depth",)},
    ],
    ids=str,
)
def test_joined_chunks_are_the_whole(
    drive: Path, fast: ReplayOptions, tmp_path: Path, changes: dict
) -> None:
    options = replace(fast, **changes)
    whole = replay(replace(options, inputs=(str(drive),), output=str(tmp_path / "whole")))
    one = in_chunks(drive, tmp_path / "out", options, chunk_s=0.42)
    assert len(one.jobs) >= 3
    joined = merge_chunks(one)
    assert messages(one.output) == messages(tmp_path / "whole")
    assert frames(one.output) == frames(tmp_path / "whole")
    assert joined == ReplaySummary.read(one.output)
    assert joined.cameras == whole.cameras
    for name in ("frames_in", "frames_out", "frames_bad", "complete", "damage", "model_sha256"):
        assert getattr(joined, name) == getattr(whole, name), name
    assert ReplayOptions.from_json(joined.options) == one.options
    assert ".chunks" not in (one.output / "metadata.yaml").read_text()


def test_camera_info_long_before_a_chunk_counts(fast: ReplayOptions, tmp_path: Path) -> None:
    bag = seldom_told_bag(tmp_path / "seldom", 40, told=(0, 3))
    options = replace(fast, outputs=("depth", "camera_info"))
    replay(replace(options, inputs=(str(bag),), output=str(tmp_path / "whole")))
    one = in_chunks(bag, tmp_path / "out", options, chunk_s=10.0)
    assert len(one.jobs) == 4  # the last begins 27 s after the CameraInfo that is its own
    merge_chunks(one)
    assert messages(one.output) == messages(tmp_path / "whole")


def test_chunks_without_images_are_joined(drive: Path, fast: ReplayOptions, tmp_path: Path) -> None:
    one = in_chunks(drive, tmp_path, replace(fast, outputs=("depth",), every=10), chunk_s=0.3)
    counts = [ReplaySummary.read(Path(job.options.output)).frames_out for job in one.jobs]
    assert sorted(counts, reverse=True)[:3] == [1, 1, 0]
    assert merge_chunks(one).frames_out == 2
