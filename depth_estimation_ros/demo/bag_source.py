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
from depth_estimation_ros.demo.sources import Frame, SourceOptions, stamp_of
from depth_estimation_ros.demo.topic_choice import IMAGE_TYPES, Topic, choose, first_message
from depth_estimation_ros.errors import BagError, DepthEstimationError, ImageError
from depth_estimation_ros.messages import decode_compressed, decode_depth, decode_image

T = TypeVar("T")


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
        self._path = _storage(path)
        self._limit = options.frames or None
        self._store = get_typestore(Stores.ROS2_JAZZY)
        with self._reader() as reader:
            choice = choose(reader, self.name, options)
            self._assumed_info: bytes | None = None
            if choice.camera_info is None and options.hfov_deg:
                self._assumed_info = _assumed_camera_info(reader, choice.image, options.hfov_deg)
        self.notes = choice.notes
        self.transport = IMAGE_TYPES[choice.image.msgtype]
        self.has_camera_info = choice.camera_info is not None or self._assumed_info is not None
        self.frame_count = min(choice.image.count, self._limit or choice.image.count)
        self._choice = choice

    def frames(self) -> Iterator[Frame]:
        """The images in the order of the recording, each with the CameraInfo nearest in time.

        Raises:
            BagError: the recording cannot be read to its end.
        """
        with self._reader() as reader:
            all_infos = _until_damage(self._messages(reader, self._choice.camera_info))
            infos = sorted((stamp_of(cdr), cdr) for cdr in all_infos)
            stamps = [stamp for stamp, _ in infos]
            count = 0
            for image in islice(self._messages(reader, self._choice.image), self._limit):
                count += 1
                info = self._assumed_info
                if infos:
                    info = infos[_nearest(stamps, stamp_of(image))][1]
                yield Frame(image, info)
        if count < self.frame_count:
            raise BagError(
                f"The recording {self._path} breaks off",
                found=f"{count} images on {self._choice.image.name}",
                expected=f"{self.frame_count}, as its index says",
            )

    def ground_truth(self) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        """Stamps (ns) and true depth (H, W) in metres, in the order of the recording.

        What cannot be decoded or read is left out: that many frames are not compared.
        """
        with self._reader() as reader:
            messages = self._raw_messages(reader, self._choice.ground_truth)
            for connection, _, raw in _until_damage(messages):
                message: Any = reader.deserialize(raw, connection.msgtype)
                stamp = message.header.stamp
                try:
                    depth = decode_depth(message)
                except ImageError:
                    continue
                yield stamp.sec * 1_000_000_000 + stamp.nanosec, depth

    def _messages(self, reader: AnyReader, topic: Topic | None) -> Iterator[bytes]:
        """The messages of a topic as CDR, also from ROS 1, where serialisation is another."""
        for connection, _, raw in self._raw_messages(reader, topic):
            yield raw if reader.is2 else bytes(self._store.ros1_to_cdr(raw, connection.msgtype))

    def _raw_messages(
        self, reader: AnyReader, topic: Topic | None
    ) -> Iterator[tuple[Connection, int, bytes]]:
        if topic is not None:
            connections = [c for c in reader.connections if c.topic == topic.name]
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


def _until_damage(messages: Iterator[T]) -> Iterator[T]:
    """The messages before the place where the recording breaks off; the images' pass names it."""
    with suppress(Exception):  # as in _reader: rosbags has no common family of errors
        yield from messages


def _assumed_camera_info(reader: AnyReader, image: Topic, hfov_deg: float) -> bytes:
    """A CameraInfo of this field of view for all images, hence without a stamp."""
    message = first_message(reader, image.name)
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
