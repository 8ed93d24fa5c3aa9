"""Damaged recordings: mcap is read as far as it is whole, sqlite3 and ROS 1 bags are refused.

All recordings here hold the same 80 messages, an image of 9.3 kB and a CameraInfo of 0.4 kB in
turn, in files of about 400 kB; in chunks of about 60 kB where there are chunks.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest
import recording_kinds as kinds
import yaml

from depth_estimation_ros.bags import Damage, RecordedMessage, open_recording
from depth_estimation_ros.errors import BagError

ROWS = kinds.messages(40)

MCAP: dict[str, Callable[[Path], Path]] = {
    "mcap": lambda p: kinds.write_mcap(p / "a.mcap", ROWS),
    "mcap zstd": lambda p: kinds.write_mcap(p / "a.mcap", ROWS, "zstd"),
    "mcap lz4": lambda p: kinds.write_mcap(p / "a.mcap", ROWS, "lz4"),
    "mcap without chunks": lambda p: kinds.write_mcap(p / "a.mcap", ROWS, chunks=False),
    "mcap file mode": lambda p: kinds.packed(
        kinds.write_mcap(p / "a.mcap", ROWS), p / "b.mcap.zstd"
    ),
}
FILES: dict[str, Callable[[Path], Path]] = {
    **MCAP,
    "sqlite3": lambda p: kinds.write_rosbag2(p / "a", ROWS, "sqlite3") / "a.db3",
    "ROS 1": lambda p: kinds.write_ros1(p / "a.bag", ROWS),
    "ROS 1 bz2": lambda p: kinds.write_ros1(p / "a.bag", ROWS, "bz2"),
}

# 56 of 80 messages lie in 70 % of the bytes; the chunk that is cut is lost.
AT_70_PERCENT = {
    "mcap": 42,
    "mcap zstd": 42,
    "mcap lz4": 42,
    "mcap without chunks": 56,
    "mcap file mode": 40,
}


def read(path: Path) -> tuple[list[RecordedMessage], Damage | None]:
    with open_recording(path) as recording:
        return list(recording.messages()), recording.damage


@pytest.mark.parametrize("kind", MCAP)
@pytest.mark.parametrize("share", [0.1, 0.7, 0.99, 0.9999])
def test_cut_mcap_gives_its_first_messages(kind: str, share: float, tmp_path: Path) -> None:
    whole = MCAP[kind](tmp_path)
    path = kinds.cut(whole, tmp_path / f"cut{''.join(whole.suffixes)}", share)
    if share == 0.1 and kind != "mcap without chunks":  # not one whole chunk
        with pytest.raises(BagError, match="cannot be read"):
            read(path)
        return
    found, damage = read(path)
    assert found == ROWS[: len(found)]
    assert len(found) >= (AT_70_PERCENT[kind] if share == 0.7 else 0)
    assert damage is not None


@pytest.mark.parametrize("kind", ["mcap", "mcap zstd", "mcap lz4"])
def test_corrupt_chunks_cost_their_own_messages_only(kind: str, tmp_path: Path) -> None:
    whole = FILES[kind](tmp_path)
    found, damage = read(kinds.corrupt(whole, tmp_path / f"bad{whole.suffix}"))
    assert damage is not None
    assert damage.lost_messages == 80 - len(found)
    assert [row for row in ROWS if row in set(found)] == found  # in order, none invented
    assert 52 <= len(found) < 80  # 40 kB lie in at most two chunks of 14 messages
    assert found[:24] == ROWS[:24]
    assert found[-24:] == ROWS[-24:]
    assert "corrupt" in str(damage)


def test_corrupt_chunk_without_index_is_skipped(tmp_path: Path) -> None:
    whole = FILES["mcap zstd"](tmp_path)
    bad = kinds.corrupt(whole, tmp_path / "bad.mcap", place=0.3, length=1000)
    found, damage = read(kinds.cut(bad, tmp_path / "cut.mcap", 0.8))
    assert damage is not None
    assert "2 places are damaged" in damage.what
    assert found[:12] == ROWS[:12]
    assert ROWS[50] in found


@pytest.mark.parametrize(
    ("kind", "repair"),
    [
        ("sqlite3", r"Repair it with: sqlite3 .*cut\.db3 \.recover"),
        ("ROS 1", r"Repair it with: rosbag reindex .*cut\.bag"),
    ],
)
def test_cut_sqlite3_and_ros1_name_their_repair(kind: str, repair: str, tmp_path: Path) -> None:
    whole = FILES[kind](tmp_path)
    path = kinds.cut(whole, tmp_path / f"cut{whole.suffix}")
    with pytest.raises(BagError, match=repair):
        read(path)


def test_messages_left_in_a_journal_are_not_ignored(tmp_path: Path) -> None:
    path = FILES["sqlite3"](tmp_path)
    Path(f"{path}-wal").write_bytes(b"x")
    with pytest.raises(BagError, match=r"left in a\.db3-wal .* \.recover"):
        read(path)


@pytest.mark.parametrize("cut", ["end", "header"])
def test_corrupt_zstd_messages_are_one_loss(cut: str, tmp_path: Path) -> None:
    """Also where the zstd only breaks off, which the library gives out as far as it goes."""
    path = kinds.write_rosbag2(tmp_path / "a", ROWS, "sqlite3", "message") / "a.db3"
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT id, data FROM messages ORDER BY id").fetchall()
        for number, data in rows[20:60]:
            short = data[:-9] if cut == "end" else data[:4] + b"\xff" * 9 + data[13:]
            database.execute("UPDATE messages SET data = ? WHERE id = ?", (short, number))
        database.commit()

    with open_recording(tmp_path / "a") as recording:
        for _ in range(2):
            assert list(recording.messages()) == [*ROWS[:20], *ROWS[60:]]
        list(recording.messages(["/image"], end_ns=ROWS[30].time_ns))  # a part of it, once more
        assert recording.damage is not None
        assert recording.damage.lost_messages == 40
        assert str(recording.damage).count("are corrupt") == 2  # of each topic once
        assert f"the first at {ROWS[20].time_ns} ns" in recording.damage.what


def test_metadata_counts_what_a_cut_file_lost(tmp_path: Path) -> None:
    bag = kinds.split_bag(tmp_path / "a", ROWS)
    last = bag / "a_2.mcap"
    kinds.cut(last, last, 0.9)
    with open_recording(bag) as recording:
        assert recording.message_count == 80
        assert [topic.count for topic in recording.topics] == [40, 40]
        found = list(recording.messages())
        assert recording.damage is not None
        assert recording.damage.lost_messages == 80 - len(found) == 26


def test_missing_file_of_a_split_recording_is_counted(tmp_path: Path) -> None:
    bag = kinds.split_bag(tmp_path / "a", ROWS, parts=4)
    (bag / "a_1.mcap").unlink()
    found, damage = read(bag)
    assert found == ROWS[:20] + ROWS[40:]
    assert damage is not None
    assert damage.lost_messages == 20
    assert damage.where.endswith("a_1.mcap")
    assert "missing" in damage.what


def test_foreign_file_of_a_split_recording_is_counted(tmp_path: Path) -> None:
    bag = kinds.split_bag(tmp_path / "a", ROWS, parts=4)
    (bag / "a_1.mcap").write_bytes(b"")
    (bag / "a_2.mcap").write_text("a letter")
    found, damage = read(bag)
    assert found == ROWS[:20] + ROWS[60:]
    assert damage is not None
    assert damage.lost_messages == 40


def test_metadata_that_promises_more_is_damage(tmp_path: Path) -> None:
    bag = kinds.write_rosbag2(tmp_path / "a", ROWS)
    metadata = yaml.safe_load((bag / "metadata.yaml").read_text())
    information = metadata["rosbag2_bagfile_information"]
    for with_files in (True, False):  # version 4 had no numbers of single files
        information["message_count"] = 100
        if with_files:
            information["files"][0]["message_count"] = 100
        else:
            del information["files"]
        (bag / "metadata.yaml").write_text(yaml.safe_dump(metadata))
        found, damage = read(bag)
        assert found == ROWS
        assert damage is not None
        assert damage.lost_messages == 20
        assert "promises 100 messages, but 80 are there" in damage.what


def test_damaged_recording_can_be_refused(tmp_path: Path) -> None:
    bag = FILES["mcap"](tmp_path)
    with (
        open_recording(kinds.cut(bag, tmp_path / "cut.mcap")) as recording,
        pytest.raises(
            BagError, match=r"cannot be read to its end: found .*cut\.mcap: .* at byte \d+.* lost"
        ),
    ):
        recording.require_whole()


def test_packed_files_are_unpacked_one_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = tmp_path / "room"
    room.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(room))
    bag = kinds.split_bag(tmp_path / "a", ROWS, parts=4)
    for file in sorted(bag.glob("*.mcap")):
        kinds.packed(file, bag / f"{file.name}.zstd")
        file.unlink()
    cut = bag / "a_2.mcap.zstd"
    kinds.cut(cut, cut, 0.1)
    with open_recording(bag) as recording:
        assert recording.damage is None  # nobody has looked into it yet
        assert recording.message_count == 80
        found = []
        for message in recording.messages():
            assert len(list(room.iterdir())) == 1
            found.append(message)
        assert found == ROWS[:40] + ROWS[60:]
        assert list(room.iterdir()) == []
        assert recording.damage is not None
        assert recording.damage.lost_messages == 20
        assert recording.damage.where.endswith("a_2.mcap.zstd")


@pytest.mark.parametrize("kind", FILES)
def test_noise_raises_nothing_but_bag_error(kind: str, tmp_path: Path) -> None:
    """Ten files of each kind, with noise of 1 byte to 20 kB at one to three random places."""
    whole = FILES[kind](tmp_path)
    path = tmp_path / f"bad{''.join(whole.suffixes)}"
    chance = np.random.default_rng(0)
    readable = 0
    for _ in range(10):
        shutil.copyfile(whole, path)
        for _ in range(chance.integers(1, 4)):
            length = int(chance.choice([1, 8, 300, 20_000]))
            kinds.corrupt(path, path, chance.random(), length)
        if chance.random() < 0.3:
            kinds.cut(path, path, chance.random())
        with suppress(BagError):
            read(path)
            readable += 1
    assert readable >= (3 if "mcap" in kind else 0)
