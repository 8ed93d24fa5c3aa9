"""Lens distortion undone: from distorted to ideal coordinates on the plane z = 1.

The models are those of ``sensor_msgs/CameraInfo``: ``plumb_bob`` and ``rational_polynomial`` as in
OpenCV's ``projectPoints``, ``equidistant`` as in ``fisheye::projectPoints`` (Kannala and Brandt
2006).

OpenCV's own inverses stop after five steps, which leaves pixels of error with strong lenses, and
give some point even where the model has no inverse. Here the start comes from a table of the
radial profile up to the radius where it folds back, so the answer lies on the right branch, and a
pixel that no ray in front of the camera reaches becomes NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from depth_estimation_ros.errors import CalibrationError

Array = NDArray[np.float64]

# How many coefficients each model has; OpenCV allows plumb_bob without k3.
COEFFICIENTS = {
    "plumb_bob": (4, 5),
    "rational_polynomial": (8,),
    "equidistant": (4,),
}

# Rays flatter than this are not told apart from 90 degrees, where x / z has no value.
_MAX_ANGLE = np.deg2rad(89.0)
_ANGLES = np.linspace(0.0, _MAX_ANGLE, 8192)
_TOLERANCE = 1e-7  # on the plane z = 1: 1e-4 px at a focal length of 1000 px
_MAX_STEPS = 20
_BLOCK = 16384  # pixels


def is_distorted(model: str, D: Array) -> bool:
    """Whether the model moves any pixel. Coefficients of zero, or none, do not, except equidistant.

    Raises:
        CalibrationError: unknown model, or a wrong number of coefficients for it.
    """
    if model == "equidistant":
        _check_count(model, D)  # all zeros is a real lens here: radius = focal length * angle
        return True
    if model in ("", "none", *COEFFICIENTS) and not D.any():
        return False
    if model not in COEFFICIENTS:
        raise CalibrationError(
            "CameraInfo.distortion_model is not known",
            found=f"'{model}' with d = {D.tolist()}",
            expected=", ".join(COEFFICIENTS),
            fix="Calibrate with one of these models, or send rectified images "
            "and set image_is_rectified.",
        )
    _check_count(model, D)
    return True


def undistort(x: Array, y: Array, model: str, D: Array) -> tuple[Array, Array]:
    """Ideal (x, y) of distorted (x, y), all on the plane z = 1, of any shape.

    NaN where the model has no inverse in front of the camera. ``is_distorted`` must be true.
    """
    if model == "equidistant":
        return _undistort_equidistant(x, y, D)
    return _undistort_polynomial(x, y, np.concatenate([D, np.zeros(8 - len(D))]))


def _check_count(model: str, D: Array) -> None:
    if len(D) not in COEFFICIENTS[model]:
        raise CalibrationError(
            f"CameraInfo.d does not fit the distortion model {model}",
            found=f"{len(D)} coefficients",
            expected=" or ".join(str(n) for n in COEFFICIENTS[model]),
            fix="Publish the coefficients that the calibration wrote.",
        )


def _undistort_equidistant(x: Array, y: Array, D: Array) -> tuple[Array, Array]:
    squared = _ANGLES**2
    profile = _ANGLES * (
        1 + squared * (D[0] + squared * (D[1] + squared * (D[2] + squared * D[3])))
    )
    angles, profile = _rising_part(_ANGLES, profile)
    distorted = np.hypot(x, y)
    # The table's step bounds the error of the interpolation to 1e-8, so no refinement is needed.
    radius = np.tan(np.interp(distorted, profile, angles, right=np.nan))
    scale = np.divide(radius, distorted, out=np.ones_like(radius), where=distorted > 1e-12)
    return x * scale, y * scale


def _undistort_polynomial(xd: Array, yd: Array, D: Array) -> tuple[Array, Array]:
    """The inverse of the radial part, refined for the tangential one; D = k1 k2 p1 p2 k3 ... k6."""
    radii = np.tan(_ANGLES)
    radii, profile = _rising_part(radii, radii * _radial(radii**2, D)[0])
    shape, xd, yd = xd.shape, xd.ravel(), yd.ravel()
    distorted = np.hypot(xd, yd)
    start = np.interp(distorted, profile, radii)
    scale = np.divide(start, distorted, out=np.ones_like(start), where=distorted > 1e-12)
    x, y = xd * scale, yd * scale
    # Blocks that stay in the processor's cache take half the time of the whole image.
    for begin in range(0, x.size, _BLOCK):
        block = slice(begin, begin + _BLOCK)
        _refine(xd[block], yd[block], x[block], y[block], D, radii[-1])
    return x.reshape(shape), y.reshape(shape)


def _refine(xd: Array, yd: Array, x: Array, y: Array, D: Array, max_radius: float) -> None:
    """Newton's method on (x, y) in place; NaN where it does not end on the centre's branch."""
    p1, p2 = D[2], D[3]
    with np.errstate(all="ignore"):  # points without an inverse may run off; they end as NaN
        for _ in range(_MAX_STEPS):
            r2 = x * x + y * y
            radial, slope = _radial(r2, D)
            xy = x * y
            error_x = x * radial + 2 * p1 * xy + p2 * (r2 + 2 * x * x) - xd
            error_y = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * xy - yd
            dxx = radial + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x
            dxy = 2 * xy * slope + 2 * p1 * x + 2 * p2 * y  # the Jacobian is symmetric
            dyy = radial + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x
            determinant = dxx * dyy - dxy * dxy
            solved = np.maximum(np.abs(error_x), np.abs(error_y)) < _TOLERANCE
            solved &= (determinant > 0) & (r2 <= max_radius**2)
            if solved.all():
                break
            x -= np.where(solved, 0.0, (dyy * error_x - dxy * error_y) / determinant)
            y -= np.where(solved, 0.0, (dxx * error_y - dxy * error_x) / determinant)
    x[~solved] = np.nan
    y[~solved] = np.nan


def _radial(r2: Array, D: Array) -> tuple[Array, Array]:
    """The radial factor and its derivative by r squared."""
    k1, k2, _, _, k3, k4, k5, k6 = D
    above = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    below = 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
    above_slope = k1 + r2 * (2 * k2 + r2 * 3 * k3)
    below_slope = k4 + r2 * (2 * k5 + r2 * 3 * k6)
    return above / below, (above_slope * below - above * below_slope) / (below * below)


def _rising_part(ideal: Array, distorted: Array) -> tuple[Array, Array]:
    """The table up to where the distorted radius stops growing with the ideal one."""
    falls = np.flatnonzero(~(np.diff(distorted) > 0))
    end = int(falls[0]) + 1 if len(falls) else len(distorted)
    return ideal[:end], distorted[:end]
