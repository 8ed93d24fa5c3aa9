"""Recordings that were cut off or are corrupt: what is whole in them is read, the rest is counted.

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

FILES: dict[str, Callable[[Path], Path]] = {
    "mcap": lambda p: kinds.write_mcap(p / "a.mcap", ROWS),
    "mcap zstd": lambda p: kinds.write_mcap(p / "a.mcap", ROWS, "zstd"),
    "mcap lz4": lambda p: kinds.write_mcap(p / "a.mcap", ROWS, "lz4"),
    "mcap without chunks": lambda p: kinds.write_mcap(p / "a.mcap", ROWS, chunks=False),
    "mcap of rosbags": lambda p: kinds.write_rosbag2(p / "a", ROWS) / "a.mcap",
    "sqlite3": lambda p: kinds.write_rosbag2(p / "a", ROWS, "sqlite3") / "a.db3",
    "ROS 1": lambda p: kinds.write_ros1(p / "a.bag", ROWS),
    "ROS 1 bz2": lambda p: kinds.write_ros1(p / "a.bag", ROWS, "bz2"),
    "ROS 1 lz4": lambda p: kinds.write_ros1(p / "a.bag", ROWS, "lz4"),
    "mcap file mode": lambda p: kinds.packed(
        kinds.write_mcap(p / "a.mcap", ROWS), p / "b.mcap.zstd"
    ),
    "sqlite3 file mode": lambda p: kinds.packed(
        kinds.write_rosbag2(p / "a", ROWS, "sqlite3") / "a.db3", p / "b.db3.zstd"
    ),
}

# What 70 % of the bytes hold: 56 of 80 messages lie in them, less where an index is at the end. In
# compressed chunks the place where they are cut costs up to a block, or all of it in bz2. Where
# sqlite3 puts the pages of a row, images at the cut may be lost and the CameraInfo behind one not.
AT_70_PERCENT = {
    "mcap": 56,
    "mcap zstd": 48,
    "mcap lz4": 48,
    "mcap without chunks": 56,
    "mcap of rosbags": 56,
    "sqlite3": 53,
    "ROS 1": 55,
    "ROS 1 bz2": 48,
    "ROS 1 lz4": 48,
    "mcap file mode": 48,
    "sqlite3 file mode": 53,
}


# The first block of the compression is not whole.
NOTHING_AT_10_PERCENT = ("mcap zstd", "mcap lz4", "ROS 1 bz2", "ROS 1 lz4", "file mode")


def first_messages(found: list[RecordedMessage], kind: str) -> list[RecordedMessage]:
    """The first ones of all messages; in sqlite3, up to two of the last of them may be missing."""
    if "sqlite3" not in kind:
        return ROWS[: len(found)]
    assert set(found) <= set(ROWS), "a message is not as it was"
    reach = ROWS.index(found[-1]) + 1 if found else 0
    assert reach - len(found) <= 2
    sure = max(0, reach - 4)
    assert found[:sure] == ROWS[:sure]
    return [row for row in ROWS[:reach] if row in set(found)]


def read(path: Path) -> tuple[list[RecordedMessage], Damage | None]:
    with open_recording(path) as recording:
        return list(recording.messages()), recording.damage


@pytest.mark.parametrize("kind", FILES)
def test_a_file_cut_at_70_percent_gives_the_first_messages_as_they_were(
    kind: str, tmp_path: Path
) -> None:
    whole = FILES[kind](tmp_path)
    found, damage = read(kinds.cut(whole, tmp_path / f"cut{''.join(whole.suffixes)}"))
    assert len(found) >= AT_70_PERCENT[kind]
    assert found == first_messages(found, kind)
    assert damage is not None


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99, 0.9999])
def test_wherever_a_file_is_cut_its_messages_are_the_first_ones(
    kind: str, share: float, tmp_path: Path
) -> None:
    whole = FILES[kind](tmp_path)
    path = kinds.cut(whole, tmp_path / f"cut{''.join(whole.suffixes)}", share)
    if share == 0.1 and any(kind.endswith(name) for name in NOTHING_AT_10_PERCENT):
        with pytest.raises(BagError, match="cannot be read"):
            read(path)
        return
    found, damage = read(path)
    assert found == first_messages(found, kind)
    assert damage is not None


@pytest.mark.parametrize(
    "kind", ["mcap", "mcap zstd", "mcap lz4", "ROS 1", "ROS 1 bz2", "ROS 1 lz4"]
)
def test_corrupt_chunks_cost_their_own_messages_and_no_more(kind: str, tmp_path: Path) -> None:
    whole = FILES[kind](tmp_path)
    found, damage = read(kinds.corrupt(whole, tmp_path / f"bad{whole.suffix}"))
    assert damage is not None
    assert damage.lost_messages == 80 - len(found)
    assert [row for row in ROWS if row in set(found)] == found  # in order, none invented
    assert 52 <= len(found) < 80  # 40 kB lie in at most two chunks of 14 messages
    assert found[:24] == ROWS[:24]
    assert found[-24:] == ROWS[-24:]
    assert "corrupt" in str(damage) or "checksum" in str(damage) or "record" in str(damage)


def test_corrupt_pages_of_sqlite3_cost_their_own_rows(tmp_path: Path) -> None:
    whole = FILES["sqlite3"](tmp_path)
    found, _ = read(kinds.corrupt(whole, tmp_path / "bad.db3", length=40_960))
    # 40 kB lie in 5 pairs, and the page that lists the pages behind them is among them.
    assert len([row for row in ROWS if row not in set(found)]) <= 16
    assert found[:30] == ROWS[:30]
    assert found[-20:] == ROWS[-20:]


def test_without_index_a_corrupt_chunk_is_skipped_as_well(tmp_path: Path) -> None:
    whole = FILES["mcap zstd"](tmp_path)
    bad = kinds.corrupt(whole, tmp_path / "bad.mcap", place=0.3, length=1000)
    found, damage = read(kinds.cut(bad, tmp_path / "cut.mcap", 0.8))
    assert damage is not None
    assert "2 places are damaged" in damage.what
    assert found[:12] == ROWS[:12]
    assert ROWS[50] in found


@pytest.mark.parametrize("cut", ["end", "header"])
def test_messages_with_corrupt_zstd_are_one_loss_however_many_they_are(
    cut: str, tmp_path: Path
) -> None:
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


def test_metadata_tells_how_much_of_a_cut_file_is_lost(tmp_path: Path) -> None:
    for storage, name in (("mcap", "a.mcap"), ("sqlite3", "a.db3")):
        bag = kinds.write_rosbag2(tmp_path / storage / "a", ROWS, storage)  # type: ignore[arg-type]
        kinds.cut(bag / name, bag / name)
        with open_recording(bag) as recording:
            assert recording.message_count == 80
            assert [topic.count for topic in recording.topics] == [40, 40]
            found = list(recording.messages())
            assert recording.damage is not None
            assert recording.damage.lost_messages == 80 - len(found)


def test_a_missing_file_of_a_split_recording_is_named_and_counted(tmp_path: Path) -> None:
    bag = kinds.split_bag(tmp_path / "a", ROWS, parts=4)
    (bag / "a_1.mcap").unlink()
    found, damage = read(bag)
    assert found == ROWS[:20] + ROWS[40:]
    assert damage is not None
    assert damage.lost_messages == 20
    assert damage.where.endswith("a_1.mcap")
    assert "missing" in damage.what


def test_an_empty_or_foreign_file_of_a_split_recording_costs_its_messages(tmp_path: Path) -> None:
    bag = kinds.split_bag(tmp_path / "a", ROWS, parts=4)
    (bag / "a_1.mcap").write_bytes(b"")
    (bag / "a_2.mcap").write_text("a letter")
    found, damage = read(bag)
    assert found == ROWS[:20] + ROWS[60:]
    assert damage is not None
    assert damage.lost_messages == 40


def test_metadata_that_promises_more_than_there_is(tmp_path: Path) -> None:
    bag = kinds.write_rosbag2(tmp_path / "a", ROWS)
    metadata = yaml.safe_load((bag / "metadata.yaml").read_text())
    information = metadata["rosbag2_bagfile_information"]
    information["message_count"] = information["files"][0]["message_count"] = 100
    (bag / "metadata.yaml").write_text(yaml.safe_dump(metadata))
    found, damage = read(bag)
    assert found == ROWS
    assert damage is not None
    assert damage.lost_messages == 20
    assert "promises 100 messages, but 80 are there" in damage.what


def test_a_damaged_recording_can_be_refused(tmp_path: Path) -> None:
    bag = FILES["mcap"](tmp_path)
    with (
        open_recording(kinds.cut(bag, tmp_path / "cut.mcap")) as recording,
        pytest.raises(
            BagError, match=r"cannot be read to its end: found .*cut\.mcap, at byte \d+: .* lost"
        ),
    ):
        recording.require_whole()


def test_a_bag_that_its_recorder_never_closed_is_read(tmp_path: Path) -> None:
    """rosbag of ROS 1 writes the index last: a `.bag.active` has none, and index_pos is 0."""
    path = kinds.write_ros1(tmp_path / "a.bag", ROWS)
    data = bytearray(path.read_bytes())
    place = data.index(b"index_pos=") + len(b"index_pos=")
    end = int.from_bytes(data[place : place + 8], "little")
    data[place : place + 8] = bytes(8)
    path.write_bytes(data[:end])
    found, damage = read(path)
    assert found == ROWS
    assert damage is not None
    assert (damage.what, damage.lost_bytes) == ("the bag has no index", 0)


def test_reading_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = tmp_path / "room"
    room.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(room))
    whole = FILES["mcap file mode"](tmp_path)
    with open_recording(whole) as recording:
        messages = recording.messages()
        next(messages)
        assert len(list(room.iterdir())) == 1  # unpacked for as long as it is read
        messages.close()  # type: ignore[attr-defined]
        assert list(room.iterdir()) == []
    before = sorted(tmp_path.rglob("*"))
    read(whole)
    assert sorted(tmp_path.rglob("*")) == before
    shutil.rmtree(room)


def test_packed_files_are_unpacked_one_at_a_time_and_only_when_they_are_read(
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
        assert recording.damage is not None
        assert recording.damage.lost_messages == 20
        assert recording.damage.where.endswith("a_2.mcap.zstd")


@pytest.mark.parametrize("kind", FILES)
def test_whatever_is_damaged_there_is_no_error_but_bag_error(kind: str, tmp_path: Path) -> None:
    """Twenty files of each kind, with noise of 1 byte to 20 kB at one to three random places."""
    whole = FILES[kind](tmp_path)
    path = tmp_path / f"bad{''.join(whole.suffixes)}"
    chance = np.random.default_rng(0)
    readable = 0
    for _ in range(20):
        shutil.copyfile(whole, path)
        for _ in range(chance.integers(1, 4)):
            length = int(chance.choice([1, 8, 300, 20_000]))
            kinds.corrupt(path, path, chance.random(), length)
        if chance.random() < 0.3:
            kinds.cut(path, path, chance.random())
        with suppress(BagError):
            read(path)
            readable += 1
    assert readable >= 5
