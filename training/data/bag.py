"""Any recording with images and depth of one camera: rosbag2 (mcap, sqlite3) and ROS 1 bags."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from depth_estimation_ros import messages
from depth_estimation_ros.bags import Recording, Topic, nearest
from depth_estimation_ros.bags.topics import (
    IMAGE_TYPES,
    OWN_DEPTH,
    camera_info_beside,
    find_topics,
    first_message,
    listed,
    named_topic,
)
from depth_estimation_ros.errors import CalibrationError, DatasetError, ImageError
from depth_estimation_ros.estimation.metrics import (
    PAIR_TOLERANCE_NS,
    registered_topics,
    sample_nearest,
)
from training.data.bag_pack import Topics, packed
from training.data.sample import Sample, SampleSet

logger = logging.getLogger(__name__)


class BagSamples(SampleSet):
    """The images of a recording that have depth of the same moment.

    Images are Image or CompressedImage; depth is an Image of 32FC1 (metres) or 16UC1
    (millimetres), or a CompressedImage with a 16-bit PNG. An image and a depth image are a pair if
    each is the nearest in time to the other and both lie within the tolerance. A topic that is not
    named is found by its type, and among depth topics by the frame_id of the images, because only
    depth that was registered to the images lies on them pixel by pixel. Depth of a lower
    resolution is taken from the nearest pixel.

    The frames are unpacked once, to ``cache``, and read from there in any order.

    Args:
        path: rosbag2 directory, .mcap, .db3, or .bag of ROS 1.
        image_topic, depth_topic, camera_info_topic: needed where the recording leaves a choice.
        image_is_rectified: the camera is P of CameraInfo, not K; by default where the name of the
            image topic has "rect" in it.
        tolerance_s: largest difference of the stamps of a pair, seconds.
        cache: where to unpack, ``~/.cache/depth_estimation_ros/bags`` by default.
        cap_m, crop: how it is scored, see :class:`SampleSet`.

    Raises:
        DatasetError: no recording, no depth or several and none named, or no pair in it.
        BagError: the recording is damaged or cut short, or has no such topic.
    """

    def __init__(
        self,
        path: str | Path,
        image_topic: str = "",
        depth_topic: str = "",
        camera_info_topic: str = "",
        image_is_rectified: bool | None = None,
        tolerance_s: float = PAIR_TOLERANCE_NS / 1e9,
        cache: str | Path | None = None,
        cap_m: float = 10.0,
        crop: str = "none",
    ) -> None:
        self.path = Path(path)
        self.name = self.path.stem
        self.cap_m, self.crop = cap_m, crop
        named = {"image": image_topic, "depth": depth_topic, "camera_info": camera_info_topic}
        choose = partial(_choose, bag=self.path, named=named)
        self._pack = packed(self.path, Path(cache) if cache else None, named, choose)
        image, image_type = self._pack.topics["image"]
        self._compressed = IMAGE_TYPES[image_type] == "compressed"
        self._rectified = "rect" in image if image_is_rectified is None else image_is_rectified
        if "camera_info" not in self._pack.topics:
            logger.warning(
                "%s: no CameraInfo that surely belongs to %s, so depth is known up to a factor "
                "only; if there is one, name camera_info_topic",
                self.path,
                image,
            )
        stamps = self._pack.stamps
        self.pairs = pair_by_time(stamps["image"], stamps["depth"], round(tolerance_s * 1e9))
        if len(self.pairs) == 0:
            raise DatasetError(
                f"No image in {self.path} has depth of the same moment",
                found=_offset(stamps["image"], stamps["depth"]),
                expected=f"less than {tolerance_s:g} s between {image} and "
                f"{self._pack.topics['depth'][0]}",
                fix="Set tolerance_s, if the camera moved slowly enough for that",
            )

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        try:
            return self._sample(*(int(place) for place in self.pairs[index]))
        except (ImageError, CalibrationError) as error:
            raise DatasetError(f"{self.path}, frame {self.frame_name(index)}: {error}") from error

    def frame_name(self, index: int) -> str:
        """The image's stamp in nanoseconds."""
        return str(self._pack.stamps["image"][self.pairs[index][0]])

    def _sample(self, image: int, depth: int) -> Sample:
        message = self._pack.read("image", image)
        decode = messages.decode_compressed if self._compressed else messages.decode_image
        rgb = decode(message).copy()  # some share memory with the message, which is read-only
        metres = messages.decode_depth(self._pack.read("depth", depth))
        if metres.shape != rgb.shape[:2]:
            metres = self._spread(metres, rgb.shape[:2])
        metres = np.where(metres > 0.0, metres, np.float32(np.nan))
        return Sample(rgb, metres, self._camera(image, rgb.shape[:2]))

    def _spread(self, depth: npt.NDArray[np.float32], shape: tuple[int, ...]) -> npt.NDArray:
        if depth.shape[0] * shape[1] != depth.shape[1] * shape[0]:
            raise ImageError(
                "depth is not of the image's shape",
                found=f"{depth.shape[1]}x{depth.shape[0]} for {shape[1]}x{shape[0]}",
                expected="the same ratio of width and height",
                fix="Register the depth to the images, for instance by depth_image_proc",
            )
        return sample_nearest(depth, shape)

    def _camera(
        self, image: int, shape: tuple[int, ...]
    ) -> tuple[float, float, float, float] | None:
        stamps = self._pack.stamps.get("camera_info")
        if stamps is None:
            return None
        place = nearest(stamps, self._pack.stamps["image"][image])
        camera = messages.camera_model(self._pack.read("camera_info", place))
        if not camera.is_calibrated:
            return None
        messages.check_matches(camera, *shape)
        if self._rectified:
            camera = camera.rectified()
        return (camera.fx, camera.fy, camera.cx, camera.cy)


def pair_by_time(
    images: Sequence[int], depths: Sequence[int], tolerance: int
) -> npt.NDArray[np.int64]:
    """``(N, 2)`` indices of an image and a depth image that are nearest to each other in time.

    Args:
        images, depths: sorted stamps, one or more.
        tolerance: largest difference, in the unit of the stamps.
    """
    pairs = []
    for image, stamp in enumerate(images):
        depth = nearest(depths, stamp)
        if nearest(images, depths[depth]) == image and abs(depths[depth] - stamp) <= tolerance:
            pairs.append((image, depth))
    return np.array(pairs, np.int64).reshape(-1, 2)


def _offset(images: Sequence[int], depths: Sequence[int]) -> str:
    closest = min(abs(depths[nearest(depths, stamp)] - stamp) for stamp in images)
    return f"{closest / 1e9:.3f} s between the closest two"


def _choose(recording: Recording, bag: Path, named: dict[str, str]) -> Topics:
    found = find_topics(recording)
    image = named_topic(found.images, named["image"], f"image_topic of {bag}")
    if image is None and len(found.images) > 1:
        raise DatasetError(
            f"The images of {bag}",
            found=f"{len(found.images)} topics with images",
            expected=f"one of: {listed(found.images)}",
            fix="Name it as the option image_topic",
        )
    image = image or found.images[0]
    depth = named_topic(found.depths, named["depth"], f"depth_topic of {bag}")
    depth = depth or _depth_of(image, found.depths, recording, bag)
    info = named_topic(found.infos, named["camera_info"], f"camera_info_topic of {bag}")
    info = info or camera_info_beside(image, found.infos)
    uses = {"image": image, "depth": depth, "camera_info": info}
    return {use: (topic.name, topic.msgtype) for use, topic in uses.items() if topic}


def _depth_of(image: Topic, depths: list[Topic], recording: Recording, bag: Path) -> Topic:
    # What this package's node said of the images is no truth to learn from.
    depths = [topic for topic in depths if not topic.name.endswith(OWN_DEPTH)]
    if not depths:
        raise DatasetError(
            f"No depth in {bag}",
            found=f"images on {image.name} and no depth topic",
            expected="a topic of sensor_msgs/Image in 32FC1 or 16UC1, or of CompressedImage "
            "whose format begins with 16UC1",
        )
    frame = _frame_id(recording, image)
    frames = {topic.name: _frame_id(recording, topic) for topic in depths}
    same = registered_topics(frame, frames)
    if len(same) != 1:
        choice = ", ".join(f"{topic} in frame {frames[topic.name]!r}" for topic in depths)
        raise DatasetError(
            f"The depth for {image.name} of {bag}",
            found=f"{len(same)} depth topics in its frame {frame!r}, of: {choice}",
            expected="one, registered to the images",
            fix="Name it as the option depth_topic, if it lies on the images pixel by pixel",
        )
    return next(topic for topic in depths if topic.name == same[0])


def _frame_id(recording: Recording, topic: Topic) -> str:
    return str(first_message(recording, topic).header.frame_id).lstrip("/")
