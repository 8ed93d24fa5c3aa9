"""What the header of a JPEG or PNG declares, read before a decoder believes it.

A decoder allocates what the header asks for, and OpenCV stops only at 2**30 pixels: 2 kB of JPEG
that say 30000 x 30000 take 5 GB and 12 s, and give a picture.
"""

from __future__ import annotations

import struct

MAX_PIXELS = 1 << 26
"""8192 x 8192; twice the picture of an 8K camera."""

DEFAULT_MAX_PIXELS = 4096 * 3072
"""Half as much again as a 4K camera has. What a node takes unless it is told otherwise: so much as
half a gigabyte is enough for, with depth, cloud and colours of that size."""

NEITHER = "neither a JPEG nor a PNG"
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
# SOF0 ... SOF15 of ITU-T T.81, table B.1, without DHT, JPG and DAC, which lie between them.
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset((0x01, *range(0xD0, 0xD9)))  # markers without a segment: TEM, RST, SOI
_LARGEST_SEGMENTS = 10_000
_LARGEST_SCANS = 100  # progressive files have about ten; each costs a pass over the whole picture

# Each block of 64 pixels takes at least one bit of a JPEG; half of that, to be on the safe side.
_JPEG_PIXELS_PER_BYTE = 1024
_LARGEST_CHUNKS = 100_000  # of a PNG; of 8 kB each, as libpng writes them, 800 MB
_DEFLATE_RATIO = 1032  # RFC 1951: 258 bytes by two codes of one bit
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def why_not_decodable(content: bytes, largest: int = MAX_PIXELS) -> str:
    """What is wrong with a JPEG or PNG as far as its header tells; empty if nothing.

    It is another format, it declares more than `largest` pixels or more than its bytes can hold,
    it ends before its picture does, or it has more scans than a camera makes.

    Args:
        content: the whole file.
        largest: pixels.
    """
    if content.startswith(_PNG):
        return _why_not_png(content, largest)
    if content.startswith(_JPEG):
        return _why_not_jpeg(content, largest)
    return NEITHER


def _why_not_png(content: bytes, largest: int) -> str:
    """By IHDR, the first chunk of every PNG (ISO 15948, 11.2.2), and the lengths of all chunks."""
    if content[12:16] != b"IHDR" or len(content) < 26:
        return "a PNG without its header"
    width, height, depth, color_type = struct.unpack_from(">IIBB", content, 16)
    row = 1 + (width * depth * _PNG_CHANNELS.get(color_type, 1) + 7) // 8
    return (
        _why_too_large(width, height, largest)
        or _why_too_few(width, height, len(content) * _DEFLATE_RATIO >= row * height)
        or _why_not_chunks(content)
    )


def _why_not_chunks(content: bytes) -> str:
    """A decoder allocates a chunk before it reads it: one that says 1 GB gets 1 GB (5.3)."""
    at = len(_PNG)
    for _ in range(_LARGEST_CHUNKS):
        if at + 12 > len(content):
            return "a PNG that is cut short"
        length, kind = struct.unpack_from(">I4s", content, at)
        at += 12 + length  # with its length, name and checksum
        if at > len(content):
            return "a PNG that is cut short"
        if kind == b"IEND":
            return ""
    return f"a PNG of more than {_LARGEST_CHUNKS} chunks"


def _why_not_jpeg(content: bytes, largest: int) -> str:
    """By its frame header, the end of its scans and their number (ITU-T T.81, B.1)."""
    size, scan = _jpeg_frame(content)
    if size is None or scan is None:
        return "a JPEG without a picture"
    width, height = size
    if content.find(bytes((0xFF, _END_OF_IMAGE)), scan) < 0:
        # OpenCV 4 would fill the rest with grey, a wall to the network.
        return "a JPEG that is cut short"
    if content.count(bytes((0xFF, _START_OF_SCAN)), scan) > _LARGEST_SCANS:
        return f"a JPEG of more than {_LARGEST_SCANS} scans"
    return _why_too_large(width, height, largest) or _why_too_few(
        width, height, len(content) * _JPEG_PIXELS_PER_BYTE >= width * height
    )


def _jpeg_frame(content: bytes) -> tuple[tuple[int, int] | None, int | None]:
    """Width and height of the frame, and where the first scan starts; None for what is not there.

    What lies between segments is passed over, as decoders do.
    """
    size, at = None, 2
    for _ in range(_LARGEST_SEGMENTS):
        at = content.find(b"\xff", at)
        while 0 <= at < len(content) and content[at] == 0xFF:
            at += 1
        if not 0 < at < len(content):
            break
        marker = content[at]
        at += 1
        if marker == 0 or marker in _ALONE:
            continue
        if marker == _START_OF_SCAN:
            return size, at - 2
        if marker == _END_OF_IMAGE or at + 7 > len(content):
            break
        if marker in _START_OF_FRAME and size is None:
            height, width = struct.unpack_from(">HH", content, at + 3)
            size = width, height
        at += int.from_bytes(content[at : at + 2], "big")
    return size, None


def _why_too_large(width: int, height: int, largest: int) -> str:
    if width * height <= largest:
        return ""
    return f"a picture that declares {width} x {height}, more than {largest} pixels"


def _why_too_few(width: int, height: int, enough: bool) -> str:
    return "" if enough else f"a picture that declares {width} x {height}, more than it can hold"
