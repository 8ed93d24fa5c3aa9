"""Which files belong to a recording, and what its metadata.yaml promises of them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import yaml
import zstandard

from depth_estimation_ros.bags.chunks import MessageFile
from depth_estimation_ros.bags.damage import Damage
from depth_estimation_ros.bags.mcap_file import McapFile
from depth_estimation_ros.bags.ros1_file import Ros1File
from depth_estimation_ros.bags.sqlite_file import SqliteFile
from depth_estimation_ros.bags.topic import Topic
from depth_estimation_ros.errors import BagError

METADATA = "metadata.yaml"
INFORMATION = "rosbag2_bagfile_information"
ZSTD = ".zstd"
FORMATS: dict[str, Callable[[Path], MessageFile]] = {
    ".mcap": McapFile,
    ".db3": SqliteFile,
    ".bag": Ros1File,
}


@dataclass(frozen=True)
class BagMetadata:
    """What metadata.yaml says.

    Attributes:
        files: names, in their order.
        counts: messages by file, of files of which it says so.
        times: of the first and the last message (ns) by file, likewise; of those that have one.
        topics: all of them, without definitions.
        message_count: of all files.
        damages: of metadata.yaml itself, and of files that it names and that are missing.
    """

    files: list[Path] = field(default_factory=list)
    counts: dict[Path, int] = field(default_factory=dict)
    times: dict[Path, tuple[int, int]] = field(default_factory=dict)
    topics: list[Topic] = field(default_factory=list)
    message_count: int | None = None
    damages: list[Damage] = field(default_factory=list)


@contextmanager
def opened(path: Path) -> Iterator[MessageFile]:
    """The file; one that is compressed as a whole is unpacked to a temporary folder for as long.

    Raises:
        BagError: no recording.
        OSError: it cannot be read, or there is no room to unpack it.
    """
    if path.suffix != ZSTD:
        yield FORMATS[path.suffix](path)
        return
    with tempfile.TemporaryDirectory(prefix="recording-") as folder:
        plain = Path(folder, path.stem)
        damage = _unpack(path, plain)
        try:
            file = FORMATS[plain.suffix](plain)
        except BagError as error:
            what = f"The recording {path} cannot be read"
            raise BagError(what, found=damage or "something else in the zstd") from error
        file.contents.damages = [_in(path, d) for d in file.contents.damages]
        if damage and not file.contents.damages:
            file.contents.damages.append(damage)
        yield file


def files_of(path: Path) -> BagMetadata:
    """The files of a recording: of a rosbag2 directory with or without metadata.yaml, or itself.

    Raises:
        BagError: nothing there, or nothing that looks like a recording.
    """
    if not path.exists():
        raise BagError(f"The recording {path}", found="nothing there", fix="Check the path")
    if not path.is_dir():
        if not is_storage(path):
            raise BagError(
                f"The recording {path} cannot be read",
                found=f"a file that ends in '{path.suffix}'",
                expected="a rosbag2 directory, .mcap, .db3 or ROS 1 .bag",
                fix="Pictures and videos are for the command estimate_depth",
            )
        return BagMetadata([path])
    there = storage_files(path)
    metadata = path / METADATA
    promise = _promise(metadata, there) if metadata.exists() else BagMetadata(there)
    if not promise.files:
        raise BagError(
            f"The directory {path}",
            found=f"{'a' if metadata.exists() else 'no'} {METADATA} and 0 files of messages",
            expected="a rosbag2 directory",
            fix="Name the directory that holds the .mcap or .db3 files",
        )
    return promise


def storage_files(folder: Path) -> list[Path]:
    """The files of messages in a folder: split_2 before split_10."""
    files = (file for file in folder.iterdir() if is_storage(file) and file.is_file())
    return sorted(files, key=_natural)


def is_storage(path: Path) -> bool:
    """Whether the name is one of a file of messages."""
    plain = PurePath(path.stem) if path.suffix == ZSTD else path
    return plain.suffix in FORMATS and not path.name.startswith(".")


def _promise(metadata: Path, there: list[Path]) -> BagMetadata:
    folder = metadata.parent
    try:
        information = yaml.safe_load(metadata.read_text(encoding="utf-8"))[INFORMATION]
        named = [_existing(folder / PurePath(n).name) for n in information["relative_file_paths"]]
        count = int(information["message_count"])
        topics = [
            Topic(about["name"], about["type"], int(with_count["message_count"]))
            for with_count in information["topics_with_message_count"]
            if (about := with_count["topic_metadata"])["serialization_format"] == "cdr"
        ]
        counts, times = {}, {}
        for about in information.get("files") or ():
            path = _existing(folder / PurePath(about["path"]).name)
            start = int(about["starting_time"]["nanoseconds_since_epoch"])
            counts[path] = int(about["message_count"])
            if counts[path]:  # else rosbag2 gives it a start in the year 2262
                times[path] = (start, start + int(about["duration"]["nanoseconds"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        what = f"it is damaged, so the files beside it are read without it: {error!r}"
        return BagMetadata(there, damages=[Damage(what, str(metadata), 0)])
    missing = [
        Damage("metadata.yaml names this file, but it is missing", str(name), counts.get(name))
        for name in named
        if not name.exists()
    ]
    files = [name for name in named if name.exists() and is_storage(name)]
    return BagMetadata(files, counts, times, topics, count, missing)


def _existing(path: Path) -> Path:
    """The file, also where metadata.yaml leaves out the ending that compression gave it."""
    packed = Path(f"{path}{ZSTD}")
    return packed if not path.exists() and packed.exists() else path


def _unpack(path: Path, plain: Path) -> Damage | None:
    """Unpacks as much as there is."""
    decompressor = zstandard.ZstdDecompressor().decompressobj()
    with path.open("rb") as packed, plain.open("wb") as target:
        try:
            while piece := packed.read(1 << 16):
                if decompressor.eof:
                    decompressor = zstandard.ZstdDecompressor().decompressobj()
                target.write(decompressor.decompress(piece))
        except zstandard.ZstdError as error:
            left = path.stat().st_size - packed.tell()
            return Damage(f"the zstd of the file is corrupt: {error}", str(path), None, left)
    if not decompressor.eof:
        return Damage("the zstd of the file breaks off", str(path))
    return None


def _in(path: Path, damage: Damage) -> Damage:
    return Damage(damage.what, f"{path}, unpacked", damage.lost_messages, None)


def _natural(path: Path) -> list[Any]:
    """Sorts split_2 before split_10."""
    parts: list[Any] = [""]
    for letter in path.name:
        if letter.isdecimal() != isinstance(parts[-1], int):
            parts.append(0 if letter.isdecimal() else "")
        parts[-1] = parts[-1] * 10 + int(letter) if letter.isdecimal() else parts[-1] + letter
    return parts
