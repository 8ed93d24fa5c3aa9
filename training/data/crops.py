"""The parts of an image that the field scores.

Published numbers are of one of these crops, and they differ by several percent; so every table
that this package writes names the crop.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.errors import ParameterError

Box = tuple[int, int, int, int]
"""Top, bottom, left, right in pixels; bottom and right are the first row and column outside."""


def _whole(height: int, width: int) -> Box:
    return 0, height, 0, width


def _eigen_nyu(height: int, width: int) -> Box:
    """Rows 45 to 470 and columns 41 to 600 of 480x640 (Eigen et al. 2014), where NYU has depth.

    An image of another size gets the same shares of it, rounded down.
    """
    return 45 * height // 480, 471 * height // 480, 41 * width // 640, 601 * width // 640


def _garg(height: int, width: int) -> Box:
    """Garg et al., ECCV 2016: where KITTI's lidar reaches; bounds cut to whole pixels."""
    return (
        int(0.40810811 * height),
        int(0.99189189 * height),
        int(0.03594771 * width),
        int(0.96405229 * width),
    )


def _eigen_kitti(height: int, width: int) -> Box:
    """The region of Eigen et al. 2014 on KITTI as Godard et al. 2017 found it; bounds cut."""
    return (
        int(0.3324324 * height),
        int(0.91351351 * height),
        int(0.0359477 * width),
        int(0.96405229 * width),
    )


CROPS: dict[str, Callable[[int, int], Box]] = {
    "none": _whole,
    "eigen_nyu": _eigen_nyu,
    "garg": _garg,
    "eigen_kitti": _eigen_kitti,
}


def crop_box(name: str, height: int, width: int) -> Box:
    """Where the crop ``name`` of :data:`CROPS` lies in an image of this size.

    The bounds of the KITTI crops are fractions of the size cut to whole pixels (not rounded), as
    in the evaluation code of monodepth, monodepth2 and BTS. On 375x1242 Garg's crop is rows 153 to
    370 and columns 44 to 1196.

    Raises:
        ParameterError: no such crop.
    """
    if name not in CROPS:
        raise ParameterError("crop", found=repr(name), expected=" or ".join(CROPS))
    return CROPS[name](height, width)


@lru_cache(maxsize=32)
def crop_mask(name: str, height: int, width: int) -> npt.NDArray[np.bool_]:
    """``(height, width)`` bool, read-only: True where the crop ``name`` scores.

    Raises:
        ParameterError: no such crop.
    """
    top, bottom, left, right = crop_box(name, height, width)
    mask = np.zeros((height, width), bool)
    mask[top:bottom, left:right] = True
    mask.flags.writeable = False
    return mask
