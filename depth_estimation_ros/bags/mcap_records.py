"""Records of mcap in memory: taken apart, with every number in them checked first.

The format: https://mcap.dev/spec
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO

from mcap.data_stream import ReadDataStream
from mcap.records import ChunkIndex

from depth_estimation_ros.bags.chunks import CorruptChunk, Raw
from depth_estimation_ros.bags.decompression import decompress

MAGIC = b"\x89MCAP0\r\n"
RECORD = struct.Struct("<BQ")
"""Opcode, length of what follows."""
MESSAGE = struct.Struct("<HIQQ")
"""Channel, sequence, log time, publish time."""
CHUNK = struct.Struct("<QQQII")
"""Start, end, uncompressed size, checksum; length of the compression's name."""


def records(data: bytes | memoryview, cut: bool = False) -> Iterator[tuple[int, memoryview]]:
    """Opcode and body of each record; if the data are cut, of the whole ones."""
    view = memoryview(data)
    position = 0
    while position < len(view):
        whole = position + RECORD.size <= len(view)
        opcode, length = RECORD.unpack_from(view, position) if whole else (0, 0)
        body = position + RECORD.size
        if not whole or body + length > len(view):
            if cut:
                return
            raise CorruptChunk("the records of a chunk do not end where it ends")
        if opcode == 0:
            raise CorruptChunk("what should be records of mcap is none")
        yield opcode, view[body : body + length]
        position = body + length


def message_of(body: memoryview) -> Raw:
    if len(body) < MESSAGE.size:
        raise CorruptChunk("a message is too short")
    channel, _, time_ns, _ = MESSAGE.unpack_from(body)
    return Raw(time_ns, channel, body[MESSAGE.size :])


def content_of(body: bytes | memoryview, cut: bool) -> bytes | memoryview:
    """The uncompressed content of a chunk record."""
    view = memoryview(body)
    if len(view) < CHUNK.size + 8:
        raise CorruptChunk("the header of a chunk is cut off")
    _, _, size, crc, name_length = CHUNK.unpack_from(view)
    name_end = CHUNK.size + name_length
    compression = bytes(view[CHUNK.size : name_end]).decode("ascii", "replace")
    if name_length > 16 or len(view) < name_end + 8:
        raise CorruptChunk("the header of a chunk is corrupt")
    (length,) = struct.unpack_from("<Q", view, name_end)
    compressed = view[name_end + 8 : name_end + 8 + length]
    if not cut and len(compressed) != length:
        raise CorruptChunk("the header of a chunk is corrupt")
    content = decompress(compressed, compression, size, cut)
    if crc and not cut and zlib.crc32(content) != crc:
        raise CorruptChunk("the checksum of a chunk is wrong")
    return content


def counts_of(index: ChunkIndex) -> dict[int, int] | None:
    """Messages by channel: what the lengths of the chunk's message indexes say."""
    if not index.message_index_offsets:
        return None
    starts = sorted((offset, channel) for channel, offset in index.message_index_offsets.items())
    end = index.chunk_start_offset + index.chunk_length + index.message_index_length
    ends = [*(offset for offset, _ in starts[1:]), end]
    return {
        channel: (end - offset - RECORD.size - 6) // 16
        for (offset, channel), end in zip(starts, ends, strict=True)
    }


def stream(body: bytes | memoryview) -> ReadDataStream:
    return ReadDataStream(BytesIO(body))
