"""How much a depth estimate of the same surface point changes while the camera moves."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from depth_estimation_ros.geometry.camera_model import CameraModel, deproject

Depth = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.float64]

SAME_SURFACE = 0.03  # of depth: two true depths that differ by less are of one surface
MIN_POINTS = 100  # common points below which a pair of frames says nothing


@dataclass(frozen=True, eq=False)
class Moment:
    """One frame of a sequence with its truth.

    Attributes:
        rgb: (H, W, 3) uint8.
        truth: (H, W) metres, NaN unknown, +Inf sky.
        camera: of the image.
        to_previous: (4, 4) takes points of this optical frame to that of the frame before, metres;
            None for the first frame, and where the motion is not known.
        stamp_ns: nanoseconds.
    """

    rgb: npt.NDArray[np.uint8]
    truth: Depth
    camera: CameraModel
    to_previous: Matrix | None
    stamp_ns: int


@dataclass(frozen=True, eq=False)
class Common:
    """Points of static surfaces that two successive frames see.

    Attributes:
        pixels: (n,) flat indices of the second frame's pixels.
        before: (n, 2) x and y at which the first frame sees the same points. In float32 a place
            just inside the last column would round to beyond it.
        expected: (n,) ln z - ln z', by how much motion alone changes the logarithm of depth.
    """

    pixels: npt.NDArray[np.intp]
    before: Numbers
    expected: Numbers


def common_points(before: Moment, now: Moment, step: int = 2) -> Common:
    """Return the points of every `step`-th pixel that the frame before sees, too.

    A true point X = z r of the second frame is at X' = T X in the first, of depth z' = X'_z, and
    projects to the position u'. It counts if all four pixels around u' have a true depth within
    `SAME_SURFACE` of z'. So occluded and moving points are left out, and pixels at edges.

    Raises:
        ValueError: the motion between the two is not known.
    """
    if now.to_previous is None:
        raise ValueError("the motion to the frame before is not known")
    height, width = now.truth.shape
    points = deproject(now.truth, now.camera.rays())[::step, ::step].reshape(-1, 3)
    rows, columns = np.mgrid[0:height:step, 0:width:step].reshape(2, -1)
    moved = points.astype(np.float64) @ now.to_previous[:3, :3].T + now.to_previous[:3, 3]
    seen = moved[:, 2] > 1e-3  # False for NaN
    moved, z, flat = moved[seen], points[seen, 2], (rows * width + columns)[seen]
    pixels = project(moved, before.camera)
    x, y = pixels[:, 0], pixels[:, 1]
    inside = (x >= 0) & (x < width - 1) & (y >= 0) & (y < height - 1)
    moved, z, flat, pixels = moved[inside], z[inside], flat[inside], pixels[inside]
    left, top = np.floor(pixels).astype(np.intp).T
    same = np.ones(len(flat), bool)
    for shift_y in (0, 1):
        for shift_x in (0, 1):
            there = before.truth[top + shift_y, left + shift_x]
            same &= np.abs(there / moved[:, 2] - 1.0) < SAME_SURFACE  # False for NaN and inf
    expected = np.log(z.astype(np.float64)) - np.log(moved[:, 2])
    return Common(flat[same], pixels[same], expected[same])


def project(points: Matrix, camera: CameraModel) -> Matrix:
    """(n, 2) pixels of (n, 3) points before the camera, with its distortion (plumb bob)."""
    if len(points) == 0:
        return np.zeros((0, 2))
    lens = camera.D if camera.D.size else np.zeros(5)
    pixels = cv2.projectPoints(points, np.zeros(3), np.zeros(3), camera.K, lens)[0]
    return np.asarray(pixels, np.float64).reshape(-1, 2)


def changes(before: Depth, now: Depth, common: Common) -> Numbers:
    """(n,) by how much the estimate of each common point changed beyond what motion explains.

        f = [ln p(u) - ln p'(u')] - [ln z - ln z']

    p' is interpolated in inverse depth, in which planes are linear. The scale of an estimate
    cancels; if frame t has the factor k_t, f is ln(k_t / k_(t-1)) everywhere. Points at which one
    of the estimates is not finite are left out.

    Args:
        before, now: (H, W) estimates in metres.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.where(np.isfinite(before), 1.0 / before, np.nan).astype(np.float32)
        first = -np.log(_sampled(inverse, common.before))
        second = np.log(now.reshape(-1)[common.pixels].astype(np.float64))
        change = second - first - common.expected
    return change[np.isfinite(change)]


@dataclass(frozen=True)
class Flicker:
    """What a pair of frames shows, in log depth (0.01 is 1 % of depth).

    Attributes:
        total: mean of |f|.
        common: |median of f|, the change that all points share: a factor on the whole frame.
        rest: mean of |f - median of f|.
        points: how many points were compared.
    """

    total: float
    common: float
    rest: float
    points: int


def flicker(change: Numbers) -> Flicker | None:
    """Of the changes between two frames; None for fewer than 100 points."""
    if change.size < MIN_POINTS:
        return None
    shared = float(np.median(change))
    rest = float(np.mean(np.abs(change - shared)))
    return Flicker(float(np.mean(np.abs(change))), abs(shared), rest, int(change.size))


def _sampled(values: Depth, places: Numbers) -> Numbers:
    """Return bilinear; by hand, because cv2.remap rounds places to 1/32 pixel."""
    left, top = np.floor(places).astype(np.intp).T
    x, y = (places - np.floor(places)).T
    a, b = values[top, left], values[top, left + 1]
    c, d = values[top + 1, left], values[top + 1, left + 1]
    return (a * (1 - x) + b * x) * (1 - y) + (c * (1 - x) + d * x) * y


_FEATURES = 600
_BACK_PX = 0.5  # a feature tracked forwards and backwards must end this near to its start
_INLIER_PX = 1.5
MIN_TRACKED = 40


def estimate_motion(
    before: npt.NDArray[np.uint8],
    now: npt.NDArray[np.uint8],
    truth: Depth,
    camera: CameraModel,
) -> Matrix | None:
    """Take points of the second frame to the first, (4, 4); None where too little can be tracked.

    Corners of the second image are tracked into the first (Lucas-Kanade, checked backwards). With
    their measured depth they are points in space, and the pose from which the first camera sees
    them where they were tracked is the motion (perspective-n-point with RANSAC, then refined on the
    inliers). The estimate under test plays no part in it. What moves by itself is an outlier, as
    long as it is the smaller part of the image.

    Args:
        before, now: (H, W, 3) uint8 RGB.
        truth: (H, W) measured depth of the second frame, metres.
        camera: of both.
    """
    first, second = (cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY) for rgb in (before, now))
    known = np.isfinite(truth).astype(np.uint8)
    corners = cv2.goodFeaturesToTrack(second, _FEATURES, 0.01, 7, mask=known)
    if corners is None or len(corners) < MIN_TRACKED:
        return None
    tracked, found, _ = cv2.calcOpticalFlowPyrLK(second, first, corners, corners.copy())
    back, returned, _ = cv2.calcOpticalFlowPyrLK(first, second, tracked, corners.copy())
    distance = np.linalg.norm((back - corners).reshape(-1, 2), axis=1)
    kept = (found.ravel() > 0) & (returned.ravel() > 0) & (distance < _BACK_PX)
    places = corners.reshape(-1, 2)[kept]
    columns, rows = np.rint(places).astype(np.intp).T
    points = deproject(truth, camera.rays())[rows, columns].astype(np.float64)
    if len(points) < MIN_TRACKED:
        return None
    lens = camera.D if camera.D.size else np.zeros(5)
    targets = tracked.reshape(-1, 2)[kept].astype(np.float64)
    cv2.setRNGSeed(0)  # RANSAC draws from it
    solved, turn, shift, inliers = cv2.solvePnPRansac(
        points, targets, camera.K, lens, reprojectionError=_INLIER_PX, iterationsCount=300
    )
    if not solved or inliers is None or len(inliers) < MIN_TRACKED:
        return None
    inside = inliers.ravel()
    turn, shift = cv2.solvePnPRefineLM(points[inside], targets[inside], camera.K, lens, turn, shift)
    motion = np.eye(4)
    motion[:3, :3], motion[:3, 3] = cv2.Rodrigues(turn)[0], shift.ravel()
    return motion
