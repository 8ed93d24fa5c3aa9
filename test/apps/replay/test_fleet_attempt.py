"""Attempts at one job follow each other and never write into the same folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from depth_estimation_ros.apps.replay import fleet_attempt
from depth_estimation_ros.apps.replay.fleet_board import Board
from depth_estimation_ros.errors import BagError


def work(folder: Path, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "replay.json").write_text("{}")
    with (folder / "data").open("a") as file:
        file.write(text)


@pytest.fixture
def room(tmp_path: Path) -> Path:
    (tmp_path / "room").mkdir()
    return tmp_path / "room"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "drive"


def test_the_first_attempt_begins_anew_and_its_result_moves_to_its_place(room, output):
    mine, resume = fleet_attempt.begin(room, output)
    assert (mine.name, resume, mine.exists()) == ("drive", False, False)
    work(mine, "all")
    fleet_attempt.finish(mine, output)
    assert (output / "data").read_text() == "all"
    assert list(room.iterdir()) == []


def test_an_attempt_that_made_nothing_leaves_nothing(room, output):
    mine, _ = fleet_attempt.begin(room, output)
    fleet_attempt.finish(mine, output)
    assert not output.exists()
    assert list(room.iterdir()) == []


def test_the_next_attempt_goes_on_with_what_a_killed_one_left(room, output):
    killed, _ = fleet_attempt.begin(room, output)
    work(killed, "half ")
    mine, resume = fleet_attempt.begin(room, output)
    assert (resume, killed.exists()) == (True, False)
    work(mine, "rest")
    fleet_attempt.finish(mine, output)
    assert (output / "data").read_text() == "half rest"


def test_the_next_run_goes_on_with_an_interrupted_output(room, output):
    work(output, "half ")
    mine, resume = fleet_attempt.begin(room, output)
    assert (resume, output.exists(), (mine / "data").read_text()) == (True, False, "half ")


def test_what_was_killed_before_its_summary_was_written_is_begun_anew(room, output):
    killed, _ = fleet_attempt.begin(room, output)
    killed.mkdir()
    (killed / "drive_0.mcap").write_bytes(b"?")
    mine, resume = fleet_attempt.begin(room, output)
    assert (resume, mine.exists()) == (False, False)


def test_an_attempt_believed_dead_cannot_touch_what_another_has_taken_over(room, output):
    undead, _ = fleet_attempt.begin(room, output)
    work(undead, "half ")
    mine, _ = fleet_attempt.begin(room, output)
    undead.mkdir(parents=True)  # it opens its next file
    work(undead, "undead")
    work(mine, "rest")
    fleet_attempt.finish(mine, output)
    with pytest.raises(OSError, match=r"not empty|exists"):
        fleet_attempt.finish(undead, output)
    assert (output / "data").read_text() == "half rest"


def test_of_several_the_one_last_written_to_is_gone_on_with(room, output):
    for age, name in enumerate(("attempt-new", "attempt-old")):
        (room / name).mkdir()
        work(room / name / "drive", name)
        for path in (room / name).rglob("*"):
            os.utime(path, (1e9 - age, 1e9 - age))
    mine, resume = fleet_attempt.begin(room, output)
    assert (resume, (mine / "data").read_text()) == (True, "attempt-new")
    assert [path.name for path in room.iterdir()] == [mine.parent.name]


def test_a_machine_that_sees_another_folder_says_that_it_must_be_shared(tmp_path):
    board = Board(tmp_path / "out" / ".fleet")
    board.open()
    board.check_shared("here")
    Board(tmp_path / "elsewhere" / ".fleet").open()
    for other in ("elsewhere", "missing"):
        with pytest.raises(BagError, match=r"seen from there.*all its machines share.*NFS"):
            Board(tmp_path / other / ".fleet", board.token).check_shared("there")


def test_a_second_run_on_the_same_results_stops_the_first(tmp_path):
    first, second = Board(tmp_path / ".fleet"), Board(tmp_path / ".fleet")
    first.open()
    assert not first.stopped
    second.open()
    assert (first.stopped, second.stopped) == (True, False)


def test_the_board_tells_progress_attempts_and_the_wish_to_stop(tmp_path):
    board = Board(tmp_path / ".fleet")
    board.open()
    assert (board.stopped, board.progress("drive/0001"), board.attempts("drive/0001")) == (
        False,
        {},
        [],
    )
    board.begin_attempt("drive/0001", "host 1")
    board.begin_attempt("drive/0001", "host 2")
    board.tell("drive/0001", {"frames_done": 3})
    board.stop()
    assert (board.stopped, board.progress("drive/0001"), board.attempts("drive/0001")) == (
        True,
        {"frames_done": 3},
        ["host 1", "host 2"],
    )
    board.open()
    assert not board.stopped
