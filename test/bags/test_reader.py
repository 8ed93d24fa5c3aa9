"""Reading recordings: every kind gives the same messages, in order of time, without ROS."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import demo_recordings as made
import numpy as np
import pytest
import recording_kinds as kinds
import yaml
from rosbags.highlevel import AnyReader
from rosbags.rosbag1 import Writer as Writer1
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from depth_estimation_ros.bags import (
    STORE,
    RecordedMessage,
    RecordingWriter,
    open_recording,
    stamp_of,
)
from depth_estimation_ros.errors import BagError

ROWS = kinds.messages(20)


def read(path: Path | list[Path], **options: object) -> list[RecordedMessage]:
    with open_recording(path) as recording:
        found = list(recording.messages(**options))  # type: ignore[arg-type]
        assert recording.damage is None
    return found


KINDS: dict[str, Callable[[Path], Path]] = {
    "mcap": lambda p: kinds.write_mcap(p / "a.mcap", ROWS),
    "mcap zstd": lambda p: kinds.write_mcap(p / "a.mcap", ROWS, "zstd"),
    "mcap lz4": lambda p: kinds.write_mcap(p / "a.mcap", ROWS, "lz4"),
    "mcap without chunks": lambda p: kinds.write_mcap(p / "a.mcap", ROWS, chunks=False),
    "mcap file mode": lambda p: kinds.write_rosbag2(p / "a", ROWS, "mcap", "file"),
    "mcap message mode": lambda p: kinds.write_rosbag2(p / "a", ROWS, "mcap", "message"),
    "mcap storage mode": lambda p: kinds.write_rosbag2(p / "a", ROWS, "mcap", "storage"),
    "sqlite3": lambda p: kinds.write_rosbag2(p / "a", ROWS, "sqlite3"),
    "sqlite3 file mode": lambda p: kinds.write_rosbag2(p / "a", ROWS, "sqlite3", "file"),
    "sqlite3 message mode": lambda p: kinds.write_rosbag2(p / "a", ROWS, "sqlite3", "message"),
    "split": lambda p: kinds.split_bag(p / "a", ROWS),
    "ROS 1": lambda p: kinds.write_ros1(p / "a.bag", ROWS),
    "ROS 1 bz2": lambda p: kinds.write_ros1(p / "a.bag", ROWS, "bz2"),
    "ROS 1 lz4": lambda p: kinds.write_ros1(p / "a.bag", ROWS, "lz4"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_messages_that_rosbags_gives(kind: str, tmp_path: Path) -> None:
    path = KINDS[kind](tmp_path)
    assert read(path) == ROWS
    with open_recording(path) as recording, AnyReader([path], default_typestore=STORE) as reader:
        assert recording.start_ns == reader.start_time == ROWS[0].time_ns
        assert recording.end_ns == reader.end_time == ROWS[-1].time_ns + 1
        assert recording.message_count == reader.message_count == 40
        assert [(topic.name, topic.msgtype, topic.count) for topic in recording.topics] == [
            ("/camera_info", kinds.INFO, 20),
            ("/image", kinds.IMAGE, 20),
        ]


@pytest.mark.parametrize("kind", ["split", "sqlite3", "mcap file mode", "mcap message mode"])
def test_metadata_may_be_missing(kind: str, tmp_path: Path) -> None:
    path = KINDS[kind](tmp_path)
    (path / "metadata.yaml").unlink()
    assert read(path) == ROWS


def test_splits_are_read_in_natural_order(tmp_path: Path) -> None:
    path = kinds.split_bag(tmp_path / "a", ROWS, parts=11)
    (path / "metadata.yaml").unlink()
    assert read(path) == ROWS
    assert read(sorted(path.iterdir())) == ROWS  # by name, a_10 comes before a_2


def test_a_packed_file_without_messages_has_no_times(tmp_path: Path) -> None:
    """What rosbag2 leaves when it is stopped right after it began a new file."""
    rows = kinds.messages(4)
    bag = kinds.write_rosbag2(tmp_path / "bag", rows, "sqlite3", "file")
    empty = kinds.write_rosbag2(tmp_path / "empty", [], "sqlite3", "file")
    (empty / "empty.db3.zstd").rename(bag / "bag_1.db3.zstd")
    metadata = yaml.safe_load((bag / "metadata.yaml").read_text())
    information = metadata["rosbag2_bagfile_information"]
    information["relative_file_paths"].append("bag_1.db3.zstd")
    information["files"].append(
        {
            "path": "bag_1.db3.zstd",
            "starting_time": {"nanoseconds_since_epoch": 2**63 - 1},
            "duration": {"nanoseconds": 0},
            "message_count": 0,
        }
    )
    (bag / "metadata.yaml").write_text(yaml.safe_dump(metadata))

    with open_recording(bag) as recording:
        assert (recording.start_ns, recording.end_ns) == (rows[0].time_ns, rows[-1].time_ns + 1)
        assert len(list(recording.messages())) == len(rows)
        assert recording.damage is None


def test_recordings_that_overlap_are_merged(tmp_path: Path) -> None:
    one = kinds.write_ros1(tmp_path / "one.bag", ROWS[0::2])
    other = kinds.write_ros1(tmp_path / "other.bag", ROWS[1::2])
    assert read([other, one]) == ROWS


@pytest.mark.parametrize("kind", ["mcap zstd", "mcap without chunks", "sqlite3", "ROS 1"])
def test_topics_and_times_are_chosen(kind: str, tmp_path: Path) -> None:
    path = KINDS[kind](tmp_path)
    images = [row for row in ROWS if row.topic == "/image"]
    assert read(path, topics=["/image"]) == images
    start, end = images[5].time_ns, images[9].time_ns
    assert read(path, topics=["/image"], start_ns=start, end_ns=end) == images[5:9]
    assert read(path, topics=["/nothing"]) == []
    assert read(path, start_ns=ROWS[-1].time_ns + 1) == []


def test_messages_are_sorted_by_time(tmp_path: Path) -> None:
    mixed = [ROWS[i] for i in np.random.default_rng(2).permutation(len(ROWS))]
    assert read(kinds.write_mcap(tmp_path / "a.mcap", mixed)) == ROWS
    assert read(kinds.write_rosbag2(tmp_path / "a", mixed, "sqlite3")) == ROWS


@pytest.mark.parametrize("kind", ["mcap", "sqlite3", "ROS 1"])
def test_messages_are_deserialised(kind: str, tmp_path: Path) -> None:
    with open_recording(KINDS[kind](tmp_path)) as recording:
        message = next(recording.messages(["/image"]))
        image = recording.deserialize(message)
    assert (image.width, image.height, image.encoding) == (64, 48, "rgb8")
    assert stamp_of(message.cdr) == made.START_NS
    cut = message._replace(cdr=message.cdr[:30])
    with pytest.raises(BagError, match=r"on /image of .* expected a sensor_msgs/msg/Image"):
        recording.deserialize(cut)


def test_types_of_its_own_come_with_a_recording(tmp_path: Path) -> None:
    text = "std_msgs/Header header\nfloat64[3] force\nmy_msgs/Cell[] cells\n"
    text += "=" * 80 + "\nMSG: my_msgs/Cell\nuint8 row\nstring name\n"
    store = get_typestore(Stores.ROS1_NOETIC)
    store.register(get_types_from_msg(text, "my_msgs/msg/Touch"))
    cell = store.types["my_msgs/msg/Cell"](row=3, name="left")
    touch = store.types["my_msgs/msg/Touch"](
        header=made.header(made.START_NS, store=made.STORE1),
        force=np.array([1.0, 2.0, 3.0]),
        cells=[cell],
    )
    with Writer1(tmp_path / "a.bag") as writer:
        connection = writer.add_connection("/touch", "my_msgs/msg/Touch", typestore=store)
        raw = bytes(store.serialize_ros1(touch, "my_msgs/msg/Touch"))
        writer.write(connection, made.START_NS, raw)

    with open_recording(tmp_path / "a.bag") as recording:
        (topic,) = recording.topics
        (message,) = recording.messages()
        read_back = recording.deserialize(message)
        assert (read_back.cells[0].name, list(read_back.force)) == ("left", [1.0, 2.0, 3.0])
    for storage in ("mcap", "sqlite3"):  # copied, it is still known what it means
        with RecordingWriter(tmp_path / storage, storage) as copy:  # type: ignore[arg-type]
            copy.write(*message, like=topic)
        with AnyReader([tmp_path / storage]) as reader:
            ((connection, _, raw),) = reader.messages()
            assert reader.deserialize(raw, connection.msgtype).cells[0].row == 3  # type: ignore[attr-defined]


def test_undefined_type_is_copied_as_it_is(tmp_path: Path) -> None:
    message = RecordedMessage("/odd", "odd_msgs/msg/Odd", made.START_NS, b"\0\1\0\0odd!")
    for storage in ("mcap", "sqlite3"):
        with RecordingWriter(tmp_path / storage, storage) as writer:  # type: ignore[arg-type]
            writer.write(*message)
        assert read(tmp_path / storage) == [message]
        with AnyReader([tmp_path / storage]) as reader:
            assert [bytes(raw) for _, _, raw in reader.messages()] == [message.cdr]


def test_a_real_recording_of_ros_1(shared_data: Callable[[str], Path]) -> None:
    path = shared_data("bags/fiducials_compressed.ros1.bag")
    found = read(path)
    with AnyReader([path]) as reader:
        wanted = [
            (c.topic, time_ns, bytes(STORE.ros1_to_cdr(raw, c.msgtype)))
            for c, time_ns, raw in reader.messages()
        ]
    assert [(m.topic, m.time_ns, m.cdr) for m in found] == wanted
    assert len(found) == 16


def test_nothing_of_ros_is_imported(tmp_path: Path) -> None:
    path = KINDS["ROS 1"](tmp_path)
    code = f"""
import sys
for name in ("rclpy", "sensor_msgs", "std_msgs", "builtin_interfaces", "geometry_msgs", "torch"):
    sys.modules[name] = None
from depth_estimation_ros.bags import RecordingWriter, find_cameras, open_recording
with open_recording({str(path)!r}) as recording, RecordingWriter({str(tmp_path / "o")!r}) as out:
    (camera,) = find_cameras(recording)
    for message in recording.messages([camera.image.name]):
        out.write(*message)
print(recording.deserialize(message).width)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("64\n", "")


@pytest.mark.parametrize("chunks", [True, False])
def test_memory_does_not_grow_with_the_recording(chunks: bool, tmp_path: Path) -> None:
    """A recording ten times as long takes less than 10 MB more, of 33 MB; VmHWM is in kB."""
    peaks = []
    for frames in (36, 360):
        rows = kinds.messages(frames, width=640)
        path = kinds.write_mcap(tmp_path / f"{frames}.mcap", rows, chunks=chunks)
        code = f"""
from pathlib import Path
from depth_estimation_ros.bags import open_recording
with open_recording({str(path)!r}) as recording:
    assert sum(1 for _ in recording.messages()) == {2 * frames}
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        peaks.append(int(done.stdout))
    assert peaks[1] < peaks[0] + 10_000


def test_what_is_no_recording(tmp_path: Path) -> None:
    with pytest.raises(BagError, match="nothing there"):
        read(tmp_path / "missing")
    (tmp_path / "text.txt").write_text("x")
    with pytest.raises(BagError, match=r"ends in '\.txt', expected a rosbag2 directory"):
        read(tmp_path / "text.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BagError, match=r"no metadata\.yaml and 0 files of messages"):
        read(tmp_path / "empty")
    for ending in ("mcap", "db3", "bag"):
        path = tmp_path / f"x.{ending}"
        path.write_bytes(b"")
        with pytest.raises(BagError, match="cannot be read: found an empty file"):
            read(path)
        path.write_bytes(b"not a recording at all")
        with pytest.raises(BagError, match=r"cannot be read: found a file that begins with b'not"):
            read(path)


def test_damaged_metadata_is_not_needed(tmp_path: Path) -> None:
    path = kinds.split_bag(tmp_path / "a", ROWS)
    (path / "metadata.yaml").write_text("rosbag2_bagfile_information:\n  - broken: [")
    with open_recording(path) as recording:
        assert list(recording.messages()) == ROWS
        assert recording.damage is not None
        assert recording.damage.lost_messages == 0


def test_two_iterators_do_not_disturb_each_other(tmp_path: Path) -> None:
    path = kinds.split_bag(tmp_path / "a", ROWS)
    with open_recording(path) as recording:
        pairs = list(zip(recording.messages(), recording.messages(), strict=True))
    assert [one for one, _ in pairs] == [other for _, other in pairs] == ROWS
    shutil.rmtree(path)
