"""Words, bars and ticks on a picture."""

from __future__ import annotations

import cv2
import numpy as np

from depth_estimation_ros.visualization.color_maps import Picture

Ink = tuple[int, int, int]

FONT = cv2.FONT_HERSHEY_SIMPLEX


def text_width(text: str, size: float) -> int:
    """Pixels; `size` is that of OpenCV's font."""
    return int(cv2.getTextSize(text, FONT, size, _stroke(size))[0][0])


def text_height(size: float) -> int:
    """Pixels of a digit."""
    return int(cv2.getTextSize("0", FONT, size, _stroke(size))[0][1])


def write(
    page: Picture, text: str, x: int, y: int, size: float, ink: Ink, align: float = 0.0
) -> None:
    """Writes on the baseline y; `align` is the share of the text's width left of x."""
    left = x - round(align * text_width(text, size))
    left = max(0, min(left, page.shape[1] - text_width(text, size)))
    cv2.putText(page, text, (left, y), FONT, size, ink, _stroke(size), cv2.LINE_AA)


def bar(page: Picture, x: int, y: int, width: int, table: Picture, thickness: int) -> None:
    """The colours of a (256, 1, 3) table from left to right, with the corner (x, y)."""
    levels = np.rint(np.linspace(0, 255, width)).astype(int)
    page[y : y + thickness, x : x + width] = table[levels, 0]


def tick(
    page: Picture, x: int, y: int, text: str, size: float, ink: Ink, align: float = 0.5
) -> None:
    """A short line down from (x, y), and the text below."""
    em = text_height(size)
    half = _stroke(size) // 2
    page[y : y + em // 2, x - half : x + half + 1] = ink
    write(page, text, x, y + 2 * em, size, ink, align=align)


def _stroke(size: float) -> int:
    return max(1, round(1.3 * size))
