"""From an image to the network's input: size, resizing, colour order, normalisation."""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from depth_estimation_ros.engines.model_card import InputSpec
from depth_estimation_ros.estimation.frame import Rgb

_MAX_AREA = 4  # of a network's input, in multiples of its nominal area


@lru_cache(maxsize=32)
def network_size(image_h: int, image_w: int, spec: InputSpec) -> tuple[int, int]:
    """Return the height and width at which an image goes through the network.

    To a fixed input the image is stretched, which measured better than bars at its sides: delta1 of
    compact_open on 16:9 parts of kitchen and NYU frames .597 and .452, with grey bars .574 and
    .388, at a free size .644 and .444. A free one gets, of all multiples, the pair with the least
    aspect distortion and an area near the nominal one; a factor in the area weighs a quarter of the
    same factor in the aspect. A narrow strip, which would need thousands of times the area,
    is stretched beyond `_MAX_AREA` times the nominal one.
    """
    step = spec.multiple_of
    if step is None:
        return spec.height, spec.width
    area, aspect = spec.height * spec.width, image_w / image_h
    widest = 2 * math.ceil(math.sqrt(area * max(aspect, 1.0 / aspect)) / step)

    def cost(size: tuple[int, int]) -> float:
        h, w = size
        return abs(math.log(w / h / aspect)) + 0.25 * abs(math.log(h * w / area))

    # In steps; without a bound a row of 60000 pixels would make a network of 0.1 Mpixel 30 times
    # its memory, and one of 10 million pixels would not end.
    max_cells = max(1, _MAX_AREA * area // step**2)
    candidates = []
    for h in range(1, min(widest, max_cells) + 1):
        fitting = math.floor(h * aspect)
        candidates += [
            (h * step, max(1, min(w, max_cells // h)) * step) for w in (fitting, fitting + 1)
        ]
    return min(candidates, key=cost)


def resize_image(rgb: Rgb, height: int, width: int) -> Rgb:
    """Resize an image: averaging areas when it shrinks (no aliasing), bilinear when it grows.

    OpenCV averages 2x2 pixels ten times faster than areas with parts of pixels. So an image that
    shrinks to half or less is halved while both sides allow it. If less than another half is left,
    neighbours are blended: halving has removed most of what could alias.
    """
    if rgb.shape[:2] == (height, width):
        return rgb
    halved = _halved(rgb, height, width)
    method = _method(halved, height, width, is_smooth=halved is not rgb)
    return np.asarray(cv2.resize(halved, (width, height), interpolation=method), np.uint8)


def _method(rgb: Rgb, height: int, width: int, is_smooth: bool) -> int:
    shrinks_by = rgb.shape[0] / height, rgb.shape[1] / width
    if min(shrinks_by) < 1.0:
        return cv2.INTER_LINEAR
    if not is_smooth or max(shrinks_by) >= 2.0:
        return cv2.INTER_AREA
    # Bilinear would blur when the image shrinks little, bicubic would alias when it shrinks much.
    return cv2.INTER_CUBIC if max(shrinks_by) < 1.5 else cv2.INTER_LINEAR


def _halved(rgb: Rgb, height: int, width: int) -> Rgb:
    """Halve an image as often as whole pixels allow without going below a size."""
    rows, columns = rgb.shape[:2]
    while rows >= 2 * height and columns >= 2 * width and rows % 2 == columns % 2 == 0:
        rows, columns = rows // 2, columns // 2
        rgb = np.asarray(cv2.resize(rgb, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
    return rgb


def to_input(rgb: Rgb, spec: InputSpec) -> npt.NDArray[np.generic]:
    """Return a batch of one, as the card specifies, of (h, w, 3) uint8 RGB at network size."""
    image: npt.NDArray[np.generic] = rgb
    if spec.color_order == "bgr":
        image = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    if spec.mean is not None and spec.std is not None:
        mean, std = np.array(spec.mean, np.float32), np.array(spec.std, np.float32)
        image = image * (np.float32(1.0 / 255.0) / std) - mean / std
    if spec.layout == "NCHW":
        image = image.transpose(2, 0, 1)
    return np.ascontiguousarray(image)[np.newaxis]
