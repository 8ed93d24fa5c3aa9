"""metadata.yaml of rosbag2, version 8: the newest that Humble's rosbag2 reads too.

Its fields: rosbag2_storage/include/rosbag2_storage/yaml.hpp in https://github.com/ros2/rosbag2
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from rosbags.rosbag2.metadata import dump_qos_v8

from depth_estimation_ros.bags.bag_files import INFORMATION, METADATA, opened
from depth_estimation_ros.bags.topic import Topic
from depth_estimation_ros.bags.types import definition_of
from depth_estimation_ros.utils.files import atomic_write

VERSION = 8
_NO_START = 2**63 - 1  # what rosbag2 writes for a recording without messages


@dataclass(frozen=True)
class Split:
    """One file of a recording.

    Attributes:
        path: of the file.
        start_ns, end_ns: times of its first and last message.
        topics: with the numbers of their messages in it.
    """

    path: Path
    start_ns: int
    end_ns: int
    topics: tuple[Topic, ...]

    @property
    def message_count(self) -> int:
        """Of all topics."""
        return sum(topic.count or 0 for topic in self.topics)

    @classmethod
    def of(cls, path: Path) -> Split:
        """What the file says of itself.

        Raises:
            BagError: it is no file of messages.
        """
        with opened(path) as file:
            contents, counts = file.contents, file.contents.counts or {}
        topics = (
            Topic(t.name, t.msgtype, counts.get(number, 0), t.msgdef, t.qos)
            for number, t in contents.topics.items()
        )
        start, end = contents.start_ns, contents.end_ns
        return cls(path, _NO_START if start is None else start, end or 0, tuple(topics))

    @property
    def duration_ns(self) -> int:
        """From the first to the last message."""
        return max(0, self.end_ns - self.start_ns)


def write_metadata(folder: Path, splits: Sequence[Split], storage: str, compressed: bool) -> None:
    """Writes metadata.yaml so that at every moment there is the old or the new one.

    Args:
        folder: of the recording.
        splits: in their order.
        storage: mcap or sqlite3.
        compressed: each message by itself.
    """
    topics: dict[tuple[str, str], tuple[Topic, int]] = {}
    for topic in (topic for split in splits for topic in split.topics):
        key = (topic.name, topic.msgtype)
        first, count = topics.get(key, (topic, 0))
        topics[key] = (first, count + (topic.count or 0))
    start = min((split.start_ns for split in splits), default=_NO_START)
    end = max((split.end_ns for split in splits), default=0)
    information = {
        "version": VERSION,
        "storage_identifier": storage,
        "duration": {"nanoseconds": max(0, end - start)},
        "starting_time": {"nanoseconds_since_epoch": start},
        "message_count": sum(split.message_count for split in splits),
        "topics_with_message_count": [
            {"topic_metadata": _topic(topic), "message_count": count}
            for topic, count in topics.values()
        ],
        "compression_format": "zstd" if compressed else "",
        "compression_mode": "message" if compressed else "",
        "relative_file_paths": [split.path.name for split in splits],
        "files": [
            {
                "path": split.path.name,
                "starting_time": {"nanoseconds_since_epoch": split.start_ns},
                "duration": {"nanoseconds": split.duration_ns},
                "message_count": split.message_count,
            }
            for split in splits
        ],
        "custom_data": None,
        "ros_distro": "rosbags",
    }
    text = yaml.safe_dump({INFORMATION: information}, sort_keys=False)
    with atomic_write(folder / METADATA) as unfinished:
        unfinished.write_text(text, "utf-8")


def is_compressed(folder: Path) -> bool:
    """Whether metadata.yaml says that each message is compressed by itself."""
    information = yaml.safe_load((folder / METADATA).read_text("utf-8"))[INFORMATION]
    return bool(information["compression_mode"])


def _topic(topic: Topic) -> dict[str, str]:
    _, digest = definition_of(topic.name, topic.msgtype, topic)
    return {
        "name": topic.name,
        "type": topic.msgtype,
        "serialization_format": "cdr",
        "offered_qos_profiles": dump_qos_v8(list(topic.qos)),
        "type_description_hash": digest,
    }
