"""Undo lens distortion: from distorted to ideal coordinates on the plane z = 1.

The models are those of ``sensor_msgs/CameraInfo``: ``plumb_bob`` and ``rational_polynomial`` as in
OpenCV's ``projectPoints`` (thin prism and tilt included), ``equidistant`` as in
``fisheye::projectPoints`` (Kannala and Brandt 2006).

Own code because OpenCV's inverses stop after five steps, which leaves pixels of error with strong
lenses, and give some point even where the model has no inverse. Here the start comes from a table
of the radial profile up to the radius where it folds back, so the answer lies on the right branch,
and a pixel that no ray in front of the camera reaches becomes NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from depth_estimation_ros.errors import CalibrationError

Array = NDArray[np.float64]

# The least and the greatest number of coefficients. plumb_bob may lack k3; rational_polynomial may
# go on with thin prism (12) and tilt (14). Zeros beyond are no coefficients: drivers append them.
COEFFICIENTS = {
    "plumb_bob": (4, 5),
    "rational_polynomial": (8, 14),
    "equidistant": (4, 4),
}

# Rays flatter than this are not told apart from 90 degrees, where x / z has no value.
_MAX_ANGLE = np.deg2rad(89.0)
_ANGLES = np.linspace(0.0, _MAX_ANGLE, 8192)
_TOLERANCE = 1e-7  # on the plane z = 1: 1e-4 px at a focal length of 1000 px
_MAX_STEPS = 20
_BLOCK = 16384  # pixels


def is_distorted(model: str, D: Array) -> bool:
    """Return whether the model moves any pixel; zeros or no coefficients do only if equidistant.

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
    """Return the ideal (x, y) of distorted (x, y), all on the plane z = 1, of any shape.

    NaN where the model has no inverse in front of the camera. ``is_distorted`` must be true.
    """
    if model == "equidistant":
        return _undistort_equidistant(x, y, D)
    k = opencv_coefficients(model, D)
    return _undistort_polynomial(*_untilt(x, y, *k[12:]), k)


def opencv_coefficients(model: str, D: Array) -> Array:
    """Return D as OpenCV takes it: 4 numbers if equidistant, else 14, zeros where D has none."""
    count = 4 if model == "equidistant" else 14
    return np.concatenate([D[:count], np.zeros(max(0, count - len(D)))])


def max_radius(model: str, D: Array) -> float:
    """Return the greatest ideal radius (x, y) that the model projects without folding back."""
    if model == "equidistant":
        angles, _ = _equidistant_profile(D)
        return float(np.tan(angles[-1]))
    return float(_radial_profile(opencv_coefficients(model, D))[0][-1])


def _check_count(model: str, D: Array) -> None:
    least, greatest = COEFFICIENTS[model]
    if len(D) < least or D[greatest:].any():
        raise CalibrationError(
            f"CameraInfo.d does not fit the distortion model {model}",
            found=f"{len(D)} coefficients",
            expected=f"{least}" if least == greatest else f"{least} to {greatest}",
            fix="Publish the coefficients that the calibration wrote.",
        )


def _undistort_equidistant(x: Array, y: Array, D: Array) -> tuple[Array, Array]:
    angles, profile = _equidistant_profile(D)
    distorted = np.hypot(x, y)
    # The table's step bounds the error of the interpolation to 1e-8, so no refinement is needed.
    radius = np.tan(np.interp(distorted, profile, angles, right=np.nan))
    scale = np.divide(radius, distorted, out=np.ones_like(radius), where=distorted > 1e-12)
    return x * scale, y * scale


def _equidistant_profile(D: Array) -> tuple[Array, Array]:
    squared = _ANGLES**2
    profile = _ANGLES * (
        1 + squared * (D[0] + squared * (D[1] + squared * (D[2] + squared * D[3])))
    )
    return _rising_part(_ANGLES, profile)


def _untilt(x: Array, y: Array, tau_x: float, tau_y: float) -> tuple[Array, Array]:
    """Undo the tilt of the sensor, a homography, as OpenCV's computeTiltProjectionMatrix."""
    if tau_x == tau_y == 0:
        return x, y
    cx, sx, cy, sy = np.cos(tau_x), np.sin(tau_x), np.cos(tau_y), np.sin(tau_y)
    about_x = np.array([[1, 0, 0], [0, cx, sx], [0, -sx, cx]])
    about_y = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    R = about_y @ about_x
    to_plane = np.array([[R[2, 2], 0, -R[0, 2]], [0, R[2, 2], -R[1, 2]], [0, 0, 1]])
    inverse = np.linalg.inv(to_plane @ R)
    u, v, w = np.tensordot(inverse, np.stack([x, y, np.ones_like(x)]), axes=1)
    return u / w, v / w


def _undistort_polynomial(xd: Array, yd: Array, D: Array) -> tuple[Array, Array]:
    """Invert the radial part by a table, then refine; D = k1 k2 p1 p2 k3 ... k6 s1 ... s4."""
    radii, profile = _radial_profile(D)
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
    """Apply Newton's method to (x, y) in place; NaN where it leaves the center's branch."""
    p1, p2 = D[2:4]
    s1, s2, s3, s4 = D[8:12]
    with np.errstate(all="ignore"):  # points without an inverse may run off; they end as NaN
        for _ in range(_MAX_STEPS):
            r2 = x * x + y * y
            radial, slope = _radial(r2, D)
            xy = x * y
            prism_x, prism_y = r2 * (s1 + s2 * r2), r2 * (s3 + s4 * r2)
            error_x = x * radial + 2 * p1 * xy + p2 * (r2 + 2 * x * x) + prism_x - xd
            error_y = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * xy + prism_y - yd
            slope_x, slope_y = 2 * s1 + 4 * s2 * r2, 2 * s3 + 4 * s4 * r2  # of the prism by r, / r
            mixed = 2 * xy * slope + 2 * p1 * x + 2 * p2 * y
            dxx = radial + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x + slope_x * x
            dxy, dyx = mixed + slope_x * y, mixed + slope_y * x
            dyy = radial + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x + slope_y * y
            determinant = dxx * dyy - dxy * dyx
            solved = np.maximum(np.abs(error_x), np.abs(error_y)) < _TOLERANCE
            solved &= (determinant > 0) & (r2 <= max_radius**2)
            if solved.all():
                break
            x -= np.where(solved, 0.0, (dyy * error_x - dxy * error_y) / determinant)
            y -= np.where(solved, 0.0, (dxx * error_y - dyx * error_x) / determinant)
    x[~solved] = np.nan
    y[~solved] = np.nan


def _radial_profile(D: Array) -> tuple[Array, Array]:
    radii = np.tan(_ANGLES)
    return _rising_part(radii, radii * _radial(radii**2, D)[0])


def _radial(r2: Array, D: Array) -> tuple[Array, Array]:
    """Return the radial factor and its derivative by r squared."""
    k1, k2, _, _, k3, k4, k5, k6 = D[:8]
    above = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    below = 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
    above_slope = k1 + r2 * (2 * k2 + r2 * 3 * k3)
    below_slope = k4 + r2 * (2 * k5 + r2 * 3 * k6)
    return above / below, (above_slope * below - above * below_slope) / (below * below)


def _rising_part(ideal: Array, distorted: Array) -> tuple[Array, Array]:
    """Return the table up to where the distorted radius stops growing with the ideal one."""
    falls = np.flatnonzero(~(np.diff(distorted) > 0))
    end = int(falls[0]) + 1 if len(falls) else len(distorted)
    return ideal[:end], distorted[:end]
