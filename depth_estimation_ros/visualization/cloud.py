"""A coloured cloud seen from behind, above and beside the camera that made it."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from depth_estimation_ros.visualization.colors import Picture

Points = npt.NDArray[np.float32]

BACKGROUND = (22, 24, 30)
GRID = (58, 63, 74)
WORDS = (150, 156, 168)
CAMERA = (255, 196, 60)


def cloud_picture(
    points: Points,
    rgb: Picture,
    *,
    width: int = 1120,
    height: int = 700,
    yaw_deg: float = 28.0,
    pitch_deg: float = 24.0,
) -> Picture:
    """Draws points as a camera beside and above the first one would see them.

    A grid of 1 m (more in a large scene) lies at the height of the lowest points; the yellow
    pyramid is the camera that took the picture.

    Args:
        points: (H, W, 3) or (N, 3) float32 metres in the optical frame (x right, y down, z
            forward); points that are not finite are left out.
        rgb: colours, uint8, one per point.
        width: of the picture, pixels.
        height: of the picture, pixels.
        yaw_deg: how far the viewer stands to the right of the first camera's axis.
        pitch_deg: how far the viewer looks down.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    flat = points.reshape(-1, 3)
    kept = np.isfinite(flat).all(axis=1)
    xyz = flat[kept].astype(np.float64)
    colors = rgb.reshape(-1, 3)[kept]
    page = np.full((2 * height, 2 * width, 3), BACKGROUND, np.uint8)
    if len(xyz):
        view = _View(xyz, 2 * width, 2 * height, yaw_deg, pitch_deg)
        _draw_grid(page, xyz, view)
        _draw_points(page, xyz, colors, view, _splat_radius(points, view))
        _draw_camera(page, view, 0.06 * float(np.median(xyz[:, 2])))
    return np.asarray(cv2.resize(page, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


class _View:
    """A pinhole camera that looks at the middle of the cloud and has most of it in sight."""

    def __init__(
        self, xyz: npt.NDArray[np.float64], width: int, height: int, yaw: float, pitch: float
    ) -> None:
        low, middle, high = np.percentile(xyz, (3, 50, 97), axis=0)
        self._target = (low + high) / 2.0
        self._turn = _rotation(math.radians(yaw), math.radians(pitch))
        self._width, self._height = width, height
        self._distance = 1.6 * float(np.linalg.norm(high - low)) / 2.0 + 0.5 * float(middle[2])
        sample = xyz[:: max(1, len(xyz) // 20000)]
        sample = sample[((sample >= low) & (sample <= high)).all(axis=1)]
        # First with focal length 1 and no shift; then both such that the sample fills the page.
        self._focal, self._shift = 1.0, np.zeros(2)
        pixels = self.project(np.vstack([sample, np.zeros((1, 3))]))[0]
        left_top, right_bottom = np.percentile(pixels, (0.5, 99.5), axis=0)
        left_top = np.minimum(left_top, pixels[-1])  # the first camera is always in sight
        right_bottom = np.maximum(right_bottom, pixels[-1])
        span = np.maximum(right_bottom - left_top, 1e-6)
        self._focal = float(0.86 * np.min(np.array([width, height]) / span))
        self._shift = (
            np.array([width, height]) / 2.0 - self._focal * (left_top + right_bottom) / 2.0
        )

    def project(
        self, xyz: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Pixels (N, 2) and distances along the viewer's axis (N,); a distance <= 0 is behind."""
        seen = (xyz - self._target) @ self._turn.T
        distance = seen[:, 2] + self._distance
        safe = np.maximum(distance, 1e-3)[:, np.newaxis]
        return seen[:, :2] / safe * self._focal + self._shift, distance


def _rotation(yaw: float, pitch: float) -> npt.NDArray[np.float64]:
    """Turns the optical frame to that of a viewer who stands to the right and looks down."""
    cy, sy, cp, sp = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)
    about_y = np.array([[cy, 0.0, sy], [0.0, 1.0, 0.0], [-sy, 0.0, cy]])
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, cp, -sp], [0.0, sp, cp]])
    return about_x @ about_y


def _splat_radius(points: Points, view: _View) -> int:
    """Pixels by which a point must spread so that most gaps to its right neighbour close."""
    if points.ndim != 3 or points.shape[1] < 2:
        return 2
    step = max(1, points.shape[0] // 60)
    lines = points[::step].astype(np.float64)
    left, right = lines[:, :-1].reshape(-1, 3), lines[:, 1:].reshape(-1, 3)
    both = np.isfinite(left).all(axis=1) & np.isfinite(right).all(axis=1)
    if not both.any():
        return 2
    gaps = view.project(left[both])[0] - view.project(right[both])[0]
    typical = float(np.percentile(np.linalg.norm(gaps, axis=1), 80))
    return min(max(math.ceil(typical / 2.0), 1), 5)


def _draw_points(
    page: Picture, xyz: npt.NDArray[np.float64], colors: Picture, view: _View, radius: int
) -> None:
    """Square splats with a depth buffer, darker where something nearer stands beside them."""
    height, width = page.shape[:2]
    pixels, distance = view.project(xyz)
    columns, rows = np.rint(pixels).astype(np.int64).T
    inside = (distance > 0.05) & (columns >= radius) & (columns < width - radius)
    inside &= (rows >= radius) & (rows < height - radius)
    order = np.flatnonzero(inside)
    order = order[np.argsort(-distance[order])]  # far first: the last write to a pixel is nearest
    flat = rows[order] * width + columns[order]
    nearest = np.full(height * width, np.inf, np.float32)
    owner = np.full(height * width, -1, np.int64)
    layer = np.empty_like(owner)
    for row in range(-radius, radius + 1):
        for column in range(-radius, radius + 1):
            layer.fill(-1)
            layer[flat + row * width + column] = order
            there = np.flatnonzero(layer >= 0)
            seen = distance[layer[there]].astype(np.float32)
            closer = seen < nearest[there]
            nearest[there[closer]] = seen[closer]
            owner[there[closer]] = layer[there[closer]]
    drawn = owner >= 0
    shade = _shade(nearest.reshape(height, width)).reshape(-1)[drawn, np.newaxis]
    page.reshape(-1, 3)[drawn] = np.rint(colors[owner[drawn]] * shade).astype(np.uint8)


def _shade(distance: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Eye-dome lighting: 1 on open surfaces, less beside a nearer neighbour.

    Boucheny, "Visualisation scientifique de grands volumes de donnees", thesis, Grenoble 2009.
    """
    logs = np.log2(np.where(np.isinf(distance), np.float32(1e6), distance))
    blocked = np.zeros_like(logs)
    for shift in ((0, 3), (0, -3), (3, 0), (-3, 0)):
        neighbour = np.roll(logs, shift, axis=(0, 1))
        blocked += np.maximum(logs - neighbour, 0.0)
    return np.maximum(np.exp(-2.5 * blocked), 0.35).astype(np.float32)


def _draw_grid(page: Picture, xyz: npt.NDArray[np.float64], view: _View) -> None:
    """Lines on the level of the lowest points, with the distance from the camera at their ends."""
    low, high = np.percentile(xyz, (2, 98), axis=0)
    reach = max(high[2], high[0] - low[0])
    step = next(s for s in (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 1e9) if reach / s <= 8)
    level = float(high[1])
    left, right = step * math.floor(low[0] / step), step * math.ceil(high[0] / step)
    end = step * math.ceil(high[2] / step)
    for x in np.arange(left, right + step / 2, step):
        _line(page, view, (x, level, 0.0), (x, level, end), GRID)
    for z in np.arange(0.0, end + step / 2, step):
        _line(page, view, (left, level, z), (right, level, z), GRID)
        at, distance = view.project(np.array([[right + 0.15 * step, level, z]]))
        if distance[0] > 0.1 and (np.abs(at[0]) < 1e4).all():
            place = (round(at[0, 0]), round(at[0, 1]))
            font = cv2.FONT_HERSHEY_SIMPLEX
            cv2.putText(page, f"{z:g} m", place, font, 0.8, WORDS, 2, cv2.LINE_AA)


def _draw_camera(page: Picture, view: _View, size: float) -> None:
    corners = [(x * size, y * 0.75 * size, 1.2 * size) for x, y in _CORNERS]
    for i, corner in enumerate(corners):
        _line(page, view, (0.0, 0.0, 0.0), corner, CAMERA, 3)
        _line(page, view, corner, corners[(i + 1) % 4], CAMERA, 3)


_CORNERS = ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0))


def _line(
    page: Picture,
    view: _View,
    start: tuple[float, float, float],
    end: tuple[float, float, float],
    color: tuple[int, int, int],
    thickness: int = 2,
) -> None:
    """A straight line in space, in short pieces so that what lies behind the viewer drops out."""
    shares = np.linspace(0.0, 1.0, 33)[:, np.newaxis]
    pixels, distance = view.project((1.0 - shares) * np.array(start) + shares * np.array(end))
    for i in range(32):
        if min(distance[i], distance[i + 1]) > 0.1 and np.abs(pixels[i : i + 2]).max() < 1e5:
            a, b = np.rint(pixels[i]).astype(int), np.rint(pixels[i + 1]).astype(int)
            cv2.line(page, tuple(a.tolist()), tuple(b.tolist()), color, thickness, cv2.LINE_AA)
