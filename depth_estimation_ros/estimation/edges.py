"""Points that hang in the air between an object and what is behind it."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from depth_estimation_ros.estimation.frame import Depth


def find_edges(depth: Depth, largest_jump: float) -> npt.NDArray[np.uint8]:
    """Marks (1) the pixels whose 3x3 window holds a relative depth jump above `largest_jump`.

    There the network blends front and back, which hangs points in the air between them.
    """
    window = np.ones((3, 3), np.uint8)
    farthest, nearest = cv2.dilate(depth, window), cv2.erode(depth, window)
    return (farthest > np.float32(1.0 + largest_jump) * nearest).view(np.uint8)


def remove_edges(depth: Depth, edges: npt.NDArray[np.uint8]) -> None:
    """Makes, in place, unknown what `find_edges` marked, perhaps at another size."""
    height, width = depth.shape
    marks = cv2.resize(edges, (width, height), interpolation=cv2.INTER_NEAREST)
    np.copyto(depth, np.nan, where=marks != 0)
