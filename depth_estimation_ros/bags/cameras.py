"""The cameras of a recording: their images, and the CameraInfo that belongs to them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from depth_estimation_ros.bags.recording import Recording
from depth_estimation_ros.bags.topic import Topic, listed, named_topic
from depth_estimation_ros.errors import BagError

IMAGE_TYPES = {"sensor_msgs/msg/Image": "raw", "sensor_msgs/msg/CompressedImage": "compressed"}
CAMERA_INFO_TYPE = "sensor_msgs/msg/CameraInfo"
DEPTH_ENCODINGS = ("16UC1", "32FC1")
OWN_OUTPUTS = "/depth_estimation/"
OWN_DEPTH = f"{OWN_OUTPUTS}depth/image"
COMPRESSED = "/compressed"
MOST_BROKEN = 1000
"""Messages that are looked at for one that is whole."""


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
    """The topics of images, depth images and CameraInfo.

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
    """The cameras whose images these are; all cameras if none is named.

    Where a camera has raw images and beside them the same ones compressed, the raw ones count.
    Depth images, and what this package itself made of a recording, are no cameras.

    Args:
        image_topics: of colour images.
        camera_info_topics: one for each of `image_topics`, in their order; one for the only camera
            where no image topic is named; or none: then it is the one beside the images.

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
    """The CameraInfo beside the image by ROS's convention; for an only camera else the only one."""
    parts = image.name.split("/")[:-1]
    while parts:  # /camera/image/compressed: /camera/image/camera_info, /camera/camera_info, ...
        for info in infos:
            if info.name == "/".join([*parts, "camera_info"]):
                return info
        parts.pop()
    return infos[0] if only and len(infos) == 1 else None


def first_message(recording: Recording, topic: Topic) -> Any:
    """The first message of a topic that is whole; None if there is none among the first ones."""
    for message in islice(recording.messages([topic.name]), MOST_BROKEN):
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
    """The first, with the messages of both."""
    unknown = topic.count is None or other.count is None
    return replace(topic, count=None if unknown else (topic.count or 0) + (other.count or 0))


def _encoding(recording: Recording, topic: Topic) -> str | None:
    """Encoding (Image) or format (CompressedImage) of the first message; None if none is whole."""
    message = first_message(recording, topic)
    if message is None:
        return None
    return str(message.format if hasattr(message, "format") else message.encoding)
