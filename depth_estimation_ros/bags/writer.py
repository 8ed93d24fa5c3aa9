"""Writes rosbag2 directories that every supported ROS 2 reads, file by file."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal

import yaml
from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.enums import CompressionFormat, CompressionMode

from depth_estimation_ros.bags.metadata import (
    read_information,
    storage_files,
    write_information,
)
from depth_estimation_ros.bags.topics import Topic, definition_of
from depth_estimation_ros.errors import BagError

Storage = Literal["mcap", "sqlite3"]
Compression = Literal["none", "zstd"]
SUFFIXES: dict[Storage, str] = {"mcap": ".mcap", "sqlite3": ".db3"}

SPLIT_BYTES = 1 << 30
PARTIAL = ".partial"
"""Ending of what is not finished: the folder of a recording, and in it that of its next file."""
_MARGIN_BYTES = 4 << 20  # to finish a file: its last chunk twice, and its index
_CHECK_BYTES = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class DiskFullError(BagError):
    """The disk has no room for more; what was written until then is a valid recording."""

    def __init__(self, path: Path, found: str) -> None:
        super().__init__(
            f"The disk is full under {path}",
            found=found,
            expected="room for more messages",
            fix="What was written until now is kept as a valid recording. Make room and go on "
            "where it ended, or write to another disk",
        )


class RecordingWriter:
    """Writes a rosbag2 directory, a valid recording of all finished files at any moment.

    The next file grows in a hidden folder. When it is finished, also because of an exception or
    Ctrl-C, it gets its place and metadata.yaml names it. A file that a killed process left
    unfinished is not kept. To be used as a context manager, in one thread.

    Args:
        path: of the directory, in which there is no recording yet.
        storage: mcap or sqlite3.
        compression: none, or zstd: of chunks in mcap, of messages in sqlite3.
        split_bytes: a new file begins after this many bytes of messages.
        resume: go on with the recording that is there, at its last finished file.

    Attributes:
        bytes_written: of messages, before compression, by this writer.

    Raises:
        BagError: there is a recording already, or one of another storage to resume, or the
            directory cannot be written; sqlite3 not even where its path has one of % ? #.
    """

    def __init__(
        self,
        path: str | Path,
        storage: Storage = "mcap",
        compression: Compression = "none",
        split_bytes: int = SPLIT_BYTES,
        resume: bool = False,
    ) -> None:
        self.path = Path(path)
        check_path(self.path, storage)
        self.bytes_written = 0
        self._storage: Storage = storage
        self._compression: Compression = compression
        self._split_bytes = split_bytes
        self._writer: Writer | None = None
        self._connections: dict[tuple[str, str], Connection] = {}
        self._split_written = self._unchecked = 0
        there = storage_files(self.path) if self.path.is_dir() else []
        if there and not resume:
            raise BagError(
                f"The output {path}",
                found="a recording there already",
                expected="a new directory",
                fix="Remove it, choose another name, or go on where it ended",
            )
        if any(file.suffix != SUFFIXES[storage] for file in there):
            raise BagError(
                f"The output {self.path}",
                found=f"files of another storage: {there[0].name}",
                expected=f"files that end in {SUFFIXES[storage]}",
                fix="Go on with the storage that it was begun with",
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._finished = read_information(self.path) if there else []
            named = {name for one in self._finished for name in one["relative_file_paths"]}
            for file in there:  # finished, but the process was killed before it was named
                if file.name not in named:
                    file.unlink()
            shutil.rmtree(self.path / PARTIAL, ignore_errors=True)
        except (OSError, ValueError, KeyError, yaml.YAMLError) as error:
            raise self._explained(error) from error

    def __enter__(self) -> RecordingWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except DiskFullError:
            if not isinstance(error, DiskFullError):  # that one says it already
                raise

    def write(
        self,
        topic: str,
        msgtype: str,
        time_ns: int,
        cdr: bytes | memoryview,
        like: Topic | None = None,
    ) -> None:
        """Append a message.

        Args:
            topic, msgtype: its name and type, as sensor_msgs/msg/Image.
            time_ns: of recording, nanoseconds since the epoch.
            cdr: the message, serialised.
            like: the topic that it came from, whose type definition and QoS are kept; without it
                the type is one of ROS 2.

        Raises:
            DiskFullError: no room. All that was written before is kept, unless another process
                took the room that is kept free to finish a file; call nothing but `close`.
            BagError: the file cannot be written for another reason.
        """
        self._unchecked += len(cdr)
        if self._writer is None or self._unchecked >= _CHECK_BYTES:
            self._check_room(len(cdr))
        try:
            if self._split_written >= self._split_bytes:
                self._finish_split()
            self._append(topic, msgtype, time_ns, cdr, like)
        except BaseException as error:  # Ctrl-C too: a half-written message breaks the file
            self._abort_split()
            if isinstance(error, (OSError, sqlite3.Error)):
                raise self._explained(error) from error
            raise
        self._split_written += len(cdr)
        self.bytes_written += len(cdr)

    def close(self) -> None:
        """Finish the recording; a recording without messages is one as well.

        Raises:
            DiskFullError: no room even for the end of the last file, which is lost.
            BagError: it cannot be written for another reason.
        """
        try:
            if self._writer is None and not self._finished:
                self._open_split()
            self._finish_split()
        except (OSError, sqlite3.Error) as error:
            self._abort_split()
            raise self._explained(error) from error

    def _append(
        self, topic: str, msgtype: str, time_ns: int, cdr: bytes | memoryview, like: Topic | None
    ) -> None:
        writer = self._writer or self._open_split()
        connection = self._connections.get((topic, msgtype))
        if connection is None:
            text, digest = definition_of(topic, msgtype, like)
            connection = self._connections[topic, msgtype] = writer.add_connection(
                topic,
                msgtype,
                msgdef=text,
                rihs01=digest,
                offered_qos_profiles=like.qos if like else (),
            )
        writer.write(connection, time_ns, cdr)

    def _open_split(self) -> Writer:
        number = sum(len(one["relative_file_paths"]) for one in self._finished)
        name = self.path.absolute().name.removesuffix(PARTIAL)
        folder = self.path / PARTIAL / f"{name}_{number}"  # rosbags names the file like it
        self._writer = bag_writer(folder, self._storage, self._compression)
        self._writer.open()
        self._connections, self._split_written = {}, 0
        return self._writer

    def _finish_split(self) -> None:
        if self._writer is None:
            return
        self._writer.close()
        folder, self._writer = self._writer.path, None
        for file in storage_files(folder):
            file.replace(self.path / file.name)
        self._finished += read_information(folder)
        write_information(self.path, self._finished)
        shutil.rmtree(folder.parent)

    def _abort_split(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(Exception):
                writer.abort()
            shutil.rmtree(self.path / PARTIAL, ignore_errors=True)

    def _check_room(self, message_bytes: int) -> None:
        """Whether there is room to finish the file after this message."""
        self._unchecked = 0
        needed = _MARGIN_BYTES + 2 * message_bytes + self._split_written // 256
        free = shutil.disk_usage(self.path).free
        if free < needed:
            what = f"{free / 1e6:.1f} MB free, {needed / 1e6:.1f} MB needed"
            raise DiskFullError(self.path, what)

    def _explained(self, error: Exception) -> BagError:
        if is_full(error):
            return DiskFullError(self.path, str(error))
        return BagError(f"The output {self.path} cannot be written", found=str(error))


def bag_writer(path: Path, storage: Storage = "mcap", compression: Compression = "none") -> Writer:
    """Return a writer of rosbags, of a rosbag2 directory that must not exist yet."""
    writer = Writer(path, version=8, storage_plugin=StoragePlugin[storage.upper()])
    if compression == "zstd":
        mode = CompressionMode.STORAGE if storage == "mcap" else CompressionMode.MESSAGE
        writer.set_compression(mode, CompressionFormat.ZSTD)
    return writer


def check_path(path: Path, storage: Storage) -> None:
    """Verify that rosbags writes to this very path.

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


def is_full(error: BaseException) -> bool:
    """Return whether the error says that a file cannot grow: no room, over quota, over a limit."""
    if isinstance(error, sqlite3.OperationalError):
        return "disk is full" in str(error) or "disk I/O error" in str(error)
    return isinstance(error, OSError) and error.errno in _FULL


def merge_parts(out: str | Path, parts: Sequence[str | Path]) -> None:
    """Make one recording whose files are those of the parts, in the order of their times.

    No message is written again: a file is a link to that of its part where the disk knows that,
    else a copy. The parts stay as they are.

    Args:
        out: directory, in which there is no recording yet.
        parts: finished recordings of `RecordingWriter`, all of one storage and compression.

    Raises:
        BagError: no parts, parts of several kinds, or a recording at `out` already.
        DiskFullError: no room for copies.
    """
    out = Path(out)
    if out.is_dir() and storage_files(out):
        raise BagError(f"The output {out}", found="a recording there already")
    found = [(path, one) for path in map(Path, parts) for one in read_information(path)]
    kinds = {(one["storage_identifier"], one["compression_mode"]) for _, one in found}
    if len(kinds) != 1:
        raise BagError(
            f"The parts of {out}",
            found=f"{len(parts)} recordings of {len(kinds)} kinds",
            expected="recordings of one storage and compression",
        )
    # Parts do not overlap in time; one without messages has no files of its own to give.
    whole = [one for one in found if one[1]["message_count"]] or found[:1]
    whole.sort(key=lambda one: one[1]["starting_time"]["nanoseconds_since_epoch"])
    number = 0
    try:
        out.mkdir(parents=True, exist_ok=True)
        for part, information in whole:
            for about in information["files"]:
                source = part / about["path"]
                about["path"] = f"{out.absolute().name}_{number}{source.suffix}"
                try:
                    os.link(source, out / about["path"])
                except OSError:  # another disk, or one without links
                    shutil.copyfile(source, out / about["path"])
                number += 1
            information["relative_file_paths"] = [about["path"] for about in information["files"]]
        write_information(out, [information for _, information in whole])
    except OSError as error:
        if is_full(error):
            raise DiskFullError(out, str(error)) from error
        raise BagError(f"The output {out} cannot be written", found=str(error)) from error
