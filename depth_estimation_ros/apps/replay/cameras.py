"""Which camera took an image: by the recording's CameraInfo, a calibration file, or a guess."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any

from depth_estimation_ros import messages
from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.bags import (
    STORE,
    CameraTopics,
    RecordedMessage,
    Recording,
    nearest,
    stamp_in,
)
from depth_estimation_ros.bags.topics import CAMERA_INFO_TYPE
from depth_estimation_ros.errors import CalibrationError, ParameterError
from depth_estimation_ros.geometry.calibration_file import read_calibration
from depth_estimation_ros.geometry.camera_model import CameraModel
from depth_estimation_ros.messages import ROSBAGS
from depth_estimation_ros.node import frame_processor
from depth_estimation_ros.node.frame_processor import DecodedImage, ImageCamera, read_camera

KEPT = 64
"""CameraInfo messages of a camera that are remembered; images come soon after theirs."""
_BEFORE_CONTENT = 12  # bytes of CDR before what follows the stamp


class CameraInfos:
    """The CameraInfo messages of one camera, as they come along in the recording.

    Args:
        first: of the recording, for images that come before it; None if there is none.
        count: as the recording promises; None if it does not.
    """

    def __init__(self, first: RecordedMessage | None = None, count: int | None = 0) -> None:
        self._recent: deque[tuple[int, RecordedMessage]] = deque(maxlen=KEPT)
        self._first = first
        self._missing = count
        self._newest: int | None = None

    def add(self, message: RecordedMessage) -> None:
        """The next one of the recording."""
        stamp = stamp_in(message)
        if stamp is not None:
            self._recent.append((stamp, message))
            self._newest = stamp if self._newest is None else max(stamp, self._newest)
        if self._missing is not None:
            self._missing -= 1

    def knows(self, stamp_ns: int) -> bool:
        """Return whether no later one can be nearer to this stamp, as far as is known."""
        if self._first is None or (self._missing is not None and self._missing <= 0):
            return True
        return self._newest is not None and self._newest >= stamp_ns

    def nearest(self, stamp_ns: int) -> RecordedMessage | None:
        """The one with the nearest stamp, of those so far; None if the recording has none."""
        if not self._recent:
            return self._first
        recent = sorted(self._recent, key=lambda pair: pair[0])
        return recent[nearest([stamp for stamp, _ in recent], stamp_ns)][1]


class CameraSource:
    """Says which camera took the images of one topic.

    Args:
        recording: open.
        topics: of the camera.
        options: calibration, hfov_deg, image_is_rectified, rectify.

    Raises:
        CalibrationError: the calibration file cannot be used.
    """

    def __init__(self, recording: Recording, topics: CameraTopics, options: ReplayOptions) -> None:
        self._recording = recording
        self._options = options
        self._known: tuple[bytes, ImageCamera] = (b"", ImageCamera(None, "missing"))
        self.from_file: ImageCamera | None = None
        self.infos = CameraInfos()
        if options.calibration:
            self.from_file = _file_camera(options)
        elif topics.camera_info is not None:
            infos = recording.messages([topics.camera_info.name])
            whole = (m for m in infos if m.msgtype == CAMERA_INFO_TYPE and stamp_in(m) is not None)
            first = next(whole, None)
            self.infos = CameraInfos(first, topics.camera_info.count)

    def camera_at(self, stamp_ns: int) -> ImageCamera:
        """Return the camera of an image with this stamp.

        Raises:
            CalibrationError: numbers that no camera can have.
        """
        if self.from_file is not None:
            return self.from_file
        message = self.infos.nearest(stamp_ns)
        if message is None:
            return ImageCamera(None, "missing")
        content = message.cdr[_BEFORE_CONTENT:]
        if content != self._known[0]:  # most cameras say the same with each image
            info = self._recording.deserialize(message)
            camera = _read(info, self._options)
            self._known = (content, camera)
        return self._known[1]


def decode_image(image: Any, camera: ImageCamera, hfov_deg: float) -> tuple[DecodedImage, str]:
    """Decode an image with its camera, and the state of the camera, which may be "assumed".

    Args:
        image: sensor_msgs/Image or CompressedImage.
        camera: as the recording or a file describes it.
        hfov_deg: horizontal field of view, degrees, of a camera that is not described; 0 for none.

    Raises:
        ImageError: the image cannot be decoded.
        CalibrationError: the camera belongs to another image size.
    """
    decoded = frame_processor.decode_image(image, camera)
    if decoded.camera.model is not None or not hfov_deg:
        return decoded, decoded.camera.state
    height, width = decoded.rgb.shape[:2]
    assumed = ImageCamera(CameraModel.from_hfov(width, height, hfov_deg), "calibrated")
    return replace(decoded, camera=assumed), "assumed"


def notes_on_cameras(cameras: list[CameraTopics], options: ReplayOptions) -> list[str]:
    """Return what the user should know about where the cameras' numbers come from.

    Raises:
        ParameterError: one calibration file for several cameras.
    """
    if options.calibration and len(cameras) > 1:
        raise ParameterError(
            "--calibration describes one camera",
            found=f"{len(cameras)} cameras: {', '.join(c.image.name for c in cameras)}",
            expected="one",
            fix=f"Choose it with --image-topic, for instance {cameras[0].image.name}",
        )
    notes = []
    for camera in cameras:
        name, info = camera.image.name, camera.camera_info
        if options.calibration and info is not None:
            notes.append(f"{name}: {options.calibration} is used, not {info.name}")
        elif not options.calibration and info is None and options.hfov_deg:
            notes.append(
                f"{name}: no CameraInfo; its camera is assumed to have a horizontal field of view "
                f"of {options.hfov_deg:g} degrees (--hfov)"
            )
        elif not options.calibration and info is None:
            notes.append(
                f"{name}: no CameraInfo; depth for an assumed horizontal field of view of "
                f"{options.assumed_hfov_deg:g} degrees, no cloud. Give --hfov or --calibration, "
                "or --camera-info-topic, to have both right"
            )
        elif options.hfov_deg and info is not None:
            notes.append(f"{name}: {info.name} is used, not --hfov, where it is calibrated")
    return notes


def _file_camera(options: ReplayOptions) -> ImageCamera:
    model = read_calibration(options.calibration)
    time = STORE.types["builtin_interfaces/msg/Time"](sec=0, nanosec=0)
    header = STORE.types["std_msgs/msg/Header"](stamp=time, frame_id="")
    info = messages.camera_info(model, header, ROSBAGS)
    camera = _read(info, options)
    if camera.model is None:
        raise CalibrationError(
            f"The calibration {options.calibration}",
            found="a camera matrix of zeros",
            expected="a calibrated camera",
        )
    return camera


def _read(info: Any, options: ReplayOptions) -> ImageCamera:
    return read_camera(info, image_is_rectified=options.image_is_rectified, rectify=options.rectify)
