"""Pictures for calibration and comparison, from a folder to what a network takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from depth_estimation_ros.engines.model_card import InputSpec
from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.estimation import Rgb, network_size, resize_image, to_input

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


def read_pictures(folder: Path, count: int) -> Iterator[Rgb]:
    """Up to ``count`` pictures from a folder and its subfolders, (H, W, 3) uint8 RGB each.

    They are drawn over the whole folder, the same ones each time. Depth maps among them (16-bit
    or without colour) and broken files are passed over.

    Raises:
        ParameterError: there is no such folder, or no colour picture in it.
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
            f"pictures in {folder}",
            found=f"{len(paths)} picture files, none in colour" if paths else "none",
            expected=f"a folder with colour pictures ({', '.join(SUFFIXES)})",
            fix="Give a folder with frames of the robot's own camera",
        )


def network_batch(rgb: Rgb, spec: InputSpec, *, nominal: bool = False) -> npt.NDArray[np.generic]:
    """A batch of one picture as the network takes it.

    Args:
        rgb: (H, W, 3) uint8.
        spec: the input on the model's card.
        nominal: at the card's own size; else at the size at which the pipeline runs this picture.
    """
    height, width = rgb.shape[:2]
    size = (spec.height, spec.width) if nominal else network_size(height, width, spec)
    return to_input(resize_image(rgb, *size), spec)


def drawn_pictures(spec: InputSpec, count: int = 4) -> list[Rgb]:
    """Pictures of random soft spots, the same each time, for want of real ones.

    Every other one is twice as wide, so that a network of free size is seen at two sizes.
    """
    rng = np.random.default_rng(0)
    pictures: list[Rgb] = []
    for index in range(count):
        size = (spec.width, spec.height) if index % 2 == 0 else (2 * spec.width, spec.height)
        spots = rng.integers(0, 256, (6, 8, 3), np.uint8)
        picture = cv2.resize(spots, size, interpolation=cv2.INTER_CUBIC)
        pictures.append(np.asarray(picture, np.uint8))
    return pictures
