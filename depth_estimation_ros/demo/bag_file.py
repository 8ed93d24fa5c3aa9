"""A recording as a file: rosbag2 directories, mcap and sqlite3 files, and ROS 1 bags."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection
from rosbags.typesys import Stores, get_typestore

from depth_estimation_ros.errors import BagError, DepthEstimationError

STORE = get_typestore(Stores.ROS2_JAZZY)


@contextmanager
def open_bag(path: Path) -> Iterator[AnyReader]:
    """A reader of the recording; what goes wrong while it is open becomes a BagError too.

    Args:
        path: rosbag2 directory, .mcap, .db3, or .bag of ROS 1. A directory without metadata.yaml
            still is a recording if it holds one file of messages.

    Raises:
        BagError: not a recording, or not a whole one.
    """
    path = _storage(path)
    try:
        with AnyReader([path], default_typestore=STORE) as reader:
            yield reader
    except DepthEstimationError:
        raise
    except Exception as error:  # rosbags lets those of yaml, sqlite, zstd and struct through
        raise BagError(
            f"The recording {path} cannot be read",
            found=f"{type(error).__name__}: {error}",
            expected="a whole rosbag2 directory, .mcap, .db3 or ROS 1 .bag",
            fix="Where it was cut off, `mcap recover` or `ros2 bag reindex` may bring it back",
        ) from error


def raw_messages(reader: AnyReader, *topics: str) -> Iterator[tuple[Connection, int, bytes]]:
    """Connection, time of recording (ns) and bytes of the messages of these topics, in order."""
    connections = [c for c in reader.connections if c.topic in topics]
    if connections:  # none would mean all of them
        yield from reader.messages(connections)


def as_cdr(reader: AnyReader, connection: Connection, raw: bytes) -> bytes:
    """The message as CDR, also from ROS 1, where serialisation is another."""
    return raw if reader.is2 else bytes(STORE.ros1_to_cdr(raw, connection.msgtype))


def nearest(stamps: Sequence[int], stamp: int) -> int:
    """Index of the nearest of sorted stamps."""
    after = bisect.bisect_left(stamps, stamp)
    if after == 0:
        return 0
    if after == len(stamps) or stamp - stamps[after - 1] <= stamps[after] - stamp:
        return after - 1
    return after


def _storage(path: Path) -> Path:
    if path.is_dir() and not (path / "metadata.yaml").exists():
        files = [file for file in path.iterdir() if file.suffix in (".mcap", ".db3", ".bag")]
        if len(files) != 1:
            raise BagError(
                f"The directory {path}",
                found=f"no metadata.yaml and {len(files)} files of messages",
                expected="a rosbag2 directory",
                fix="Name one .mcap, .db3 or .bag file in it",
            )
        return files[0]
    return path
