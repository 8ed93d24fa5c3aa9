"""Finishes mcap files whose writer was stopped before it could: in place, without rewriting them.

The format: https://mcap.dev/spec
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import (
    Chunk as ChunkRecord,
)
from mcap.records import (
    ChunkIndex,
    DataEnd,
    Footer,
    Message,
    MessageIndex,
    Statistics,
)

from depth_estimation_ros.bags.chunks import Chunk, CorruptChunk, Raw
from depth_estimation_ros.bags.mcap_file import McapFile
from depth_estimation_ros.bags.mcap_records import MAGIC, RECORD


@dataclass
class _Index:
    chunks: list[ChunkIndex] = field(default_factory=list)
    counts: dict[int, int] = field(default_factory=dict)

    def count(self, channel: int, messages: int) -> None:
        self.counts[channel] = self.counts.get(channel, 0) + messages


def finish_mcap(path: Path) -> None:
    """Gives the file an end and an index, so that every reader takes it for whole.

    Its last chunk is written anew with those of its messages that are whole; what lies before it
    stays as it is. A file that has an index already is left alone.

    Args:
        path: written by `RecordingWriter`: all messages lie in chunks, which have indexes.

    Raises:
        OSError: the disk has no room for the index.
    """
    file = McapFile(path)
    if file.has_index:
        return
    size = path.stat().st_size
    with path.open("r+b") as target:
        index, last, length = _chunks(target, size)
        messages: list[Raw] = []
        if last is not None:
            whole = last + length <= size
            chunk = Chunk(0, 0, last, min(length, size - last), None, cut=not whole)
            try:
                messages = file.load(chunk)
            except CorruptChunk as error:
                messages = error.good
            target.seek(last)
        target.truncate()
        if messages:
            _append_chunk(target, file, messages, index)
        _append_end(target, file, index)


def _chunks(file: BinaryIO, size: int) -> tuple[_Index, int | None, int]:
    """The index of all chunks but the last one; where that begins, and its length.

    The file is left at the end of what is whole.
    """
    index, last, last_length = _Index(), None, 0
    last_counts: dict[int, int] = {}
    found: ChunkIndex | None = None
    position = len(MAGIC)
    while position + RECORD.size <= size:
        file.seek(position)
        opcode, length = RECORD.unpack(file.read(RECORD.size))
        end = position + RECORD.size + length
        if opcode == Opcode.CHUNK:
            if found is not None:
                index.chunks.append(found)
                for channel, messages in last_counts.items():
                    index.count(channel, messages)
            last, last_length, last_counts = position, end - position, {}
            if end <= size:
                found = _chunk_index(file, position, end - position)
        elif opcode == Opcode.MESSAGE_INDEX and end <= size and found is not None:
            (channel,) = struct.unpack("<H", file.read(2))
            found.message_index_offsets[channel] = position
            found.message_index_length += end - position
            last_counts[channel] = (length - 6) // 16
        elif opcode != Opcode.HEADER:
            break
        if end > size:
            break
        position = end
    file.seek(position)
    return index, last, last_length


def _chunk_index(file: BinaryIO, position: int, length: int) -> ChunkIndex:
    start, end, size, _, name_length = struct.unpack("<QQQII", file.read(32))
    compression = file.read(name_length).decode()
    (compressed,) = struct.unpack("<Q", file.read(8))
    return ChunkIndex(
        chunk_length=length,
        chunk_start_offset=position,
        compression=compression,
        compressed_size=compressed,
        message_end_time=end,
        message_index_length=0,
        message_index_offsets={},
        message_start_time=start,
        uncompressed_size=size,
    )


def _append_chunk(target: BinaryIO, file: McapFile, messages: list[Raw], index: _Index) -> None:
    content = RecordBuilder()
    for definition in (*file.schemas.values(), *file.channels.values()):
        definition.write(content)
    places: dict[int, list[tuple[int, int]]] = {}
    for message in messages:
        places.setdefault(message.topic, []).append((message.time_ns, content.count))
        data = bytes(message.data)
        Message(message.topic, message.time_ns, data, message.time_ns, 0).write(content)
    data = content.end()
    times = [message.time_ns for message in messages]
    record, start = RecordBuilder(), target.tell()
    ChunkRecord(
        compression="",
        data=data,
        message_end_time=max(times),
        message_start_time=min(times),
        uncompressed_crc=0,
        uncompressed_size=len(data),
    ).write(record)
    chunk_length, offsets = record.count, {}
    for channel, records in places.items():
        offsets[channel] = start + record.count
        MessageIndex(channel, records).write(record)
        index.count(channel, len(records))
    index_length = record.count - chunk_length
    target.write(record.end())
    index.chunks.append(
        ChunkIndex(
            chunk_length=chunk_length,
            chunk_start_offset=start,
            compression="",
            compressed_size=len(data),
            message_end_time=max(times),
            message_index_length=index_length,
            message_index_offsets=offsets,
            message_start_time=min(times),
            uncompressed_size=len(data),
        )
    )


def _append_end(target: BinaryIO, file: McapFile, index: _Index) -> None:
    record = RecordBuilder()
    DataEnd(0).write(record)
    summary = target.tell() + record.count
    for entry in (*file.schemas.values(), *file.channels.values(), *index.chunks):
        entry.write(record)
    Statistics(
        attachment_count=0,
        channel_count=len(file.channels),
        channel_message_counts=index.counts,
        chunk_count=len(index.chunks),
        message_count=sum(index.counts.values()),
        message_end_time=max((chunk.message_end_time for chunk in index.chunks), default=0),
        message_start_time=min((chunk.message_start_time for chunk in index.chunks), default=0),
        metadata_count=0,
        schema_count=len(file.schemas),
    ).write(record)
    Footer(summary, 0, 0).write(record)
    target.write(record.end() + MAGIC)
