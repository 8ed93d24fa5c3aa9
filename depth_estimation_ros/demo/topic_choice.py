"""Which topics of a recording are played, and which one is the truth, where there is a choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rosbags.highlevel import AnyReader

from depth_estimation_ros.demo.sources import NO_CAMERA_INFO, SourceOptions
from depth_estimation_ros.errors import BagError, ImageError
from depth_estimation_ros.messages import decode_depth

IMAGE_TYPES = {"sensor_msgs/msg/Image": "raw", "sensor_msgs/msg/CompressedImage": "compressed"}
CAMERA_INFO_TYPE = "sensor_msgs/msg/CameraInfo"
DEPTH_ENCODINGS = ("16UC1", "32FC1")
OWN_DEPTH = "/depth_estimation/depth/image"


@dataclass(frozen=True)
class Topic:
    """A topic of a recording.

    Attributes:
        name: of the topic.
        msgtype: of its messages.
        count: of its messages; more than 0.
    """

    name: str
    msgtype: str
    count: int

    def __str__(self) -> str:
        return f"{self.name} ({self.msgtype.replace('/msg/', '/')}, {self.count})"


@dataclass(frozen=True)
class Choice:
    """What is used of a recording, and what the user should know about it.

    Attributes:
        image: colour images.
        camera_info: None if there is none, or none that surely belongs to the images.
        ground_truth: depth to compare with, or None.
        notes: sentences.
    """

    image: Topic
    camera_info: Topic | None
    ground_truth: Topic | None
    notes: list[str]


@dataclass(frozen=True)
class Topics:
    """What a recording offers: topics that have messages.

    Attributes:
        images: colour images, raw and compressed; one or more.
        depths: depth images, raw and compressed.
        infos: CameraInfo.
    """

    images: list[Topic]
    depths: list[Topic]
    infos: list[Topic]


def find_topics(reader: AnyReader, recording: str) -> Topics:
    """The topics of images, depth images and CameraInfo.

    Raises:
        BagError: there are no colour images.
    """
    topics = [
        Topic(name, info.msgtype, info.msgcount)
        for name, info in reader.topics.items()
        if info.msgtype and info.msgcount
    ]
    pictures = [topic for topic in topics if topic.msgtype in IMAGE_TYPES]
    depths = [t for t in pictures if _encoding(reader, t.name).startswith(DEPTH_ENCODINGS)]
    images = [topic for topic in pictures if topic not in depths]
    if not images:
        raise BagError(
            f"No colour images in {recording}",
            found=listed(topics) or "no topics",
            expected="a topic of sensor_msgs/Image or sensor_msgs/CompressedImage",
        )
    return Topics(images, depths, [t for t in topics if t.msgtype == CAMERA_INFO_TYPE])


def choose(reader: AnyReader, recording: str, options: SourceOptions) -> Choice:
    """The topics that the options name, and where they name none, those that leave no doubt.

    Raises:
        BagError: no image topic, several and none named, or a named topic that is not there.
    """
    topics = find_topics(reader, recording)
    images, depths, infos = topics.images, topics.depths, topics.infos
    notes: list[str] = []
    image = named_topic(images, options.image_topic, f"The image topic of {recording}")
    if image is None and len(images) > 1:
        raise BagError(
            f"The image topic of {recording}",
            found=f"{len(images)} topics with images",
            expected=f"one of: {listed(images)}",
            fix=f"Choose with --image-topic, for instance --image-topic {images[0].name}",
        )
    image = image or images[0]
    info = named_topic(infos, options.camera_info_topic, f"The CameraInfo topic of {recording}")
    info = info or camera_info_beside(image, infos)
    if info is None and len(infos) > 1:
        notes.append(f"choose a CameraInfo with --camera-info-topic from {listed(infos)}")
    if info is None and not options.hfov_deg:
        notes.append(NO_CAMERA_INFO)
    truth = None
    if options.ground_truth_topic != "none":
        what = f"The ground truth topic of {recording}"
        truth = named_topic(depths, options.ground_truth_topic, what)
        truth = truth or _ground_truth(reader, depths, notes)
        if truth is not None:
            notes.append(f"compared with {truth.name}, taken for the truth")
    return Choice(image, info, truth, notes)


def first_message(reader: AnyReader, topic: str) -> Any:
    """The first message of a topic that has some."""
    connections = [c for c in reader.connections if c.topic == topic]
    connection, _, raw = next(iter(reader.messages(connections)))
    return reader.deserialize(raw, connection.msgtype)


def named_topic(topics: list[Topic], name: str, what: str) -> Topic | None:
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


def camera_info_beside(image: Topic, infos: list[Topic]) -> Topic | None:
    """The CameraInfo beside the image by ROS's convention; else the only one."""
    parts = image.name.split("/")[:-1]
    while parts:  # /camera/image/compressed: /camera/image/camera_info, /camera/camera_info, ...
        for info in infos:
            if info.name == "/".join([*parts, "camera_info"]):
                return info
        parts.pop()
    return infos[0] if len(infos) == 1 else None


def _ground_truth(reader: AnyReader, depths: list[Topic], notes: list[str]) -> Topic | None:
    # What this node said of the pictures before, in a result of the demo say, is no truth.
    depths = [topic for topic in depths if not topic.name.endswith(OWN_DEPTH)]
    chosen = [topic for topic in depths if "ground_truth" in topic.name] or depths
    if len(chosen) > 1:
        notes.append(
            f"{len(chosen)} depth topics, so none is taken for the truth: choose with "
            f"--ground-truth-topic from {listed(chosen)}"
        )
        return None
    for topic in chosen:
        try:
            decode_depth(first_message(reader, topic.name))
        except ImageError as error:
            notes.append(f"{topic.name} is not used as ground truth. {error}")
            return None
    return chosen[0] if chosen else None


def _encoding(reader: AnyReader, topic: str) -> str:
    """Encoding (Image) or format (CompressedImage) of the first message."""
    message = first_message(reader, topic)
    return str(message.format if hasattr(message, "format") else message.encoding)


def listed(topics: list[Topic]) -> str:
    """The topics for a message: names, types and numbers of messages."""
    return ", ".join(map(str, topics))
