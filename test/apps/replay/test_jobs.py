"""Names, cuts and jobs of several recordings; no frame goes through a network here."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from demo_recordings import START_NS, STEP_NS, picture, raw_image, standard_bag, write_bag

from depth_estimation_ros.apps.replay.jobs import output_names, plan_bags, prepare
from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.errors import ParameterError

FRAMES = 16


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return standard_bag(tmp_path_factory.mktemp("bags") / "drive", FRAMES)


@pytest.mark.parametrize(
    ("inputs", "names"),
    [
        (["/a/drive"], ["drive"]),
        (["/a/drive.mcap", "/a/walk.bag", "/a/ride.db3"], ["drive", "walk", "ride"]),
        (["/a/drive.db3.zstd", "/a/1.5m.mcap"], ["drive", "1.5m"]),
        (["/a/monday/run", "/a/tuesday/run"], ["monday_run", "tuesday_run"]),
        (["/a/x/run", "/b/x/run", "/walk"], ["a_x_run", "b_x_run", "walk"]),
        (["/a/run.mcap", "/a/run.db3"], ["a_run", "a_run_2"]),
        (["/a/run", "/a_run", "/b/run"], ["a_run", "a_run_2", "b_run"]),
        (["/a/.hidden"], ["hidden"]),
    ],
)
def test_outputs_have_the_names_of_recordings(inputs: list[str], names: list[str]) -> None:
    found = output_names([Path(path) for path in inputs])
    assert sorted(found) == sorted(names)


def test_recording_named_twice_is_done_once(bag: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(bag)
    inputs = [bag, bag.parent / "other" / ".." / "drive", tmp_path / "link"]
    (bag.parent / "other").mkdir()
    assert len(plan_bags(inputs, tmp_path, ReplayOptions(), 1)) == 1


def test_clock_that_was_set_does_not_make_millions_of_chunks(tmp_path: Path) -> None:
    messages = [raw_image(picture(0), stamp) for stamp in (0, START_NS)]
    bag = write_bag(tmp_path / "drive", {"/image": messages})
    with pytest.raises(ParameterError, match="4333334 chunks of 300 s"):
        plan_bags([bag], tmp_path, ReplayOptions(), 1, chunk_s=300.0)


def test_chunks_cover_the_recording(bag: Path, tmp_path: Path) -> None:
    (one,) = plan_bags([bag], tmp_path, ReplayOptions(), workers=1, chunk_s=0.5)
    windows = [job.options.window_ns for job in one.jobs]
    assert windows[0][0] == START_NS
    assert windows[-1][1] > START_NS + (FRAMES - 1) * STEP_NS  # the last message is in it
    assert all(a[1] == b[0] for a, b in pairwise(windows))
    assert all(end - start <= 500_000_000 for start, end in windows)
    assert len({job.options.output for job in one.jobs}) == len(windows) == 4


def test_outer_chunks_keep_what_is_copied(bag: Path, tmp_path: Path) -> None:
    options = ReplayOptions(start_s=0.5, end_s=1.5)
    (one,) = plan_bags([bag], tmp_path, options, workers=1, chunk_s=0.5)
    first, second = [job.options.window_ns for job in one.jobs]
    assert first == (START_NS, START_NS + 1_000_000_000)
    assert second[0] == first[1]
    assert all(job.options.start_s == 0.5 for job in one.jobs)


@pytest.mark.parametrize(
    ("changes", "chunk_s"),
    [
        ({}, 0.0),
        ({}, None),  # 2 s are too short to be cut unasked
        ({"outputs": ("color",), "color_range": "percentile"}, 0.5),
        ({"temporal_filter": 0.5}, 0.5),
    ],
)
def test_uncut_recording_is_one_job(
    bag: Path, tmp_path: Path, changes: dict, chunk_s: float | None
) -> None:
    options = replace(ReplayOptions(), **changes)
    (one,) = plan_bags([bag], tmp_path, options, workers=4, chunk_s=chunk_s)
    assert [(job.name, job.options.window_ns) for job in one.jobs] == [("drive", None)]
    assert one.jobs[0].options.output == str(tmp_path / "drive")


def test_long_recording_is_cut_for_idle_workers(
    bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("depth_estimation_ros.apps.replay.jobs.MIN_CHUNK_S", 0.5)
    for workers, jobs in ((3, 3), (99, 3), (1, 1)):
        (one,) = plan_bags([bag], tmp_path, ReplayOptions(), workers)
        assert len(one.jobs) == jobs


def test_damaged_and_missing_recordings_are_not_cut(bag: Path, tmp_path: Path) -> None:
    whole = (bag / "drive.mcap").read_bytes()
    (tmp_path / "short.mcap").write_bytes(whole[: len(whole) * 7 // 10])
    inputs = [tmp_path / "short.mcap", tmp_path / "none"]
    bags = plan_bags(inputs, tmp_path / "out", ReplayOptions(), 4, 0.1)
    assert [len(bag.jobs) for bag in bags] == [1, 1]


def test_resumed_run_keeps_the_cuts(bag: Path, tmp_path: Path) -> None:
    (first,) = plan_bags([bag], tmp_path, ReplayOptions(), 1, chunk_s=0.5)
    prepare(first)
    (resumed,) = plan_bags([bag], tmp_path, ReplayOptions(resume=True), 8, chunk_s=0.3)
    windows = [job.options.window_ns for job in first.jobs]
    assert [job.options.window_ns for job in resumed.jobs] == windows
    (other,) = plan_bags([bag], tmp_path, ReplayOptions(overwrite=True), 8, chunk_s=0.3)
    assert len(other.jobs) == 7
