"""Topics of a recording: their types, the cameras among them, and the stamps of their messages."""

from __future__ import annotations

import bisect
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from rosbags.convert.converter import (
    STATIC_MSGTYPE_RENAMES,
    is_same_wireformat,
    migrate_bytes,
)
from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat, Qos
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from depth_estimation_ros.errors import BagError

if TYPE_CHECKING:
    from depth_estimation_ros.bags.reader import Recording

STORE = get_typestore(Stores.ROS2_JAZZY)
"""The messages of ROS 2 in which this package writes, and reads what has no definition."""

_HEADER = "std_msgs/msg/Header"
_IDL_FILES = "=" * 80 + "\n"
_UNKNOWN_HASH = f"RIHS01_{0:064x}"
NO_DEFINITION = MessageDefinition(MessageDefinitionFormat.NONE, "")

IMAGE_TYPES = {"sensor_msgs/msg/Image": "raw", "sensor_msgs/msg/CompressedImage": "compressed"}
CAMERA_INFO_TYPE = "sensor_msgs/msg/CameraInfo"
DEPTH_ENCODINGS = ("16UC1", "32FC1")
OWN_OUTPUTS = "/depth_estimation/"
OWN_DEPTH = f"{OWN_OUTPUTS}depth/image"
COMPRESSED = "/compressed"
MAX_BROKEN = 1000
"""Messages that are looked at for one that is whole."""


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
    """Return the topics for a message: names, types and numbers of messages."""
    return ", ".join(map(str, topics))


def named_topic(topics: Sequence[Topic], name: str, what: str) -> Topic | None:
    """Return the topic of this name; None where no name is given.

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


@dataclass(frozen=True)
class ImageTopics:
    """What a recording offers: topics that have messages.

    Attributes:
        images: colour images, raw and compressed; one or more.
        depths: depth images, raw and compressed.
        infos: CameraInfo.
    """

    images: list[Topic]
    depths: list[Topic]
    infos: list[Topic]


@dataclass(frozen=True)
class CameraTopics:
    """One camera.

    Attributes:
        image: colour images.
        camera_info: None if there is none, or none that surely belongs to the images.
    """

    image: Topic
    camera_info: Topic | None


def find_topics(recording: Recording) -> ImageTopics:
    """Return the topics of images, depth images and CameraInfo.

    Raises:
        BagError: there are no colour images.
    """
    topics = [topic for topic in recording.topics if topic.count != 0]
    images: dict[str, Topic] = {}
    depths: dict[str, Topic] = {}
    for topic in topics:
        encoding = _encoding(recording, topic) if topic.msgtype in IMAGE_TYPES else None
        if encoding is not None:
            kind = depths if encoding.startswith(DEPTH_ENCODINGS) else images
            # A topic whose type changes, as from raw to compressed, is one camera all the same.
            kind[topic.name] = _joined(kind[topic.name], topic) if topic.name in kind else topic
    if not images:
        raise BagError(
            f"No colour images in {recording.name}",
            found=listed(topics) or "no topics",
            expected="a topic of sensor_msgs/Image or sensor_msgs/CompressedImage",
        )
    infos = [topic for topic in topics if topic.msgtype == CAMERA_INFO_TYPE]
    return ImageTopics([*images.values()], [*depths.values()], infos)


def find_cameras(
    recording: Recording,
    image_topics: Sequence[str] = (),
    camera_info_topics: Sequence[str] = (),
) -> list[CameraTopics]:
    """Return the cameras whose images these are; all cameras if none is named.

    Where a camera has raw images and the same ones compressed, the raw ones count.
    Depth images, and what this package itself made of a recording, are no cameras.

    Args:
        image_topics: of colour images.
        camera_info_topics: one for each of `image_topics`, in their order; one for the only camera
            where no image topic is named; or none: then it is the one next to the images.

    Raises:
        BagError: no colour images, a topic that is not there or is named twice, or not as many
            CameraInfo topics as cameras. The message lists the topics that are there.
    """
    topics = find_topics(recording)
    if image_topics:
        what = f"The image topic of {recording.name}"
        if twice := sorted({name for name in image_topics if image_topics.count(name) > 1}):
            raise BagError(what, found=f"{', '.join(twice)} twice", expected="each camera once")
        images = [named_topic(topics.images, name, what) for name in image_topics]
    else:
        images = [*_cameras_images(topics.images)]
    if not images:
        raise BagError(
            f"No camera in {recording.name}",
            found=f"only what this package made: {listed(topics.images)}",
            expected="images of a camera",
            fix="Name an image topic, if one of these is to be taken",
        )
    if camera_info_topics and len(camera_info_topics) != len(images):
        raise BagError(
            f"The CameraInfo topics for {recording.name}",
            found=f"{len(camera_info_topics)} for {len(images)} cameras: "
            f"{listed([image for image in images if image])}",
            expected=f"one for each camera, of: {listed(topics.infos)}",
        )
    what = f"The CameraInfo topic of {recording.name}"
    named = [named_topic(topics.infos, name, what) for name in camera_info_topics]
    infos = named or [None] * len(images)
    only = len(images) == 1
    return [
        CameraTopics(image, info or camera_info_beside(image, topics.infos, only))
        for image, info in zip(images, infos, strict=True)
        if image is not None
    ]


def camera_info_beside(image: Topic, infos: Sequence[Topic], only: bool = True) -> Topic | None:
    """Return the CameraInfo of an image by ROS's convention, or the only one for an only camera."""
    parts = image.name.split("/")[:-1]
    while parts:  # /camera/image/compressed: /camera/image/camera_info, /camera/camera_info, ...
        for info in infos:
            if info.name == "/".join([*parts, "camera_info"]):
                return info
        parts.pop()
    return infos[0] if only and len(infos) == 1 else None


def first_message(recording: Recording, topic: Topic) -> Any:
    """The first message of a topic that is whole; None if there is none among the first ones."""
    for message in islice(recording.messages([topic.name]), MAX_BROKEN):
        if message.msgtype == topic.msgtype:
            with suppress(BagError):
                return recording.deserialize(message)
    return None


def _cameras_images(images: list[Topic]) -> list[Topic]:
    names = {image.name for image in images}
    return [
        image
        for image in images
        if OWN_OUTPUTS not in image.name
        and not (image.name.endswith(COMPRESSED) and image.name[: -len(COMPRESSED)] in names)
    ]


def _joined(topic: Topic, other: Topic) -> Topic:
    """Return the first, with the messages of both."""
    unknown = topic.count is None or other.count is None
    return replace(topic, count=None if unknown else (topic.count or 0) + (other.count or 0))


def _encoding(recording: Recording, topic: Topic) -> str | None:
    """Encoding (Image) or format (CompressedImage) of the first message; None if none is whole."""
    message = first_message(recording, topic)
    if message is None:
        return None
    return str(message.format if hasattr(message, "format") else message.encoding)


def stamp_of(cdr: bytes) -> int:
    """Return the stamp in nanoseconds of a serialised message that begins with a Header."""
    order = "<" if cdr[1] & 1 else ">"
    sec, nanosec = struct.unpack_from(f"{order}iI", cdr, 4)
    return int(sec) * 1_000_000_000 + int(nanosec)


def stamp_in(message: RecordedMessage) -> int | None:
    """Return the stamp in nanoseconds of a message; None if it is too damaged to have one."""
    try:
        return stamp_of(message.cdr)
    except (struct.error, IndexError):
        return None


def nearest(stamps: Sequence[int], stamp: int) -> int:
    """Index of the nearest of sorted stamps."""
    after = bisect.bisect_left(stamps, stamp)
    if after == 0:
        return 0
    if after == len(stamps) or stamp - stamps[after - 1] <= stamps[after] - stamp:
        return after - 1
    return after


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
    """Return what a writer wants to know of a type: the definition's text and its RIHS01 hash.

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
    """Return a topic of ROS 1 as ROS 2 knows it, and what makes CDR of its messages.

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
