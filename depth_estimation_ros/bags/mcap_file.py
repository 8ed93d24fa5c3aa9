"""mcap files by the mcap library, also those that were cut off or have corrupt chunks.

A whole file is read by the index at its end. A file without one (the recorder was killed, the disk
was full) is walked through once, which finds the chunks that are whole; the rest is lost.
"""

from __future__ import annotations

import heapq
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import EndOfFile, McapError
from mcap.reader import make_reader
from mcap.records import Channel, Chunk, ChunkIndex, DataEnd, McapRecord, Message, Schema
from mcap.stream_reader import CRCValidationError, StreamReader, breakup_chunk
from mcap.summary import Summary
from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat
from rosbags.rosbag2.errors import ReaderError
from rosbags.rosbag2.metadata import parse_qos

from depth_estimation_ros.bags.topics import NO_DEFINITION, Topic

MAX_CHUNK_BYTES = 1 << 30
MAGIC = b"\x89MCAP0\r\n"
CORRUPT = (
    McapError,
    CRCValidationError,
    struct.error,
    ValueError,
    LookupError,
    MemoryError,
    OverflowError,
    RuntimeError,  # of lz4
    zstandard.ZstdError,
)
"""What the mcap library raises for bytes that are no records."""
_FORMATS = {
    "ros2msg": MessageDefinitionFormat.MSG,
    "ros2idl": MessageDefinitionFormat.IDL,
    "omgidl": MessageDefinitionFormat.IDL,
}
_RECORD_BYTES = 9  # opcode and length
_CHUNK_BYTES = 40  # of a chunk record, without the name of its compression and its data

OnLoss = Callable[[str, int | None, int | None], None]
"""Called with what is lost, how many messages (None if unknown) and how many bytes."""


class McapFile:
    """An mcap file; channels that are not in CDR (protobuf, JSON) are left out.

    Args:
        path: of the file.
        on_loss: called for each loss, now or while messages are read.

    Attributes:
        topics: by the number of their channel.
        start_ns, end_ns: times of the first and of the last message; None without messages.

    Raises:
        ValueError: it is no mcap file.
        OSError: it cannot be read.
    """

    def __init__(self, path: Path, on_loss: OnLoss) -> None:
        self.path = path
        self._on_loss = on_loss
        with path.open("rb") as file:
            magic = file.read(len(MAGIC))
            if magic != MAGIC:
                what = f"a file that begins with {magic!r}" if magic else "an empty file"
                raise ValueError(what)
            summary = _read_index(file)
            self._counts: dict[int, int] = {}
            self._times: list[int] = []
            if summary is None:
                summary = self._salvage(file)
            elif summary.statistics is not None:
                self._counts = dict(summary.statistics.channel_message_counts)
                if summary.statistics.message_count:
                    statistics = summary.statistics
                    self._times = [statistics.message_start_time, statistics.message_end_time]
        self._summary = summary
        self.start_ns = min(self._times, default=None)
        self.end_ns = max(self._times, default=None)
        self.topics = {
            number: _topic(channel, summary.schemas.get(channel.schema_id), self._counts)
            for number, channel in summary.channels.items()
            if channel.message_encoding == "cdr"
        }

    def messages(
        self, channels: Sequence[int], start_ns: int | None, end_ns: int | None
    ) -> Iterator[tuple[int, int, bytes]]:
        """Time, channel and bytes of the messages, in order of time where there are chunks.

        Args:
            channels: numbers of those that are wanted.
            start_ns, end_ns: at or after the one, before the other.
        """
        with self.path.open("rb") as file:
            found = self._by_chunk if self._summary.chunk_indexes else self._one_by_one
            for message in found(file, start_ns, end_ns):
                time_ns = message.log_time
                if (
                    message.channel_id in channels
                    and (start_ns is None or time_ns >= start_ns)
                    and (end_ns is None or time_ns < end_ns)
                ):
                    yield time_ns, message.channel_id, message.data

    def _by_chunk(
        self, file: BinaryIO, start_ns: int | None, end_ns: int | None
    ) -> Iterator[Message]:
        """All messages of the chunks that reach into this time, few chunks at a time in memory."""
        waiting = [
            index
            for index in self._summary.chunk_indexes
            if (start_ns is None or index.message_end_time >= start_ns)
            and (end_ns is None or index.message_start_time < end_ns)
        ]
        waiting.sort(key=lambda i: (i.message_start_time, i.chunk_start_offset), reverse=True)
        heap: list[tuple[int, int, int, Message]] = []
        while waiting or heap:
            while waiting and (not heap or waiting[-1].message_start_time <= heap[0][0]):
                index = waiting.pop()
                for place, message in enumerate(self._read(file, index)):
                    heapq.heappush(
                        heap, (message.log_time, index.chunk_start_offset, place, message)
                    )
            if heap:
                yield heapq.heappop(heap)[-1]

    def _read(self, file: BinaryIO, index: ChunkIndex) -> list[Message]:
        try:
            file.seek(index.chunk_start_offset + _RECORD_BYTES)
            chunk = Chunk.read(ReadDataStream(file))
            if (chunk.uncompressed_size, len(chunk.data)) != (
                index.uncompressed_size,
                index.compressed_size,
            ):
                raise ValueError("its size is not that of the index")
            records = _unpack(chunk)
        except CORRUPT as error:
            lost = _message_count(index)
            what = f"a chunk at byte {index.chunk_start_offset} is corrupt: {_words(error)}"
            self._on_loss(what, lost, index.chunk_length)
            return []
        return [record for record in records if isinstance(record, Message)]

    def _one_by_one(
        self, file: BinaryIO, start_ns: int | None, end_ns: int | None
    ) -> Iterator[Message]:
        """Yield the messages of a file without chunks, in their order in it."""
        try:
            for record in StreamReader(file).records:
                if isinstance(record, Message):
                    yield record
        except CORRUPT as error:
            if not isinstance(error, EndOfFile):  # where it is cut is known already
                left = self.path.stat().st_size - file.tell()
                self._on_loss(f"not readable from byte {file.tell()} on", None, left)

    def _salvage(self, file: BinaryIO) -> Summary:
        """Return an index of what is whole in a file that has none at its end."""
        summary, size = Summary(), self.path.stat().st_size
        finished, end = False, len(MAGIC)
        file.seek(0)
        try:
            for record in StreamReader(file, emit_chunks=True, record_size_limit=size).records:
                end = min(file.tell(), size)
                finished = finished or isinstance(record, DataEnd)
                if isinstance(record, Chunk):
                    self._learn_chunk(summary, record, end)
                else:
                    self._learn(summary, record)
        except CORRUPT as error:
            if finished:
                self._on_loss("the index at its end is cut off", 0, size - end)
            else:
                what = f"cut off or corrupt at byte {end}, without an index at its end"
                if not isinstance(error, EndOfFile):
                    what += f" ({_words(error)})"
                self._on_loss(what, None, size - end)
        return summary

    def _learn_chunk(self, summary: Summary, chunk: Chunk, end: int) -> None:
        length = _RECORD_BYTES + _CHUNK_BYTES + len(chunk.compression.encode()) + len(chunk.data)
        start = end - length
        try:
            records = _unpack(chunk)
        except CORRUPT as error:
            self._on_loss(f"a chunk at byte {start} is corrupt: {_words(error)}", None, length)
            return
        for record in records:
            self._learn(summary, record)
        summary.chunk_indexes.append(
            ChunkIndex(
                chunk_length=length,
                chunk_start_offset=start,
                compression=chunk.compression,
                compressed_size=len(chunk.data),
                message_end_time=chunk.message_end_time,
                message_index_length=0,
                message_index_offsets={},
                message_start_time=chunk.message_start_time,
                uncompressed_size=chunk.uncompressed_size,
            )
        )

    def _learn(self, summary: Summary, record: McapRecord) -> None:
        if isinstance(record, Schema):
            summary.schemas[record.id] = record
        elif isinstance(record, Channel):
            summary.channels[record.id] = record
        elif isinstance(record, Message):
            count = self._counts.get(record.channel_id, 0)
            self._counts[record.channel_id] = count + 1
            times = [*self._times, record.log_time]
            self._times = [min(times), max(times)]


def _read_index(file: BinaryIO) -> Summary | None:
    """Return the index at the end of the file; None if there is none, or none of the messages."""
    file.seek(0)
    try:
        summary = make_reader(file).get_summary()
    except (*CORRUPT, OSError):  # too short for an index
        return None
    if summary is None or summary.statistics is None:
        return None
    complete = summary.statistics.message_count == 0 or summary.channels
    return summary if complete else None


def _unpack(chunk: Chunk) -> list[McapRecord]:
    """Return the records of a chunk, its checksum verified."""
    if chunk.uncompressed_size > MAX_CHUNK_BYTES:
        raise ValueError(f"it has {chunk.uncompressed_size} bytes, more than {MAX_CHUNK_BYTES}")
    return breakup_chunk(chunk, validate_crc=True)


def _message_count(index: ChunkIndex) -> int | None:
    """Return how many messages a chunk has: what the lengths of its message indexes say."""
    channels = len(index.message_index_offsets)
    if not channels:
        return None
    return (index.message_index_length - channels * (_RECORD_BYTES + 6)) // 16


def _topic(channel: Channel, schema: Schema | None, counts: dict[int, int]) -> Topic:
    definition = NO_DEFINITION
    if schema is not None and schema.encoding in _FORMATS and schema.data:
        text = schema.data.decode(errors="replace")
        definition = MessageDefinition(_FORMATS[schema.encoding], text)
    try:
        qos = tuple(parse_qos(channel.metadata.get("offered_qos_profiles", "")))
    except (ReaderError, KeyError, TypeError):
        qos = ()
    name = schema.name if schema is not None else ""
    return Topic(channel.topic, name, counts.get(channel.id, 0), definition, qos)


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
