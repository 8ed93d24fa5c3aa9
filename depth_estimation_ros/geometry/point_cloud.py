"""Point clouds outside messages: voxel downsampling and PLY files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from depth_estimation_ros.errors import ImageError, ParameterError
from depth_estimation_ros.utils.files import atomic_write

_VERTEX = np.dtype(
    [
        *((axis, "<f4") for axis in ("x", "y", "z")),
        *((color, "u1") for color in ("red", "green", "blue")),
    ]
)


@dataclass(frozen=True, eq=False)
class CloudCrop:
    """The part of a cloud that is kept.

    Attributes:
        max_range: metres from the camera; 0 is no limit.
        min_height, max_height: metres above the floor; 0 is no limit.
        camera_height: metres of the camera above the floor.
        down: unit vector of gravity in the frame of the points.
    """

    max_range: float = 0.0
    min_height: float = 0.0
    max_height: float = 0.0
    camera_height: float = 0.0
    down: tuple[float, float, float] = (0.0, 1.0, 0.0)

    def apply(self, points: NDArray[np.float32]) -> None:
        """Make, in place, points (..., 3) outside NaN."""
        outside = np.zeros(points.shape[:-1], bool)
        with np.errstate(invalid="ignore"):
            if self.max_range > 0:
                squared = np.einsum("...i,...i", points, points)
                outside |= squared > self.max_range**2
            if self.min_height or self.max_height:
                height = self.camera_height - points @ np.array(self.down, np.float32)
                if self.min_height:
                    outside |= height < self.min_height
                if self.max_height:
                    outside |= height > self.max_height
        points[outside] = np.nan


def voxel_downsample(
    points: NDArray[np.float32], rgb: NDArray[np.uint8], size: float
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return one point for each occupied voxel: the mean of its points and of their colors.

    The grid starts at the origin, so that clouds in one frame share their voxels.

    Args:
        points: (H, W, 3) or (N, 3) float32 metres; those that are not finite are left out.
        rgb: their colors, uint8, of the same shape.
        size: edge of a voxel, metres.

    Returns:
        (M, 3) float32 metres and (M, 3) uint8, ordered by z, then y, then x of the voxels.

    Raises:
        ParameterError: the size is not above 0.
        ImageError: points and colors differ in size.
    """
    if not 0 < size < np.inf:
        raise ParameterError("voxel size", found=f"{size:g}", expected="metres above 0")
    xyz, colors = finite_points(points, rgb)
    if len(xyz) == 0:
        return xyz, colors
    cube, count = _number_voxels(np.floor(xyz.astype(np.float64) / size))
    members = np.bincount(cube, minlength=count)

    def mean(values: NDArray[np.generic]) -> NDArray[np.float64]:
        sums = [np.bincount(cube, values[:, axis], minlength=count) for axis in range(3)]
        return np.stack(sums, axis=-1) / members[:, np.newaxis]

    return mean(xyz).astype(np.float32), np.rint(mean(colors)).astype(np.uint8)


def finite_points(
    points: NDArray[np.float32], rgb: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return the finite ones of (H, W, 3) or (N, 3) points as (M, 3), and their colors.

    Raises:
        ImageError: points and colors differ in size.
    """
    if points.shape != rgb.shape or points.shape[-1:] != (3,):
        raise ImageError(
            "Points and colors of the cloud differ in size",
            found=f"points {points.shape}, colors {rgb.shape}",
            expected="the same (H, W, 3) or (N, 3)",
            fix="Resize the image to the size of the depth first.",
        )
    flat = points.reshape(-1, 3)
    kept = np.isfinite(flat).all(axis=1)
    return flat[kept], rgb.reshape(-1, 3)[kept]


def write_ply(path: str | Path, points: NDArray[np.float32], rgb: NDArray[np.uint8]) -> int:
    """Write a cloud as binary little-endian PLY: x y z float (metres), red green blue uchar.

    The format: Turk, "The PLY Polygon File Format", 1994. The file is written
    atomically and replaces an earlier one.

    Args:
        path: of the file.
        points: (H, W, 3) or (N, 3) float32 metres; those that are not finite are left out,
            as viewers draw NaN somewhere.
        rgb: their colors, uint8, of the same shape.

    Returns:
        How many points are in the file.

    Raises:
        ImageError: points and colors differ in size.
        OSError: the file cannot be written.
    """
    xyz, colors = finite_points(points, rgb)
    vertices = np.empty(len(xyz), _VERTEX)
    for i, (axis, color) in enumerate((("x", "red"), ("y", "green"), ("z", "blue"))):
        vertices[axis], vertices[color] = xyz[:, i], colors[:, i]
    header = [
        "ply",
        "format binary_little_endian 1.0",
        "comment metres, camera optical frame: x right, y down, z forward",
        f"element vertex {len(vertices)}",
        *(f"property float {axis}" for axis in ("x", "y", "z")),
        *(f"property uchar {color}" for color in ("red", "green", "blue")),
        "end_header\n",
    ]
    with atomic_write(Path(path)) as unfinished:
        unfinished.write_bytes("\n".join(header).encode("ascii") + vertices.tobytes())
    return len(vertices)


def _number_voxels(indices: NDArray[np.float64]) -> tuple[NDArray[np.intp], int]:
    """Number the distinct rows of integers (N, 3) by z, y, x; also return how many there are.

    One number per row sorts several times faster than rows.
    """
    shifted = indices - indices.min(axis=0)
    extent = shifted.max(axis=0) + 1
    if extent.prod() < 2.0**62:
        key = shifted.astype(np.int64)
    else:  # points so far apart that the cubes between them cannot be counted
        ranks = [np.unique(shifted[:, axis], return_inverse=True)[1] for axis in range(3)]
        key = np.stack([rank.reshape(-1) for rank in ranks], axis=-1).astype(np.int64)
        extent = key.max(axis=0) + 1
    nx, ny = int(extent[0]), int(extent[1])
    unique, cube = np.unique(key[:, 0] + nx * (key[:, 1] + ny * key[:, 2]), return_inverse=True)
    return cube.reshape(-1), len(unique)
