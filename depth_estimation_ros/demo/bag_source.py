"""Recordings: rosbag2 directories, mcap and sqlite3 files, and ROS 1 bags."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection
from rosbags.typesys import Stores, get_typestore

from depth_estimation_ros.demo.assumed_camera import assumed_camera_info
from depth_estimation_ros.demo.sources import NO_CAMERA_INFO, Frame, SourceOptions, stamp_of
from depth_estimation_ros.errors import BagError, DepthEstimationError, ImageError
from depth_estimation_ros.messages import decode_compressed, decode_depth, decode_image

T = TypeVar("T")

IMAGE_TYPES = {"sensor_msgs/msg/Image": "raw", "sensor_msgs/msg/CompressedImage": "compressed"}
CAMERA_INFO_TYPE = "sensor_msgs/msg/CameraInfo"
DEPTH_ENCODINGS = ("16UC1", "32FC1")


class BagSource:
    """The images of a recording, with their own stamps and frame ids.

    Args:
        path: rosbag2 directory, .mcap, .db3, or .bag of ROS 1.
        options: topics, where the recording leaves a choice.

    Raises:
        BagError: not a recording, no image in it, or several image topics and none named.
    """

    def __init__(self, path: Path, options: SourceOptions) -> None:
        self.name = str(path) if options.input else "the bundled recording"
        self.notes: list[str] = []
        self._path = _storage(path)
        self._limit = options.frames or None
        self._store = get_typestore(Stores.ROS2_JAZZY)
        with self._reader() as reader:
            pictures = [c for c in reader.connections if c.msgtype in IMAGE_TYPES and c.msgcount]
            depths = [c for c in pictures if _encoding(reader, c).startswith(DEPTH_ENCODINGS)]
            images = [c for c in pictures if c not in depths]
            infos = [c for c in reader.connections if c.msgtype == CAMERA_INFO_TYPE and c.msgcount]
            image = _choose_image(path, images, options.image_topic, reader.connections)
            info = _choose_camera_info(path, infos, image, options.camera_info_topic)
            truth = self._choose_ground_truth(reader, depths, options.ground_truth_topic)
            self._assumed_info: bytes | None = None
            if info is None and options.hfov_deg:
                self._assumed_info = _assumed_camera_info(reader, image, options.hfov_deg)
        self.transport = IMAGE_TYPES[image.msgtype]
        self.frame_count = min(image.msgcount, self._limit or image.msgcount)
        self.image_topic = image.topic
        self.camera_info_topic = info.topic if info else None
        self.ground_truth_topic = truth.topic if truth else None
        self.has_camera_info = bool(info or self._assumed_info)
        if not self.has_camera_info:
            self.notes.append(NO_CAMERA_INFO)

    def frames(self) -> Iterator[Frame]:
        """The images in the order of the recording, each with the CameraInfo nearest in time.

        Raises:
            BagError: the recording cannot be read to its end.
        """
        with self._reader() as reader:
            all_infos = _until_damage(self._messages(reader, self.camera_info_topic))
            infos = sorted((stamp_of(cdr), cdr) for cdr in all_infos)
            stamps = [stamp for stamp, _ in infos]
            count = 0
            for image in islice(self._messages(reader, self.image_topic), self._limit):
                count += 1
                info = self._assumed_info
                if infos:
                    info = infos[_nearest(stamps, stamp_of(image))][1]
                yield Frame(image, info)
        if count < self.frame_count:
            raise BagError(
                f"The recording {self._path} breaks off",
                found=f"{count} images on {self.image_topic}",
                expected=f"{self.frame_count}, as its index says",
            )

    def ground_truth(self) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        """Stamps (ns) and true depth (H, W) in metres, in the order of the recording.

        What cannot be decoded or read is left out: that many frames are not compared.
        """
        with self._reader() as reader:
            messages = self._raw_messages(reader, self.ground_truth_topic)
            for connection, _, raw in _until_damage(messages):
                message: Any = reader.deserialize(raw, connection.msgtype)
                stamp = message.header.stamp
                try:
                    depth = decode_depth(message)
                except ImageError:
                    continue
                yield stamp.sec * 1_000_000_000 + stamp.nanosec, depth

    def _messages(self, reader: AnyReader, topic: str | None) -> Iterator[bytes]:
        """The messages of a topic as CDR, also from ROS 1, where serialisation is another."""
        for connection, _, raw in self._raw_messages(reader, topic):
            yield raw if reader.is2 else bytes(self._store.ros1_to_cdr(raw, connection.msgtype))

    def _raw_messages(
        self, reader: AnyReader, topic: str | None
    ) -> Iterator[tuple[Connection, int, bytes]]:
        connections = [c for c in reader.connections if c.topic == topic]
        if connections:
            yield from reader.messages(connections)

    @contextmanager
    def _reader(self) -> Iterator[AnyReader]:
        try:
            with AnyReader([self._path], default_typestore=self._store) as reader:
                yield reader
        except DepthEstimationError:
            raise
        except Exception as error:  # rosbags lets those of yaml, sqlite, zstd and struct through
            raise BagError(
                f"The recording {self._path} cannot be read",
                found=f"{type(error).__name__}: {error}",
                expected="a whole rosbag2 directory, .mcap, .db3 or ROS 1 .bag",
                fix="Where it was cut off, `mcap recover` or `ros2 bag reindex` may bring it back",
            ) from error

    def _choose_ground_truth(
        self, reader: AnyReader, depths: list[Connection], topic: str
    ) -> Connection | None:
        if topic == "none":
            return None
        named = [c for c in depths if c.topic == topic]
        if topic and not named:
            raise BagError(
                f"The ground truth topic of {self.name}",
                found=topic,
                expected=f"one of: {_listed(depths)}",
            )
        chosen = named or [c for c in depths if "ground_truth" in c.topic] or depths
        if len(chosen) > 1:
            self.notes.append(
                f"{len(chosen)} depth topics, so none is taken for the truth: choose with "
                f"--ground-truth-topic from {_listed(chosen)}"
            )
            return None
        truth = chosen[0] if chosen else None
        if truth is not None:
            try:
                decode_depth(_first(reader, truth))
            except ImageError as error:
                self.notes.append(f"{truth.topic} is not used as ground truth. {error}")
                return None
        return truth


def _storage(path: Path) -> Path:
    """A directory without metadata.yaml still is a recording if it holds one file of messages."""
    if path.is_dir() and not (path / "metadata.yaml").exists():
        files = [file for file in path.iterdir() if file.suffix in (".mcap", ".db3", ".bag")]
        if len(files) != 1:
            raise BagError(
                f"The directory {path}",
                found=f"no metadata.yaml and {len(files)} files of messages",
                expected="a rosbag2 directory",
                fix="Name one .mcap, .db3 or .bag file in it",
            )
        return files[0]
    return path


def _choose_image(
    path: Path, images: list[Connection], topic: str, all_topics: list[Connection]
) -> Connection:
    chosen = [c for c in images if c.topic == topic] if topic else images
    if len(chosen) == 1:
        return chosen[0]
    if not images:
        raise BagError(
            f"The recording {path} holds no colour images",
            found=_listed(all_topics) or "no topics",
            expected="a topic of sensor_msgs/Image or sensor_msgs/CompressedImage",
        )
    raise BagError(
        f"The image topic of {path}",
        found=topic or f"{len(images)} topics with images",
        expected=f"one of: {_listed(images)}",
        fix=f"Choose with --image-topic, for instance --image-topic {images[0].topic}",
    )


def _choose_camera_info(
    path: Path, infos: list[Connection], image: Connection, topic: str
) -> Connection | None:
    """The named one; else the image's neighbour by ROS's convention; else the only one."""
    neighbours = [f"{parent}/camera_info" for parent in _parents(image.topic)]
    chosen = [c for c in infos if c.topic == topic] if topic else []
    if topic and not chosen:
        raise BagError(
            f"The CameraInfo topic of {path}", found=topic, expected=f"one of: {_listed(infos)}"
        )
    for neighbour in neighbours:
        chosen = chosen or [c for c in infos if c.topic == neighbour]
    chosen = chosen or infos
    return chosen[0] if len(chosen) == 1 else None


def _parents(topic: str) -> list[str]:
    """/camera/image/compressed -> /camera/image, /camera."""
    names = topic.split("/")[1:-1]
    return ["/" + "/".join(names[:n]) for n in range(len(names), 0, -1)]


def _until_damage(messages: Iterator[T]) -> Iterator[T]:
    """The messages before the place where the recording breaks off; the images' pass names it."""
    with suppress(Exception):  # as in _reader: rosbags has no common family of errors
        yield from messages


def _first(reader: AnyReader, connection: Connection) -> Any:
    _, _, raw = next(iter(reader.messages([connection])))
    return reader.deserialize(raw, connection.msgtype)


def _encoding(reader: AnyReader, connection: Connection) -> str:
    """Encoding (Image) or format (CompressedImage) of the first message."""
    message = _first(reader, connection)
    return str(message.format if hasattr(message, "format") else message.encoding)


def _assumed_camera_info(reader: AnyReader, image: Connection, hfov_deg: float) -> bytes:
    """A CameraInfo of this field of view for all images, hence without a stamp."""
    message = _first(reader, image)
    compressed = IMAGE_TYPES[image.msgtype] == "compressed"
    picture = decode_compressed(message) if compressed else decode_image(message)
    height, width = picture.shape[:2]
    return assumed_camera_info(width, height, hfov_deg, 0, message.header.frame_id)


def _nearest(stamps: list[int], stamp: int) -> int:
    """Index of the nearest of sorted stamps."""
    after = bisect.bisect_left(stamps, stamp)
    if after == 0:
        return 0
    if after == len(stamps) or stamp - stamps[after - 1] <= stamps[after] - stamp:
        return after - 1
    return after


def _listed(connections: list[Connection]) -> str:
    return ", ".join(
        f"{c.topic} ({c.msgtype.replace('/msg/', '/')}, {c.msgcount})" for c in connections
    )
