"""Inputs that know nothing of ROS: a picture, a video file, a camera of this machine."""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterator
from itertools import islice

import cv2
import numpy as np
import numpy.typing as npt
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage

from depth_estimation_ros.apps.demo.assumed_camera import assumed_camera_info, header
from depth_estimation_ros.apps.demo.sources import (
    CAMERA_FRAMES,
    NO_CAMERA_INFO,
    Frame,
    SourceOptions,
)
from depth_estimation_ros.media.images import Media, MediaFrame

FRAME_ID = "camera"
JPEG_QUALITY = 95


class PictureSource:
    """A picture (without loss), video or camera: no recording, so no CameraInfo and no truth.

    Stamps begin now and follow the video's frame rate; a camera's are those of arrival, and it
    stops after `CAMERA_FRAMES` if nothing else is said.
    """

    transport = "compressed"

    def __init__(self, media: Media, options: SourceOptions) -> None:
        self.name = media.name
        self._media = media
        self._limit = options.frames or (CAMERA_FRAMES if media.kind == "camera" else None)
        count = self._limit if media.count is None else media.count
        self.frame_count = min(count or 0, self._limit or count or 0)
        self.notes: list[str] = []
        self._hfov_deg = options.hfov_deg
        self.has_camera_info = self._hfov_deg > 0
        if not self.has_camera_info:
            self.notes.append(NO_CAMERA_INFO)
        if media.kind == "image":
            next(media.frames())  # a broken one is said before anything starts

    def ground_truth(self) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        """Nothing."""
        return iter(())

    def frames(self) -> Iterator[Frame]:
        """The pictures, as serialised messages."""
        start_ns = 0 if self._media.kind == "camera" else time.time_ns()
        for frame in islice(self._media.frames(), self._limit):
            yield self._message(frame, start_ns + frame.stamp_ns)

    def _message(self, frame: MediaFrame, stamp_ns: int) -> Frame:
        extension = ".png" if self._media.kind == "image" else ".jpg"
        picture = cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2BGR)
        _, data = cv2.imencode(extension, picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        image = CompressedImage(header=header(stamp_ns, FRAME_ID), format=extension.strip("."))
        image.data = array("B", data.tobytes())
        info = None
        if self.has_camera_info:
            height, width = picture.shape[:2]
            info = assumed_camera_info(width, height, self._hfov_deg, stamp_ns, FRAME_ID)
        return Frame(serialize_message(image), info)
