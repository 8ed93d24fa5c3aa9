"""Recordings: rosbag2 directories, mcap and sqlite3 files, and ROS 1 bags."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.apps.demo.assumed_camera import assumed_camera_info
from depth_estimation_ros.apps.demo.sources import Frame, SourceOptions
from depth_estimation_ros.apps.demo.topic_choice import choose
from depth_estimation_ros.bags import Recording, Topic, nearest, open_recording, stamp_of
from depth_estimation_ros.bags.topics import IMAGE_TYPES, first_message
from depth_estimation_ros.errors import BagError, ImageError
from depth_estimation_ros.messages import decode_compressed, decode_depth, decode_image


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
        with open_recording(path) as recording:
            choice = choose(recording, options)
            self._assumed_info: bytes | None = None
            if choice.camera_info is None and options.hfov_deg:
                self._assumed_info = _assumed_camera_info(recording, choice.image, options.hfov_deg)
        self.notes = choice.notes
        self.transport = IMAGE_TYPES[choice.image.msgtype]
        self.has_camera_info = choice.camera_info is not None or self._assumed_info is not None
        count = choice.image.count or 0
        self.frame_count = min(count, self._limit or count)
        self._choice = choice

    def frames(self) -> Iterator[Frame]:
        """The images in the order of the recording, each with the CameraInfo nearest in time.

        Raises:
            BagError: the recording cannot be read to its end.
        """
        with open_recording(self._path) as recording:
            infos = sorted(
                (stamp_of(cdr), cdr) for cdr in _cdrs(recording, self._choice.camera_info)
            )
            stamps = [stamp for stamp, _ in infos]
            count = 0
            for image in islice(_cdrs(recording, self._choice.image), self._limit):
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
        truth = self._choice.ground_truth
        with open_recording(self._path) as recording:
            for recorded in recording.messages([truth.name]) if truth else ():
                try:
                    depth = decode_depth(recording.deserialize(recorded))
                except ImageError:
                    continue
                yield stamp_of(recorded.cdr), depth


def _cdrs(recording: Recording, topic: Topic | None) -> Iterator[bytes]:
    if topic is not None:
        for message in recording.messages([topic.name]):
            yield message.cdr


def _assumed_camera_info(recording: Recording, image: Topic, hfov_deg: float) -> bytes:
    """A CameraInfo of this field of view for all images, hence without a stamp."""
    message = first_message(recording, image)
    compressed = IMAGE_TYPES[image.msgtype] == "compressed"
    picture = decode_compressed(message) if compressed else decode_image(message)
    height, width = picture.shape[:2]
    return assumed_camera_info(width, height, hfov_deg, 0, message.header.frame_id)
