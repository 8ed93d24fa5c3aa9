"""metadata.yaml of rosbag2: which files belong to a recording, and what it says of them.

It is written in version 8, the newest that Humble's rosbag2 reads too; its fields:
rosbag2_storage/include/rosbag2_storage/yaml.hpp in https://github.com/ros2/rosbag2
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import yaml

from depth_estimation_ros.bags.topics import Topic
from depth_estimation_ros.errors import BagError
from depth_estimation_ros.utils.files import atomic_write, natural_order

METADATA = "metadata.yaml"
INFORMATION = "rosbag2_bagfile_information"
ZSTD = ".zstd"
STORAGE_SUFFIXES = (".mcap", ".db3", ".bag")
_NO_START = 2**63 - 1  # what rosbag2 writes for a recording without messages


@dataclass(frozen=True)
class Damage:
    """A loss.

    Attributes:
        what: happened, for a message.
        where: the file.
        lost_messages: as index or metadata.yaml say; None if unknown.
        lost_bytes: of the file, that no message came from; None if unknown.
    """

    what: str
    where: str
    lost_messages: int | None = None
    lost_bytes: int | None = None

    def __str__(self) -> str:
        lost = [f"{self.lost_messages} messages"] if self.lost_messages is not None else []
        lost += [f"{self.lost_bytes} bytes"] if self.lost_bytes is not None else []
        return f"{self.where}: {self.what}" + (f" ({' and '.join(lost)} lost)" if lost else "")


@dataclass(frozen=True)
class BagMetadata:
    """What metadata.yaml says of a recording, or what is known without it.

    Attributes:
        files: of messages, in their order.
        counts: messages by file, where it says so.
        times: of the first and of the last message (ns) by file, likewise.
        topics: all of them, without definitions.
        message_count: of all files; None if unknown.
        damages: of metadata.yaml itself, and of files that it names and that are missing.
    """

    files: list[Path] = field(default_factory=list)
    counts: dict[Path, int] = field(default_factory=dict)
    times: dict[Path, tuple[int, int]] = field(default_factory=dict)
    topics: list[Topic] = field(default_factory=list)
    message_count: int | None = None
    damages: list[Damage] = field(default_factory=list)


def read_metadata(path: Path) -> BagMetadata:
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
                fix="Images and videos are for the command estimate_depth",
            )
        return BagMetadata([path])
    there = storage_files(path)
    yaml_file = path / METADATA
    metadata = _parse(yaml_file, there) if yaml_file.exists() else BagMetadata(there)
    if not metadata.files:
        raise BagError(
            f"The directory {path}",
            found=f"{'a' if yaml_file.exists() else 'no'} {METADATA} and 0 files of messages",
            expected="a rosbag2 directory",
            fix="Name the directory that holds the .mcap or .db3 files",
        )
    return metadata


def storage_files(folder: Path) -> list[Path]:
    """Return the files of messages in a folder: split_2 before split_10."""
    files = (file for file in folder.iterdir() if is_storage(file) and file.is_file())
    return sorted(files, key=natural_order)


def is_storage(path: Path) -> bool:
    """Return whether the name is one of a file of messages."""
    plain = PurePath(path.stem) if path.suffix == ZSTD else path
    return plain.suffix in STORAGE_SUFFIXES and not path.name.startswith(".")


def _parse(metadata: Path, there: list[Path]) -> BagMetadata:
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
        what = f"it is damaged, so the files next to it are read without it: {error!r}"
        return BagMetadata(there, damages=[Damage(what, str(metadata), 0)])
    missing = [
        Damage("metadata.yaml names this file, but it is missing", str(name), counts.get(name))
        for name in named
        if not name.exists()
    ]
    files = [name for name in named if name.exists() and is_storage(name)]
    return BagMetadata(files, counts, times, topics, count, missing)


def _existing(path: Path) -> Path:
    """Return the file, also where metadata.yaml leaves out the ending that compression gave it."""
    packed = Path(f"{path}{ZSTD}")
    return packed if not path.exists() and packed.exists() else path


def read_information(folder: Path) -> list[dict[str, Any]]:
    """Return what the metadata.yaml of a folder says of its recording; nothing without one."""
    if not (folder / METADATA).exists():
        return []
    return [yaml.safe_load((folder / METADATA).read_text("utf-8"))[INFORMATION]]


def write_information(folder: Path, parts: Sequence[dict[str, Any]]) -> None:
    """Write the metadata.yaml of a recording that has the files of the parts, in their order."""
    topics: dict[tuple[str, str], dict[str, Any]] = {}
    for topic in (topic for part in parts for topic in part["topics_with_message_count"]):
        about = topic["topic_metadata"]
        known = topics.setdefault((about["name"], about["type"]), {**topic, "message_count": 0})
        known["message_count"] += topic["message_count"]
    times = [
        (start, start + part["duration"]["nanoseconds"])
        for part in parts
        if part["message_count"]
        for start in (part["starting_time"]["nanoseconds_since_epoch"],)
    ]
    start, end = (
        min((s for s, _ in times), default=_NO_START),
        max((e for _, e in times), default=0),
    )
    information = {
        **parts[0],
        "duration": {"nanoseconds": max(0, end - start)},
        "starting_time": {"nanoseconds_since_epoch": start},
        "message_count": sum(part["message_count"] for part in parts),
        "topics_with_message_count": [*topics.values()],
        "relative_file_paths": [name for part in parts for name in part["relative_file_paths"]],
        "files": [file for part in parts for file in part["files"]],
    }
    text = yaml.safe_dump({INFORMATION: information}, sort_keys=False)
    with atomic_write(folder / METADATA) as unfinished:
        unfinished.write_text(text, "utf-8")
