"""Several recordings through several processes, some of which are killed, stopped, or fail."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from demo_recordings import broken_off_bag, standard_bag
from fleet_cases import KillsWorker, frames, messages, zooming_bag
from tiny_models import red_depth, slow_depth

from depth_estimation_ros.apps.replay.fleet import Fleet, FleetOptions
from depth_estimation_ros.apps.replay.fleet_job import finished
from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.apps.replay.run import replay
from depth_estimation_ros.apps.replay.summary import ReplaySummary
from depth_estimation_ros.bags import open_recording
from depth_estimation_ros.errors import ParameterError

SLOW_MS = 60
FRAMES = 26


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fleet")


@pytest.fixture(scope="module")
def fast(room: Path) -> ReplayOptions:
    return ReplayOptions(model=str(red_depth(room / "red.onnx")), threads=1)


@pytest.fixture(scope="module")
def slow(room: Path) -> ReplayOptions:
    model = str(slow_depth(room / "slow.onnx", SLOW_MS))
    return ReplayOptions(model=model, threads=1, outputs=("depth", "camera_info"))


@pytest.fixture(scope="module")
def drive(room: Path) -> Path:
    return zooming_bag(room / "drive", FRAMES)


@pytest.fixture(scope="module")
def whole(drive: Path, slow: ReplayOptions, room: Path) -> Path:
    """The drive through the slow network, in one go."""
    replay(replace(slow, inputs=(str(drive),), output=str(room / "whole")))
    return room / "whole"


def fleet(inputs: list[Path], out: Path, options: ReplayOptions, **more) -> Fleet:
    return Fleet(FleetOptions(tuple(map(str, inputs)), str(out), options, **more))


def test_each_recording_has_its_result_and_a_bad_one_does_not_stop_the_others(
    drive, fast, tmp_path
):
    walk = standard_bag(tmp_path / "walk", 3)
    inputs = [tmp_path / "missing.mcap", drive, walk]
    ended = []
    work = fleet(inputs, tmp_path / "out", fast, workers=2, chunk_s=0)
    summary = work.run(done=lambda bag: ended.append(bag.name))
    assert summary.exit_code == 1
    assert sorted(ended) == ["drive", "missing", "walk"]
    found = {bag.name: (bag.exit_code, bag.frames_in, bag.frames_out) for bag in summary.bags}
    assert found == {"missing": (1, 0, 0), "drive": (0, FRAMES, FRAMES), "walk": (0, 3, 3)}
    assert "missing.mcap" in summary.bags[0].problem
    assert len({by for bag in summary.bags for by in bag.by}) == 3  # a process for each
    written = json.loads((tmp_path / "out" / "fleet.json").read_text())
    assert [bag["name"] for bag in written["bags"]] == ["missing", "drive", "walk"]
    assert (written["exit_code"], written["workers"]) == (1, 2)

    replay(replace(fast, inputs=(str(walk),), output=str(tmp_path / "alone")))
    assert messages(tmp_path / "out" / "walk") == messages(tmp_path / "alone")
    assert ReplaySummary.read(tmp_path / "out" / "walk").output == str(tmp_path / "out" / "walk")


def test_when_all_is_done_only_results_are_left(drive, fast, tmp_path):
    summary = fleet([drive], tmp_path / "out", fast, workers=2, chunk_s=1.7).run()
    assert (summary.exit_code, summary.bags[0].chunks, summary.bags[0].attempts) == (0, 2, 2)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["drive", "fleet.json"]
    replay(replace(fast, inputs=(str(drive),), output=str(tmp_path / "alone")))
    assert messages(tmp_path / "out" / "drive") == messages(tmp_path / "alone")


def test_a_killed_worker_costs_an_attempt_and_nothing_else(drive, slow, whole, tmp_path):
    work = fleet([drive], tmp_path / "out", slow, retries=1)
    kill = KillsWorker(work, "drive", after=3)
    summary = work.run(tick=kill)
    (bag,) = summary.bags
    assert (len(kill.killed), summary.exit_code, bag.problem, bag.attempts) == (1, 0, "", 2)
    assert messages(tmp_path / "out" / "drive") == messages(whole)
    assert frames(tmp_path / "out" / "drive") == frames(whole)


def test_a_worker_killed_too_often_is_told_with_its_signal(drive, slow, tmp_path):
    work = fleet([drive], tmp_path / "out", slow, retries=0)
    summary = work.run(tick=KillsWorker(work, "drive"))
    assert summary.exit_code == 1
    assert "SIGKILL" in summary.bags[0].problem
    assert "memory" in summary.bags[0].problem


def test_stopped_and_resumed_is_the_same_as_in_one_go(drive, slow, whole, tmp_path):
    short = standard_bag(tmp_path / "short", 1)
    out = tmp_path / "out"
    work = fleet([short, drive], out, slow)

    def stop_in_the_middle() -> None:
        if work.board.progress("drive").get("frames_done", 0) >= 3:
            work.board.stop()

    stopped = work.run(tick=stop_in_the_middle)
    assert [bag.exit_code for bag in stopped.bags] == [0, 130]
    assert stopped.exit_code == 130
    with open_recording(out / "drive") as recording:  # what is there is a valid recording
        assert recording.damage is None
        done = len({message.time_ns for message in recording.messages()})
    assert 3 <= done < FRAMES
    assert done == stopped.bags[1].frames_out

    before = (out / "short" / "replay.json").stat().st_mtime_ns
    with pytest.raises(ParameterError, match="--resume"):
        fleet([short, drive], out, slow)
    again = replace(slow, resume=True, threads=2)  # as other numbers of workers make it
    resumed = fleet([short, drive], out, again, workers=2).run()
    assert (resumed.exit_code, [bag.before for bag in resumed.bags]) == (0, [True, False])
    assert (out / "short" / "replay.json").stat().st_mtime_ns == before
    assert messages(out / "drive") == messages(whole)
    assert frames(out / "drive") == frames(whole)


def test_chunks_that_are_done_are_kept_for_resume(drive, slow, whole, tmp_path):
    out = tmp_path / "out"
    work = fleet([drive], out, slow, chunk_s=1.1)
    jobs = work.bags[0].jobs

    def stop_in_the_second() -> None:
        if work.board.attempts("drive/0001"):
            work.board.stop()

    stopped = work.run(tick=stop_in_the_second)
    done = [finished(Path(job.options.output)) is not None for job in jobs]
    assert (len(done), done[0], done[2]) == (3, True, False)
    assert (stopped.exit_code, stopped.bags[0].attempts, (out / "drive").exists()) == (
        130,
        2,
        False,
    )
    resumed = fleet([drive], out, replace(slow, resume=True), chunk_s=0.3).run()
    (bag,) = resumed.bags
    assert (resumed.exit_code, bag.chunks, bag.attempts) == (0, 3, 2 + done.count(False))
    assert messages(out / "drive") == messages(whole)


def test_what_one_process_began_a_fleet_goes_on_with_in_one_piece(drive, fast, tmp_path):
    out, stop = tmp_path / "out", threading.Event()
    alone = replace(fast, inputs=(str(drive),), output=str(out / "drive"))
    assert replay(alone, lambda progress: stop.set(), stop).interrupted

    resumed = fleet([drive], out, replace(fast, resume=True), workers=2, chunk_s=1.0).run()
    (bag,) = resumed.bags
    assert (resumed.exit_code, bag.chunks, bag.frames_out) == (0, 1, FRAMES)
    replay(replace(alone, output=str(tmp_path / "whole")))
    assert messages(out / "drive") == messages(tmp_path / "whole")


def test_results_of_other_settings_are_not_mixed_in_one_folder(drive, fast, tmp_path):
    out = tmp_path / "out"
    fleet([drive], out, fast).run()
    with pytest.raises(ParameterError, match="depth_encoding: '32FC1', '16UC1' now"):
        fleet([drive], out, replace(fast, resume=True, depth_encoding="16UC1"))
    with pytest.raises(ParameterError, match="--overwrite"):
        fleet([drive], out, replace(fast, depth_encoding="16UC1"))
    other = replace(fast, overwrite=True, depth_encoding="16UC1")
    assert fleet([drive], out, other).run().exit_code == 0
    with open_recording(out / "drive") as recording:
        (message,) = list(recording.messages(["/cam/depth_estimation/depth/image"]))[:1]
        assert recording.deserialize(message).encoding == "16UC1"


def test_results_are_replaced_only_by_new_ones(drive, fast, tmp_path):
    walk = standard_bag(tmp_path / "walk", 2)
    out = tmp_path / "out"
    fleet([drive, walk], out, fast).run()
    before = {name: messages(out / name) for name in ("drive", "walk")}

    anew = replace(fast, overwrite=True, every=2)
    no_model = replace(anew, model=str(tmp_path / "missing.onnx"))
    assert fleet([drive, walk], out, no_model).run().exit_code == 1
    assert {name: messages(out / name) for name in before} == before

    walk.rename(tmp_path / "gone")
    summary = fleet([drive, walk], out, anew).run()
    assert [bag.exit_code for bag in summary.bags] == [0, 1]
    assert len(frames(out / "drive")) == FRAMES // 2
    assert messages(out / "walk") == before["walk"]


def test_a_result_that_was_put_aside_by_a_killed_run_comes_back(drive, fast, tmp_path):
    out = tmp_path / "out"
    fleet([drive], out, fast).run()
    before = messages(out / "drive")
    (out / ".fleet" / ".replaced").mkdir(parents=True)
    (out / "drive").rename(out / ".fleet" / ".replaced" / "drive")

    no_model = replace(fast, overwrite=True, model=str(tmp_path / "missing.onnx"))
    assert fleet([drive], out, no_model).run().exit_code == 1
    assert messages(out / "drive") == before


def test_workers_share_the_processors_unless_threads_are_given(drive, fast, tmp_path, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    auto = replace(fast, threads=0)
    for options, workers, threads in ((auto, 3, 2), (auto, 99, 1), (auto, 1, 0), (fast, 3, 1)):
        work = fleet([drive], tmp_path / "out", options, workers=workers, chunk_s=0)
        assert [job.options.threads for bag in work.bags for job in bag.jobs] == [threads]


def test_damage_in_one_chunk_is_told_of_the_whole(fast, tmp_path):
    broken = broken_off_bag(tmp_path / "broken", 4)
    alone = replay(replace(fast, inputs=(str(broken),), output=str(tmp_path / "alone")))
    summary = fleet([broken], tmp_path / "out", fast, workers=2, chunk_s=0.45).run()
    (bag,) = summary.bags
    assert (alone.exit_code, summary.exit_code, bag.exit_code) == (2, 2, 2)
    assert messages(tmp_path / "out" / "broken") == messages(tmp_path / "alone")
    assert ReplaySummary.read(tmp_path / "out" / "broken").damage == alone.damage


def test_paths_are_those_of_the_machine_and_not_of_a_working_folder(drive, fast, tmp_path):
    work = fleet([drive], tmp_path / "out", fast)
    for job in work.bags[0].jobs:
        assert Path(job.options.inputs[0]).is_absolute()
        assert Path(job.options.model).is_absolute()
