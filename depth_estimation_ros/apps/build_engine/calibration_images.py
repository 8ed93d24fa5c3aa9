"""Images for calibration and comparison, from a folder to what a network takes."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from depth_estimation_ros.engines.model_card import InputSpec
from depth_estimation_ros.errors import BagError, ImageError, ParameterError
from depth_estimation_ros.estimation import Rgb, network_size, resize_image, to_input
from depth_estimation_ros.messages import decode_compressed, decode_image

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


def read_images(folder: Path, count: int) -> Iterator[Rgb]:
    """Up to ``count`` images from a folder and its subfolders, (H, W, 3) uint8 RGB each.

    They are drawn over the whole folder, the same ones each time. Depth maps among them (16-bit
    or without colour) and broken files are passed over.

    Raises:
        ParameterError: there is no such folder, or no colour image in it.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    found = 0
    for index in np.random.default_rng(0).permutation(len(paths)):
        if found == count:
            return
        picture = cv2.imread(str(paths[index]), cv2.IMREAD_UNCHANGED)
        if picture is None or picture.dtype != np.uint8 or picture.ndim != 3:
            continue
        found += 1
        code = cv2.COLOR_BGRA2RGB if picture.shape[2] == 4 else cv2.COLOR_BGR2RGB
        yield np.asarray(cv2.cvtColor(picture, code), np.uint8)
    if found == 0:
        raise ParameterError(
            f"images in {folder}",
            found=f"{len(paths)} image files, none in colour" if paths else "none",
            expected=f"a folder with colour images ({', '.join(SUFFIXES)})",
            fix="Give a folder with frames of the robot's own camera",
        )


def network_batch(rgb: Rgb, spec: InputSpec, *, nominal: bool = False) -> npt.NDArray[np.generic]:
    """A batch of one image as the network takes it.

    Args:
        rgb: (H, W, 3) uint8.
        spec: the input on the model's card.
        nominal: at the card's own size; else at the size at which the pipeline runs this image.
    """
    height, width = rgb.shape[:2]
    size = (spec.height, spec.width) if nominal else network_size(height, width, spec)
    return to_input(resize_image(rgb, *size), spec)


def drawn_images(spec: InputSpec, count: int = 4) -> list[Rgb]:
    """Images of random soft spots, the same each time, for want of real ones.

    Every other one is twice as wide, so that a network of free size is seen at two sizes.
    """
    rng = np.random.default_rng(0)
    images: list[Rgb] = []
    for index in range(count):
        size = (spec.width, spec.height) if index % 2 == 0 else (2 * spec.width, spec.height)
        spots = rng.integers(0, 256, (6, 8, 3), np.uint8)
        picture = cv2.resize(spots, size, interpolation=cv2.INTER_CUBIC)
        images.append(np.asarray(picture, np.uint8))
    return images


BAG_SUFFIXES = (".mcap", ".db3", ".bag")
CALIBRATED, COMPARED = 100, 20  # at most


def own_images(source: str, image_topic: str = "") -> list[Rgb]:
    """Up to `CALIBRATED` + `COMPARED` images from all over a folder or a recording.

    Args:
        source: a folder with images, a rosbag2 directory, .mcap, .db3, or .bag of ROS 1.
        image_topic: of the recording, where it has several.

    Returns:
        (H, W, 3) uint8 RGB each, in no order.

    Raises:
        ParameterError: there is no such place, or too few images in it.
        BagError: the recording cannot be read, or leaves a choice of topics.
    """
    path = Path(source).expanduser()
    if not path.exists():
        raise ParameterError(
            "--calibration",
            found=f"'{source}': nothing there",
            expected="a folder with images or a recording",
        )
    count = CALIBRATED + COMPARED
    images = (
        _from_bag(path, image_topic, count) if _is_bag(path) else list(read_images(path, count))
    )
    if len(images) < 2:
        raise ParameterError(
            f"images in {path}",
            found=len(images),
            expected=f"at least 2, better {CALIBRATED}",
            fix="Give more frames of the robot's own camera",
        )
    return images


def split(images: list[Rgb]) -> tuple[list[Rgb], list[Rgb]]:
    """Those to calibrate with and, one in six but at most `COMPARED`, others to compare on."""
    compared = min(COMPARED, -(-len(images) // 6))
    return images[compared:], images[:compared]


def _is_bag(path: Path) -> bool:
    if path.is_dir():
        return (path / "metadata.yaml").exists() or any(path.glob("*.mcap"))
    return path.suffix in BAG_SUFFIXES


def _from_bag(path: Path, image_topic: str, count: int) -> list[Rgb]:
    """Images drawn over the whole recording, the same ones each time; damaged ones are left out.

    Raises:
        BagError: as `own_images`.
        ParameterError: rosbags or mcap is not installed.
    """
    missing = [name for name in ("rosbags", "mcap") if find_spec(name) is None]
    if missing:
        raise ParameterError(
            "--calibration",
            found=f"the recording {path}",
            fix=f"Run: pip install {' '.join(missing)}",
        )
    from depth_estimation_ros.bags import find_cameras, open_recording
    from depth_estimation_ros.bags.topics import IMAGE_TYPES, listed

    images: list[Rgb] = []
    with open_recording(path) as recording:
        topics = [c.image for c in find_cameras(recording, [image_topic] if image_topic else [])]
        if len(topics) > 1:
            raise BagError(
                f"The image topic of {path}",
                found=f"{len(topics)} topics with images",
                expected=f"one of: {listed(topics)}",
                fix=f"Choose with --image-topic, for instance --image-topic {topics[0].name}",
            )
        topic = topics[0]
        drawn = set(np.random.default_rng(0).permutation(topic.count or 0)[:count].tolist())
        decode = decode_image if IMAGE_TYPES[topic.msgtype] == "raw" else decode_compressed
        for index, message in enumerate(recording.messages([topic.name])):
            if index in drawn:
                try:
                    images.append(np.array(decode(recording.deserialize(message))))
                except ImageError:
                    continue
    return [images[index] for index in np.random.default_rng(1).permutation(len(images))]
