"""Inputs that know nothing of ROS: a picture, a video file, a camera of this machine."""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage

from depth_estimation_ros.demo.assumed_camera import assumed_camera_info, header
from depth_estimation_ros.demo.sources import CAMERA_FRAMES, NO_CAMERA_INFO, Frame, SourceOptions
from depth_estimation_ros.errors import BagError

FRAME_ID = "camera"
JPEG_QUALITY = 95

Bgr = npt.NDArray[np.uint8]


class _Pictures:
    """What the three have in common: no recording, hence no CameraInfo and no ground truth."""

    transport = "compressed"

    def __init__(self, name: str, frame_count: int, options: SourceOptions) -> None:
        self.name = name
        self._limit = options.frames or None
        self.frame_count = min(frame_count, self._limit or frame_count)
        self.notes: list[str] = []
        self._hfov_deg = options.hfov_deg
        self.has_camera_info = self._hfov_deg > 0
        if not self.has_camera_info:
            self.notes.append(NO_CAMERA_INFO)

    def ground_truth(self) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        """Nothing."""
        return iter(())

    def _frame(self, picture: Bgr, stamp_ns: int, extension: str) -> Frame:
        _, data = cv2.imencode(extension, picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        image = CompressedImage(header=header(stamp_ns, FRAME_ID), format=extension.strip("."))
        image.data = array("B", data.tobytes())
        info = None
        if self.has_camera_info:
            height, width = picture.shape[:2]
            info = assumed_camera_info(width, height, self._hfov_deg, stamp_ns, FRAME_ID)
        return Frame(serialize_message(image), info)


class PictureSource(_Pictures):
    """One picture, as a stream of one frame; without loss."""

    def __init__(self, path: Path, options: SourceOptions) -> None:
        super().__init__(str(path), 1, options)
        self._path = path
        self._read()

    def frames(self) -> Iterator[Frame]:
        """The one frame, stamped now."""
        yield self._frame(self._read(), time.time_ns(), ".png")

    def _read(self) -> Bgr:
        picture = cv2.imread(self.name, cv2.IMREAD_COLOR)
        if picture is None:
            raise BagError(f"The picture {self._path} cannot be read by OpenCV")
        return picture.astype(np.uint8, copy=False)


class VideoSource(_Pictures):
    """A video file; stamps begin now and follow its frame rate."""

    def __init__(self, path: Path, options: SourceOptions) -> None:
        video = _open(str(path), f"The video {path}")
        self._rate = video.get(cv2.CAP_PROP_FPS) or 30.0
        count = int(video.get(cv2.CAP_PROP_FRAME_COUNT))  # as the file claims; may be wrong or 0
        video.release()
        super().__init__(str(path), count, options)

    def frames(self) -> Iterator[Frame]:
        """Every frame of the file."""
        video, start = _open(self.name, f"The video {self.name}"), time.time_ns()
        for index, picture in enumerate(islice(_pictures(video), self._limit)):
            yield self._frame(picture, start + round(index / self._rate * 1e9), ".jpg")


class CameraSource(_Pictures):
    """A camera of this machine, for a limited number of frames stamped as they arrive."""

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(f"camera {options.input}", options.frames or CAMERA_FRAMES, options)
        self._device = int(options.input) if options.input.isdecimal() else options.input

    def frames(self) -> Iterator[Frame]:
        """Pictures while they come."""
        video = _open(self._device, f"The {self.name}")
        video.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # a slow node shall see what is, not what was
        for picture in islice(_pictures(video), self.frame_count):
            yield self._frame(picture, time.time_ns(), ".jpg")


def _open(device: str | int, what: str) -> cv2.VideoCapture:
    video = cv2.VideoCapture(device)
    if not video.isOpened():
        raise BagError(
            f"{what} cannot be opened by OpenCV",
            fix="Check that it exists, that nothing else uses it, and its permissions",
        )
    return video


def _pictures(video: cv2.VideoCapture) -> Iterator[Bgr]:
    try:
        while True:
            good, picture = video.read()
            if not good:
                return
            yield picture.astype(np.uint8, copy=False)
    finally:
        video.release()
