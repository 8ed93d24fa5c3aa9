"""The legend in metres on a depth image, drawn with OpenCV, and the ticks of every such legend."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Literal

import cv2
import numpy as np

from depth_estimation_ros.visualization.colorize import (
    DEFAULT_COLOR_MAP,
    Rgb,
    color_limits,
    color_table,
)

BACKGROUND = (18, 20, 26)
TEXT = (255, 255, 255)
FONT = cv2.FONT_HERSHEY_SIMPLEX
TRANSPARENCY = 0.2  # share of the image that shows through the legend
MIN_WIDTH, MIN_HEIGHT = 64, 48  # pixels: no legend can be read on a smaller image
MAX_TICKS = 10
# Ticks within a decade, from dense to sparse: all multiples of a step, then chosen ones.
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_MANTISSAS = [np.arange(1.0, 10.0 - step / 2, step) for step in _STEPS]
_MANTISSAS += [np.array(m) for m in ((1.0, 1.5, 2.0, 3.0, 5.0, 7.0), (1.0, 2.0, 5.0), (1.0,))]


def add_legend(
    rgb: Rgb,
    near: float,
    far: float,
    color_map: str = DEFAULT_COLOR_MAP,
    *,
    place: Literal["bottom", "right"] = "bottom",
) -> Rgb:
    """Return a depth image with a bar that gives the metres of each colour.

    Text grows with the image, from 320 to 1920 pixels and beyond. An image below 64 x 48 pixels
    is returned without a legend.

    Args:
        rgb: (H, W, 3) uint8 from `colorize`; it is not changed.
        near: metres at the near end of the colours.
        far: metres at the far end.
        color_map: one of COLOR_MAPS.
        place: bottom draws over the lowest part, so that the size stays; right adds a strip, an
            even number of pixels wide.

    Returns:
        (H, W, 3), or wider, uint8 RGB.

    Raises:
        ParameterError: an unknown colour map, or near is not below far.
    """
    near, far = color_limits(near, far)
    table = color_table(color_map)[::-1, 0]
    height, width = rgb.shape[:2]
    if width < MIN_WIDTH or height < MIN_HEIGHT:
        return rgb
    scale = 0.24 + 0.00044 * min(width, height * 4 / 3)
    if place == "right":
        return np.hstack([rgb, _vertical_bar(height, near, far, table, scale)])
    drawn, em = rgb.copy(), _text_size("0", scale)[1]
    band = drawn[height - round(3.6 * em) :]
    band[...] = np.rint(TRANSPARENCY * band + (1.0 - TRANSPARENCY) * np.array(BACKGROUND))
    _draw_horizontal_bar(band[em // 2 :, em : width - em], near, far, table, scale)
    return drawn


def round_depths(near: float, far: float, length: int, extent: Callable[[str], int]) -> list[float]:
    """Return at most ten round depths in metres, whose labels do not touch on a logarithmic scale.

    Of the choices that fit, the one that leaves the smallest stretch without a tick.

    Args:
        near: metres at its beginning.
        far: metres at its end.
        length: of the scale, pixels.
        extent: pixels that a label takes along the scale, with its distance from the next.
    """

    def fits(depths: list[float]) -> bool:
        if len(depths) > MAX_TICKS:
            return False
        halves = [extent(depth_label(metres)) / 2 for metres in depths]
        middles = [
            # A label at an end does not stick out.
            min(max(_position(metres, near, far) * length, half), length - half)
            for metres, half in zip(depths, halves, strict=True)
        ]
        return all(
            middles[i + 1] - middles[i] >= halves[i] + halves[i + 1] for i in range(len(depths) - 1)
        )

    def longest_stretch(depths: list[float]) -> float:
        return max(after / before for before, after in pairwise([near, *depths, far]))

    return min(filter(fits, _candidates(near, far)), key=longest_stretch, default=[])


def depth_label(metres: float) -> str:
    """Return the label of a depth, such as 2.5 m."""
    return f"{metres:.4g} m"


def _candidates(near: float, far: float) -> Iterator[list[float]]:
    """Yield round depths within the range, from dense to sparse."""
    low, high = 0.999 * near, 1.001 * far
    decades = 10.0 ** np.arange(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
    for mantissas in _MANTISSAS:
        depths = np.outer(decades, mantissas).ravel()
        yield depths[(depths >= low) & (depths <= high)].tolist()


def _position(metres: float, near: float, far: float) -> float:
    """Return the place of a depth on the scale, 0 to 1."""
    return math.log(metres / near) / math.log(far / near)


def _draw_horizontal_bar(area: Rgb, near: float, far: float, table: Rgb, scale: float) -> None:
    """Draw colours, ticks and labels from near, at the left, to far over the whole width."""
    width, em = area.shape[1], _text_size("0", scale)[1]
    thickness, half_line = em * 7 // 10, _stroke(scale) // 2
    area[:thickness] = table[np.rint(np.linspace(0, 255, width)).astype(int)]

    def extent(label: str) -> int:
        return _text_size(label + "0", scale)[0]

    for metres in round_depths(near, far, width, extent):
        x = round(_position(metres, near, far) * (width - 1))
        area[thickness : thickness + em // 2, max(x - half_line, 0) : x + half_line + 1] = TEXT
        label = depth_label(metres)
        text_width = _text_size(label, scale)[0]
        left = min(max(x - text_width // 2, 0), width - text_width)
        _write(area, label, left, thickness + 2 * em, scale)


def _vertical_bar(height: int, near: float, far: float, table: Rgb, scale: float) -> Rgb:
    """Return a strip with the colours from near, at the bottom, to far; (height, even, 3)."""
    em = _text_size("0", scale)[1]
    length = height - 3 * em
    depths = round_depths(near, far, length, lambda _: 2 * em)
    widest = max((_text_size(depth_label(metres), scale)[0] for metres in depths), default=0)
    strip = np.full((height, 2 * ((4 * em + widest) // 2), 3), BACKGROUND, np.uint8)
    top = (height - length) // 2
    strip[top : top + length, em : 2 * em] = table[
        np.rint(np.linspace(255, 0, length)).astype(int), np.newaxis
    ]
    for metres in depths:
        y = top + round((1.0 - _position(metres, near, far)) * (length - 1))
        strip[y, 2 * em : 2 * em + em // 2] = TEXT
        _write(strip, depth_label(metres), 3 * em, y + em // 2, scale)
    return strip


def _text_size(text: str, scale: float) -> tuple[int, int]:
    """Return width and height of a text in pixels; `scale` is that of OpenCV's font."""
    (width, height), _ = cv2.getTextSize(text, FONT, scale, _stroke(scale))
    return int(width), int(height)


def _write(area: Rgb, text: str, x: int, y: int, scale: float) -> None:
    """Write with the left end of the baseline at (x, y)."""
    cv2.putText(area, text, (x, y), FONT, scale, TEXT, _stroke(scale), cv2.LINE_AA)


def _stroke(scale: float) -> int:
    return max(1, round(1.3 * scale))
