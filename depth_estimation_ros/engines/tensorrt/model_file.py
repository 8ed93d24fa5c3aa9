"""An ONNX file as the builder and the cache see it: its card and its SHA-256, not its graph.

Reading those must be quick, because a robot does it at every start to find the engine in the cache.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from depth_estimation_ros.errors import ModelError
from depth_estimation_ros.model_card import METADATA_KEY, ModelCard, card_of_model

# Field numbers of ModelProto and StringStringEntryProto in onnx.proto, and protobuf's wire types.
_METADATA_PROPS, _KEY, _VALUE = 14, 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_CHUNK = 1 << 20


@dataclass(frozen=True)
class ModelFile:
    """What is to be known of a model before an engine of it is looked for.

    Attributes:
        name: as the user gave it: a bundled name or a path.
        path: of the ONNX file.
        card: from its metadata, or from the YAML file beside it.
        sha256: of the file, and of the weights in `<file>.data` if it has them there.
    """

    name: str
    path: Path
    card: ModelCard
    sha256: str


def read_model_file(path: Path, name: str | None = None) -> ModelFile:
    """Reads card and hash of an ONNX file.

    Args:
        path: of the file.
        name: what the user calls it; default: the path.

    Raises:
        ModelError: the file cannot be read, is not ONNX, or has no sound card.
    """
    try:
        card = card_of_model(_metadata(path).get(METADATA_KEY), path)
        return ModelFile(name or str(path), path, card, _sha256(path))
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror or error})") from error


def _metadata(path: Path) -> dict[str, str]:
    """metadata_props of an ONNX file, which is one protobuf message; the graph is skipped."""
    entries = {}
    try:
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as contents,
        ):
            for number, start, end in _fields(contents, 0, len(contents)):
                if number == _METADATA_PROPS:
                    entry = {n: contents[a:b] for n, a, b in _fields(contents, start, end)}
                    entries[entry[_KEY].decode()] = entry.get(_VALUE, b"").decode()
    except (ValueError, IndexError, KeyError) as error:  # an empty file, too, is a ValueError
        raise ModelError(
            f"{path}: not an ONNX file, or cut off",
            fix="Check that the file is complete and was exported as .onnx",
        ) from error
    return entries


def _fields(contents: mmap.mmap, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of each field of a protobuf message that holds bytes."""
    while at < end:
        tag, at = _varint(contents, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            _, at = _varint(contents, at)
        elif kind in (_FIXED32, _FIXED64):
            at += 4 if kind == _FIXED32 else 8
        elif kind == _BYTES:
            length, at = _varint(contents, at)
            at += length
            if at <= end:
                yield number, at - length, at
        else:
            raise ValueError(f"wire type {kind}")
    if at != end or end == 0:
        raise ValueError("cut off")


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


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    beside = path.with_name(path.name + ".data")
    for part in (path, beside) if beside.is_file() else (path,):
        with part.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()
