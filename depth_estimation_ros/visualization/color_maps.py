"""Colour maps for depth: near is the warm or the bright end of each.

Measured along the 256 entries of each map by test_render_color_maps.py. Steps are colour
differences in Oklab; lightness and the difference from black, which is unknown depth, are of
CIELAB:

| map | sum of steps | longest / shortest step | lightness, near to far | from black, at least |
|---|---|---|---|---|
| spectral | 1.21 | 1.2 | 33, 94, 33 | 64 |
| turbo | 1.65 | 5.6 | 24, 91, 12 | 33 |
| viridis | 0.85 | 1.5 | 91 ... 15, falls | 49 |
| plasma | 0.96 | 1.4 | 94 ... 16, falls | 75 |
| magma, inferno | 1.2 | 1.6 above L* 10 | 98 ... 0, falls | 2 |
| cividis | 0.80 | 1.8 | 91 ... 14, falls | 34 |
| gray | 1.00 | 1.5 above L* 10 | 100 ... 0, falls | 0 |

Spectral is the default: its steps are the most even, so that a slope shows no edge that is not
there; of the even maps it tells the most depths apart; and nothing in it looks like unknown. But it
has each lightness twice. For grey print, and for an order that is seen without a legend, take
viridis or plasma, which are uniform and fall all the way, or cividis, the same for colour-blind
eyes (Nunez, Anderton, Renslow, PLOS ONE 2018). Turbo shows the finest detail,
with bands of its own.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from depth_estimation_ros.errors import ParameterError

Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

_OPENCV = {
    "turbo": cv2.COLORMAP_TURBO,
    "viridis": cv2.COLORMAP_VIRIDIS,
    "magma": cv2.COLORMAP_MAGMA,
    "inferno": cv2.COLORMAP_INFERNO,
    "plasma": cv2.COLORMAP_PLASMA,
    "cividis": cv2.COLORMAP_CIVIDIS,
}

COLOR_MAPS = ("spectral", "turbo", "viridis", "magma", "inferno", "plasma", "cividis", "gray")
DEFAULT_COLOR_MAP = "spectral"

# Far to near: violet, blue, green, pale yellow, gold, orange, crimson, as lightness, chroma and hue
# in degrees of Oklab. Depth papers show these hues in this order.
SPECTRAL_ANCHORS = (
    (0.44, 0.150, 294.0),
    (0.65, 0.120, 240.0),
    (0.83, 0.130, 163.0),
    (1.00, 0.100, 108.0),
    (0.84, 0.140, 74.0),
    (0.64, 0.185, 36.0),
    (0.44, 0.165, 10.0),
)


@lru_cache(maxsize=16)
def color_table(color_map: str) -> Picture:
    """The (256, 1, 3) uint8 RGB colours of a map, far end first.

    Raises:
        ParameterError: the map is none of COLOR_MAPS.
    """
    if color_map not in COLOR_MAPS:
        raise ParameterError(
            "color_map", found=f"'{color_map}'", expected=f"one of {', '.join(COLOR_MAPS)}"
        )
    levels = np.arange(256, dtype=np.uint8).reshape(256, 1)
    if color_map == "gray":
        return np.asarray(cv2.cvtColor(levels, cv2.COLOR_GRAY2RGB), np.uint8)
    if color_map == "spectral":
        return _spectral_table()
    bgr = cv2.applyColorMap(levels, _OPENCV[color_map])
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def _spectral_table() -> Picture:
    """256 colours at equal distances along a smooth curve that the anchors draw in Oklab."""
    lightness, chroma, hue = np.array(SPECTRAL_ANCHORS).T
    hue = np.radians(hue)
    anchors = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=-1)
    curve = _spline(anchors, 256)
    steps = np.linalg.norm(np.diff(curve, axis=0), axis=-1)
    length = np.concatenate([[0.0], np.cumsum(steps)])
    places = np.linspace(0.0, length[-1], 256)
    even = np.stack([np.interp(places, length, curve[:, c]) for c in range(3)], axis=-1)
    return np.rint(255.0 * _oklab_to_srgb(even)).astype(np.uint8).reshape(256, 1, 3)


def _spline(points: Floats, steps: int) -> Floats:
    """The uniform cubic B-spline of control points (N, D), from the first to the last of them.

    Its bend is continuous, so that no anchor shows as a line in a picture. `steps` places a piece.
    """
    first, last = 2 * points[:1] - points[1:2], 2 * points[-1:] - points[-2:-1]
    controls = np.concatenate([first, points, last])
    t = np.linspace(0.0, 1.0, steps, endpoint=False)[:, np.newaxis]
    weights = (
        (1.0 - t) ** 3 / 6.0,
        (3.0 * t**3 - 6.0 * t**2 + 4.0) / 6.0,
        (-3.0 * t**3 + 3.0 * t**2 + 3.0 * t + 1.0) / 6.0,
        t**3 / 6.0,
    )
    pieces = [
        sum((w * controls[k + i] for i, w in enumerate(weights)), np.zeros(()))
        for k in range(len(points) - 1)
    ]
    return np.concatenate([*pieces, points[-1:]])


# Ottosson, "A perceptual color space for image processing", 2020: Oklab to the cube roots of cone
# responses, and cone responses to linear sRGB.
_TO_CONES = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
_TO_LINEAR = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def _oklab_to_srgb(lab: Floats) -> Floats:
    """(N, 3) lightness, a, b to sRGB 0..1 (IEC 61966-2-1), cut off outside the gamut."""
    linear = np.clip((lab @ _TO_CONES.T) ** 3 @ _TO_LINEAR.T, 0.0, 1.0)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1.0 / 2.4) - 0.055)
