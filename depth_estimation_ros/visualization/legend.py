"""A bar of the depth colours with round depths in metres."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Literal

import numpy as np

from depth_estimation_ros.visualization.color_maps import DEFAULT_COLOR_MAP, Picture, color_table
from depth_estimation_ros.visualization.colors import color_range
from depth_estimation_ros.visualization.drawing import (
    Ink,
    bar,
    text_height,
    text_width,
    tick,
    write,
)

PAPER = (18, 20, 26)
WORDS = (255, 255, 255)
SEEN_THROUGH = 0.2  # share of the picture that is left under a legend
SMALLEST = (64, 48)  # pixels: in a picture below this no legend can be read
MOST_TICKS = 10
# Ticks within a decade, from dense to sparse: all multiples of a step, then chosen ones.
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_CHOSEN = ((1.0, 1.5, 2.0, 3.0, 5.0, 7.0), (1.0, 2.0, 5.0), (1.0,))


def with_legend(
    rgb: Picture,
    near: float,
    far: float,
    color_map: str = DEFAULT_COLOR_MAP,
    *,
    place: Literal["bottom", "beside"] = "bottom",
) -> Picture:
    """The picture of a depth with a bar that says which colour is how many metres.

    Letters grow with the picture, from 320 to 1920 pixels and beyond. A picture below 64 x 48
    pixels comes back without a legend.

    Args:
        rgb: (H, W, 3) uint8, as `colorize` made it; it is not changed.
        near: metres at the near end of the colours.
        far: metres at the far end.
        color_map: one of COLOR_MAPS.
        place: bottom darkens the lowest part of the picture and writes there, so that the size
            stays; beside adds a strip at the right, an even number of pixels wide.

    Returns:
        (H, W, 3), or wider, uint8 RGB.

    Raises:
        ParameterError: an unknown colour map, or near is not below far.
    """
    near, far = color_range(near, far)
    table = color_table(color_map)
    height, width = rgb.shape[:2]
    if width < SMALLEST[0] or height < SMALLEST[1]:
        return rgb
    size = 0.24 + 0.00044 * min(width, height * 4 / 3)
    if place == "beside":
        return np.hstack([rgb, _strip(height, near, far, table, size)])
    page, em = rgb.copy(), text_height(size)
    top = height - round(3.6 * em)
    band = page[top:]
    band[...] = np.rint(SEEN_THROUGH * band + (1.0 - SEEN_THROUGH) * np.array(PAPER))
    depth_bar(page, em, top + em // 2, width - 2 * em, near, far, table, size, WORDS, em * 7 // 10)
    return page


def depth_bar(
    page: Picture,
    x: int,
    y: int,
    width: int,
    near: float,
    far: float,
    table: Picture,
    size: float,
    ink: Ink,
    thickness: int,
) -> None:
    """Draws the colours from near, at the left, to far, with ticks below at round depths.

    Args:
        page: (H, W, 3) uint8 RGB to draw on.
        x: left end of the bar, pixels.
        y: its upper edge, pixels.
        width: of the bar, pixels.
        near: metres at the left end.
        far: metres at the right end.
        table: (256, 1, 3) colours, far first.
        size: of the labels, of OpenCV's font.
        ink: of ticks and labels.
        thickness: of the bar, pixels; ticks and labels take two heights of a digit more.
    """
    bar(page, x, y, width, table[::-1], thickness)
    gap = text_width("0", size)
    for metres in round_depths(near, far, width, lambda text: text_width(text, size) + gap):
        label = depth_label(metres)
        half = text_width(label, size) // 2
        place = x + round(_share(metres, near, far) * (width - 1))
        # A label at an end stays below its own bar.
        align = 0.0 if place - half < x else 1.0 if place + half > x + width else 0.5
        tick(page, place, y + thickness, label, size, ink, align)


def round_depths(near: float, far: float, length: int, extent: Callable[[str], int]) -> list[float]:
    """Round depths in metres for a logarithmic scale: at most ten, whose labels do not touch.

    Of the choices that fit, the one that leaves the smallest stretch without a tick.

    Args:
        near: metres at its beginning.
        far: metres at its end.
        length: of the scale, pixels.
        extent: pixels that a label takes along the scale, with what keeps it from the next.
    """

    def fits(depths: list[float]) -> bool:
        if len(depths) > MOST_TICKS:
            return False
        halves = [extent(depth_label(metres)) / 2 for metres in depths]
        middles = [
            # A label at an end does not stick out.
            min(max(_share(metres, near, far) * length, half), length - half)
            for metres, half in zip(depths, halves, strict=True)
        ]
        return all(
            middles[i + 1] - middles[i] >= halves[i] + halves[i + 1] for i in range(len(depths) - 1)
        )

    def longest_stretch(depths: list[float]) -> float:
        return max(after / before for before, after in pairwise([near, *depths, far]))

    return min(filter(fits, _candidates(near, far)), key=longest_stretch, default=[])


def depth_label(metres: float) -> str:
    return f"{metres:.4g} m"


def _candidates(near: float, far: float) -> Iterator[list[float]]:
    """Round depths within the range, from dense to sparse."""
    low, high = 0.999 * near, 1.001 * far
    exponents = range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
    for step in _STEPS:
        depths = []
        for decade in (10.0**exponent for exponent in exponents):
            first = math.ceil(max(low / decade - 1.0, 0.0) / step)
            last = math.floor(min(high / decade - 1.0, 9.0 - step / 2) / step)
            depths += [(1.0 + step * i) * decade for i in range(first, last + 1)]
        yield depths
    for chosen in _CHOSEN:
        depths = [m * 10.0**exponent for exponent in exponents for m in chosen]
        yield [metres for metres in depths if low <= metres <= high]


def _share(metres: float, near: float, far: float) -> float:
    return math.log(metres / near) / math.log(far / near)


def _strip(height: int, near: float, far: float, table: Picture, size: float) -> Picture:
    """A bar from near, at the bottom, to far, with labels at its right; (height, even, 3)."""
    em = text_height(size)
    length = height - 3 * em
    depths = round_depths(near, far, length, lambda _: 2 * em)
    widest = max((text_width(depth_label(metres), size) for metres in depths), default=0)
    width = 2 * ((4 * em + widest) // 2)
    strip = np.full((height, width, 3), PAPER, np.uint8)
    levels = np.rint(np.linspace(0, 255, length)).astype(int)
    top = (height - length) // 2
    strip[top : top + length, em : 2 * em] = table[levels]
    for metres in depths:
        y = top + round((1.0 - _share(metres, near, far)) * (length - 1))
        strip[y, 2 * em : 2 * em + em // 2] = WORDS
        write(strip, depth_label(metres), 3 * em, y + em // 2, size, WORDS)
    return strip
