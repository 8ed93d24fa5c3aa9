"""Files of messages as chunks, read one after the other, in order of time and in little memory.

A chunk is what is read from the disk at once: a chunk of an mcap file or of a ROS 1 bag, a run of
rows of an sqlite3 file. What lies in one that cannot be read is lost; the next ones are not.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from depth_estimation_ros.bags.damage import Damage
from depth_estimation_ros.bags.topic import Topic

T = TypeVar("T", bound=tuple[Any, ...])

BLOCK_BYTES = 4 << 20
"""Messages that lie in no chunk are read together up to this size, or one if it is larger."""


class Raw(NamedTuple):
    """A message as it lies in a file: time of recording (ns), number of its topic, bytes."""

    time_ns: int
    topic: int
    data: bytes | memoryview


@dataclass(frozen=True)
class Chunk:
    """A place in a file that holds messages.

    Attributes:
        start_ns, end_ns: times of the first and the last message in it.
        offset, length: of what is read for it, in the unit of its file (bytes or rows).
        counts: messages by number of the topic; None if nothing tells before it is read.
        cut: the file ends in it, so that less than `length` is there.
    """

    start_ns: int
    end_ns: int
    offset: int
    length: int
    counts: dict[int, int] | None
    cut: bool = False


class CorruptChunk(Exception):
    """A chunk that cannot be read; its message says why.

    Attributes:
        good: messages of it that could be read nevertheless.
    """

    def __init__(self, why: str, good: Sequence[Raw] = ()) -> None:
        super().__init__(why)
        self.good = list(good)


@dataclass
class Contents:
    """What a file of messages holds.

    Attributes:
        topics: by their numbers in this file; of a file without index as far as they were found.
        chunks: in the order of the file.
        damages: what was found to be lost.
        counts: messages by number of the topic, as the index says; None if it says nothing.
    """

    topics: dict[int, Topic] = field(default_factory=dict)
    chunks: list[Chunk] = field(default_factory=list)
    damages: list[Damage] = field(default_factory=list)
    indexed: dict[int, int] | None = None

    @property
    def counts(self) -> dict[int, int] | None:
        """Messages by number of the topic; None if not everything is counted."""
        if self.indexed is not None:
            return self.indexed
        counts: dict[int, int] = {}
        for chunk in self.chunks:
            if chunk.counts is None:
                return None
            for topic, count in chunk.counts.items():
                counts[topic] = counts.get(topic, 0) + count
        return counts

    @property
    def start_ns(self) -> int | None:
        """Time of the first message; None without messages."""
        return min((chunk.start_ns for chunk in self.chunks), default=None)

    @property
    def end_ns(self) -> int | None:
        """Time of the last message; None without messages."""
        return max((chunk.end_ns for chunk in self.chunks), default=None)


class MessageFile(Protocol):
    """A file of messages, of whatever format."""

    path: Path
    is_ros1: bool
    contents: Contents

    def load(self, chunk: Chunk) -> list[Raw]:
        """The messages of a chunk.

        Raises:
            CorruptChunk: they cannot be read.
        """
        ...


def messages_of(
    file: MessageFile,
    name: str,
    topics: Collection[int],
    start_ns: int | None,
    end_ns: int | None,
    on_damage: Callable[[Damage], None],
) -> Iterator[Raw]:
    """The messages of these topics, at or after the start and before the end, in order of time.

    Args:
        name: of the file as the user knows it; a packed one is read elsewhere.
    """

    def read(chunk: Chunk) -> Iterator[Raw]:
        try:
            messages = file.load(chunk)
        except (CorruptChunk, OSError) as error:
            messages = error.good if isinstance(error, CorruptChunk) else []
            lost = None if chunk.counts is None else sum(chunk.counts.values()) - len(messages)
            where = f"{name}, at {chunk.offset}"
            on_damage(Damage(str(error), where, lost, None if messages else chunk.length))
        messages = [m for m in messages if m.topic in topics and within(m.time_ns)]
        messages.sort(key=lambda message: message.time_ns)
        messages.reverse()
        while messages:
            yield messages.pop()

    def within(time_ns: int) -> bool:
        return (start_ns is None or time_ns >= start_ns) and (end_ns is None or time_ns < end_ns)

    def wanted(chunk: Chunk) -> bool:
        if (start_ns is not None and chunk.end_ns < start_ns) or (
            end_ns is not None and chunk.start_ns >= end_ns
        ):
            return False
        return chunk.counts is None or any(chunk.counts.get(topic) for topic in topics)

    chunks = [chunk for chunk in file.contents.chunks if wanted(chunk)]
    yield from in_order([(chunk.start_ns, lambda chunk=chunk: read(chunk)) for chunk in chunks])  # type: ignore[misc]


def in_order(sources: Sequence[tuple[int, Callable[[], Iterator[T]]]]) -> Iterator[T]:
    """Merges sources that are sorted in themselves; of equal times the earlier source's is first.

    A source is opened when its first message is due and let go after its last one, so that only
    those are in memory that overlap in time.

    Args:
        sources: time of the first item, and what opens the source; an item begins with its time.
    """
    waiting = sorted(enumerate(sources), key=lambda source: source[1][0], reverse=True)
    heap: list[tuple[int, int, T, Iterator[T]]] = []
    try:
        while waiting or heap:
            while waiting and (not heap or waiting[-1][1][0] <= heap[0][0]):
                rank, (_, opened) = waiting.pop()
                _push(heap, rank, opened())
            if heap:
                _, rank, message, rest = heapq.heappop(heap)
                yield message
                del message
                _push(heap, rank, rest)
    finally:
        for _, _, _, rest in heap:
            rest.close()  # type: ignore[attr-defined]


def _push(heap: list[tuple[int, int, T, Iterator[T]]], rank: int, rest: Iterator[T]) -> None:
    message = next(rest, None)
    if message is not None:
        heapq.heappush(heap, (message[0], rank, message, rest))
