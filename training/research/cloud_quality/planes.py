"""How flat the predicted points of a flat surface are, and how well they face its way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Depth = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Plane:
    """A plane fitted to points that a camera saw.

    Attributes:
        normal: (3,) unit vector in the optical frame, towards the camera.
        residual: RMS of z / z_plane - 1 over the points: their distance from the plane along the
            ray, relative to the plane's depth there. A factor on all depths does not change it.
    """

    normal: Vector
    residual: float


def fit_plane(depth: Depth, rays: npt.NDArray[np.float32]) -> Plane | None:
    """The plane of least relative error in depth.

    The inverse depth of a plane is linear in the rays r = (x / z, y / z, 1): 1 / z = g . r, and g
    points along the normal. The fit minimises sum (z (g . r) - 1)^2, in which z (g . r) is z over
    the depth of the plane on that ray.

    Args:
        depth: (N,) metres; points that are not finite are left out.
        rays: (N, 2) x / z and y / z.

    Returns:
        None if fewer than three points are left, or if they do not span a plane.
    """
    kept = np.isfinite(depth) & (depth > 0)
    z = depth[kept].astype(np.float64)
    if z.size < 3:
        return None
    z /= np.median(z)
    design = z[:, np.newaxis] * np.column_stack([rays[kept], np.ones(z.size)])
    gradient, _, rank, _ = np.linalg.lstsq(design, np.ones(z.size), rcond=None)
    if rank < 3:
        return None
    residual = float(np.sqrt(np.mean((design @ gradient - 1.0) ** 2)))
    return Plane(-gradient / np.linalg.norm(gradient), residual)


def angle_deg(first: Vector, second: Vector) -> float:
    """Between two unit vectors, degrees; exact also near 0, where the arccosine is not."""
    sine, cosine = np.linalg.norm(np.cross(first, second)), np.dot(first, second)
    return float(np.degrees(np.arctan2(sine, cosine)))
