"""Recordings: rosbag2 directories, mcap and sqlite3 files, and ROS 1 bags, without ROS installed.

sqlite3 and ROS 1 are read by rosbags; one that is damaged is refused with the command that repairs
it. mcap is read as far as it is whole (`mcap_file`).
"""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import zstandard
from rosbags.rosbag1 import Reader as Ros1Reader
from rosbags.rosbag2 import Reader as SqliteReader

from depth_estimation_ros.bags.mcap_file import McapFile
from depth_estimation_ros.bags.metadata import ZSTD, BagMetadata, Damage, read_metadata
from depth_estimation_ros.bags.topics import RecordedMessage, Topic, from_ros1, store_of
from depth_estimation_ros.errors import BagError

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"  # a message in CDR begins with 0
_REPAIRS = {
    ".db3": "Repair it with: sqlite3 {path} .recover | sqlite3 REPAIRED.db3; then: ros2 bag "
    "reindex -s sqlite3 FOLDER_OF_IT",
    ".bag": "Repair it with: rosbag reindex {path}",
}

_Key = tuple[str, str]


class _RosbagsFile:
    """An sqlite3 file or a ROS 1 bag, open: the same face as `McapFile`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_ros1 = path.suffix == ".bag"
        _check_magic(path, b"#ROSBAG V2.0" if self.is_ros1 else b"SQLite format 3")
        if not self.is_ros1:
            _check_sqlite(path)
        self._reader = Ros1Reader(path) if self.is_ros1 else SqliteReader(path)
        self._reader.open()
        self._connections = {
            connection.id: connection
            for connection in self._reader.connections
            if getattr(connection.ext, "serialization_format", "cdr") == "cdr"
        }
        self.topics = {
            number: Topic(
                one.topic,
                one.msgtype,
                one.msgcount,
                one.msgdef,
                tuple(getattr(one.ext, "offered_qos_profiles", ())),
            )
            for number, one in self._connections.items()
        }
        has_messages = bool(self._reader.message_count)
        self.start_ns = self._reader.start_time if has_messages else None
        self.end_ns = self._reader.end_time - 1 if has_messages else None

    def messages(
        self, channels: Sequence[int], start_ns: int | None, end_ns: int | None
    ) -> Iterator[tuple[int, int, bytes]]:
        """Time, channel and bytes of the messages, in order of time."""
        chosen = [self._connections[number] for number in channels]
        if not chosen:  # rosbags would take all
            return
        for connection, time_ns, data in self._reader.messages(chosen, start_ns, end_ns):
            yield time_ns, connection.id, data

    def close(self) -> None:
        """Close the file."""
        self._reader.close()


_File = McapFile | _RosbagsFile


@dataclass(frozen=True)
class _Part:
    """A file of a recording and the times of its first and last message (ns).

    Attributes:
        file: open; None for one that is packed, which is unpacked while it is read.
        promised: messages in it, by metadata.yaml; None if that does not say.
    """

    path: Path
    start_ns: int
    end_ns: int
    file: _File | None
    promised: int | None


class Recording:
    """A recording, open for reading. mcap files are read as far as they are whole.

    Memory is bounded by the chunks that overlap in time. A recording may be read by several
    iterators at once, in one thread.

    Attributes:
        name: for messages to the user.
        topics: that have messages, or could have; sorted by name.
        start_ns, end_ns: time of the first message and after the last one, ns since the epoch;
            0 without messages.
        message_count: as metadata.yaml or else the files say.

    Raises:
        BagError: no recording, nothing of it can be read, or a damaged sqlite3 or ROS 1 file.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.name = ", ".join(map(str, paths))
        self._stack = ExitStack()
        self._damages: dict[tuple[str, str], Damage] = {}
        self._parts: list[_Part] = []
        self._topics: dict[_Key, Topic] = {}
        self._converters: dict[tuple[str, str, str], tuple[Topic, Callable | None]] = {}
        self._stores: dict[_Key, Any] = {}
        self.message_count = 0
        try:
            for path in paths:
                self._open(path)
        except BaseException:
            self.close()
            raise
        if not self._topics and self._damages:
            self.close()
            raise BagError(
                f"The recording {self.name} cannot be read",
                found=str(self.damage),
                expected="at least one message that is whole",
            )
        self.topics = sorted(self._topics.values(), key=lambda topic: topic.name)
        self.start_ns = min((part.start_ns for part in self._parts), default=0)
        self.end_ns = max((part.end_ns + 1 for part in self._parts), default=0)

    def close(self) -> None:
        """Close the files."""
        self._stack.close()

    @property
    def damage(self) -> Damage | None:
        """All losses found by now as one, None if there are none. A sum with an unknown part is
        unknown.
        """
        damages = [*self._damages.values()]
        if len(damages) < 2:
            return damages[0] if damages else None
        return Damage(
            what=f"{len(damages)} places are damaged: " + "; ".join(map(str, damages)),
            where="several places",
            lost_messages=_sum(damage.lost_messages for damage in damages),
            lost_bytes=_sum(damage.lost_bytes for damage in damages),
        )

    def messages(
        self,
        topics: Sequence[str] | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
    ) -> Iterator[RecordedMessage]:
        """Yield the messages in order of time.

        Args:
            topics: names; None for all.
            start_ns, end_ns: recorded at or after the one, before the other.

        Raises:
            BagError: an sqlite3 or ROS 1 file is damaged.
        """
        parts = [
            part
            for part in self._parts
            if (start_ns is None or part.end_ns >= start_ns)
            and (end_ns is None or part.start_ns < end_ns)
        ]
        for group in _overlapping(parts):
            sources = [self._messages_of(part, topics, start_ns, end_ns) for part in group]
            yield from heapq.merge(*sources, key=lambda message: message.time_ns)

    def deserialize(self, message: RecordedMessage) -> Any:
        """Return the message as an object of the rosbags library.

        Raises:
            BagError: its type is not known, or its bytes are not of this type.
        """
        key = (message.topic, message.msgtype)
        try:
            if key not in self._stores:
                self._stores[key] = store_of(self._topics[key])
            return self._stores[key].deserialize_cdr(message.cdr, message.msgtype)
        except Exception as error:  # rosbags lets those of struct, numpy and dict through
            raise BagError(
                f"A message on {message.topic} of {self.name}",
                found=f"{type(error).__name__}: {error}",
                expected=f"a {message.msgtype}",
            ) from error

    def require_whole(self) -> None:
        """Verify that no loss was found by now.

        Raises:
            BagError: there is damage.
        """
        if self.damage is not None:
            raise BagError(
                f"The recording {self.name} cannot be read to its end",
                found=str(self.damage),
                expected="a whole recording",
                fix="`mcap recover` or `ros2 bag reindex` may make a whole one of what is left",
            )

    def _open(self, path: Path) -> None:
        """Open the files of a recording; an mcap file that cannot be read is a loss, if not all.

        Raises:
            BagError: none of them can be read, or a damaged sqlite3 or ROS 1 file.
        """
        metadata = read_metadata(path)
        known = len(self._damages)
        counts: dict[_Key, int] = {}
        errors: list[BagError] = []
        found = 0
        for damage in metadata.damages:
            self._note(damage)
        for place, file_path in enumerate(metadata.files):
            promised = metadata.counts.get(file_path)
            packed = file_path.suffix == ZSTD
            if packed and place and file_path in metadata.times:
                # Its numbers are known; it is unpacked when it is read.
                times = metadata.times[file_path]
                self._parts.append(_Part(file_path, *times, None, promised))
                found += promised or 0
                continue
            with ExitStack() as stack:
                try:
                    file = stack.enter_context(self._file(file_path))
                except (BagError, OSError) as error:
                    errors.append(self._lose(file_path, promised, error))
                    continue
                here = self._learn(file, counts)
                found += here
                self._settle(str(file_path), promised, here)
                if file.start_ns is not None and file.end_ns is not None:
                    kept = None if packed else file
                    part = _Part(file_path, file.start_ns, file.end_ns, kept, promised)
                    self._parts.append(part)
                    if not packed:
                        self._stack.enter_context(stack.pop_all())
        if errors and len(errors) == len(metadata.files):
            raise errors[0]
        if not metadata.counts and metadata.message_count is not None:
            lost = sum(d.lost_messages or 0 for d in [*self._damages.values()][known:])
            self._settle(str(path), metadata.message_count - lost, found)
        self._add_topics(metadata, counts)
        self.message_count += found if metadata.message_count is None else metadata.message_count

    @contextmanager
    def _file(self, path: Path) -> Iterator[_File]:
        """The file; one that is compressed as a whole is unpacked to a temporary folder for as
        long.

        Raises:
            BagError: it cannot be read.
            OSError: likewise, or there is no room to unpack it.
        """
        with ExitStack() as stack:
            plain = path
            if path.suffix == ZSTD:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="recording-"))
                plain = Path(folder, path.stem)
                _unpack(path, plain, lambda what: self._note(Damage(what, str(path))))

            def on_loss(what: str, messages: int | None, size: int | None) -> None:
                self._note(Damage(what, str(path), messages, size))

            try:
                file: _File
                if plain.suffix == ".mcap":
                    file = McapFile(plain, on_loss)
                else:
                    file = _RosbagsFile(plain)
                    stack.callback(file.close)
            except OSError:
                raise
            except Exception as error:  # rosbags lets those of struct, sqlite and bz2 through
                raise _refused(path, error) from error
            yield file

    def _learn(self, file: _File, counts: dict[_Key, int]) -> int:
        """Keep the topics of a file, counts its messages, and returns how many it has."""
        total = 0
        for raw in file.topics.values():
            topic, _ = self._converted(file, raw)
            key = (topic.name, topic.msgtype)
            known = self._topics.setdefault(key, replace(topic, count=None))
            if not known.msgdef.data and topic.msgdef.data:
                self._topics[key] = replace(topic, count=None)
            counts[key] = counts.get(key, 0) + (topic.count or 0)
            total += topic.count or 0
        return total

    def _add_topics(self, metadata: BagMetadata, counts: dict[_Key, int]) -> None:
        promised = {(topic.name, topic.msgtype): topic for topic in metadata.topics}
        for key in {**counts, **promised}:
            known = self._topics.setdefault(
                key, replace(promised.get(key, Topic(*key)), count=None)
            )
            count = promised[key].count if key in promised else counts[key]
            self._topics[key] = replace(known, count=(known.count or 0) + (count or 0))

    def _settle(self, where: str, promised: int | None, found: int) -> None:
        """Count what metadata.yaml promises of a file and is not in it."""
        damages = {key: damage for key, damage in self._damages.items() if damage.where == where}
        missing = (promised or 0) - found - sum(d.lost_messages or 0 for d in damages.values())
        unknown = [key for key, damage in damages.items() if damage.lost_messages is None]
        if promised is not None and unknown:  # the first takes all: nothing tells them apart
            for key in unknown:
                self._damages[key] = replace(damages[key], lost_messages=max(0, missing))
                missing = 0
        elif missing > 0:
            what = f"metadata.yaml promises {promised} messages, but {found} are there"
            self._note(Damage(what, where, missing))

    def _converted(self, file: _File, topic: Topic) -> tuple[Topic, Callable | None]:
        """A topic of a file as one of ROS 2, and what makes CDR of its messages; None if nothing
        can.
        """
        if isinstance(file, McapFile) or not file.is_ros1:
            return topic, _plain
        key = (topic.name, topic.msgtype, topic.msgdef.data)
        if key not in self._converters:
            try:
                self._converters[key] = from_ros1(topic)
            except Exception as error:  # a definition that rosbags cannot read or translate
                self._converters[key] = topic, None
                what = f"{topic} has a type that cannot be converted to ROS 2: {error}"
                self._note(Damage(what, f"{self.name}, {topic.name}", topic.count))
        return self._converters[key]

    def _messages_of(
        self, part: _Part, names: Sequence[str] | None, start_ns: int | None, end_ns: int | None
    ) -> Iterator[RecordedMessage]:
        with ExitStack() as stack:
            file = part.file
            if file is None:
                try:
                    file = stack.enter_context(self._file(part.path))
                except (BagError, OSError) as error:
                    self._lose(part.path, part.promised, error)
                    return
                counts = [topic.count or 0 for topic in file.topics.values()]
                self._settle(str(part.path), part.promised, sum(counts))
            channels = {}
            for number, topic in file.topics.items():
                ros2, convert = self._converted(file, topic)
                if convert is not None and (names is None or ros2.name in names):
                    channels[number] = ros2.name, ros2.msgtype, convert
            corrupt: dict[str, int] = {}
            try:
                for time_ns, number, data in file.messages([*channels], start_ns, end_ns):
                    name, msgtype, convert = channels[number]
                    try:
                        cdr = convert(data)
                    except Exception as error:  # whatever rosbags meets in bytes of no message
                        corrupt[name] = corrupt.get(name, 0) + 1
                        self._note_corrupt(part.path, name, time_ns, error, corrupt[name])
                        continue
                    yield RecordedMessage(name, msgtype, time_ns, cdr)
            except Exception as error:  # likewise
                raise _refused(part.path, error) from error

    def _lose(self, path: Path, promised: int | None, error: BagError | OSError) -> BagError:
        """Keep an mcap file that cannot be read as a loss; returns the error in words.

        Raises:
            BagError: it is no mcap file, and has to be repaired first.
        """
        if isinstance(error, OSError):
            error = BagError(
                f"The recording {path} cannot be read",
                found=str(error),
                expected="a file that may be read, and room in the temporary folder to unpack it",
            )
        if ".mcap" not in path.suffixes[-2:]:
            raise error
        for key in [key for key in self._damages if key[0] == str(path)]:
            del self._damages[key]  # a part of this loss
        self._note(Damage(str(error), str(path), promised, path.stat().st_size))
        return error

    def _note_corrupt(
        self, path: Path, topic: str, time_ns: int, error: Exception, count: int
    ) -> None:
        """Keep one loss for all messages of a topic in a file: the most of one reading."""
        where = f"{path}, {topic}"
        known = self._damages.get((where, ""))
        if known is None or count > (known.lost_messages or 0):
            what = (
                known.what if known else f"messages are corrupt, the first at {time_ns} ns: {error}"
            )
            self._damages[where, ""] = Damage(what, where, count)

    def _note(self, damage: Damage) -> None:
        self._damages.setdefault((damage.where, damage.what), damage)


@contextmanager
def open_recording(path: str | Path | Sequence[str | Path]) -> Iterator[Recording]:
    """A recording.

    Args:
        path: rosbag2 directory, .mcap, .db3 (both also with .zstd), or .bag of ROS 1; several are
            read as one. A directory without metadata.yaml is read by the files in it.

    Raises:
        BagError: no recording, nothing of it can be read, or a damaged sqlite3 or ROS 1 file.
    """
    paths = [Path(p) for p in ([path] if isinstance(path, (str, Path)) else path)]
    recording = Recording(paths)
    try:
        yield recording
    finally:
        recording.close()


def _overlapping(parts: list[_Part]) -> Iterator[list[_Part]]:
    """The parts in groups, one after the other in time, so that few files are open at once."""
    group: list[_Part] = []
    end_ns = 0
    for part in sorted(parts, key=lambda part: part.start_ns):
        if group and part.start_ns > end_ns:
            yield group
            group = []
        end_ns = max(end_ns, part.end_ns) if group else part.end_ns
        group.append(part)
    if group:
        yield group


def _check_magic(path: Path, magic: bytes) -> None:
    with path.open("rb") as file:
        found = file.read(len(magic))
    if found != magic:
        raise ValueError(f"a file that begins with {found!r}" if found else "an empty file")


def _check_sqlite(path: Path) -> None:
    """Raise ValueError where rosbags would not read all of this file, or another one."""
    if odd := sorted({*"%?#"} & {*str(path.absolute())}):
        raise ValueError(f"{' '.join(odd)} in its path, with which sqlite3 cannot open it")
    for ending in ("-wal", "-journal"):
        left = Path(f"{path}{ending}")
        if left.exists() and left.stat().st_size:
            raise ValueError(f"messages left in {left.name} by a recorder that did not end")


def _unpack(path: Path, plain: Path, on_damage: Callable[[str], None]) -> None:
    """Unpack as much as there is."""
    decompressor = zstandard.ZstdDecompressor().decompressobj()
    with path.open("rb") as packed, plain.open("wb") as target:
        try:
            while piece := packed.read(1 << 16):
                if decompressor.eof:
                    decompressor = zstandard.ZstdDecompressor().decompressobj()
                target.write(decompressor.decompress(piece))
        except zstandard.ZstdError as error:
            on_damage(f"the zstd of the file is corrupt: {error}")
            return
    if not decompressor.eof:
        on_damage("the zstd of the file breaks off")


def _plain(message: bytes) -> bytes:
    """Return a message of ROS 2 that rosbag2 may have compressed by itself."""
    if message[:4] != _ZSTD_MAGIC:
        return message
    decompressor = zstandard.ZstdDecompressor().decompressobj()
    content = decompressor.decompress(message)
    if not decompressor.eof:
        raise zstandard.ZstdError("its zstd breaks off")
    return content


def _refused(path: Path, error: Exception) -> BagError:
    return BagError(
        f"The recording {path} cannot be read",
        found=str(error) or type(error).__name__,
        expected=f"a whole {path.suffix} file",
        fix=_REPAIRS.get(path.suffix, "").format(path=path) or None,
    )


def _sum(numbers: Iterable[int | None]) -> int | None:
    values = [*numbers]
    return None if None in values else sum(value or 0 for value in values)
