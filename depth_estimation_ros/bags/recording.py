"""A recording: rosbag2 directories, mcap and sqlite3 files, and ROS 1 bags, also damaged ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from depth_estimation_ros.bags.bag_files import ZSTD, BagMetadata, files_of, opened
from depth_estimation_ros.bags.chunks import Contents, MessageFile, Raw, in_order, messages_of
from depth_estimation_ros.bags.damage import Damage, settled, total
from depth_estimation_ros.bags.decompression import plain
from depth_estimation_ros.bags.topic import RecordedMessage, Topic, listed
from depth_estimation_ros.bags.types import from_ros1, store_of
from depth_estimation_ros.errors import BagError

_Key = tuple[str, str]


@dataclass(frozen=True)
class _Part:
    """One file: its times (ns, both of messages in it), and how it is opened."""

    path: Path
    start_ns: int
    end_ns: int
    opened: Callable[[], AbstractContextManager[MessageFile]]


class Recording:
    """A recording, open for reading, as far as it is whole.

    What lies in damaged places is left out, and `damage` says so. A file that was cut off gives
    what it has up to there; a corrupt chunk costs what is in it. Memory is bounded by the chunks
    that overlap in time. A recording may be read by several iterators at once.

    Attributes:
        name: for messages to the user.
        topics: that have messages, or at least could have.
        start_ns, end_ns: time of the first message and after the last one, ns since the epoch;
            0 without messages.
        message_count: as metadata.yaml or else the index promises.

    Raises:
        BagError: no recording, or nothing of it can be read.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.name = ", ".join(map(str, paths))
        self._damages: dict[str, Damage] = {}
        self._parts: list[_Part] = []
        self._topics: dict[_Key, Topic] = {}
        self._ros1: dict[tuple[str, str, str], tuple[Topic, Callable[[bytes], bytes]] | None] = {}
        self._stores: dict[_Key, Any] = {}
        self.message_count = 0
        errors = []
        for path in paths:
            promise = files_of(path)
            self._note(promise.damages)
            errors += self._open(promise, path)
        if errors and not self._parts:
            raise errors[0]
        if not self._topics and self._damages:
            raise BagError(
                f"The recording {self.name} cannot be read",
                found=str(self.damage),
                expected="at least one message that is whole",
            )
        self.topics = sorted(self._topics.values(), key=lambda topic: topic.name)
        self.start_ns = min((part.start_ns for part in self._parts), default=0)
        self.end_ns = max((part.end_ns + 1 for part in self._parts), default=0)

    @property
    def damage(self) -> Damage | None:
        """What is lost, as far as it was noticed by now; None if nothing."""
        return total([*self._damages.values()])

    def messages(
        self,
        topics: Sequence[str] | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
    ) -> Iterator[RecordedMessage]:
        """The messages in order of time.

        Args:
            topics: names; None for all.
            start_ns, end_ns: recorded at or after the one, before the other.
        """
        named = None if topics is None else frozenset(topics)
        sources = [
            (part.start_ns, partial(self._messages_of, part, named, start_ns, end_ns))
            for part in self._parts
            if (start_ns is None or part.end_ns >= start_ns)
            and (end_ns is None or part.start_ns < end_ns)
        ]
        for _, message in in_order(sources):
            yield message

    def deserialize(self, message: RecordedMessage) -> Any:
        """The message as an object of the rosbags library.

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
        """Nothing was found missing by now.

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

    def _open(self, promise: BagMetadata, path: Path) -> list[BagError]:
        """Opens the files of a recording; the errors of those that cannot be opened."""
        errors: list[BagError] = []
        found: int | None = 0
        damages: list[Damage] = []
        counts: dict[_Key, int | None] = {}
        looked = False
        for file in promise.files:
            promised = promise.counts.get(file)
            if file.suffix == ZSTD and looked and file in promise.times:
                start, end = promise.times[file]  # it is unpacked when it is read
                reopen = partial(self._reopened, file, promised)
                self._parts.append(_Part(file, start, end, reopen))
                found = None if found is None or promised is None else found + promised
                continue
            try:
                with opened(file) as message_file:
                    contents = message_file.contents
                    self._learn(message_file, counts)
            except (BagError, OSError) as error:
                errors.append(_unreadable(file, error))
                damages.append(Damage(str(error), str(file), promised, _size(file)))
                continue
            looked = True
            here = None if contents.counts is None else sum(contents.counts.values())
            found = None if found is None or here is None else found + here
            damages += settled(contents.damages, promised, here, str(file))
            if contents.chunks:
                again = partial(self._reopened, file, promised)
                keep = partial(nullcontext, message_file)
                start, end = contents.start_ns or 0, contents.end_ns or 0
                reopen = again if file.suffix == ZSTD else keep  # type: ignore[assignment]
                self._parts.append(_Part(file, start, end, reopen))
        total_promised = None if promise.counts else promise.message_count
        lost = sum(damage.lost_messages or 0 for damage in promise.damages)
        if total_promised is not None:
            total_promised -= lost
        if not (errors and not self._parts):
            self._note(settled(damages, total_promised, found, str(path)))
        self._add_topics(promise, counts)
        if promise.message_count is not None:
            self.message_count += promise.message_count
        else:
            self.message_count += found or 0
        return errors

    def _learn(self, file: MessageFile, counts: dict[_Key, int | None]) -> None:
        by_number = file.contents.counts
        for number, raw_topic in file.contents.topics.items():
            topic = self._converted(raw_topic)[0] if file.is_ros1 else raw_topic
            key = (topic.name, topic.msgtype)
            known = self._topics.setdefault(key, replace(topic, count=None))
            if not known.msgdef.data and topic.msgdef.data:
                self._topics[key] = replace(topic, count=None)
            before = counts.get(key, 0)
            here = None if by_number is None else by_number.get(number, 0)
            counts[key] = None if before is None or here is None else before + here

    def _add_topics(self, promise: BagMetadata, counts: dict[_Key, int | None]) -> None:
        promised = {(topic.name, topic.msgtype): topic for topic in promise.topics}
        for key, topic in promised.items():
            self._topics.setdefault(key, replace(topic, count=None))
        for key in {*counts, *promised}:
            here = promised[key].count if key in promised else counts[key]
            before = self._topics[key].count
            if here is not None:
                here += before or 0
            self._topics[key] = replace(self._topics[key], count=here)

    def _converted(self, topic: Topic) -> tuple[Topic, Callable[[bytes], bytes] | None]:
        """A topic of ROS 1 as one of ROS 2, and what converts its messages; None if nothing can."""
        key = (topic.name, topic.msgtype, topic.msgdef.data)
        if key not in self._ros1:
            try:
                self._ros1[key] = from_ros1(topic)
            except Exception as error:  # a definition that rosbags cannot read or translate
                self._ros1[key] = None
                what = f"{topic} has a type that cannot be converted to ROS 2: {error}"
                self._note([Damage(what, f"{self.name}, {topic.name}", topic.count)])
        return self._ros1[key] or (topic, None)

    def _messages_of(
        self, part: _Part, named: frozenset[str] | None, start_ns: int | None, end_ns: int | None
    ) -> Iterator[tuple[int, RecordedMessage]]:
        with part.opened() as file:
            topics = {}
            for number, topic in file.contents.topics.items():
                if named is None or topic.name in named:
                    ros2, convert = self._converted(topic) if file.is_ros1 else (topic, plain)
                    if convert is not None:
                        topics[number] = ((ros2.name, ros2.msgtype), convert)

            def note(damage: Damage) -> None:
                self._note([damage])

            corrupt: dict[str, int] = {}
            found = messages_of(file, str(part.path), topics, start_ns, end_ns, note)
            for time_ns, number, data in found:
                key, convert = topics[number]
                try:
                    cdr = convert(data)  # type: ignore[arg-type]
                except Exception as error:  # whatever rosbags meets in bytes that are no message
                    corrupt[key[0]] = corrupt.get(key[0], 0) + 1
                    self._note_corrupt(part, key[0], time_ns, error, corrupt[key[0]])
                    continue
                yield time_ns, RecordedMessage(*key, time_ns, cdr)

    @contextmanager
    def _reopened(self, path: Path, promised: int | None) -> Iterator[MessageFile]:
        """A packed file, unpacked for as long as it is read."""
        try:
            context = opened(path)
            file = context.__enter__()
        except (BagError, OSError) as error:
            self._note([Damage(str(error), str(path), promised, _size(path))])
            yield _Nothing(path)
            return
        try:
            counts = file.contents.counts
            here = None if counts is None else sum(counts.values())
            self._note(settled(file.contents.damages, promised, here, str(path)))
            yield file
        finally:
            context.__exit__(None, None, None)

    def _note_corrupt(
        self, part: _Part, topic: str, time_ns: int, error: Exception, count: int
    ) -> None:
        """One loss for all messages of a topic in a file: there may be very many.

        A recording is read several times, so what counts is the most that were met in one go.
        """
        where = f"{part.path}, {topic}"
        known = self._damages.get(where)
        if known is None:
            what = f"messages are corrupt, the first at {time_ns} ns: {error}"
            self._damages[where] = Damage(what, where, count)
        elif count > (known.lost_messages or 0):
            self._damages[where] = replace(known, lost_messages=count)

    def _note(self, damages: Sequence[Damage]) -> None:
        for damage in damages:
            self._damages.setdefault(damage.where, damage)


class _Nothing:
    """A file that cannot be opened again."""

    is_ros1 = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.contents = Contents()

    def load(self, chunk: object) -> list[Raw]:
        """Nothing."""
        return []


@contextmanager
def open_recording(path: str | Path | Sequence[str | Path]) -> Iterator[Recording]:
    """A recording.

    Args:
        path: rosbag2 directory, .mcap, .db3 (both also with .zstd), or .bag of ROS 1; several are
            read as one. A directory without metadata.yaml is read by the files in it.

    Raises:
        BagError: no recording, or nothing of it can be read.
    """
    yield Recording([Path(p) for p in ([path] if isinstance(path, (str, Path)) else path)])


def _unreadable(path: Path, error: Exception) -> BagError:
    if isinstance(error, BagError):
        return error
    return BagError(
        f"The recording {path} cannot be read",
        found=str(error),
        expected="a file that may be read, and room in the temporary folder to unpack it",
    )


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.exists() else None


__all__ = ["Recording", "listed", "open_recording"]
