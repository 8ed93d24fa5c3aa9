"""How recordings are written, so that every supported ROS 2 reads them."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Literal

from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.enums import CompressionFormat, CompressionMode

from depth_estimation_ros.errors import BagError
from depth_estimation_ros.recordings.topic import Topic
from depth_estimation_ros.recordings.types import STORE

Storage = Literal["mcap", "sqlite3"]
Compression = Literal["none", "zstd"]


class DiskFullError(BagError):
    """The disk has no room for more; what was written until then is a valid recording."""


def bag_writer(path: Path, storage: Storage = "mcap", compression: Compression = "none") -> Writer:
    """A writer of a rosbag2 directory that must not exist yet.

    Its metadata have version 8, the newest that Humble's rosbag2 reads too.
    """
    writer = Writer(path, version=8, storage_plugin=StoragePlugin[storage.upper()])
    if compression == "zstd":
        mode = CompressionMode.STORAGE if storage == "mcap" else CompressionMode.MESSAGE
        writer.set_compression(mode, CompressionFormat.ZSTD)
    return writer


class RecordingWriter:
    """Writes a rosbag2 directory.

    Args:
        path: of the directory.
        storage: mcap or sqlite3.
        compression: none, or zstd: of chunks in mcap, of messages in sqlite3.
        split_bytes: a new file begins when one has grown to this.
    """

    def __init__(
        self,
        path: str | Path,
        storage: Storage = "mcap",
        compression: Compression = "none",
        split_bytes: int = 1 << 30,
    ) -> None:
        self._writer = bag_writer(Path(path), storage, compression)
        self._connections: dict[tuple[str, str], Connection] = {}
        self.bytes_written = 0

    def __enter__(self) -> RecordingWriter:
        self._writer.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()

    def write(
        self,
        topic: str,
        msgtype: str,
        time_ns: int,
        cdr: bytes | memoryview,
        like: Topic | None = None,
    ) -> None:
        """Appends a message.

        Args:
            topic, msgtype: its name and type.
            time_ns: of recording, nanoseconds since the epoch.
            cdr: the message, serialised.
            like: the topic that it came from, whose type definition and QoS are kept.
        """
        key = (topic, msgtype)
        if key not in self._connections:
            self._connections[key] = self._writer.add_connection(
                topic,
                msgtype,
                typestore=STORE,
                offered_qos_profiles=like.qos if like else (),
            )
        self._writer.write(self._connections[key], time_ns, cdr)
        self.bytes_written += len(cdr)
