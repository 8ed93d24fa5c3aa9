"""Where metric depth comes from: points of a range sensor, or the floor below the camera."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from depth_estimation_ros.estimation.frame import Depth
from depth_estimation_ros.estimation.scale import Pairs
from depth_estimation_ros.geometry.camera_model import CameraModel

Points = npt.NDArray[np.float64]

MIN_RANGE = 0.1  # metres along Z: nearer points are on the robot itself
MAX_POINTS = 256  # of one image
_MAX_PROJECTED = 2048
_HIDDEN = 1.15  # a point this many times farther than its neighbour in the image is hidden by it
_NEIGHBOURHOOD = 48  # cells of the image's width
_FLOOR_PIXELS = 2500
_HORIZON = 0.05  # tangent below the horizon; nearer to it a floor's depth says nothing
_FLOOR_BAND = 0.08  # of log height
_FLOOR_SHARE = 0.1  # of the pixels below the horizon that must lie on the floor

# From a camera's body (x forward, y left, z up) to its optical frame (x right, y down, z forward).
OPTICAL_FROM_BODY = np.array(
    [[0.0, -1.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
)


@dataclass(frozen=True, eq=False)
class RangePoints:
    """Points that a range sensor measured: a laser scan, LiDAR, radar, ToF, another depth image.

    Attributes:
        points: (N, 3) metres in the camera's optical frame.
        stamp_ns: nanoseconds, of the measurement.
    """

    points: Points
    stamp_ns: int | None

    def pairs(self, values: Depth, camera: CameraModel) -> Pairs:
        """Return the pixels at which the camera sees the points."""
        return project_ranges(self.points, camera, (values.shape[0], values.shape[1]))


@dataclass(frozen=True, eq=False)
class KnownPixels:
    """Measured pixels of an image: those of a depth image that is registered to it.

    Attributes:
        pixels: of the depth image.
        size: height and width of the depth image; a prediction of another size sees the same.
        stamp_ns: nanoseconds, of the measurement; None if it holds for every image.
    """

    pixels: Pairs
    size: tuple[int, int]
    stamp_ns: int | None = None

    @classmethod
    def of_depth(cls, depth: Depth, stamp_ns: int | None) -> KnownPixels:
        """Take up to `MAX_POINTS` known pixels, on a grid, of depth (H, W) in metres."""
        with np.errstate(invalid="ignore"):
            rows, columns = np.nonzero(np.isfinite(depth) & (depth > MIN_RANGE))
        few = slice(None, None, max(1, -(-len(rows) // MAX_POINTS)))
        rows, columns = rows[few], columns[few]
        pixels = Pairs(rows, columns, depth[rows, columns].astype(np.float64))
        return cls(pixels, (depth.shape[0], depth.shape[1]), stamp_ns)

    def pairs(self, values: Depth, camera: CameraModel) -> Pairs:
        """Return the pixels at the size of `values`."""
        (h, w), (height, width) = values.shape, self.size
        return Pairs(
            ((self.pixels.rows + 0.5) * h / height).astype(np.intp),
            ((self.pixels.columns + 0.5) * w / width).astype(np.intp),
            self.pixels.depth,
        )


@dataclass(frozen=True, eq=False)
class RangeCone:
    """One reading of a sensor that returns the nearest surface within a cone.

    Attributes:
        distance: metres from the sensor.
        half_angle: of the cone, radians.
        pose: (4, 4) of the sensor, which looks along its x axis, in the camera's optical frame.
        stamp_ns: nanoseconds, of the reading.
    """

    distance: float
    half_angle: float
    pose: npt.NDArray[np.float64]
    stamp_ns: int | None

    def pairs(self, values: Depth, camera: CameraModel) -> Pairs | None:
        """Return the cone's pixel of least depth (its 10th percentile), or None outside the image.

        The reading is taken along the axis of the cone.
        """
        h, w = values.shape
        around = np.linspace(0.0, 2.0 * math.pi, 24, endpoint=False)
        radius = self.distance * np.linspace(0.0, math.tan(self.half_angle), 6)
        disc = np.stack(
            [
                np.full((6, 24), self.distance),
                radius[:, np.newaxis] * np.cos(around),
                radius[:, np.newaxis] * np.sin(around),
            ],
            axis=-1,
        )
        points = transform_points(disc.reshape(-1, 3), self.pose)
        seen = project_ranges(points, camera, (h, w))
        if len(seen) < len(points) // 2:
            return None
        predicted = values[seen.rows, seen.columns]
        nearest = np.argsort(predicted)[len(predicted) // 10]
        depth = transform_points(np.array([[self.distance, 0.0, 0.0]]), self.pose)[:, 2]
        return Pairs(seen.rows[[nearest]], seen.columns[[nearest]], depth)


@dataclass(frozen=True, eq=False)
class FloorBelow:
    """The floor at a known height below the camera.

    Attributes:
        height: of the camera above the floor, metres.
        down: unit vector of gravity in the camera's optical frame; see `down_vector`.
        stamp_ns: None: it holds for every image.
    """

    height: float
    down: npt.NDArray[np.float64]
    stamp_ns: int | None = None

    def pairs(self, values: Depth, camera: CameraModel) -> Pairs | None:
        """Return pixels of the floor and its true depth, or None where no floor is seen."""
        return find_floor(values, camera, self.height, self.down)


def transform_points(points: Points, pose: npt.NDArray[np.float64]) -> Points:
    """Return points (N, 3) moved by a (4, 4) pose of their frame in another."""
    return points @ pose[:3, :3].T + pose[:3, 3]


def pose_matrix(
    x: float, y: float, z: float, roll: float, pitch: float, yaw: float
) -> npt.NDArray[np.float64]:
    """Return the (4, 4) matrix of a translation in metres and fixed-axis angles in radians."""
    cr, sr, cp, sp = math.cos(roll), math.sin(roll), math.cos(pitch), math.sin(pitch)
    cy, sy = math.cos(yaw), math.sin(yaw)
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr, x],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr, y],
            [-sp, cp * sr, cp * cr, z],
            [0.0, 0.0, 0.0, 1.0],
        ]
    )


def transform_matrix(translation: Any, rotation: Any) -> npt.NDArray[np.float64]:
    """Return the (4, 4) matrix of a geometry_msgs/Transform: its Vector3 and unit Quaternion."""
    w, x, y, z = rotation.w, rotation.x, rotation.y, rotation.z
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w), translation.x],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w), translation.y],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y), translation.z],
            [0.0, 0.0, 0.0, 1.0],
        ]
    )


def project_ranges(
    points: Points, camera: CameraModel, size: tuple[int, int], limit: int = MAX_POINTS
) -> Pairs:
    """Return the pixels at which the camera sees measured points.

    Points outside the image, hidden behind another point, or where the distortion model has no
    inverse are left out.

    Args:
        points: (N, 3) metres in the camera's optical frame.
        camera: calibrated, of any image size.
        size: height and width of the prediction.
        limit: how many pairs to return at most.

    Raises:
        CalibrationError: a distortion model that is not known.
    """
    height, width = size
    points = points[:: max(1, len(points) // max(_MAX_PROJECTED, limit))]
    with np.errstate(invalid="ignore"):
        points = points[(points[:, 2] > MIN_RANGE) & np.isfinite(points).all(axis=1)]
    pixels = camera.scaled(width, height).project(points)
    columns, rows = np.rint(pixels).T
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    rows, columns = rows[inside].astype(np.intp), columns[inside].astype(np.intp)
    depth = points[inside, 2]
    seen = _visible(rows, columns, depth, size)
    rows, columns, depth = rows[seen], columns[seen], depth[seen]
    few = slice(None, None, max(1, -(-len(depth) // limit)))
    return Pairs(rows[few], columns[few], depth[few])


def _visible(
    rows: npt.NDArray[np.intp],
    columns: npt.NDArray[np.intp],
    depth: npt.NDArray[np.float64],
    size: tuple[int, int],
) -> npt.NDArray[np.bool_]:
    """Return which points are not behind the nearest one of their neighbourhood in the image."""
    cell = max(1.0, size[1] / _NEIGHBOURHOOD)
    shape = (int(size[0] / cell) + 1, int(size[1] / cell) + 1)
    nearest = np.full(shape, np.inf, np.float32)
    places = (rows / cell).astype(np.intp), (columns / cell).astype(np.intp)
    np.minimum.at(nearest, places, depth.astype(np.float32))
    around = np.asarray(cv2.erode(nearest, np.ones((3, 3), np.uint8)))
    return np.asarray(depth <= _HIDDEN * around[places])


def find_floor(
    depth: Depth, camera: CameraModel, height: float, down: npt.NDArray[np.float64]
) -> Pairs | None:
    """Return the pixels of the floor and its true depth, or None where no floor is seen.

    With the direction of gravity known, each pixel below the horizon has a height below the camera:
    depth * (ray . down). On a horizontal surface it is the same for all pixels, and the floor is
    the lowest such surface.

    Args:
        depth: (h, w) predicted metres, of any scale.
        camera: calibrated, of any image size.
        height: of the camera above the floor, metres.
        down: unit vector of gravity in the camera's optical frame; (0, 1, 0) for a level camera.
    """
    h, w = depth.shape
    step = max(1, int(math.sqrt(h * w / _FLOOR_PIXELS)))
    rays = camera.scaled(w, h).rays()[::step, ::step].astype(np.float64)
    values = depth[::step, ::step].astype(np.float64)
    steep = rays[..., 0] * down[0] + rays[..., 1] * down[1] + down[2]  # metres down a metre ahead
    with np.errstate(invalid="ignore", divide="ignore"):
        below = np.where((steep > _HORIZON) & np.isfinite(values) & (values > 0), steep, np.nan)
        logs = np.log(values * below)
        # Down the image a floor keeps its height; on a wall it grows with the slope of the ray.
        gap = max(1, h // step // 20)
        slope = (logs[gap:] - logs[:-gap]) / (np.log(below[gap:]) - np.log(below[:-gap]))
    flat = np.zeros(logs.shape, bool)
    level = np.abs(slope) < 0.35
    flat[gap:] |= level
    flat[:-gap] |= level
    candidates = logs[flat & np.isfinite(logs)]
    countable = np.isfinite(logs).sum()
    if len(candidates) < 20:
        return None
    bins = np.arange(candidates.min() - 0.1, candidates.max() + 0.1, 0.02)
    counts = np.histogram(candidates, bins)[0]
    counts = np.convolve(counts, np.ones(2 * round(_FLOOR_BAND / 0.02) + 1), mode="same")
    peak = int(np.flatnonzero(counts >= 0.5 * counts.max())[-1])
    centre = float(bins[peak]) + 0.01
    for reach in (1.5, 1.0):  # from the upper flank to the middle of the lowest surface
        near = candidates[np.abs(candidates - centre) < reach * _FLOOR_BAND]
        centre = float(np.median(near)) if len(near) else centre
    floor = flat & (np.abs(logs - centre) < _FLOOR_BAND)
    if floor.sum() < _FLOOR_SHARE * countable:
        return None
    rows, columns = np.nonzero(floor)
    few = slice(None, None, max(1, -(-len(rows) // MAX_POINTS)))
    rows, columns = rows[few], columns[few]
    return Pairs(rows * step, columns * step, height / steep[rows, columns])


def down_vector(roll: float, pitch: float) -> npt.NDArray[np.float64]:
    """Return gravity in the optical frame of a camera that is pitched down and rolled, radians.

    Args:
        roll: about the viewing direction; positive turns the camera clockwise.
        pitch: positive looks down.
    """
    return np.array(
        [
            math.cos(pitch) * math.sin(roll),
            math.cos(pitch) * math.cos(roll),
            math.sin(pitch),
        ]
    )
