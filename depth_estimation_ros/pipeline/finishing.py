"""From metres at the network's size to depth as it is published: limits, edges, size."""

from __future__ import annotations

import cv2
import numpy as np

from depth_estimation_ros.pipeline.edges import find_edges, remove_edges
from depth_estimation_ros.pipeline.frame import Depth
from depth_estimation_ros.pipeline.limits import name_limits, reaches_limits


def to_depth(
    metres: Depth, near: float, far: float, size: tuple[int, int], edge_filter: float = 0.0
) -> Depth:
    """Metres, (h, w), as depth of a `size` (H, W): see `DepthFrame.depth`.

    Never shares the memory of `metres`, which may be an engine's.
    """
    # Clamped before and named after resizing: an infinity would smear over its neighbours. This
    # makes a new array at the network's size, so nothing has to be copied for its own sake.
    depth = np.clip(metres, near, far)
    edges = find_edges(depth, edge_filter) if edge_filter > 0 else None
    # No pixel in between is nearer or farther than its neighbours: if the small map stays off the
    # limits, the large one need not be looked through for them.
    limited = reaches_limits(depth, near, far)
    if depth.shape != size:
        depth = _resize_depth(depth, *size)
    if limited:
        name_limits(depth, near, far)
    if edges is not None:
        remove_edges(depth, edges)
    return depth


def _resize_depth(depth: Depth, height: int, width: int) -> Depth:
    resized = cv2.resize(depth, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, np.float32)
