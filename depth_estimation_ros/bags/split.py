"""One file of a recording while it is being written."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Literal

from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.enums import CompressionFormat, CompressionMode

from depth_estimation_ros.bags.mcap_finish import finish_mcap
from depth_estimation_ros.bags.topic import Topic
from depth_estimation_ros.bags.types import definition_of
from depth_estimation_ros.errors import BagError

Storage = Literal["mcap", "sqlite3"]
Compression = Literal["none", "zstd"]
ENDINGS: dict[Storage, str] = {"mcap": ".mcap", "sqlite3": ".db3"}

COMMIT_BYTES = 8 << 20
"""In sqlite3, what was written since the last commit is lost when the process is killed."""


def check_path(path: Path, storage: Storage) -> None:
    """Whether rosbags writes to this very path.

    Raises:
        BagError: it would write elsewhere.
    """
    # It hands sqlite a URI in which these letters are not escaped.
    if storage == "sqlite3" and (found := sorted({*"%?#"} & {*str(path.absolute())})):
        raise BagError(
            f"The output {path}",
            found=f"{' '.join(found)} in its path, where sqlite3 cannot be written",
            expected="a path without them",
            fix="Write mcap, or choose another name",
        )


def bag_writer(path: Path, storage: Storage = "mcap", compression: Compression = "none") -> Writer:
    """A writer of a rosbag2 directory that must not exist yet.

    Its metadata have version 8, the newest that Humble's rosbag2 reads too.
    """
    writer = Writer(path, version=8, storage_plugin=StoragePlugin[storage.upper()])
    if compression == "zstd":
        mode = CompressionMode.STORAGE if storage == "mcap" else CompressionMode.MESSAGE
        writer.set_compression(mode, CompressionFormat.ZSTD)
    return writer


class OpenSplit:
    """A file of messages, written in a folder of its own until it is finished.

    Args:
        folder: must not exist; the file gets its name.
        storage, compression: as of `RecordingWriter`.

    Attributes:
        path: of the file.
        bytes_written: of messages, before compression.
    """

    def __init__(self, folder: Path, storage: Storage, compression: Compression) -> None:
        self.path = folder / f"{folder.name}{ENDINGS[storage]}"
        self.bytes_written = 0
        self._connections: dict[tuple[str, str], Connection] = {}
        self._uncommitted = 0
        self._interrupted = self._closed = False
        self._writer = bag_writer(folder, storage, compression)
        self._writer.open()

    def write(
        self, topic: str, msgtype: str, time_ns: int, cdr: bytes | memoryview, like: Topic | None
    ) -> None:
        """Appends a message."""
        self._interrupted = True  # until it is written; Ctrl-C may come at any place
        key = (topic, msgtype)
        connection = self._connections.get(key)
        if connection is None:
            text, digest = definition_of(topic, msgtype, like)
            connection = self._connections[key] = self._writer.add_connection(
                topic,
                msgtype,
                msgdef=text,
                rihs01=digest,
                offered_qos_profiles=like.qos if like else (),
            )
        self._writer.write(connection, time_ns, cdr)
        self.bytes_written += len(cdr)
        self._uncommitted += len(cdr)
        if self._uncommitted >= COMMIT_BYTES:
            storage: Any = self._writer.storage
            if isinstance(getattr(storage, "conn", None), sqlite3.Connection):
                storage.conn.commit()
            self._uncommitted = 0
        self._interrupted = False

    def close(self) -> None:
        """Ends the file. After an error, or a write that was interrupted: with what is whole."""
        if self._closed:
            return
        if not self._interrupted:
            self._interrupted = True
            self._writer.close()
        else:
            with suppress(Exception):
                self._writer.abort()
            finish(self.path)
        self._closed = True


def finish(path: Path) -> None:
    """Makes a valid file of one whose writer was stopped: all that was written whole is kept.

    Raises:
        OSError, sqlite3.Error: no room for that on the disk.
    """
    if path.suffix == ENDINGS["mcap"]:
        finish_mcap(path)
        return
    with closing(sqlite3.connect(path)) as database:  # takes back what was not committed
        database.execute("SELECT count(*) FROM sqlite_master").fetchone()
