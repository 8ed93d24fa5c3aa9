"""Depth and error as colours, with OpenCV and tables alone: this is the node's path.

The maps, measured along their 256 entries by test_color_maps.py. Steps are colour differences in
Oklab; lightness and the difference from black, which is unknown depth, are of CIELAB:

| map | sum of steps | longest / shortest step | lightness, near to far | from black, at least |
|---|---|---|---|---|
| spectral | 1.21 | 1.2 | 33, 94, 33 | 64 |
| turbo | 1.65 | 5.6 | 24, 91, 12 | 33 |
| viridis | 0.85 | 1.5 | 91 ... 15, falls | 49 |
| plasma | 0.96 | 1.4 | 94 ... 16, falls | 75 |
| magma, inferno | 1.2 | 1.6 above L* 10 | 98 ... 0, falls | 2 |
| cividis | 0.80 | 1.8 | 91 ... 14, falls | 34 |
| gray | 1.00 | 1.5 above L* 10 | 100 ... 0, falls | 0 |

Spectral is the default: its steps are the most even, it separates the most depths of the even maps,
and nothing in it looks like unknown. But it has each lightness twice: for grey print, and for an
order that needs no legend, take viridis, plasma or cividis (Nunez, Anderton, Renslow, PLOS ONE
2018). Turbo shows the finest detail, with bands of its own.
"""

from __future__ import annotations

import base64
import math
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.utils.memory import iter_row_chunks

Rgb = npt.NDArray[np.uint8]
Depth = npt.NDArray[np.float32]

DEFAULT_COLOR_MAP = "spectral"
_OPENCV_MAPS = {
    "turbo": cv2.COLORMAP_TURBO,
    "viridis": cv2.COLORMAP_VIRIDIS,
    "magma": cv2.COLORMAP_MAGMA,
    "inferno": cv2.COLORMAP_INFERNO,
    "plasma": cv2.COLORMAP_PLASMA,
    "cividis": cv2.COLORMAP_CIVIDIS,
}
COLOR_MAPS = (DEFAULT_COLOR_MAP, *_OPENCV_MAPS, "gray")

UNKNOWN_ERROR = (190, 190, 190)
MAX_RELATIVE_ERROR = 0.5
DEFAULT_MIN_DEPTH = 0.3  # metres, where the colours begin if no min_depth is given

# 256 RGB triples, far (violet) to near (crimson): equal steps in Oklab along a B-spline of seven
# colours in the order of hues that depth papers use.
_SPECTRAL = base64.b64decode(
    "WjubWj2cWj+dWkGeWkOfWkWgWkahWkiiWkqjWkykWk6lWVCmWVGnWVOoWVWpWVeqWVmrWVqsWFytWF6uWGCvWGKwWGOxV2"
    "WyV2ezV2m0V2q1Vmy1Vm62VnC3VXG4VXO5VXW5VHe6VHi7VHq8U3y8U329U3++UoG+UoO/UoS/UYbAUYjBUYnBUIvCUI3C"
    "UI/CT5DDT5LDT5TET5XET5fET5nETprFTpzFTp7FTp/FTqHFT6LFT6TFT6bFT6fFT6nFUKrFUKzFUa7FUa/EUrHEUrLEU7"
    "TEVLXDVbfDVbjDVrrDV7vCWb3CWr7CW8DBXMHBXsPAX8TAYcbAYse/ZMm/Zcq+Z8u+ac29a869bdC8b9G8cdK7c9S7ddW7"
    "eNa6eti6fdm5f9q5gtu4hN24h964it+3jOC3j+K3kuO2leS2mOW2m+a1nue1oei1pOq1p+u0quy0ru20se2ztO6zt++zu/"
    "CyvvGywvKyxfKxyPOxzPSw0PSw0/Wv1/Wv2vWu3vWt4vWs5vWq6fWp7fSn8POl8/Kj9vGg+O+e+u2b/OyZ/eqW/uiT/+aR"
    "/+SO/+KM/+CK/96H/9yF/9qD/9iA/9Z+/9R8/9J6/9B4/852/8x0/8py/8hw/8Zu/8Vs/8Nq/8Fp/79n/71l/7tk/7li/7"
    "dg/rVf/rNd/rFc/a9a/a1Z/KtX/KlW/KdV+6VT+6NS+qFR+p9Q+Z1P+ZtO+JlM95dL95VK9pNJ9pFJ9Y9I9I5H84xG84pF"
    "8ohE8YZE8YRD8IJC74BB7n5B7XxA7HpA7Hg/63Y/6nQ+6XI+6HA952895m095Ws85Gk84mc84WU84GM732I73mA73V4721"
    "w72lo72Vk711c71lU71VM701I70lA70U47z0w7zks7zEk7y0c7yUY7yEQ7xkM7xUE7wz87wT47wDw8vjs8vTk8uzc8ujY8"
    "uDQ8tjM8tTE8szA8sS49sCw9ris9rCk9qyg9qSY9qCQ9piM9pCE9ox89oR49nxw9nho9nBg9mhY9mRQ9lxI9"
)


@lru_cache(maxsize=16)
def color_table(color_map: str) -> Rgb:
    """Return the (256, 1, 3) uint8 RGB colours of a map, far end first.

    Raises:
        ParameterError: the map is none of COLOR_MAPS.
    """
    if color_map not in COLOR_MAPS:
        raise ParameterError(
            "color_map", found=f"'{color_map}'", expected=f"one of {', '.join(COLOR_MAPS)}"
        )
    levels = np.arange(256, dtype=np.uint8).reshape(256, 1)
    if color_map == "gray":
        return np.repeat(levels, 3, axis=1).reshape(256, 1, 3)
    if color_map == "spectral":
        return np.frombuffer(_SPECTRAL, np.uint8).reshape(256, 1, 3)
    bgr = cv2.applyColorMap(levels, _OPENCV_MAPS[color_map])
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def colorize(
    depth: Depth, *, max_depth: float, min_depth: float = 0.0, color_map: str = DEFAULT_COLOR_MAP
) -> Rgb:
    """Return depth as colours: near is the warm or bright end, steps are equal ratios of depth.

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
    near, far = color_limits(min_depth, max_depth)
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


def color_limits(min_depth: float, max_depth: float) -> tuple[float, float]:
    """Return the depths in metres of the near and the far end of the colours.

    Raises:
        ParameterError: min_depth, or its default, is not below max_depth.
    """
    near = min_depth if min_depth > 0 else min(DEFAULT_MIN_DEPTH, max_depth / 10.0)
    if not 0 < near < max_depth:
        raise ParameterError(
            "color range",
            found=f"{near:g} m to {max_depth:g} m",
            expected="0 <= min_depth < max_depth",
            fix="Change color_max_depth",
        )
    return near, max_depth


def colorize_error(depth: Depth, truth: Depth) -> Rgb:
    """Return the relative error (depth - truth) / truth as colours.

    Blue is too near, white is right, red is too far; the colours end at MAX_RELATIVE_ERROR.

    Args:
        depth: (H, W) metres; an infinity has the end colour.
        truth: (H, W) metres.

    Returns:
        (H, W, 3) uint8 RGB; grey where depth is NaN or truth is not a finite depth above 0.
    """
    known = np.isfinite(truth) & (truth > 0) & ~np.isnan(depth)
    safe = np.where(known, truth, 1.0)
    error = np.where(known, depth, 1.0) / safe - 1.0
    levels = np.clip(np.rint(127.5 + 127.5 * error / MAX_RELATIVE_ERROR), 0, 255).astype(np.uint8)
    colors = np.asarray(cv2.applyColorMap(levels, error_table()), np.uint8)
    colors[~known] = UNKNOWN_ERROR
    return colors


@lru_cache(maxsize=1)
def error_table() -> Rgb:
    """Return (256, 1, 3) uint8 RGB from blue over white to red."""
    anchors = np.array(
        [(5, 48, 97), (67, 147, 195), (250, 250, 250), (214, 96, 77), (103, 0, 31)], np.float64
    )
    places = np.linspace(0, 255, len(anchors))
    table = [np.interp(np.arange(256), places, anchors[:, c]) for c in range(3)]
    return np.rint(np.stack(table, axis=-1)).astype(np.uint8).reshape(256, 1, 3)
