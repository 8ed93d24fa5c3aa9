"""What every data set gives, and every augmentation takes and returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Sample:
    """One picture with its depth.

    Attributes:
        rgb: ``(H, W, 3)`` uint8.
        depth: ``(H, W)`` float32, metres along Z. NaN = not measured, +Inf = beyond range (sky).
        intrinsics: ``(fx, fy, cx, cy)`` in pixels of this picture, or None where unknown.
    """

    rgb: np.ndarray
    depth: np.ndarray
    intrinsics: tuple[float, float, float, float] | None
