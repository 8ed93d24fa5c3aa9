"""What a recording says of its topics and messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat, Qos

from depth_estimation_ros.errors import BagError

NO_DEFINITION = MessageDefinition(MessageDefinitionFormat.NONE, "")


@dataclass(frozen=True)
class Topic:
    """A topic of a recording.

    Attributes:
        name: of the topic.
        msgtype: of its messages, as ROS 2 writes it: sensor_msgs/msg/Image.
        count: of its messages, as index or metadata promise; None if neither does.
        msgdef: definition of the type and of those in it, as the recording has it, in the
            language of ROS 2 also where the recording is of ROS 1; format NONE if it has none.
        qos: profiles that the publishers offered; empty is unknown.
    """

    name: str
    msgtype: str
    count: int | None = None
    msgdef: MessageDefinition = field(default=NO_DEFINITION, repr=False)
    qos: Sequence[Qos] = field(default=(), repr=False)

    def __str__(self) -> str:
        count = "" if self.count is None else f", {self.count}"
        return f"{self.name} ({self.msgtype.replace('/msg/', '/')}{count})"


class RecordedMessage(NamedTuple):
    """A message of a recording.

    Attributes:
        topic, msgtype: as in `Topic`.
        time_ns: when it was recorded, nanoseconds since the epoch.
        cdr: serialised as ROS 2 does it, also where the recording is of ROS 1.
    """

    topic: str
    msgtype: str
    time_ns: int
    cdr: bytes


def listed(topics: Sequence[Topic]) -> str:
    """The topics for a message: names, types and numbers of messages."""
    return ", ".join(map(str, topics))


def named_topic(topics: Sequence[Topic], name: str, what: str) -> Topic | None:
    """The topic of this name; None where no name is given.

    Raises:
        BagError: none of the topics has the name; its message begins with `what`.
    """
    if not name:
        return None
    for topic in topics:
        if topic.name == name:
            return topic
    expected = f"one of: {listed(topics)}" if topics else "no name: there is no such topic in it"
    raise BagError(what, found=name, expected=expected)
