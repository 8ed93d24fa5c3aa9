"""A sheet that sets pictures, depth, truth and error side by side, with legends in metres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from depth_estimation_ros.visualization.color_maps import DEFAULT_COLOR_MAP, Picture, color_table
from depth_estimation_ros.visualization.colors import (
    UNKNOWN_ERROR,
    Depth,
    color_range,
    colorize,
    colorize_error,
    error_table,
)
from depth_estimation_ros.visualization.drawing import bar, text_width, tick, write
from depth_estimation_ros.visualization.legend import depth_bar

PAGE = (255, 255, 255)
INK = (38, 38, 42)
FAINT = (120, 120, 126)
MARGIN, GAP = 24, 8
LEGEND_GAP = 32  # between two legends
TITLE_HEIGHT, CAPTION_HEIGHT, LEGEND_HEIGHT = 34, 24, 62
LARGEST_ERROR = 0.5
BAR_HEIGHT = 14
TICK_SIZE = 0.42  # of OpenCV's font


@dataclass(frozen=True, eq=False)
class PreviewRow:
    """One line of the sheet.

    Attributes:
        rgb: (H, W, 3) uint8.
        depth: (h, w) float32 metres, of any size.
        truth: (h, w) float32 metres, of any size; None leaves out truth and error.
        caption: a short line below, such as the time and the metrics.
    """

    rgb: Picture
    depth: Depth
    truth: Depth | None = None
    caption: str = ""


def preview(
    rows: Sequence[PreviewRow],
    *,
    max_depth: float,
    min_depth: float = 0.0,
    color_map: str = DEFAULT_COLOR_MAP,
    panel_width: int = 320,
) -> Picture:
    """RGB | depth | ground truth | error, one row per picture, on white, as (H, W, 3) uint8 RGB.

    Depth and truth share the colour scale of `colorize` from min_depth to max_depth, in metres.
    The columns of truth and error are there if any row has a truth.

    Raises:
        ValueError: no rows.
    """
    if not rows:
        raise ValueError("preview needs at least one row")
    titles = ["camera", "depth"]
    if any(row.truth is not None for row in rows):
        titles += ["ground truth", "relative error"]
    strips = [_row(row, len(titles), max_depth, min_depth, color_map, panel_width) for row in rows]
    width = 2 * MARGIN + len(titles) * panel_width + (len(titles) - 1) * GAP
    height = MARGIN + TITLE_HEIGHT + sum(len(strip) for strip in strips) + LEGEND_HEIGHT + MARGIN
    page = np.full((height, width, 3), PAGE, np.uint8)

    lefts = [MARGIN + i * (panel_width + GAP) for i in range(len(titles))]
    for left, title in zip(lefts, titles, strict=True):
        write(page, title, left, MARGIN + 18, 0.55, INK)
    y = MARGIN + TITLE_HEIGHT
    for strip in strips:
        page[y : y + len(strip), MARGIN : width - MARGIN] = strip
        y += len(strip)

    if len(titles) == 2:
        depth_bar = panel_width
    else:
        depth_bar = lefts[3] - LEGEND_GAP - lefts[1]
        _error_legend(page, lefts[3], y + 8, panel_width)
    _depth_legend(page, lefts[1], y + 8, depth_bar, max_depth, min_depth, color_map)
    return page


def _row(
    row: PreviewRow,
    columns: int,
    max_depth: float,
    min_depth: float,
    color_map: str,
    panel_width: int,
) -> Picture:
    height = round(panel_width * row.rgb.shape[0] / row.rgb.shape[1])
    size = (panel_width, height)
    depth = _fit(row.depth, size)
    panels = [
        cv2.resize(row.rgb, size, interpolation=cv2.INTER_AREA),
        colorize(depth, max_depth=max_depth, min_depth=min_depth, color_map=color_map),
    ]
    if row.truth is not None:
        truth = _fit(row.truth, size)
        panels.append(
            colorize(truth, max_depth=max_depth, min_depth=min_depth, color_map=color_map)
        )
        panels.append(colorize_error(depth, truth, largest=LARGEST_ERROR))
    width = columns * panel_width + (columns - 1) * GAP
    strip_height = height + (CAPTION_HEIGHT if row.caption else 0) + GAP
    strip = np.full((strip_height, width, 3), PAGE, np.uint8)
    for i, panel in enumerate(panels):
        left = i * (panel_width + GAP)
        strip[:height, left : left + panel_width] = panel
    if row.caption:
        write(strip, row.caption, 0, height + 16, 0.42, FAINT)
    return strip


def _fit(depth: Depth, size: tuple[int, int]) -> Depth:
    """Nearest pixels: a blend of two depths is a depth that nobody measured."""
    return np.asarray(cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST), np.float32)


def _depth_legend(
    page: Picture, x: int, y: int, width: int, max_depth: float, min_depth: float, color_map: str
) -> None:
    near, far = color_range(min_depth, max_depth)
    depth_bar(page, x, y, width, near, far, color_table(color_map), TICK_SIZE, INK, BAR_HEIGHT)
    _swatch(page, x + width // 2, y + 50, "unknown", (0, 0, 0))


def _error_legend(page: Picture, x: int, y: int, width: int) -> None:
    bar(page, x, y, width, error_table(), BAR_HEIGHT)
    percent = round(100 * LARGEST_ERROR)
    for text, share in ((f"-{percent} %", 0.0), ("0", 0.5), (f"+{percent} %", 1.0)):
        place = x + int(share * (width - 1))
        tick(page, place, y + BAR_HEIGHT, text, TICK_SIZE, INK, align=share)
    write(page, "too near", x, y + 50, 0.4, FAINT)
    write(page, "too far", x + width, y + 50, 0.4, FAINT, align=1.0)
    _swatch(page, x + width // 2, y + 50, "unknown", UNKNOWN_ERROR)


def _swatch(page: Picture, x: int, y: int, text: str, color: tuple[int, int, int]) -> None:
    """A small square of a colour and what it means, centred at x on the baseline y."""
    left = x - (16 + text_width(text, 0.4)) // 2
    page[y - 9 : y + 1, left : left + 10] = color
    write(page, text, left + 16, y, 0.4, FAINT)
