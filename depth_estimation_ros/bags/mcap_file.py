"""mcap files: by their index where they have one, else by a walk over their records.

The format: https://mcap.dev/spec
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, ChunkIndex, Footer, Schema, Statistics
from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat
from rosbags.rosbag2.errors import ReaderError
from rosbags.rosbag2.metadata import parse_qos

from depth_estimation_ros.bags.chunks import (
    BLOCK_BYTES,
    Chunk,
    Contents,
    CorruptChunk,
    Raw,
)
from depth_estimation_ros.bags.damage import Damage
from depth_estimation_ros.bags.mcap_records import (
    CHUNK,
    MAGIC,
    MESSAGE,
    RECORD,
    content_of,
    counts_of,
    message_of,
    records,
    stream,
)
from depth_estimation_ros.bags.topic import NO_DEFINITION, Topic
from depth_estimation_ros.errors import BagError

FOOTER_BYTES = 9 + 20 + len(MAGIC)
_DEFINITIONS = {
    "ros2msg": MessageDefinitionFormat.MSG,
    "ros2idl": MessageDefinitionFormat.IDL,
    "omgidl": MessageDefinitionFormat.IDL,
}
_KNOWN = range(Opcode.HEADER, Opcode.DATA_END + 1)
_PRIVATE = 0x80
CDR = "cdr"


class McapFile:
    """An mcap file that was written by rosbag2 or alike.

    Args:
        path: of the file, which may be cut off or corrupt.

    Attributes:
        has_index: it is whole, or at least its end is.
        schemas, channels: as far as they were met, by number.

    Raises:
        BagError: no mcap file.
        OSError: it cannot be read at all.
    """

    is_ros1 = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.contents = Contents()
        self.has_index = False
        self.schemas: dict[int, Schema] = {}
        self.channels: dict[int, Channel] = {}
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            magic = file.read(len(MAGIC))
            if magic != MAGIC:
                raise BagError(
                    f"The recording {path} cannot be read",
                    found="an empty file" if not magic else f"a file that begins with {magic!r}",
                    expected="an mcap file",
                )
            self.has_index = self._read_summary(file, size)
            if not self.has_index:
                self.contents = Contents()
                self._walk(file, size)

    def load(self, chunk: Chunk) -> list[Raw]:
        """The messages of a chunk, or of a run of messages outside chunks.

        Raises:
            CorruptChunk: they cannot be read.
        """
        with self.path.open("rb") as file:
            file.seek(chunk.offset)
            data = file.read(chunk.length)
        return self._parse(data, chunk.cut)

    def _read_summary(self, file: BinaryIO, size: int) -> bool:
        """Topics and chunks by the index at the end; False if there is none that can be used."""
        if size < len(MAGIC) + FOOTER_BYTES:
            return False
        file.seek(size - FOOTER_BYTES)
        end = file.read(FOOTER_BYTES)
        if not end.endswith(MAGIC) or end[:9] != RECORD.pack(Opcode.FOOTER, 20):
            return False
        footer = Footer.read(stream(end[9:]))
        if not len(MAGIC) <= footer.summary_start < size - FOOTER_BYTES:
            return False
        file.seek(footer.summary_start)
        summary = file.read(size - FOOTER_BYTES - footer.summary_start)
        crc = zlib.crc32(end[:25], zlib.crc32(summary))  # of the summary and the footer before it
        if footer.summary_crc and crc != footer.summary_crc:
            return False
        indexes, statistics = [], None
        try:
            for opcode, body in records(summary):
                if opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
                    self._learn(opcode, body)
                elif opcode == Opcode.CHUNK_INDEX:
                    indexes.append(ChunkIndex.read(stream(body)))
                elif opcode == Opcode.STATISTICS:
                    statistics = Statistics.read(stream(body))
        except (CorruptChunk, McapError, struct.error, ValueError):
            return False
        if statistics is None or statistics.chunk_count != len(indexes):
            return False
        if statistics.message_count and not (indexes and self.contents.topics):
            return False  # messages outside chunks, or channels that only the chunks know
        if not all(topic.msgtype for topic in self.contents.topics.values()):
            return False  # schemas that only the chunks know
        self.contents.indexed = dict(statistics.channel_message_counts)
        self.contents.chunks = [
            Chunk(
                index.message_start_time,
                index.message_end_time,
                index.chunk_start_offset,
                index.chunk_length,
                counts_of(index),
            )
            for index in indexes
            if index.message_start_time <= index.message_end_time
        ]
        return True

    def _walk(self, file: BinaryIO, size: int) -> None:
        """Topics and chunks from the records themselves, up to the place where they end."""
        walk = _Walk(self)
        position = len(MAGIC)
        while position + RECORD.size <= size:
            file.seek(position)
            opcode, length = RECORD.unpack(file.read(RECORD.size))
            end = position + RECORD.size + length
            if opcode in (Opcode.FOOTER, Opcode.DATA_END):
                file.seek(size - len(MAGIC))
                if file.read() != MAGIC:
                    what = "the index at the end is cut off, but all messages are there"
                    self.contents.damages.append(Damage(what, str(self.path), 0, 0))
                break
            if not (opcode in _KNOWN or opcode >= _PRIVATE):
                what = f"no record of mcap (opcode {opcode}), so what follows cannot be found"
                walk.damaged(what, position, size)
                break
            if end > size:
                if opcode == Opcode.CHUNK:
                    walk.chunk(position, size - position, cut=True)
                walk.damaged("the file ends in the middle of a record", position, size)
                break
            if opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
                try:
                    self._learn(opcode, file.read(length))
                except CorruptChunk as error:
                    walk.damaged(str(error), position, end)
            elif opcode == Opcode.CHUNK:
                walk.chunk(position, end - position)
            elif opcode == Opcode.MESSAGE_INDEX:
                (channel,) = struct.unpack("<H", file.read(2))
                walk.index(channel, (length - 6) // 16)
            elif opcode == Opcode.MESSAGE and length >= MESSAGE.size:
                channel, _, time_ns, _ = MESSAGE.unpack(file.read(MESSAGE.size))
                walk.message(position, end - position, channel, time_ns)
            position = end
        else:
            walk.damaged("the file has no end and no index", position, size)
        walk.finish()

    def _learn(self, opcode: int, body: bytes | memoryview) -> None:
        try:
            self._add(opcode, body)
        except (McapError, struct.error, ValueError) as error:
            raise CorruptChunk(f"a schema or channel is corrupt: {error}") from error

    def _add(self, opcode: int, body: bytes | memoryview) -> None:
        if opcode == Opcode.SCHEMA:
            schema = Schema.read(stream(body))
            self.schemas[schema.id] = schema
            return
        channel = Channel.read(stream(body))
        if channel.id in self.contents.topics or channel.message_encoding != CDR:
            return
        self.channels[channel.id] = channel
        found = self.schemas.get(channel.schema_id)
        definition = NO_DEFINITION
        if found is not None and found.data and found.encoding in _DEFINITIONS:
            text = found.data.decode("utf-8", "replace")
            definition = MessageDefinition(_DEFINITIONS[found.encoding], text)
        try:
            qos = parse_qos(channel.metadata.get("offered_qos_profiles", ""))
        except (ReaderError, KeyError, TypeError):
            qos = []
        self.contents.topics[channel.id] = Topic(
            channel.topic, found.name if found else "", msgdef=definition, qos=tuple(qos)
        )

    def _parse(self, data: bytes, cut: bool) -> list[Raw]:
        messages: list[Raw] = []
        for opcode, body in records(data, cut):
            if opcode == Opcode.CHUNK:
                content = content_of(body, cut)
                messages.extend(self._parse_content(content, cut))
            elif opcode == Opcode.MESSAGE:
                messages.append(message_of(body))
            else:
                raise CorruptChunk(f"a record of opcode {opcode} instead of messages")
        if not messages and cut and len(data) > RECORD.size:  # a chunk that does not end
            messages = self._parse_content(content_of(data[RECORD.size :], cut), cut)
        return messages

    def _parse_content(self, content: bytes | memoryview, cut: bool) -> list[Raw]:
        messages = []
        try:
            for opcode, body in records(content, cut):
                if opcode == Opcode.MESSAGE:
                    message = message_of(body)
                    if message.topic in self.contents.topics:  # else not of ROS 2, or not known
                        messages.append(message)
                elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
                    self._learn(opcode, bytes(body))
        except CorruptChunk as error:
            # Without a checksum the damage may have begun in the message before the one it breaks.
            raise CorruptChunk(str(error), messages[:-1]) from error
        return messages


class _Walk:
    """What a walk over the records has found: chunks, and messages outside chunks in runs."""

    def __init__(self, file: McapFile) -> None:
        self._file = file
        self._chunk: tuple[int, int, bool] | None = None
        self._indexes: dict[int, int] = {}
        self._run: list[tuple[int, int, int, int]] = []

    def chunk(self, offset: int, length: int, cut: bool = False) -> None:
        """A chunk record; its indexes follow it."""
        self.finish()
        self._chunk, self._indexes = (offset, length, cut), {}

    def index(self, channel: int, count: int) -> None:
        """The index of one channel of the last chunk."""
        if count:
            self._indexes[channel] = self._indexes.get(channel, 0) + count

    def message(self, offset: int, length: int, channel: int, time_ns: int) -> None:
        """A message outside chunks."""
        if self._chunk is not None:
            self.finish()
        first = self._run[0][0] if self._run else offset
        behind = self._run[-1][0] + self._run[-1][1] if self._run else offset
        if behind != offset or offset + length - first > BLOCK_BYTES:
            self.finish()
        self._run.append((offset, length, channel, time_ns))

    def damaged(self, what: str, position: int, size: int) -> None:
        """The file is of no use from this position on."""
        where = f"{self._file.path}, at byte {position}"
        self._file.contents.damages.append(Damage(what, where, None, size - position))

    def finish(self) -> None:
        """Keeps what was found by now."""
        if self._chunk is not None:
            self._finish_chunk(*self._chunk)
        elif self._run:
            times = [time_ns for _, _, _, time_ns in self._run]
            counts: dict[int, int] = {}
            for _, _, channel, _ in self._run:
                counts[channel] = counts.get(channel, 0) + 1
            offset, last = self._run[0][0], self._run[-1]
            length = last[0] + last[1] - offset
            self._file.contents.chunks.append(Chunk(min(times), max(times), offset, length, counts))
        self._chunk, self._run = None, []

    def _finish_chunk(self, offset: int, length: int, cut: bool) -> None:
        contents = self._file.contents
        if not cut and self._indexes and self._indexes.keys() <= contents.topics.keys():
            with self._file.path.open("rb") as file:
                file.seek(offset + RECORD.size)
                start, end, _, _, _ = CHUNK.unpack(file.read(CHUNK.size))
            contents.chunks.append(Chunk(start, end, offset, length, self._indexes))
            return
        chunk = Chunk(0, 0, offset, length, self._indexes or None, cut)
        try:
            messages = self._file.load(chunk)
        except CorruptChunk as error:
            if not cut:
                lost = sum(self._indexes.values()) or None
                where = f"{self._file.path}, at byte {offset}"
                contents.damages.append(Damage(str(error), where, lost, length))
            return
        times = [message.time_ns for message in messages]
        counts: dict[int, int] = {}
        for message in messages:
            counts[message.topic] = counts.get(message.topic, 0) + 1
        if messages:
            contents.chunks.append(Chunk(min(times), max(times), offset, length, counts, cut))
