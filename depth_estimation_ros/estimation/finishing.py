"""From metres at the network's size to depth as it is published: limits, edges, size."""

from __future__ import annotations

import cv2
import numpy as np

from depth_estimation_ros.estimation.edges import find_edges, remove_edges
from depth_estimation_ros.estimation.frame import Depth
from depth_estimation_ros.estimation.limits import name_limits, reaches_limits


def to_depth(
    metres: Depth, near: float, far: float, size: tuple[int, int], edge_filter: float = 0.0
) -> Depth:
    """Metres, (h, w), as depth of a `size` (H, W): see `DepthResult.depth`.

    Never shares the memory of `metres`, which may be an engine's.
    """
    limited = reaches_limits(metres, near, far)
    # Clamped before and named after resizing: an infinity would smear over its neighbours. No pixel
    # in between is nearer or farther than its neighbours: if the small map stays off the limits,
    # there is nothing to clamp in it nor to name in the large one.
    depth = np.clip(metres, near, far) if limited else metres
    edges = find_edges(depth, edge_filter) if edge_filter > 0 else None
    depth = _resized(depth, *size)
    if limited:
        name_limits(depth, near, far)
    if edges is not None:
        remove_edges(depth, edges)
    return depth


def _resized(depth: Depth, height: int, width: int) -> Depth:
    """At another size, or a copy."""
    if depth.shape == (height, width):
        return depth.copy()
    resized = cv2.resize(depth, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, np.float32)
