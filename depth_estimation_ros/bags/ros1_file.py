"""ROS 1 bags: by their index where they have one, else by a walk over their records.

The format: https://wiki.ros.org/Bags/Format/2.0
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from rosbags.convert.converter import LATCH
from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat
from rosbags.typesys.msg import normalize_msgtype

from depth_estimation_ros.bags.chunks import Chunk, Contents, CorruptChunk, Raw
from depth_estimation_ros.bags.damage import Damage
from depth_estimation_ros.bags.decompression import decompress
from depth_estimation_ros.bags.topic import Topic
from depth_estimation_ros.errors import BagError

MAGIC = b"#ROSBAG V2.0\n"
_MESSAGE, _BAG, _INDEX, _CHUNK, _CHUNK_INFO, _CONNECTION = 2, 3, 4, 5, 6, 7
_U32 = struct.Struct("<I")
_TIME = struct.Struct("<II")
_LARGEST_HEADER = 1 << 20

_CORRUPT = (CorruptChunk, KeyError, IndexError, ValueError, struct.error)

Fields = dict[bytes, bytes]


class Ros1File:
    """A bag of ROS 1, version 2.0.

    Args:
        path: of the file, which may be cut off, corrupt or without index.

    Raises:
        BagError: no bag of ROS 1, or an encrypted one.
        OSError: it cannot be read at all.
    """

    is_ros1 = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self.contents = Contents()
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            magic = file.read(len(MAGIC))
            if magic != MAGIC:
                raise BagError(
                    f"The recording {path} cannot be read",
                    found="an empty file" if not magic else f"a file that begins with {magic!r}",
                    expected="a bag of ROS 1 (version 2.0)",
                )
            try:
                fields, _ = _header(file.read(_LARGEST_HEADER), 0)
                if fields.get(b"encryptor"):
                    raise BagError(f"The recording {path} is encrypted", expected="one that is not")
                index = struct.unpack("<Q", fields[b"index_pos"])[0]
                self._read_index(file, index, size)
            except _CORRUPT:
                self.contents = Contents()
                self._walk(file, size)

    def load(self, chunk: Chunk) -> list[Raw]:
        """The messages of a chunk, as ROS 1 serialises them.

        Raises:
            CorruptChunk: they cannot be read.
        """
        with self.path.open("rb") as file:
            file.seek(chunk.offset)
            record = memoryview(file.read(chunk.length))
        try:
            fields, position = _header(record, 0)
            if fields[b"op"] != bytes([_CHUNK]):
                raise CorruptChunk("a record of another kind instead of a chunk")
            (length,) = _U32.unpack_from(record, position)
            (size,) = _U32.unpack(fields[b"size"])
            data = bytes(record[position + 4 : position + 4 + length])
            if not chunk.cut and len(data) != length:
                raise CorruptChunk("the chunk is longer than the file")
            compression = fields[b"compression"].decode("ascii", "replace")
            return self._parse(decompress(data, compression, size, chunk.cut), chunk.cut)
        except (KeyError, ValueError, struct.error) as error:
            raise CorruptChunk(f"the header of a chunk is corrupt: {error}") from error

    def _read_index(self, file: BinaryIO, index: int, size: int) -> None:
        if not len(MAGIC) < index <= size:
            raise CorruptChunk("no index")
        file.seek(index)
        infos = []
        for fields, data in _records(file.read(), cut=False):
            if fields[b"op"] == bytes([_CONNECTION]):
                self._learn(fields, data)
            elif fields[b"op"] == bytes([_CHUNK_INFO]):
                infos.append((fields, data))
        if not infos:
            raise CorruptChunk("no index")
        places = []
        for fields, data in infos:
            numbers = [_U32.unpack_from(data, at)[0] for at in range(0, len(data), 4)]
            counts = dict(zip(numbers[::2], numbers[1::2], strict=True))
            (offset,) = struct.unpack("<Q", fields[b"chunk_pos"])
            times = _time(fields[b"start_time"]), _time(fields[b"end_time"])
            places.append((offset, times, counts))
        places.sort(key=lambda place: place[0])
        ends = [*(offset for offset, _, _ in places[1:]), index]
        self.contents.chunks = [
            # Up to the next one: the length itself stands in the chunk, which may be corrupt.
            Chunk(start, end, offset, behind - offset, counts)
            for (offset, (start, end), counts), behind in zip(places, ends, strict=True)
            if counts
        ]

    def _walk(self, file: BinaryIO, size: int) -> None:
        position = len(MAGIC)
        found: tuple[int, int] | None = None
        index: dict[int, list[int]] = {}
        what = "the bag has no index"
        while position < size:
            file.seek(position)
            try:
                fields, at, length = _head(file, size - position)
            except CorruptChunk as error:
                what = str(error)
                break
            end = position + at + length
            op = int.from_bytes(fields[b"op"][:1], "little")
            if op in (_CHUNK, _CONNECTION, _CHUNK_INFO) and found is not None:
                self._finish(*found, index)
                found = None
            if end > size:
                if op == _CHUNK:
                    self._finish(position, size - position, {}, cut=True)
                what = "the file ends in the middle of a record"
                break
            if op == _CHUNK:
                found, index = (position, end - position), {}
            try:
                if op == _INDEX:
                    times = [_time(entry) for entry in _entries(file.read(length))]
                    index[_U32.unpack(fields[b"conn"])[0]] = times
                elif op == _CONNECTION:
                    self._learn(fields, file.read(length))
            except _CORRUPT as error:
                where = f"{self.path}, at byte {position}"
                lost = end - position
                damage = Damage(f"a record is corrupt: {error!r}", where, None, lost)
                self.contents.damages.append(damage)
            position = end
        if found is not None:
            self._finish(*found, index)
        where = f"{self.path}, at byte {position}"
        self.contents.damages.append(Damage(what, where, None, max(0, size - position)))

    def _finish(
        self, offset: int, length: int, index: dict[int, list[int]], cut: bool = False
    ) -> None:
        if index and index.keys() <= self.contents.topics.keys():
            times = [time_ns for found in index.values() for time_ns in found]
            counts = {connection: len(found) for connection, found in index.items()}
        else:
            try:
                messages = self.load(Chunk(0, 0, offset, length, None, cut))
            except CorruptChunk as error:
                if not cut:
                    lost = sum(map(len, index.values())) or None
                    where = f"{self.path}, at byte {offset}"
                    self.contents.damages.append(Damage(str(error), where, lost, length))
                return
            times, counts = [message.time_ns for message in messages], {}
            for message in messages:
                counts[message.topic] = counts.get(message.topic, 0) + 1
        if times:
            chunk = Chunk(min(times), max(times), offset, length, counts, cut)
            self.contents.chunks.append(chunk)

    def _learn(self, fields: Fields, data: bytes | memoryview) -> None:
        (number,) = _U32.unpack(fields[b"conn"])
        if number in self.contents.topics:
            return
        about = _fields(memoryview(data))
        name = "/" + "/".join(part for part in fields[b"topic"].decode().split("/") if part)
        text = about[b"message_definition"].decode("utf-8", "replace")
        self.contents.topics[number] = Topic(
            name,
            normalize_msgtype(about[b"type"].decode()),
            msgdef=MessageDefinition(MessageDefinitionFormat.MSG, text),
            qos=tuple(LATCH) if about.get(b"latching") == b"1" else (),
        )

    def _parse(self, content: bytes | memoryview, cut: bool) -> list[Raw]:
        messages = []
        try:
            for fields, data in _records(content, cut):
                op = fields[b"op"]
                if op == bytes([_MESSAGE]):
                    (connection,) = _U32.unpack(fields[b"conn"])
                    if connection in self.contents.topics:
                        messages.append(Raw(_time(fields[b"time"]), connection, data))
                elif op == bytes([_CONNECTION]):
                    self._learn(fields, data)
        except _CORRUPT as error:
            # Without a checksum the damage may have begun in the message before the one it breaks.
            raise CorruptChunk(f"a record in a chunk is corrupt: {error}", messages[:-1]) from error
        return messages


def _records(content: bytes | memoryview, cut: bool) -> Iterator[tuple[Fields, memoryview]]:
    """Header and data of each record; if the content is cut, of the whole ones."""
    view = memoryview(content)
    position = 0
    while position < len(view):
        try:
            fields, position = _header(view, position)
            if position + 4 > len(view):
                raise CorruptChunk("a record is cut off")
            (length,) = _U32.unpack_from(view, position)
            position += 4
            if position + length > len(view):
                raise CorruptChunk("a record is cut off")
        except CorruptChunk:
            if cut:
                return
            raise
        yield fields, view[position : position + length]
        position += length


def _head(file: BinaryIO, left: int) -> tuple[Fields, int, int]:
    """Fields of the record here, the bytes before its data, and the length of its data."""
    start = file.read(4)
    length = _U32.unpack(start)[0] if len(start) == 4 else 0
    if length > min(left - 8, _LARGEST_HEADER):
        cut = length <= _LARGEST_HEADER
        raise CorruptChunk(
            "the file ends in the middle of a record" if cut else "no record of a bag"
        )
    fields = _fields(memoryview(file.read(length)))
    data = file.read(4)
    if len(data) < 4 or b"op" not in fields:
        raise CorruptChunk("no record of a bag, so what follows cannot be found")
    return fields, length + 8, _U32.unpack(data)[0]


def _header(data: bytes | memoryview, position: int) -> tuple[Fields, int]:
    """Fields of the record header at this position, and the position behind it."""
    view = memoryview(data)
    if position + 4 > len(view):
        raise CorruptChunk("a record is cut off")
    (length,) = _U32.unpack_from(view, position)
    end = position + 4 + length
    if end > len(view):
        raise CorruptChunk("a record is cut off")
    fields = _fields(view[position + 4 : end])
    if b"op" not in fields:
        raise CorruptChunk("what should be records of a bag is none")
    return fields, end


def _fields(view: memoryview) -> Fields:
    fields: Fields = {}
    position = 0
    while position + 4 <= len(view):
        (length,) = _U32.unpack_from(view, position)
        name, equals, value = bytes(view[position + 4 : position + 4 + length]).partition(b"=")
        if not equals:
            raise CorruptChunk("the header of a record is corrupt")
        fields[name] = value
        position += 4 + length
    return fields


def _entries(index: bytes) -> Iterator[bytes]:
    """Times of an index record: time (8 bytes) and offset (4) each."""
    for start in range(0, len(index) - 11, 12):
        yield index[start : start + 8]


def _time(value: bytes) -> int:
    seconds, nanoseconds = _TIME.unpack(value)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)
