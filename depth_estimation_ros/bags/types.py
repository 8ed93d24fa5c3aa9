"""Message types: those of ROS 2, and those that a recording brings along."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from rosbags.convert.converter import (
    STATIC_MSGTYPE_RENAMES,
    is_same_wireformat,
    migrate_bytes,
)
from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from depth_estimation_ros.bags.topic import Topic

STORE = get_typestore(Stores.ROS2_JAZZY)
"""The messages of ROS 2 in which this package writes, and reads what has no definition."""

_HEADER = "std_msgs/msg/Header"
_IDL_FILES = "=" * 80 + "\n"
_UNKNOWN_HASH = f"RIHS01_{0:064x}"


def store_of(topic: Topic) -> Typestore:
    """The types of a topic of ROS 2: by its own definition if it has one, else those of ROS 2.

    Raises:
        Exception: rosbags cannot read the definition, and the type is none of ROS 2.
    """
    if topic.msgdef.format is MessageDefinitionFormat.NONE:
        return STORE
    store = get_typestore(Stores.EMPTY)
    try:
        store.register(_types(topic.msgdef, topic.msgtype))
        store.hash_rihs01(topic.msgtype)  # fails where the definition of a part is missing
    except Exception:
        if topic.msgtype in STORE.fielddefs:
            return STORE
        raise
    return store


def definition_of(topic: str, msgtype: str, like: Topic | None) -> tuple[str, str]:
    """What a writer wants to know of a type: the definition's text and its RIHS01 hash.

    A type that nobody has defined gets an empty definition: its messages are kept as they are.
    """
    if like is not None and like.msgdef.format is not MessageDefinitionFormat.NONE:
        try:
            return like.msgdef.data, store_of(like).hash_rihs01(msgtype)
        except Exception:  # rosbags cannot read it; others may
            return like.msgdef.data, _UNKNOWN_HASH
    if msgtype in STORE.fielddefs:
        return STORE.generate_msgdef(msgtype, ros_version=2)[0], STORE.hash_rihs01(msgtype)
    empty = MessageDefinition(MessageDefinitionFormat.MSG, "")
    return "", store_of(Topic(topic, msgtype, msgdef=empty)).hash_rihs01(msgtype)


def from_ros1(topic: Topic) -> tuple[Topic, Callable[[bytes], bytes]]:
    """A topic of ROS 1 as ROS 2 knows it, and what makes CDR of its messages.

    A type that ROS 2 knows with other fields gets the fields of ROS 2, as far as there are values.
    """
    msgtype = STATIC_MSGTYPE_RENAMES.get(topic.msgtype, topic.msgtype)
    source = get_typestore(Stores.EMPTY)
    source.register(_types(topic.msgdef, topic.msgtype))
    target = STORE
    if msgtype not in STORE.fielddefs:
        target = get_typestore(Stores.EMPTY)
        target.register({**source.fielddefs, _HEADER: STORE.fielddefs[_HEADER]})
    convert: Callable[[bytes], memoryview]
    if is_same_wireformat(source, target, topic.msgtype, msgtype):
        convert = partial(target.ros1_to_cdr, typename=msgtype)
    else:
        cache: dict[str, object] = {}
        types = (source, target, topic.msgtype, msgtype, cache)
        convert = partial(migrate_bytes, *types, src_is2=False, dst_is2=True)
    text, _ = target.generate_msgdef(msgtype, ros_version=2)
    definition = MessageDefinition(MessageDefinitionFormat.MSG, text)
    ros2 = Topic(topic.name, msgtype, topic.count, definition, topic.qos)
    return ros2, lambda raw: bytes(convert(raw))


def _types(definition: MessageDefinition, msgtype: str) -> dict:
    if definition.format is MessageDefinitionFormat.MSG:
        return dict(get_types_from_msg(definition.data, msgtype))
    types: dict = {}
    for part in definition.data.split(_IDL_FILES):
        types |= get_types_from_idl(part.split("\n", 1)[1] if part.startswith("IDL: ") else part)
    return types
