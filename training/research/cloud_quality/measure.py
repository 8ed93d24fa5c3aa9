"""Flying points and flatness of planes over a set of views, for several settings of edge_filter.

Everything goes through the node's own pipeline: the network is run once a view, and its answer is
finished once for each setting, as the node would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import numpy.typing as npt

from depth_estimation_ros.errors import DatasetError, ParameterError
from depth_estimation_ros.estimation import DepthEstimator, Prediction
from depth_estimation_ros.estimation.metrics import median_ratio
from training.evaluation.score import frames_with_progress
from training.research.cloud_quality.candidates import candidate_depths
from training.research.cloud_quality.edges import (
    ON_SURFACE,
    EdgePixels,
    edge_radius,
    find_edge_pixels,
    flying,
    jumps_and_smears,
)
from training.research.cloud_quality.views import Faces, TrueView, ViewSet

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
    """Return the plane of least relative error in depth.

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


MIN_KNOWN = 0.6  # of an image's pixels: with less truth, edges are not where they seem
MIN_PLANE = 0.02  # of an image's pixels: a smaller part of a face is no plane to judge
BARE = "0"  # the setting without the filter
_PLANE_POINTS = 4000  # a fit needs no more
_TOWARDS_CAMERA = np.array([0.0, 0.0, -1.0])


@dataclass
class Tally:
    """Counts over all views of a set, with one setting.

    Attributes:
        known: pixels with truth and, without the filter, a point.
        kept: of these, points that are left.
        edge, edge_kept: those near true depth edges.
        flying, flying_kept: those between the surfaces there (`edges.flying`), without the filter
            and with it.
        seen: those at edges at which the network, too, has a jump.
        smeared, smeared_kept: those that hang between its own two surfaces (`edges`).
        right_kept: points within 5 % of their true depth, scale aligned.
        error_kept, error_removed: sums of |p - d| / d, scale aligned.
        planes: the flat faces.
    """

    known: int = 0
    kept: int = 0
    edge: int = 0
    edge_kept: int = 0
    flying: int = 0
    flying_kept: int = 0
    seen: int = 0
    smeared: int = 0
    smeared_kept: int = 0
    right_kept: int = 0
    error_kept: float = 0.0
    error_removed: float = 0.0
    planes: list[PlaneScore] = field(default_factory=list)


@dataclass(frozen=True)
class PlaneScore:
    """One flat face in one view.

    Attributes:
        level: whether it lies level.
        residual: RMS distance of the predicted points from the plane fitted to them, along the
            rays, relative to depth.
        angle: between its normal and the true one, degrees.
        blind: the same angle for a network that says one depth everywhere.
    """

    level: bool
    residual: float
    angle: float
    blind: float


@dataclass(frozen=True, eq=False)
class SetQuality:
    """What was measured on one set.

    Attributes:
        name: of the set.
        views: how many were measured.
        sparse: names of those left out, because too little of their truth is known.
        tallies: by the value of edge_filter, in the order in which they were asked for, then by
            the name of each of `candidates.CANDIDATES`, if these were asked for.
    """

    name: str
    views: int
    sparse: list[str]
    tallies: dict[str, Tally]


def measure_set(
    pipeline: DepthEstimator,
    views: ViewSet,
    edge_filters: Sequence[float],
    *,
    candidates: bool = False,
) -> SetQuality:
    """Measure every view of a set.

    Args:
        pipeline: its other settings stay as they are; depth must have the image's size.
        edge_filters: values of the parameter, 0 (off) among them.
        candidates: whether other ways of resizing are measured, too.

    Raises:
        ParameterError: 0 is not among the values.
        DatasetError: no view has enough truth.
    """
    if 0.0 not in edge_filters:
        raise ParameterError(
            "edge_filter", found=list(edge_filters), expected="0 among them, to compare with"
        )
    tallies: dict[str, Tally] = {}
    sparse = []
    for index in frames_with_progress(views.count, views.name):
        view = views.view(index)
        if np.mean(~np.isnan(view.truth)) < MIN_KNOWN:
            sparse.append(view.name)
            continue
        depths = finished_depths(pipeline, view, edge_filters, candidates=candidates)
        add_view(tallies, depths, view)
    measured = views.count - len(sparse)
    if measured == 0:
        raise DatasetError(
            f"{views.name}: truth is too sparse for edges",
            found=f"{views.count} views, each with less than {100 * MIN_KNOWN:g} % of its pixels",
            expected="the dense depth of a depth camera or of rendered scenes",
        )
    return SetQuality(views.name, measured, sparse, tallies)


def finished_depths(
    pipeline: DepthEstimator,
    view: TrueView,
    edge_filters: Sequence[float],
    *,
    candidates: bool = False,
) -> dict[str, Depth]:
    """Return the depth (H, W) that the node would publish with each setting; one inference."""
    (answer,) = pipeline.infer([pipeline.prepare(view.rgb, view.camera)])
    finished = {}
    for value in edge_filters:
        settings = replace(pipeline.settings, edge_filter=value)
        prepared = replace(answer.model_input, settings=settings)
        finished[setting(value)] = pipeline.finish(Prediction(prepared, answer.values, 0.0)).depth
    return finished | (candidate_depths(pipeline, answer) if candidates else {})


def setting(edge_filter: float) -> str:
    """Return what a value of the parameter is called among the tallies."""
    return f"{edge_filter:g}"


def add_view(tallies: dict[str, Tally], depths: dict[str, Depth], view: TrueView) -> None:
    """Count one view.

    The scale is aligned by the median over the whole image, median(truth) / median(prediction) of
    the unfiltered depth, so that a wrong scale does not count as flying points.

    Args:
        tallies: by setting; what is missing is made.
        depths: by setting, "0" among them.
    """
    bare, truth = depths[BARE], view.truth
    known = np.isfinite(truth) & np.isfinite(bare)
    factor = np.float32(median_ratio(bare[known], truth[known]))
    edge = find_edge_pixels(truth, view.faces.surface if view.faces else None)
    there = known[edge.rows, edge.columns]
    plain = _judge(bare * factor, truth, known, edge)
    planes = _planes(view)
    for name, depth in depths.items():
        point = np.isfinite(depth)
        # A filter takes points away and moves none, so they need not be judged again.
        moved = not np.array_equal(depth[point], bare[point])
        judged = _judge(depth * factor, truth, known, edge) if moved else plain
        kept, at_edge = point[known], point[edge.rows, edge.columns] & there
        right = judged.error < ON_SURFACE
        tally = tallies.setdefault(name, Tally())
        tally.known += int(known.sum())
        tally.kept += int(kept.sum())
        tally.edge += int(there.sum())
        tally.edge_kept += int(at_edge.sum())
        tally.flying += int(plain.flies.sum())
        tally.flying_kept += int((judged.flies & at_edge).sum())
        tally.seen += int((judged.seen & there).sum())
        tally.smeared += int(plain.smeared.sum())
        tally.smeared_kept += int((judged.smeared & at_edge).sum())
        tally.right_kept += int((kept & right).sum())
        tally.error_kept += float(judged.error[kept].sum())
        tally.error_removed += float(plain.error[~kept].sum())
        tally.planes += [score for plane in planes if (score := plane.score(depth))]


@dataclass(frozen=True, eq=False)
class _Judged:
    """Of the edge pixels: flies, seen, smeared (`edges`). Of all known ones: |p - d| / d."""

    flies: npt.NDArray[np.bool_]
    seen: npt.NDArray[np.bool_]
    smeared: npt.NDArray[np.bool_]
    error: npt.NDArray[np.float32]


def _judge(aligned: Depth, truth: Depth, known: npt.NDArray[np.bool_], edge: EdgePixels) -> _Judged:
    seen, smeared = jumps_and_smears(aligned, edge)
    error = np.abs(aligned[known] / truth[known] - 1.0)
    return _Judged(flying(aligned, edge), seen, smeared, error)


@dataclass(frozen=True, eq=False)
class _Face:
    """A flat face in a view: some of its pixels (flat indices), their rays, the true normal."""

    level: bool
    pixels: npt.NDArray[np.intp]
    rays: npt.NDArray[np.float32]
    normal: npt.NDArray[np.float64]

    def score(self, depth: Depth) -> PlaneScore | None:
        plane = fit_plane(depth.reshape(-1)[self.pixels], self.rays)
        if plane is None:
            return None
        angle, blind = (angle_deg(n, self.normal) for n in (plane.normal, _TOWARDS_CAMERA))
        return PlaneScore(self.level, plane.residual, angle, blind)


def _planes(view: TrueView) -> list[_Face]:
    """Return the flat faces of at least `MIN_PLANE` of the image, without their margins.

    A margin of r pixels (see `edges`) belongs to the edges.
    """
    faces, camera = view.faces, view.camera
    if faces is None or camera is None:
        return []
    found = []
    for number in np.unique(faces.surface[faces.flat]):
        inner = _inner(faces, int(number))
        if inner.size < MIN_PLANE * view.truth.size:
            continue
        pixels = inner[:: max(1, inner.size // _PLANE_POINTS)]
        rays = np.asarray(camera.rays()).reshape(-1, 2)[pixels]
        true = fit_plane(view.truth.reshape(-1)[pixels], rays)
        if true is not None:
            level = bool(faces.level.reshape(-1)[pixels[0]])
            found.append(_Face(level, pixels, rays, true.normal))
    return found


def _inner(faces: Faces, number: int) -> npt.NDArray[np.intp]:
    side = 2 * edge_radius(faces.surface.shape[1]) + 1
    own = (faces.surface == number).astype(np.uint8)
    return np.flatnonzero(cv2.erode(own, np.ones((side, side), np.uint8)))
