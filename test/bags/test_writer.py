"""Writing recordings: valid at every moment, whatever stops the writer."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
import recording_kinds as kinds
import yaml
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)

from depth_estimation_ros.bags import (
    DiskFullError,
    RecordedMessage,
    RecordingWriter,
    Topic,
    merge_parts,
    open_recording,
)
from depth_estimation_ros.errors import BagError

Storage = Literal["mcap", "sqlite3"]
STORAGES: tuple[Storage, ...] = ("mcap", "sqlite3")
ROWS = kinds.messages(40)
LATCHED = Qos(
    QosHistory.KEEP_LAST,
    1,
    QosReliability.RELIABLE,
    QosDurability.TRANSIENT_LOCAL,
    QosTime(0, 0),
    QosTime(0, 0),
    QosLiveliness.AUTOMATIC,
    QosTime(0, 0),
    False,
)


def read(path: Path) -> list[RecordedMessage]:
    """By this package and by rosbags, which must agree."""
    with open_recording(path) as recording, AnyReader([path]) as reader:
        found = list(recording.messages())
        assert recording.damage is None
        again = [(c.topic, c.msgtype, t, bytes(raw)) for c, t, raw in reader.messages()]
        assert [tuple(row) for row in found] == again
        assert reader.message_count == len(found)
    for file in path.glob("*.mcap"):
        with file.open("rb") as stream:
            mcap = make_reader(stream)
            summary = mcap.get_summary()
            assert summary is not None
            assert summary.statistics is not None
            count = summary.statistics.message_count
            assert len(list(mcap.iter_messages())) == count
    return found


def metadata(path: Path) -> dict:
    return yaml.safe_load((path / "metadata.yaml").read_text())["rosbag2_bagfile_information"]


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_splits_are_read_back(
    storage: Storage, compression: Literal["none", "zstd"], tmp_path: Path
) -> None:
    path = tmp_path / "out"
    with RecordingWriter(path, storage, compression, split_bytes=150_000) as writer:
        for row in ROWS:
            writer.write(*row)
    assert read(path) == ROWS
    assert writer.bytes_written == sum(len(row.cdr) for row in ROWS)
    ending = {"mcap": "mcap", "sqlite3": "db3"}[storage]
    names = [f"out_{index}.{ending}" for index in range(3)]
    assert sorted(file.name for file in path.iterdir()) == ["metadata.yaml", *names]


def test_metadata_has_version_8_of_rosbag2(tmp_path: Path) -> None:
    """The fields that rosbag2 of Humble to Kilted reads, and true numbers in them."""
    path = tmp_path / "out"
    with RecordingWriter(path, split_bytes=150_000) as writer:
        for row in ROWS:
            writer.write(*row)
    information = metadata(path)
    files = information.pop("files")
    topics = information.pop("topics_with_message_count")
    assert information == {
        "version": 8,
        "storage_identifier": "mcap",
        "duration": {"nanoseconds": ROWS[-1].time_ns - ROWS[0].time_ns},
        "starting_time": {"nanoseconds_since_epoch": ROWS[0].time_ns},
        "message_count": 80,
        "compression_format": "",
        "compression_mode": "",
        "relative_file_paths": ["out_0.mcap", "out_1.mcap", "out_2.mcap"],
        "custom_data": None,
        "ros_distro": "rosbags",
    }
    assert [file["path"] for file in files] == ["out_0.mcap", "out_1.mcap", "out_2.mcap"]
    assert sum(file["message_count"] for file in files) == 80
    first = files[0]["message_count"]
    assert files[0]["duration"]["nanoseconds"] == ROWS[first - 1].time_ns - ROWS[0].time_ns
    assert files[1]["starting_time"]["nanoseconds_since_epoch"] == ROWS[first].time_ns
    assert [(t["topic_metadata"]["name"], t["message_count"]) for t in topics] == [
        ("/image", 40),
        ("/camera_info", 40),
    ]
    assert topics[0]["topic_metadata"]["type_description_hash"].startswith("RIHS01_")


@pytest.mark.parametrize("storage", STORAGES)
def test_latched_topics_stay_latched(storage: Storage, tmp_path: Path) -> None:
    topic = Topic("/image", kinds.IMAGE, qos=(LATCHED,))
    for name, like in (("a", topic), ("b", None)):
        source = topic
        if like is None:  # a copy of the copy
            with open_recording(tmp_path / "a") as recording:
                (source,) = recording.topics
        with RecordingWriter(tmp_path / name, storage) as writer:
            writer.write(*ROWS[0], like=source)
        with AnyReader([tmp_path / name]) as reader:
            assert reader.connections[0].ext.offered_qos_profiles == [LATCHED]  # type: ignore[union-attr]
    with (tmp_path / "b" / "metadata.yaml").open() as file:
        text = yaml.safe_load(file)["rosbag2_bagfile_information"]["topics_with_message_count"]
    (profile,) = yaml.safe_load(text[0]["topic_metadata"]["offered_qos_profiles"])
    assert profile["durability"] == 1  # transient local, as the number that version 8 has


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_exception_leaves_a_valid_recording(
    storage: Storage, error: type[BaseException], tmp_path: Path
) -> None:
    with pytest.raises(error), RecordingWriter(tmp_path / "out", storage) as writer:  # noqa: PT012
        for row in ROWS[:30]:
            writer.write(*row)
        raise error
    assert read(tmp_path / "out") == ROWS[:30]


@pytest.mark.parametrize("storage", STORAGES)
def test_ctrl_c_within_a_write_keeps_finished_files(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rosbags.rosbag2 import Writer

    real, written = Writer.write, 0

    def interrupted(self: Writer, connection: object, time_ns: int, data: bytes) -> None:
        nonlocal written
        written += 1
        real(self, connection, time_ns, data)  # type: ignore[arg-type]
        if written == 60:
            raise KeyboardInterrupt

    monkeypatch.setattr(Writer, "write", interrupted)
    writer = RecordingWriter(tmp_path / "out", storage, split_bytes=150_000)
    with pytest.raises(KeyboardInterrupt), writer:  # noqa: PT012
        for row in ROWS:
            writer.write(*row)
    found = read(tmp_path / "out")
    assert found == ROWS[: len(found)]
    assert len(found) >= 30  # the first split; what was in memory of the second may be lost


@pytest.mark.parametrize("storage", STORAGES)
def test_a_recording_without_messages_is_one_too(storage: Storage, tmp_path: Path) -> None:
    with RecordingWriter(tmp_path / "out", storage):
        pass
    with open_recording(tmp_path / "out") as recording:
        assert (list(recording.messages()), recording.damage) == ([], None)
    assert metadata(tmp_path / "out")["message_count"] == 0


def test_an_existing_recording_is_not_overwritten(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path / "out") as writer:
        writer.write(*ROWS[0])
    with pytest.raises(BagError, match="a recording there already"):
        RecordingWriter(tmp_path / "out")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").touch()
    with RecordingWriter(tmp_path / "other") as writer:
        writer.write(*ROWS[0])
    assert read(tmp_path / "other") == ROWS[:1]


WRITER = """
import os, signal, sys
sys.path.insert(0, {test!r})
import recording_kinds as kinds
from depth_estimation_ros.bags import RecordingWriter
with RecordingWriter({path!r}, {storage!r}, {compression!r}, split_bytes={split}) as writer:
    for row in kinds.messages(300, width=640)[:{count}]:
        writer.write(*row)
    if {killed}:
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("storage", "compression"), [("mcap", "none"), ("sqlite3", "zstd")])
def test_resume_after_a_kill_keeps_finished_files(
    storage: Storage, compression: Literal["none", "zstd"], tmp_path: Path
) -> None:
    path = tmp_path / "out"
    count, split = 500, 8_000_000  # 92 kB an image: 23 MB are two splits and some more
    code = WRITER.format(
        test=str(Path(__file__).resolve().parents[1] / "helpers"),
        path=str(path),
        storage=storage,
        compression=compression,
        split=split,
        count=count,
        killed=True,
    )
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    rows = kinds.messages(300, width=640)
    before = read(path)  # the finished files
    assert before == rows[: len(before)]
    assert 150 < len(before) < count
    writer = RecordingWriter(path, storage, compression, split, resume=True)
    assert read(path) == before
    with writer:
        for row in rows[len(before) :]:
            writer.write(*row)
    assert read(path) == rows
    assert not (path / ".partial").exists()


def test_finished_recording_can_be_resumed(tmp_path: Path) -> None:
    for rows in (ROWS[:20], ROWS[20:]):
        with RecordingWriter(tmp_path / "out", resume=True) as writer:
            for row in rows:
                writer.write(*row)
    assert read(tmp_path / "out") == ROWS
    with pytest.raises(BagError, match=r"files of another storage: out_0\.mcap"):
        RecordingWriter(tmp_path / "out", "sqlite3", resume=True)


def test_files_stay_in_order_in_a_renamed_directory(tmp_path: Path) -> None:
    """`ros2 bag play` reads them in the order in which metadata.yaml names them."""
    for name, rows in (("z", ROWS[:20]), ("a", ROWS[20:40]), ("m", ROWS[40:])):
        with RecordingWriter(tmp_path / name, resume=True) as writer:
            for row in rows:
                writer.write(*row)
        (tmp_path / name).rename(tmp_path / {"z": "a", "a": "m", "m": "end"}[name])
    names = ["z_0.mcap", "a_1.mcap", "m_2.mcap"]
    assert metadata(tmp_path / "end")["relative_file_paths"] == names
    assert read(tmp_path / "end") == ROWS


@pytest.mark.parametrize("name", ["run #2", "what?", "50%25", "a b & ü;c"])
def test_odd_names_are_written_to_or_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with RecordingWriter(path / "mcap") as writer:
        writer.write(*ROWS[0])
    assert read(path / "mcap") == ROWS[:1]
    if {*"#?%"} & {*name}:
        with pytest.raises(BagError, match="where sqlite3 cannot be written"):
            RecordingWriter(path / "sqlite3", "sqlite3")
        assert [file.name for file in tmp_path.rglob("*sqlite3*")] == []
    else:
        with RecordingWriter(path / "sqlite3", "sqlite3") as writer:
            writer.write(*ROWS[0])
        assert read(path / "sqlite3") == ROWS[:1]
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("storage", STORAGES)
def test_parts_become_splits_of_one_recording(storage: Storage, tmp_path: Path) -> None:
    parts = [tmp_path / "b", tmp_path / "a", tmp_path / "empty"]
    for part, rows in zip(parts, (ROWS[50:], ROWS[:50], []), strict=True):
        with RecordingWriter(part, storage, split_bytes=150_000) as writer:
            for row in rows:
                writer.write(*row)
    merge_parts(tmp_path / "out", parts)
    assert read(tmp_path / "out") == ROWS
    assert read(tmp_path / "a") == ROWS[:50]  # as they were, and no message was written again
    files = sorted((tmp_path / "out").glob("out_*"))
    assert len(files) == 3
    assert all(file.stat().st_nlink == 2 for file in files)
    with RecordingWriter(tmp_path / "z", "mcap" if storage == "sqlite3" else "sqlite3") as writer:
        writer.write(*ROWS[0])
    with pytest.raises(BagError, match="of one storage"):
        merge_parts(tmp_path / "other", [tmp_path / "a", tmp_path / "z"])


@pytest.mark.parametrize("storage", STORAGES)
def test_full_disk_keeps_every_written_message(storage: Storage, small_disk: Path) -> None:
    rows = kinds.messages(300, width=640)  # 28 MB
    path, written = small_disk / "out", 0
    with (  # noqa: PT012
        pytest.raises(DiskFullError, match=r"disk is full .*MB free"),
        RecordingWriter(path, storage) as writer,
    ):
        for row in rows:
            writer.write(*row)
            written += 1
    assert written > 150  # 7 of 16 MB at least; the rest is what it takes to finish it
    assert read(path) == rows[:written]


@pytest.mark.parametrize("storage", STORAGES)
def test_disk_that_others_fill_leaves_a_valid_recording(
    storage: Storage, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ENOSPC itself: costs the open file only."""
    rows = kinds.messages(300, width=640)
    monkeypatch.setattr(RecordingWriter, "_check_room", lambda *_: None)
    path, written = small_disk / "out", 0
    writer = RecordingWriter(path, storage, split_bytes=4_000_000)
    with pytest.raises(DiskFullError), writer:  # noqa: PT012
        for row in rows:
            writer.write(*row)
            written += 1
    found = read(path)
    assert found == rows[: len(found)]
    assert len(found) >= written - 100  # the file that could not be finished


def test_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BagError, match=r"output .*file/out cannot be written"):
        RecordingWriter(tmp_path / "file" / "out")
    shutil.rmtree(tmp_path, ignore_errors=True)
