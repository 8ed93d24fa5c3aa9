"""What the demo plays: bags, images, videos, cameras."""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt
from builtin_interfaces.msg import Time
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from depth_estimation_ros.bags import Recording, Topic, nearest, open_recording, stamp_of
from depth_estimation_ros.bags.topics import (
    IMAGE_TYPES,
    OWN_DEPTH,
    camera_info_beside,
    find_topics,
    first_message,
    listed,
    named_topic,
)
from depth_estimation_ros.errors import BagError, ImageError
from depth_estimation_ros.geometry.camera_model import CameraModel
from depth_estimation_ros.media.images import IMAGE_SUFFIXES, Media, MediaFrame, hfov_deg
from depth_estimation_ros.media.video import VIDEO_SUFFIXES, is_camera, open_media
from depth_estimation_ros.messages import camera_info, decode_compressed, decode_depth, decode_image

CAMERA_FRAMES = 100  # a camera has no end, the demo has

NO_CAMERA_INFO = (
    "no CameraInfo: no point cloud, and the scale of the depth is a guess. "
    "Give the horizontal field of view in degrees with --hfov to have both"
)


@dataclass(frozen=True)
class SourceOptions:
    """The input as the user names it; goes to the player as JSON."""

    input: str = ""
    """Path of a bag, video file or image; number or device of a camera; empty: bundled bag."""
    image_topic: str = ""
    camera_info_topic: str = ""
    ground_truth_topic: str = ""
    """Depth to compare with; "none" for no comparison."""
    hfov_deg: float = 0.0
    """Horizontal field of view, degrees, where there is no CameraInfo; 0 is unknown."""
    frames: int = 0
    """Play at most this many; 0 plays all."""


@dataclass(frozen=True)
class Frame:
    """One image on its way into the graph, as serialised messages (CDR)."""

    image: bytes
    camera_info: bytes | None

    @property
    def stamp_ns(self) -> int:
        """The header's stamp, nanoseconds."""
        return stamp_of(self.image)


class Source(Protocol):
    """Something that can be played, from its beginning, any number of times."""

    name: str
    transport: str
    """raw (sensor_msgs/Image) or compressed (sensor_msgs/CompressedImage)."""
    has_camera_info: bool
    frame_count: int
    """As far as it is known beforehand; 0 is unknown."""
    notes: list[str]
    """What the user should know about how this input is understood."""

    def frames(self) -> Iterator[Frame]:
        """Yield the images, with the CameraInfo that belongs to each if there is one."""
        ...

    def ground_truth(self) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        """Yield stamps in nanoseconds and true depth (H, W) in metres; nothing if none is known."""
        ...


def header(stamp_ns: int, frame_id: str) -> Header:
    """Return a header with a stamp in nanoseconds."""
    stamp = Time(sec=stamp_ns // 1_000_000_000, nanosec=stamp_ns % 1_000_000_000)
    return Header(stamp=stamp, frame_id=frame_id)


def assumed_camera_info(
    width: int, height: int, hfov_deg: float, stamp_ns: int, frame_id: str
) -> bytes:
    """Serialised CameraInfo of a pinhole camera with this horizontal field of view, in degrees."""
    camera = CameraModel.from_hfov(width, height, hfov_deg)
    return serialize_message(camera_info(camera, header(stamp_ns, frame_id)))


@dataclass(frozen=True)
class Choice:
    """The topics used of a recording, and notes for the user.

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


def choose(recording: Recording, options: SourceOptions) -> Choice:
    """Return the topics that the options name, and where they name none, those that leave no doubt.

    Raises:
        BagError: no image topic, several and none named, or a named topic that is not there.
    """
    topics = find_topics(recording)
    images, depths, infos = topics.images, topics.depths, topics.infos
    notes: list[str] = []
    image = named_topic(images, options.image_topic, f"The image topic of {recording.name}")
    if image is None and len(images) > 1:
        raise BagError(
            f"The image topic of {recording.name}",
            found=f"{len(images)} topics with images",
            expected=f"one of: {listed(images)}",
            fix=f"Choose with --image-topic, for instance --image-topic {images[0].name}",
        )
    image = image or images[0]
    info = named_topic(
        infos, options.camera_info_topic, f"The CameraInfo topic of {recording.name}"
    )
    info = info or camera_info_beside(image, infos)
    if info is None and len(infos) > 1:
        notes.append(f"choose a CameraInfo with --camera-info-topic from {listed(infos)}")
    if info is None and not options.hfov_deg:
        notes.append(NO_CAMERA_INFO)
    truth = None
    if options.ground_truth_topic != "none":
        what = f"The ground truth topic of {recording.name}"
        truth = named_topic(depths, options.ground_truth_topic, what)
        truth = truth or _ground_truth(recording, depths, notes)
        if truth is not None:
            notes.append(f"compared with {truth.name}, taken for the truth")
    return Choice(image, info, truth, notes)


def _ground_truth(recording: Recording, depths: list[Topic], notes: list[str]) -> Topic | None:
    # The output of an earlier run of this node is no ground truth.
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
            decode_depth(first_message(recording, topic))
        except ImageError as error:
            notes.append(f"{topic.name} is not used as ground truth. {error}")
            return None
    return chosen[0] if chosen else None


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
        """Yield the images in the order of the recording, each with the CameraInfo nearest in time.

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
        """Yield stamps (ns) and true depth (H, W) in metres, in the order of the recording.

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
    """Return a CameraInfo of this field of view for all images, hence without a stamp."""
    message = first_message(recording, image)
    compressed = IMAGE_TYPES[image.msgtype] == "compressed"
    picture = decode_compressed(message) if compressed else decode_image(message)
    height, width = picture.shape[:2]
    return assumed_camera_info(width, height, hfov_deg, 0, message.header.frame_id)


FRAME_ID = "camera"
JPEG_QUALITY = 95


class MediaSource:
    """An image (without loss), video or camera, without CameraInfo and ground truth.

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
        self.has_camera_info = self._hfov_deg > 0 or media.has_focal_length
        if not self._hfov_deg and media.has_focal_length:
            self.notes.append("the focal length is that of the EXIF; --hfov replaces it")
        if not self.has_camera_info:
            self.notes.append(NO_CAMERA_INFO)
        if media.kind == "image":
            next(media.frames())  # a broken one is said before anything starts

    def ground_truth(self) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        """Nothing."""
        return iter(())

    def frames(self) -> Iterator[Frame]:
        """Yield the images as serialised messages."""
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
            hfov = self._hfov_deg or hfov_deg(frame.focal_35mm or 0.0, width, height)
            info = assumed_camera_info(width, height, hfov, stamp_ns, FRAME_ID)
        return Frame(serialize_message(image), info)


BUNDLED_BAG = Path(__file__).parent / "bag"
BAG_FILES = (".mcap", ".db3", ".bag")


def open_source(options: SourceOptions) -> Source:
    """Open what the user named.

    Raises:
        BagError: it does not exist, is not understood, or holds no image.
        MediaError: an image, video or camera cannot be read.
    """
    name = options.input
    if is_camera(name):
        return MediaSource(open_media(name), options)
    path = Path(name).expanduser() if name else BUNDLED_BAG
    if not path.exists():
        raise BagError(
            f"The demo's input {path}",
            found="nothing there",
            expected="a bag, video file, image or camera",
            fix="Give its path with --input (make demo INPUT=...)",
        )
    suffix = path.suffix.lower()
    if path.is_dir() or suffix in BAG_FILES:
        return BagSource(path, options)
    if suffix in IMAGE_SUFFIXES + VIDEO_SUFFIXES:
        return MediaSource(open_media(str(path)), options)
    raise BagError(
        f"The demo's input {path}",
        found=f"a file that ends in '{suffix}'",
        expected=f"a bag (directory, {', '.join(BAG_FILES)}), "
        f"an image ({', '.join(IMAGE_SUFFIXES)}) or "
        f"a video ({', '.join(VIDEO_SUFFIXES)})",
    )
