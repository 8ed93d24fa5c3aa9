"""An ONNX file as data: what it says of itself, and whether its weights can be read safely.

ONNX Runtime, TensorRT and the package onnx read weights from whatever file a model names, and
versions differ in which names they refuse. So every tensor is looked at here first, in the file's
bytes, without loading it: a side file must lie in the model's own folder, and a tensor must be as
large as its shape says, before anybody makes room for it.

One ONNX file is one protobuf message: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto and
https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import math
import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from depth_estimation_ros.errors import ModelError

# Wire types of protobuf.
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# Field numbers of the messages of onnx.proto, by the message that a field is in.
_MODEL = {7: "graph", 20: "training", 25: "function"}
_METADATA_PROPS, _KEY, _VALUE = 14, 1, 2
_GRAPHS = {
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
}
_DIMS, _DATA_TYPE, _STRING_DATA, _NAME, _RAW_DATA, _EXTERNAL_DATA, _DATA_LOCATION = (
    *(1, 2, 6, 8, 9, 13, 14),
)
_NUMBERS = (4, 5, 7, 10, 11)  # float_data, int32_data, int64_data, double_data, uint64_data
# Bits of one element by TensorProto.DataType; a text (8) has no fixed size.
_BITS = {
    **{1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 8: 8, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64},
    **{14: 64, 15: 128, 16: 16, 17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4, 24: 8, 25: 2},
    **{26: 2},
}
_DEEPEST = 60  # messages within messages; protobuf's own readers stop at 100
# ONNX Runtime's name for weights at an address of its own memory.
_MEMORY = "_ORT_MEM_ADDR_"
_EXPORT = "Get the model again from whom you trust, or export it again"


@dataclass(frozen=True)
class OnnxFile:
    """What an ONNX file says of itself.

    Attributes:
        metadata: its `metadata_props`.
        weights: the files beside it that hold weights, in the order of their names.
    """

    metadata: dict[str, str]
    weights: tuple[Path, ...]


def read_onnx_file(path: Path) -> OnnxFile:
    """Reads the metadata and looks at every tensor, without reading weights.

    Raises:
        ModelError: the file cannot be read, is not ONNX or cut off; a tensor's size is not that of
            its data; its weights lie outside the model's folder, in a file that is missing or too
            short; or it has sparse weights.
    """
    try:
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as contents,
        ):
            return _Reader(path, contents).read()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, IndexError, KeyError) as error:  # an empty file, too, is a ValueError
        raise ModelError(
            f"{path}: not an ONNX file, or cut off",
            fix="Check that the file is complete and was exported as .onnx",
        ) from error


class _Field(NamedTuple):
    """One field of a message: a whole number, or the place of its bytes."""

    number: int
    kind: int
    value: int
    start: int
    end: int


@dataclass
class _Tensor:
    """What a TensorProto says of itself, apart from the numbers."""

    name: str = ""
    count: int = 1
    bits: int = 0
    typed: int = 0
    raw: int | None = None
    is_external: bool = False
    external: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of all elements."""
        return -(-self.count * self.bits // 8)


class _Reader:
    def __init__(self, path: Path, contents: mmap.mmap) -> None:
        self._path = path
        self._contents = contents
        self._folders = {path.parent.resolve(), path.resolve().parent}
        self._weights: set[Path] = set()

    def read(self) -> OnnxFile:
        metadata = {}
        for part in _fields(self._contents, 0, len(self._contents)):
            if part.kind != _BYTES:
                continue
            if part.number == _METADATA_PROPS:
                key, value = self._entry(part)
                metadata[key] = value
            elif part.number in _MODEL:
                self._look_into(_MODEL[part.number], part, 0)
        return OnnxFile(metadata, tuple(sorted(self._weights)))

    def _look_into(self, message: str, place: _Field, depth: int) -> None:
        if message == "tensor":
            self._check_tensor(place)
            return
        if message == "sparse":
            raise self._refused("sparse weights", expected="dense ones")
        if depth == _DEEPEST:
            raise self._refused("graphs too deep within graphs")
        inner = _GRAPHS[message]
        for part in _fields(self._contents, place.start, place.end):
            if part.kind == _BYTES and part.number in inner:
                self._look_into(inner[part.number], part, depth + 1)

    def _check_tensor(self, place: _Field) -> None:
        tensor = self._tensor(place)
        named = f"tensor '{tensor.name}' of {tensor.size} bytes"
        if tensor.is_external or tensor.external:
            self._check_external(tensor, named)
        elif tensor.raw is not None and tensor.raw != tensor.size:
            raise self._refused(f"{named}", f"{tensor.raw} bytes of data")
        # As numbers of variable length, each takes one byte at least.
        elif tensor.raw is None and tensor.typed < tensor.count * min(tensor.bits, 8) // 8:
            raise self._refused(f"{named}", f"{tensor.typed} bytes of data")

    def _tensor(self, place: _Field) -> _Tensor:
        tensor, sizes = _Tensor(), []
        for part in _fields(self._contents, place.start, place.end):
            if part.number == _DIMS:
                packed = part.kind == _BYTES
                sizes += list(self._varints(part.start, part.end)) if packed else [part.value]
            elif part.number == _DATA_TYPE:
                tensor.bits = _BITS[part.value]
            elif part.number == _NAME:
                tensor.name = self._text(part)[:80]
            elif part.number == _RAW_DATA:
                tensor.raw = part.end - part.start
            elif part.number == _STRING_DATA:
                tensor.typed += 1 + part.end - part.start
            elif part.number in _NUMBERS:
                tensor.typed += part.end - part.start if part.kind == _BYTES else 8
            elif part.number == _EXTERNAL_DATA:
                key, value = self._entry(part)
                if tensor.external.setdefault(key, value) != value:
                    raise ValueError(f"two of {key}")  # readers differ in which one counts
            elif part.number == _DATA_LOCATION:
                tensor.is_external = part.value == 1
        if max(sizes, default=0) >= 1 << 63:  # a negative number
            raise self._refused(f"tensor '{tensor.name}'", "a size below 0")
        tensor.count = math.prod(sizes)
        return tensor

    def _check_external(self, tensor: _Tensor, named: str) -> None:
        location = tensor.external.get("location", "")
        offset = int(tensor.external.get("offset") or 0)
        length = int(tensor.external.get("length") or tensor.size)
        beside = self._path.parent / location
        inside = not Path(location).is_absolute() and any(
            beside.resolve().is_relative_to(folder) for folder in self._folders
        )
        if not location or not inside or _MEMORY in location:
            raise self._refused(
                f"weights outside the model's folder: {named}",
                repr(location[:200]),
                f"a file in {self._path.parent.absolute()}",
            )
        if not beside.is_file():
            raise ModelError(
                f"{self._path}: the file with its weights is missing",
                found=f"no file {beside}",
                fix="Copy it too, beside the model and under that name",
            )
        held = os.path.getsize(beside)
        if length != tensor.size or offset < 0 or offset + length > held:
            raise self._refused(
                named, f"{length} bytes at {offset} of {location}, which has {held}"
            )
        self._weights.add(beside)

    def _refused(
        self, what: str, found: str | None = None, expected: str | None = None
    ) -> ModelError:
        return ModelError(f"{self._path}: {what}", found=found, expected=expected, fix=_EXPORT)

    def _entry(self, place: _Field) -> tuple[str, str]:
        """A StringStringEntryProto."""
        parts = _fields(self._contents, place.start, place.end)
        texts = {part.number: self._text(part) for part in parts if part.kind == _BYTES}
        return texts[_KEY], texts.get(_VALUE, "")

    def _text(self, place: _Field) -> str:
        return self._contents[place.start : place.end].decode()

    def _varints(self, at: int, end: int) -> Iterator[int]:
        while at < end:
            value, at = _varint(self._contents, at)
            yield value


def _fields(contents: mmap.mmap, at: int, end: int) -> Iterator[_Field]:
    """The fields of a protobuf message; ValueError if it is none, or cut off."""
    while at < end:
        tag, at = _varint(contents, at)
        number, kind = tag >> 3, tag & 7
        value, start = 0, at
        if kind == _VARINT:
            value, at = _varint(contents, at)
        elif kind in (_FIXED32, _FIXED64):
            at += 4 if kind == _FIXED32 else 8
        elif kind == _BYTES:
            length, start = _varint(contents, at)
            at = start + length
        else:
            raise ValueError(f"wire type {kind}")
        if at > end:
            raise ValueError("cut off")
        yield _Field(number, kind, value, start, at)


def _varint(contents: mmap.mmap, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = contents[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("a number of more than 64 bits")
