"""Other ways from the network's size to the image's. None is part of the node.

Each takes depth (h, w) in metres, clamped to the limits, to (H, W). docs/cloud_quality.md has the
numbers, and why the node keeps to bilinear interpolation and to the filter before it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from depth_estimation_ros.estimation import DepthEstimator, Prediction, apply_limits, find_edges

Depth = npt.NDArray[np.float32]
Resizing = Callable[[Depth, tuple[int, int]], Depth]

_JUMP = 0.05  # of depth, within 3 x 3 pixels of the network


def nearest(depth: Depth, size: tuple[int, int]) -> Depth:
    """No blend of neighbours anywhere."""
    return _resized(depth, size, cv2.INTER_NEAREST)


def nearest_at_edges(depth: Depth, size: tuple[int, int]) -> Depth:
    """No blend of neighbours where the network has a jump; bilinear elsewhere."""
    edges = _resized(find_edges(depth, _JUMP), size, cv2.INTER_NEAREST) > 0
    return np.where(edges, nearest(depth, size), _resized(depth, size, cv2.INTER_LINEAR))


def bilinear_log(depth: Depth, size: tuple[int, int]) -> Depth:
    """Resize bilinearly in the logarithm of depth."""
    return np.exp(_resized(np.log(depth), size, cv2.INTER_LINEAR))


def sharpened(depth: Depth, size: tuple[int, int]) -> Depth:
    """Resize bilinearly after a shock filter, which moves a pixel at a jump to the nearer side."""
    window = np.ones((5, 5), np.uint8)
    low, high = cv2.erode(depth, window), cv2.dilate(depth, window)
    nearer_end = np.where(depth * depth < low * high, low, high)
    jump = high > np.float32(1.0 + 2 * _JUMP) * low
    return _resized(np.where(jump, nearer_end, depth), size, cv2.INTER_LINEAR)


def filter_after(jump: float) -> Resizing:
    """Return a resize with the edge filter after it, its jump scaled to the smaller pixels."""

    def resize(depth: Depth, size: tuple[int, int]) -> Depth:
        after = _resized(depth, size, cv2.INTER_LINEAR)
        per_pixel = jump * depth.shape[1] / size[1]
        return np.where(find_edges(after, per_pixel) > 0, np.float32(np.nan), after)

    return resize


CANDIDATES: dict[str, Resizing] = {
    "nearest": nearest,
    "nearest at edges": nearest_at_edges,
    "bilinear log": bilinear_log,
    "sharpened": sharpened,
    "0.07, after": filter_after(0.07),
}


def candidate_depths(pipeline: DepthEstimator, answer: Prediction) -> dict[str, Depth]:
    """Return the depth (H, W) of a prediction by each candidate, with the node's limits."""
    settings = replace(pipeline.settings, output_size="network", edge_filter=0.0)
    view = replace(answer.model_input, settings=settings)
    small = pipeline.finish(Prediction(view, answer.values, 0.0)).depth
    small = np.clip(small, view.near, view.far)
    resized = {}
    for name, resize in CANDIDATES.items():
        resized[name] = resize(small, answer.model_input.image_size).astype(np.float32)
        apply_limits(resized[name], view.near, view.far)
    return resized


def _resized(values: npt.NDArray, size: tuple[int, int], method: int) -> npt.NDArray:
    return np.asarray(cv2.resize(values, (size[1], size[0]), interpolation=method))
