"""Recordings: rosbag2 directories, mcap and sqlite3 files, and ROS 1 bags."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from rosbags.highlevel import AnyReader

from depth_estimation_ros.demo.assumed_camera import assumed_camera_info
from depth_estimation_ros.demo.bag_file import as_cdr, nearest, open_bag, raw_messages
from depth_estimation_ros.demo.sources import Frame, SourceOptions, stamp_of
from depth_estimation_ros.demo.topic_choice import IMAGE_TYPES, Topic, choose, first_message
from depth_estimation_ros.errors import BagError, ImageError
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
        self._path = path
        self._limit = options.frames or None
        with open_bag(self._path) as reader:
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
        with open_bag(self._path) as reader:
            all_infos = _until_damage(_messages(reader, self._choice.camera_info))
            infos = sorted((stamp_of(cdr), cdr) for cdr in all_infos)
            stamps = [stamp for stamp, _ in infos]
            count = 0
            for image in islice(_messages(reader, self._choice.image), self._limit):
                count += 1
                info = self._assumed_info
                if infos:
                    info = infos[nearest(stamps, stamp_of(image))][1]
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
        with open_bag(self._path) as reader:
            truth = self._choice.ground_truth
            messages = raw_messages(reader, truth.name) if truth else iter(())
            for connection, _, raw in _until_damage(messages):
                message: Any = reader.deserialize(raw, connection.msgtype)
                stamp = message.header.stamp
                try:
                    depth = decode_depth(message)
                except ImageError:
                    continue
                yield stamp.sec * 1_000_000_000 + stamp.nanosec, depth


def _messages(reader: AnyReader, topic: Topic | None) -> Iterator[bytes]:
    if topic is not None:
        for connection, _, raw in raw_messages(reader, topic.name):
            yield as_cdr(reader, connection, raw)


def _until_damage(messages: Iterator[T]) -> Iterator[T]:
    """The messages before the place where the recording breaks off; the images' pass names it."""
    with suppress(Exception):  # as in open_bag: rosbags has no common family of errors
        yield from messages


def _assumed_camera_info(reader: AnyReader, image: Topic, hfov_deg: float) -> bytes:
    """A CameraInfo of this field of view for all images, hence without a stamp."""
    message = first_message(reader, image.name)
    compressed = IMAGE_TYPES[image.msgtype] == "compressed"
    picture = decode_compressed(message) if compressed else decode_image(message)
    height, width = picture.shape[:2]
    return assumed_camera_info(width, height, hfov_deg, 0, message.header.frame_id)
