"""Writes recordings that are valid at every moment, so that every supported ROS 2 reads them."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from types import TracebackType

from depth_estimation_ros.bags.bag_files import METADATA, storage_files
from depth_estimation_ros.bags.disk import (
    MARGIN_BYTES,
    DiskFullError,
    Reserve,
    check_room,
    is_full,
)
from depth_estimation_ros.bags.metadata import Split, write_metadata
from depth_estimation_ros.bags.split import (
    ENDINGS,
    Compression,
    OpenSplit,
    Storage,
    check_path,
    finish,
)
from depth_estimation_ros.bags.topic import Topic
from depth_estimation_ros.errors import BagError

UNFINISHED = ".unfinished"
"""Folder in a recording where its next file grows."""

SPLIT_BYTES = 1 << 30
_CHECK_BYTES = 1 << 20


class RecordingWriter:
    """Writes a rosbag2 directory, which is a valid recording of all finished files at any moment.

    The next file grows in a hidden folder. When it is finished, also because of an exception or
    Ctrl-C, it gets its place and metadata.yaml tells of it. What a killed process leaves is taken
    up again by `resume`. To be used as a context manager, in one thread.

    Args:
        path: of the directory, in which there is no recording yet.
        storage: mcap or sqlite3.
        compression: none, or zstd: of chunks in mcap, of messages in sqlite3.
        split_bytes: a new file begins after so many bytes of messages.

    Attributes:
        path: of the directory.
        bytes_written: of messages, before compression, by this writer.

    Raises:
        BagError: there is a recording already, or the directory cannot be written; sqlite3 not
            even where its path has one of % ? #.
    """

    def __init__(
        self,
        path: str | Path,
        storage: Storage = "mcap",
        compression: Compression = "none",
        split_bytes: int = SPLIT_BYTES,
        *,
        _goes_on: bool = False,
    ) -> None:
        self.path = Path(path)
        check_path(self.path, storage)
        self.bytes_written = 0
        self._storage: Storage = storage
        self._compression: Compression = compression
        self._split_bytes = split_bytes
        self._unfinished = self.path / UNFINISHED
        self._splits: list[Split] = []
        self._split: OpenSplit | None = None
        self._reserve: Reserve | None = None
        self._unchecked = 0
        if _goes_on:
            self._take_up()
            return
        there = self.path.is_dir() and (
            (self.path / METADATA).exists() or self._unfinished.exists() or storage_files(self.path)
        )
        if there:
            raise BagError(
                f"The output {path}",
                found="a recording there already",
                expected="a new directory",
                fix="Remove it, choose another name, or go on where it ended",
            )
        self._make()

    @classmethod
    def resume(
        cls,
        path: str | Path,
        storage: Storage = "mcap",
        compression: Compression = "none",
        split_bytes: int = SPLIT_BYTES,
    ) -> RecordingWriter:
        """A writer that goes on with a recording, finished or not; a new one if there is none.

        What a killed writer had written is kept as far as it is whole, and is finished at once:
        before the first `write`, the recording can be read to see how far it got.

        Raises:
            BagError: the recording is of another storage, or the directory cannot be written.
        """
        return cls(path, storage, compression, split_bytes, _goes_on=True)

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
        """Appends a message.

        Args:
            topic, msgtype: its name and type, as sensor_msgs/msg/Image.
            time_ns: of recording, nanoseconds since the epoch.
            cdr: the message, serialised.
            like: the topic that it came from, whose type definition and QoS are kept; without it
                the type is one of ROS 2.

        Raises:
            DiskFullError: no room. All that was written before is kept; call nothing but `close`.
            BagError: the file cannot be written for another reason.
        """
        try:
            self._unchecked += len(cdr)
            if self._split is None or self._unchecked >= _CHECK_BYTES:
                self._check_room(len(cdr))
            if self._split is not None and self._split.bytes_written >= self._split_bytes:
                self._finish_split()
            if self._split is None:
                self._split = self._new_split()
            self._split.write(topic, msgtype, time_ns, cdr, like)
        except (OSError, sqlite3.Error) as error:
            raise self._explained(error) from error
        self.bytes_written += len(cdr)

    def close(self) -> None:
        """Finishes the recording; a recording without messages is one as well.

        Raises:
            DiskFullError: no room even for the end of the last file: it stays unfinished, and
                `resume` finishes it when there is room.
            BagError: it cannot be written for another reason.
        """
        try:
            if self._split is None and not self._splits:
                self._split = self._new_split()
            self._finish_split()
            shutil.rmtree(self._unfinished, ignore_errors=True)
        except (OSError, sqlite3.Error) as error:
            raise self._explained(error) from error

    def _make(self) -> None:
        try:
            self._unfinished.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._explained(error) from error

    def _take_up(self) -> None:
        self._make()
        ending = ENDINGS[self._storage]
        there = storage_files(self.path)
        if any(file.suffix != ending for file in there):
            raise BagError(
                f"The output {self.path}",
                found=f"files of another storage: {there[0].name}",
                expected=f"files that end in {ending}",
                fix="Go on with the storage that it was begun with",
            )
        self._splits = [Split.of(file) for file in sorted(there, key=_number)]
        try:
            for part in sorted(self._unfinished.glob(f"*/*{ending}")):
                try:
                    finish(part)
                    split = Split.of(part)
                except BagError:  # it was killed before anything was written
                    continue
                if split.message_count:
                    self._keep(part)
            shutil.rmtree(self._unfinished)
            self._make()
            if self._splits:
                self._write_metadata()
        except (OSError, sqlite3.Error) as error:
            raise self._explained(error) from error

    def _new_split(self) -> OpenSplit:
        number = 1 + max(map(_number, storage_files(self.path)), default=-1)
        folder = self._unfinished / f"{self.path.absolute().name}_{number}"
        shutil.rmtree(folder, ignore_errors=True)
        if self._reserve is None:
            self._reserve = Reserve(self._unfinished / "reserve")
        return OpenSplit(folder, self._storage, self._compression)

    def _finish_split(self) -> None:
        if self._split is None:
            return
        split, self._split = self._split, None
        try:
            split.close()
        except (OSError, sqlite3.Error) as error:
            if not is_full(error):
                raise
            if self._reserve is not None:
                self._reserve.release()
            split.close()
        self._keep(split.path)
        self._write_metadata()

    def _keep(self, part: Path) -> None:
        part.replace(self.path / part.name)
        self._splits.append(Split.of(self.path / part.name))
        shutil.rmtree(part.parent, ignore_errors=True)

    def _write_metadata(self) -> None:
        compressed = self._compression == "zstd" and self._storage == "sqlite3"
        write_metadata(self.path, self._splits, self._storage, compressed)

    def _check_room(self, message_bytes: int) -> None:
        self._unchecked = 0
        written = self._split.bytes_written if self._split else 0
        check_room(self.path, MARGIN_BYTES + 2 * message_bytes + written // 256)

    def _explained(self, error: Exception) -> BagError:
        if is_full(error):
            return DiskFullError(self.path, str(error))
        return BagError(f"The output {self.path} cannot be written", found=str(error))


def _number(file: Path) -> int:
    """The place of a file in its recording: 10 of name_10, whatever the directory is called now."""
    number = file.stem.rpartition("_")[2]
    return int(number) if number.isdecimal() else -1
