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


def choose(reader: AnyReader, recording: str, options: SourceOptions) -> Choice:
    """The topics that the options name, and where they name none, those that leave no doubt.

    Raises:
        BagError: no image topic, several and none named, or a named topic that is not there.
    """
    topics = [
        Topic(name, info.msgtype, info.msgcount)
        for name, info in reader.topics.items()
        if info.msgtype and info.msgcount
    ]
    pictures = [topic for topic in topics if topic.msgtype in IMAGE_TYPES]
    depths = [t for t in pictures if _encoding(reader, t.name).startswith(DEPTH_ENCODINGS)]
    images = [topic for topic in pictures if topic not in depths]
    infos = [topic for topic in topics if topic.msgtype == CAMERA_INFO_TYPE]
    if not images:
        raise BagError(
            f"No colour images in {recording}",
            found=_listed(topics) or "no topics",
            expected="a topic of sensor_msgs/Image or sensor_msgs/CompressedImage",
        )

    notes: list[str] = []
    image = _named(images, options.image_topic, f"The image topic of {recording}")
    if image is None and len(images) > 1:
        raise BagError(
            f"The image topic of {recording}",
            found=f"{len(images)} topics with images",
            expected=f"one of: {_listed(images)}",
            fix=f"Choose with --image-topic, for instance --image-topic {images[0].name}",
        )
    image = image or images[0]
    info = _named(infos, options.camera_info_topic, f"The CameraInfo topic of {recording}")
    info = info or _neighbour(image, infos)
    if info is None and len(infos) > 1:
        notes.append(f"choose a CameraInfo with --camera-info-topic from {_listed(infos)}")
    if info is None and not options.hfov_deg:
        notes.append(NO_CAMERA_INFO)
    truth = None
    if options.ground_truth_topic != "none":
        what = f"The ground truth topic of {recording}"
        truth = _named(depths, options.ground_truth_topic, what)
        truth = truth or _ground_truth(reader, depths, notes)
        if truth is not None:
            notes.append(f"compared with {truth.name}, taken for the truth")
    return Choice(image, info, truth, notes)


def first_message(reader: AnyReader, topic: str) -> Any:
    """The first message of a topic that has some."""
    connections = [c for c in reader.connections if c.topic == topic]
    connection, _, raw = next(iter(reader.messages(connections)))
    return reader.deserialize(raw, connection.msgtype)


def _named(topics: list[Topic], name: str, what: str) -> Topic | None:
    if not name:
        return None
    for topic in topics:
        if topic.name == name:
            return topic
    expected = f"one of: {_listed(topics)}" if topics else "no name: there is no such topic in it"
    raise BagError(what, found=name, expected=expected)


def _neighbour(image: Topic, infos: list[Topic]) -> Topic | None:
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
            f"--ground-truth-topic from {_listed(chosen)}"
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


def _listed(topics: list[Topic]) -> str:
    return ", ".join(map(str, topics))
