"""Where the truth has depth edges, and which predicted points float next to them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Depth = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Index = npt.NDArray[np.intp]

JUMP = 0.10  # of depth, far / near - 1, between two neighbouring pixels: a depth edge
ON_SURFACE = 0.05  # of depth: a point so near to a surface lies on it
RADIUS_PER_WIDTH = 1 / 128  # two pixels of a network 256 wide
_CHUNK = 10_000  # pixels whose windows are held at once
_WIDER = 2  # times r: the windows in which the network's own surfaces are looked for


@dataclass(frozen=True, eq=False)
class EdgePixels:
    """The pixels near depth edges of the truth, and what the truth shows around them.

    Attributes:
        rows, columns: (E,) of the pixels.
        near, far: (E,) metres, the nearest and farthest true depth N and F in the window.
        radius: r of the window of (2r + 1) x (2r + 1) pixels.
        surfaces: (H, W) metres, the true depth with narrow unknown strips closed.
    """

    rows: Index
    columns: Index
    near: Depth
    far: Depth
    radius: int
    surfaces: Depth

    def __len__(self) -> int:
        return len(self.rows)


def edge_radius(width: int) -> int:
    """r in pixels of images of this width."""
    return max(1, round(width * RADIUS_PER_WIDTH))


def find_edge_pixels(truth: Depth, surface: npt.NDArray[np.integer] | None = None) -> EdgePixels:
    """Return the pixels with true depth whose window holds a depth edge.

    An edge is a pair of neighbours (4-neighbourhood) with far / near > 1 + `JUMP`, and of two
    surfaces where these are known: without that, a floor seen at a grazing angle has edges. A depth
    camera does not see the strip next to an edge that its projector cannot reach. An unknown pixel
    with known ones in its window counts as the farthest of them; it is part of a surface then, but
    not itself among the pixels that are counted.

    Args:
        truth: (H, W) metres; NaN unknown, +Inf sky.
        surface: (H, W) which face of which body a pixel shows; None if not known.
    """
    radius = edge_radius(truth.shape[1])
    window = np.ones((2 * radius + 1,) * 2, np.uint8)
    known = ~np.isnan(truth)
    farthest = cv2.dilate(np.where(known, truth, np.float32(-np.inf)), window)
    surfaces = np.where(known, truth, farthest)
    surfaces[surfaces < 0] = np.nan  # in the middle of large holes
    edges = np.zeros(truth.shape, np.uint8)
    for first, second in _neighbours(truth.shape):
        a, b = surfaces[first], surfaces[second]
        jump = np.maximum(a, b) > np.float32(1.0 + JUMP) * np.minimum(a, b)  # False for NaN
        if surface is not None:
            jump &= surface[first] != surface[second]
        edges[first] |= jump
        edges[second] |= jump
    low = cv2.erode(np.where(np.isnan(surfaces), np.float32(np.inf), surfaces), window)
    high = cv2.dilate(np.where(np.isnan(surfaces), np.float32(-np.inf), surfaces), window)
    # The pair lies inside the window, or the window would show one of its sides alone.
    both_seen = high / np.float32(1.0 + JUMP) > low
    near_edge = (cv2.dilate(edges, window) > 0) & both_seen & np.isfinite(truth)
    rows, columns = np.nonzero(near_edge)
    return EdgePixels(rows, columns, low[near_edge], high[near_edge], radius, surfaces)


def flying(prediction: Depth, edge: EdgePixels) -> Mask:
    """(E,) which of the edge pixels are flying: between the surfaces, on none of them.

    With p the prediction of a pixel (its scale aligned), W its window, d the true depths in it:

        flying  <=>  min d < p < max d   and   min over W of |ln p - ln d| > ln(1 + ON_SURFACE)

    A point before the nearest surface or behind the farthest one is wrong, but does not float
    between them. A prediction that is not finite is no point and does not fly.

    Args:
        prediction: (H, W) metres, aligned to the truth; not finite where there is no point.
        edge: of the truth.
    """
    p = prediction[edge.rows, edge.columns]
    between = (p > edge.near) & (p < edge.far)  # False for NaN
    result = np.zeros(len(edge), bool)
    places = np.flatnonzero(between)
    for some in np.array_split(places, len(places) // _CHUNK + 1):
        around = _windows(edge.surfaces, edge, some, edge.radius)
        with np.errstate(invalid="ignore", divide="ignore"):
            distance = np.abs(np.log(around) - np.log(p[some])[:, np.newaxis])
        distance[np.isnan(distance)] = np.inf
        result[some] = (distance > np.log1p(ON_SURFACE)).all(axis=1)
    return result


def jumps_and_smears(prediction: Depth, edge: EdgePixels) -> tuple[Mask, Mask]:
    """(E,) at which of the edge pixels the network has an edge, too, and which points it smears.

    A network may have a sharp edge between two wrong depths: its points are then no blend of front
    and back, and no filter of edges is meant for them. So this compares it with itself. Truth only
    says which pixels of the window belong to which side: the near one where d <= sqrt(N F). With n
    and f the geometric means of the prediction over the two sides of a window of twice the radius:

        jump    <=>  f / n > 1 + JUMP
        smeared <=>  jump, and n^(3/4) f^(1/4) < p < n^(1/4) f^(3/4)

    so that a smeared point lies in the middle half of the network's own jump.

    Args:
        prediction: (H, W) metres, not finite where there is no point; its scale plays no part.
        edge: of the truth.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.log(np.where(np.isfinite(prediction), prediction, np.nan))
    far_side = np.sqrt(edge.near.astype(np.float64) * np.minimum(edge.far, 1e6))
    jump, smeared = np.zeros(len(edge), bool), np.zeros(len(edge), bool)
    places = np.arange(len(edge))
    for some in np.array_split(places, len(places) // _CHUNK + 1):
        depth = _windows(edge.surfaces, edge, some, _WIDER * edge.radius)
        log_p = _windows(logs, edge, some, _WIDER * edge.radius)
        limit = far_side[some, np.newaxis]
        near, far = _masked_mean(log_p, depth <= limit), _masked_mean(log_p, depth > limit)
        own = logs[edge.rows[some], edge.columns[some]]
        height = far - near
        jump[some] = height > np.log1p(JUMP)  # False for NaN
        smeared[some] = jump[some] & (np.abs(own - (near + far) / 2) < height / 4)
    return jump, smeared


def _masked_mean(values: Depth, mask: Mask) -> npt.NDArray[np.float64]:
    """(n,) means of (n, m) over what the mask has and is no NaN; NaN where that is nothing."""
    used = mask & ~np.isnan(values)
    total = np.where(used, values, 0.0).sum(axis=1, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return total / used.sum(axis=1)


def _windows(values: Depth, edge: EdgePixels, places: Index, r: int) -> Depth:
    """(n, (2r + 1)^2) values around some edge pixels; NaN beyond the border."""
    padded = np.pad(values, r, constant_values=np.nan)
    offset = np.arange(2 * r + 1)
    rows = edge.rows[places, np.newaxis, np.newaxis] + offset[:, np.newaxis]
    columns = edge.columns[places, np.newaxis, np.newaxis] + offset
    return padded[rows, columns].reshape(len(places), (2 * r + 1) ** 2)


def _neighbours(shape: tuple[int, ...]) -> list[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    whole, first, second = slice(None), slice(None, -1), slice(1, None)
    return [((whole, first), (whole, second)), ((first, whole), (second, whole))]
