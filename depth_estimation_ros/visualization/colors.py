"""Depth and error as colours."""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.utils.row_chunks import iter_row_chunks
from depth_estimation_ros.visualization.color_maps import DEFAULT_COLOR_MAP, Picture, color_table

Depth = npt.NDArray[np.float32]

UNKNOWN_ERROR = (190, 190, 190)
NEAREST = 0.3  # metres, where the colours begin if no min_depth is given


def colorize(
    depth: Depth, *, max_depth: float, min_depth: float = 0.0, color_map: str = DEFAULT_COLOR_MAP
) -> Picture:
    """Depth as colours: near is the warm or bright end, steps are equal ratios of depth.

    Colour is linear in log(depth), so that 1 m and 2 m differ as much as 10 m and 20 m.

    Args:
        depth: (H, W) float32 metres.
        max_depth: metres; this, everything beyond it and +Inf have the far colour.
        min_depth: metres; this, everything nearer and -Inf have the near colour. 0 = 0.3 m, or a
            tenth of a max_depth below 3 m.
        color_map: one of COLOR_MAPS.

    Returns:
        (H, W, 3) uint8 RGB; NaN is black.

    Raises:
        ParameterError: an unknown colour map, or no range between the limits.
    """
    near, far = color_range(min_depth, max_depth)
    per_unit = 255.0 / math.log(far / near)
    colors = np.empty((*depth.shape, 3), np.uint8)
    for rows in iter_row_chunks(*depth.shape):
        part = depth[rows]
        logs = np.clip(part, np.float32(near), np.float32(far))
        cv2.log(logs, dst=logs)
        # 255 * log(far / d) / log(far / near), within 0..255, so "Abs" changes nothing.
        levels = cv2.convertScaleAbs(logs, alpha=-per_unit, beta=per_unit * math.log(far))
        cv2.applyColorMap(levels, color_table(color_map), dst=colors[rows])
        unknown = np.isnan(part)
        if unknown.any():
            colors[rows][unknown] = 0
    return colors


def color_range(min_depth: float, max_depth: float) -> tuple[float, float]:
    """The depths, in metres, of the near and the far end of the colours."""
    near = min_depth if min_depth > 0 else min(NEAREST, max_depth / 10.0)
    if not 0 < near < max_depth:
        raise ParameterError(
            "no range of depth to colour",
            found=f"{near:g} m to {max_depth:g} m",
            expected="0 <= min_depth < max_depth",
            fix="Change color_max_depth",
        )
    return near, max_depth


def colorize_error(depth: Depth, truth: Depth, *, largest: float = 0.5) -> Picture:
    """Relative error (depth - truth) / truth as colours: blue too near, white right, red too far.

    Args:
        depth: (H, W) metres; an infinity is as wrong as can be shown.
        truth: (H, W) metres.
        largest: the relative error at which the colours end.

    Returns:
        (H, W, 3) uint8 RGB; grey where depth is NaN or truth is not a finite depth above 0.
    """
    known = np.isfinite(truth) & (truth > 0) & ~np.isnan(depth)
    safe = np.where(known, truth, 1.0)
    error = np.where(known, depth, 1.0) / safe - 1.0
    levels = np.clip(np.rint(127.5 + 127.5 * error / largest), 0, 255).astype(np.uint8)
    colors = np.asarray(cv2.applyColorMap(levels, error_table()), np.uint8)
    colors[~known] = UNKNOWN_ERROR
    return colors


@lru_cache(maxsize=1)
def error_table() -> Picture:
    """(256, 1, 3) uint8 RGB from blue over white to red."""
    anchors = np.array(
        [(5, 48, 97), (67, 147, 195), (250, 250, 250), (214, 96, 77), (103, 0, 31)], np.float64
    )
    places = np.linspace(0, 255, len(anchors))
    table = [np.interp(np.arange(256), places, anchors[:, c]) for c in range(3)]
    return np.rint(np.stack(table, axis=-1)).astype(np.uint8).reshape(256, 1, 3)
