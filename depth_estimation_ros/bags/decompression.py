"""Decompression of chunks, also of those whose end is missing."""

from __future__ import annotations

import bz2
from typing import Protocol

import lz4.frame
import zstandard

from depth_estimation_ros.bags.chunks import CorruptChunk

_ZSTD = b"\x28\xb5\x2f\xfd"  # a message in CDR begins with 0


class _Decompressor(Protocol):
    def decompress(self, data: bytes | memoryview) -> bytes: ...


def decompress(
    data: bytes | memoryview, compression: str, size: int, cut: bool
) -> bytes | memoryview:
    """The content of a chunk.

    Args:
        compression: "" or "none", "zstd", "lz4" or "bz2".
        size: of the content, bytes.
        cut: the end of `data` is missing: then so much of the content as there is.

    Raises:
        CorruptChunk: not compressed like this, or (if it is not cut) of another size.
    """
    if compression in ("", "none"):
        content = data
    else:
        decompressor = _decompressor(compression)
        try:
            if cut:
                return _what_there_is(data, decompressor)
            content = decompressor.decompress(data)
        except Exception as error:  # each library has its own
            raise CorruptChunk(f"the {compression} of a chunk is corrupt: {error}") from error
    if not cut and len(content) != size:
        raise CorruptChunk(f"a chunk has {len(content)} bytes instead of {size}")
    return content


def plain(message: bytes | memoryview) -> bytes:
    """A message of ROS 2 that rosbag2 may have compressed by itself.

    Raises:
        zstandard.ZstdError: it did, and the message is corrupt.
    """
    if message[:4] == _ZSTD:
        decompressor = zstandard.ZstdDecompressor().decompressobj()
        content = decompressor.decompress(message)
        if not decompressor.eof:
            raise zstandard.ZstdError("its zstd breaks off")
        return content
    return bytes(message)


def _decompressor(compression: str) -> _Decompressor:
    if compression == "zstd":
        return zstandard.ZstdDecompressor().decompressobj()
    if compression == "lz4":
        return lz4.frame.LZ4FrameDecompressor()
    if compression == "bz2":
        return bz2.BZ2Decompressor()
    raise CorruptChunk(f"a chunk has the unknown compression {compression!r}")


def _what_there_is(data: bytes | memoryview, decompressor: _Decompressor) -> bytes:
    content = bytearray()
    for start in range(0, len(data), 4096):
        try:
            content += decompressor.decompress(data[start : start + 4096])
        except Exception:
            break
    return bytes(content)
