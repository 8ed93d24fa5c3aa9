"""Names, cuts and jobs of a fleet; no frame goes through a network here."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from demo_recordings import START_NS, STEP_NS, picture, raw_image, standard_bag, write_bag

from depth_estimation_ros.apps.replay.fleet_names import each_once, output_names
from depth_estimation_ros.apps.replay.fleet_plan import cuts, plan, save_plan
from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.errors import ParameterError

FRAMES = 16
BOARD = Path("/nowhere/.fleet")


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
def test_each_output_has_the_name_of_its_recording_and_no_two_the_same(inputs, names):
    found = output_names([Path(path) for path in inputs])
    assert sorted(found) == sorted(names)
    assert len(set(found)) == len(found)


def test_a_recording_named_twice_is_done_once(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "run")
    again = tmp_path / "other" / ".." / "run"
    (tmp_path / "other").mkdir()
    assert each_once([tmp_path / "run", again, tmp_path / "link"]) == [tmp_path / "run"]


def test_cuts_meet_and_are_about_equal():
    borders = cuts(START_NS, START_NS + 1_000_000_007, 7)
    assert (borders[0], borders[-1]) == (START_NS, START_NS + 1_000_000_007)
    lengths = {b - a for a, b in pairwise(borders)}
    assert len(borders) == 8
    assert max(lengths) - min(lengths) <= 1


def test_a_clock_that_was_set_on_the_way_does_not_make_millions_of_chunks(tmp_path):
    messages = [raw_image(picture(0), stamp) for stamp in (0, START_NS)]
    bag = write_bag(tmp_path / "drive", {"/image": messages})
    with pytest.raises(ParameterError, match="4333334 chunks of 300 s"):
        plan([bag], tmp_path, ReplayOptions(), BOARD, 1, chunk_s=300.0)
    (whole,) = plan([bag], tmp_path, ReplayOptions(), BOARD, 1, chunk_s=0)
    assert not whole.is_cut


def test_chunks_of_so_many_seconds_cover_the_recording(bag, tmp_path):
    (one,) = plan([bag], tmp_path, ReplayOptions(), BOARD, workers=1, chunk_s=0.5)
    windows = [job.options.window_ns for job in one.jobs]
    assert windows[0][0] == START_NS
    assert windows[-1][1] > START_NS + (FRAMES - 1) * STEP_NS  # the last message is in it
    assert all(a[1] == b[0] for a, b in pairwise(windows))
    assert all(end - start <= 500_000_000 for start, end in windows)
    assert len(windows) == 4
    assert len({job.options.output for job in one.jobs}) == 4


def test_chunks_lie_between_start_and_end_and_the_outer_ones_keep_what_is_copied(bag, tmp_path):
    options = ReplayOptions(start_s=0.5, end_s=1.5)
    (one,) = plan([bag], tmp_path, options, BOARD, workers=1, chunk_s=0.5)
    assert one.borders_ns[1] == START_NS + 1_000_000_000
    assert (len(one.jobs), one.borders_ns[0]) == (2, START_NS)
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
def test_what_is_not_cut_is_one_job(bag, tmp_path, changes, chunk_s):
    options = replace(ReplayOptions(), **changes)
    (one,) = plan([bag], tmp_path, options, BOARD, workers=4, chunk_s=chunk_s)
    assert [(job.name, job.options.window_ns) for job in one.jobs] == [("drive", None)]
    assert one.jobs[0].options.output == str(tmp_path / "drive")


def test_long_recordings_are_cut_unasked_where_workers_would_have_nothing_to_do(
    bag, tmp_path, monkeypatch
):
    monkeypatch.setattr("depth_estimation_ros.apps.replay.fleet_plan.SHORTEST_CHUNK_S", 0.5)
    assert [len(b.jobs) for b in plan([bag], tmp_path, ReplayOptions(), BOARD, 3)] == [3]
    assert [len(b.jobs) for b in plan([bag], tmp_path, ReplayOptions(), BOARD, 99)] == [3]
    assert [len(b.jobs) for b in plan([bag], tmp_path, ReplayOptions(), BOARD, 1)] == [1]


def test_cut_off_and_missing_recordings_are_left_to_one_worker(bag, tmp_path):
    whole = (bag / "drive.mcap").read_bytes()
    (tmp_path / "short.mcap").write_bytes(whole[: len(whole) * 7 // 10])
    inputs = [tmp_path / "short.mcap", tmp_path / "none"]
    bags = plan(inputs, tmp_path / "out", ReplayOptions(), BOARD, 4, 0.1)
    assert [len(bag.jobs) for bag in bags] == [1, 1]


def test_a_run_that_goes_on_keeps_the_cuts_of_the_first(bag, tmp_path):
    first = plan([bag], tmp_path, ReplayOptions(), tmp_path / ".fleet", 1, chunk_s=0.5)
    (tmp_path / ".fleet").mkdir()
    save_plan(first, tmp_path / ".fleet")
    again = ReplayOptions(resume=True)
    on = plan([bag], tmp_path, again, tmp_path / ".fleet", 8, chunk_s=0.3)
    assert on[0].borders_ns == first[0].borders_ns
    anew = ReplayOptions(overwrite=True)
    other = plan([bag], tmp_path, anew, tmp_path / ".fleet", 8, chunk_s=0.3)
    assert len(other[0].jobs) == 7
