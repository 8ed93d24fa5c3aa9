"""Metric scale from what the robot knows: a robust fit, a filter over time, and its application.

A monocular network is right about shape and wrong about scale. Pairs of a predicted value and a
depth measured at the same pixel (`scale_sources`) correct that: one factor for a metric network,
scale and shift in inverse depth for a relative one. docs/scale.md has what it gains.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from depth_estimation_ros.engines.model_card import OutputSpec
from depth_estimation_ros.estimation.frame import Depth, ScaleFit
from depth_estimation_ros.geometry.camera_model import CameraModel

Values = npt.NDArray[np.floating]

MIN_PAIRS = 5  # fewer say too little about a whole image
MAX_SPREAD = math.log(2.0)  # robust standard deviation of log ratios; more is a contradiction
GATE = math.log(2.0)  # a larger change of scale must persist before it is believed
PERSISTENCE_S = 1.5  # how long
WINDOW_S = 1.0  # the scale is the median of this time
SYNC_S = 0.3  # between an image and the measurement that it is compared with
MAX_AGE_S = 2.0  # an older anchor is stale: still applied, reported, replaced by the next at once

FIELD_MIN_PAIRS = 12
FIELD_COVERAGE = 0.25  # of height and width, between the 10th and 90th percentile of the pairs
FIELD_RADIUS = 0.1  # of the image's diagonal: standard deviation of a pair's influence
FIELD_PRIOR = 1.0  # weight of "no local deviation", in pairs at no distance
_FIELD_GRID = (12, 16)
_FIELD_MAX_PAIRS = 256

Kind = Literal["scale", "scale_and_shift"]


def fit_kind(output: OutputSpec) -> Kind:
    """Return what must be fitted: inverse depth without a unit has an unknown shift, too."""
    relative_inverse = output.kind == "inverse_depth" and not output.unit
    return "scale_and_shift" if relative_inverse else "scale"


@dataclass(frozen=True)
class Pairs:
    """Pixels of a prediction at which depth was measured.

    Attributes:
        rows, columns: (N,) of the prediction's pixels.
        depth: (N,) metres along Z.
    """

    rows: npt.NDArray[np.intp]
    columns: npt.NDArray[np.intp]
    depth: Values

    def __len__(self) -> int:
        return len(self.depth)


class ScaleSource(Protocol):
    """What knows metric depth at some pixels."""

    @property
    def stamp_ns(self) -> int | None:
        """Nanoseconds, of the measurement; None if it holds for every image."""
        ...

    def pairs(self, values: Depth, camera: CameraModel) -> Pairs | None:
        """Return measured pixels of a prediction, (h, w), of this camera, or None."""
        ...


def fit_scale(predicted: Values, measured: Values) -> ScaleFit | None:
    """Return the robust scale between predicted and measured depth, or None.

    The median of log(measured / predicted), repeated over the pairs within 2.5 standard deviations.
    None if fewer than `MIN_PAIRS` agree, or they spread by more than `MAX_SPREAD`.

    Args:
        predicted: (N,); values that are not finite and above 0 are left out.
        measured: (N,) metres, above 0.
    """
    known = np.isfinite(predicted) & (predicted > 0)
    ratios = np.log(measured[known].astype(np.float64) / predicted[known])
    return _fit_ratios(ratios, 1.0, 0.0)


def fit_scale_and_shift(
    values: Values, measured: Values, previous: ScaleFit | None = None
) -> ScaleFit | None:
    """Return scale and shift that turn relative inverse depth into 1 / metres, or None.

    Theil-Sen's median of slopes, then weighted least squares over the pairs that agree. Where all
    pairs are about equally far, the shift cannot be seen: the previous one is kept.

    Args:
        values: (N,) the network's inverse depth; values that are not finite are left out.
        measured: (N,) metres, above 0.
        previous: the fit in use.
    """
    known = np.isfinite(values)
    x, y = values[known].astype(np.float64), 1.0 / measured[known].astype(np.float64)
    if len(x) < MIN_PAIRS:
        return None
    if np.percentile(y, 90) < 1.3 * np.percentile(y, 10):
        if previous is None:
            return None
        shifted = x + previous.shift
        positive = shifted > 0
        return _fit_ratios(-np.log(y[positive] / shifted[positive]), 1.0, previous.shift)
    few = slice(None, None, max(1, len(x) // 40))
    first, second = np.triu_indices(len(x[few]), 1)
    run = x[few][second] - x[few][first]
    apart = np.abs(run) > 1e-3 * np.ptp(x)
    slopes = (y[few][second] - y[few][first])[apart] / run[apart]
    if len(slopes) == 0:
        return None
    slope = float(np.median(slopes))
    offset = float(np.median(y - slope * x))
    for _ in range(3):
        errors = (slope * x + offset - y) / y  # relative: near and far count alike
        good = np.abs(errors) <= max(2.5 * _deviation(errors), 0.03)
        if good.sum() < MIN_PAIRS:
            return None
        design = np.stack([x[good], np.ones(good.sum())], axis=1) / y[good, np.newaxis]
        slope, offset = np.linalg.lstsq(design, np.ones(good.sum()), rcond=None)[0]
    if not slope > 0:
        return None
    shifted = x + offset / slope
    positive = shifted > 0
    return _fit_ratios(-np.log(y[positive] / shifted[positive]), 1.0, float(offset / slope))


def _fit_ratios(ratios: Values, scale: float, shift: float) -> ScaleFit | None:
    """Fit the location of log ratios, on top of a scale."""
    if len(ratios) < MIN_PAIRS:
        return None
    centre = float(np.median(ratios))
    spread = _deviation(ratios)
    good = ratios
    for _ in range(2):
        good = ratios[np.abs(ratios - centre) <= max(2.5 * _deviation(good), 0.03)]
        if len(good) < MIN_PAIRS:
            return None
        centre = float(np.median(good))
    if spread > MAX_SPREAD:
        return None
    return ScaleFit(scale * math.exp(centre), shift, len(ratios), len(good), spread)


def _deviation(values: Values) -> float:
    """Return a standard deviation that half of the values cannot spoil."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


class ScaleFilter:
    """The scale of one camera over time.

    The median of the last `WINDOW_S` seconds, so one bad measurement moves nothing and a change of
    up to a factor of 2 is followed in half of that time. A change beyond this gate contradicts the
    scale in use, and replaces it after `PERSISTENCE_S` seconds without a measurement that agrees.
    A stale scale stays in use, and the next measurement replaces it at once.

    Args:
        window_s: seconds; 0 takes the last measurement that passes the gate, for networks whose
            scale and shift are of each image alone.
    """

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._recent: deque[tuple[float, ScaleFit]] = deque()
        self._contradicting: deque[tuple[float, ScaleFit]] = deque()
        self.current: ScaleFit | None = None
        """In use; None before the first measurement."""
        self.measured_at: float | None = None
        """Seconds, of the last measurement that agreed."""

    @property
    def contradiction(self) -> float:
        """The factor between the measurements that were refused and the scale in use, or 1."""
        if self.current is None or not self._contradicting:
            return 1.0
        return self._contradicting[-1][1].scale / self.current.scale

    def age(self, now: float) -> float:
        """Return seconds since the last measurement that agreed; infinite before the first."""
        return math.inf if self.measured_at is None else now - self.measured_at

    def add(self, fit: ScaleFit, now: float) -> None:
        """Take a measurement; `now` is its time in seconds, in order."""
        if self.measured_at is not None and now < self.measured_at:
            self.reset()  # time jumped back
        if self.age(now) > MAX_AGE_S and not self._contradicting:
            self._restart([(now, fit)])
        elif self.current is None or self._agrees(fit):
            self._contradicting.clear()
            self._recent.append((now, fit))
        else:
            self._contradicting.append((now, fit))
            if now - self._contradicting[0][0] < PERSISTENCE_S:
                return
            self._restart([each for each in self._contradicting if now - each[0] <= WINDOW_S])
        while now - self._recent[0][0] > self._window_s:
            self._recent.popleft()
        self.measured_at = now
        self.current = fit
        if self._window_s > 0:
            scale = math.exp(np.median([math.log(each.scale) for _, each in self._recent]))
            self.current = ScaleFit(scale, fit.shift, fit.pairs, fit.inliers, fit.spread)

    def _restart(self, measurements: list[tuple[float, ScaleFit]]) -> None:
        self._recent = deque(measurements)
        self._contradicting.clear()

    def _agrees(self, fit: ScaleFit) -> bool:
        assert self.current is not None
        return abs(math.log(fit.scale / self.current.scale)) <= GATE


def apply_fit(values: Depth, fit: ScaleFit, kind: Kind) -> Depth:
    """Return metres of predicted values. Inverse depth of 0 or less is infinitely far."""
    if kind == "scale":
        return values * np.float32(fit.scale)
    with np.errstate(divide="ignore"):
        shifted = np.maximum(values + np.float32(fit.shift), np.float32(0.0))
        return np.float32(fit.scale) / shifted


def local_deviation(metres: Depth, pairs: Pairs) -> Depth | None:
    """Return a smooth field of log(measured / metres), (h, w), or None where pairs do not cover it.

    A kernel mean with the prior "none", on a coarse grid.

    Args:
        metres: (h, w), already at the common scale.
        pairs: of the same pixels.
    """
    height, width = metres.shape
    predicted = metres[pairs.rows, pairs.columns]
    known = np.isfinite(predicted) & (predicted > 0)
    rows, columns, depth = pairs.rows[known], pairs.columns[known], pairs.depth[known]
    if len(depth) < FIELD_MIN_PAIRS or not (_covers(rows, height) and _covers(columns, width)):
        return None
    few = slice(None, None, max(1, -(-len(depth) // _FIELD_MAX_PAIRS)))
    deviations = np.log(depth / predicted[known])[few]
    deviations = np.clip(deviations, -MAX_SPREAD, MAX_SPREAD)
    radius = FIELD_RADIUS * math.hypot(height, width)

    def weights(count: int, size: int, positions: npt.NDArray[np.intp]) -> Values:
        grid = (np.arange(count) + 0.5) * size / count - 0.5
        return np.exp(-0.5 * ((grid[:, np.newaxis] - positions) / radius) ** 2)

    vertical = weights(_FIELD_GRID[0], height, rows[few])
    horizontal = weights(_FIELD_GRID[1], width, columns[few])
    total = vertical @ horizontal.T
    share = (vertical * deviations) @ horizontal.T
    field = (share / (total + FIELD_PRIOR)).astype(np.float32)
    return np.asarray(cv2.resize(field, (width, height), interpolation=cv2.INTER_LINEAR))


def _covers(positions: npt.NDArray[np.intp], size: int) -> bool:
    low, high = np.percentile(positions, (10, 90))
    return bool(high - low >= FIELD_COVERAGE * size)


class ScaleAnchor:
    """The metric scale of one camera: pairs of each image with the latest measurement, over time.

    Give it to `DepthEstimator.finish` with each prediction of the camera, in order.

    Args:
        output: of the model card.

    Attributes:
        source: the latest measurement; may be replaced from another thread; None before the first.
        local: whether a smooth field follows the pairs where they cover the image.
        filter: the scale over time.
    """

    def __init__(self, output: OutputSpec, local: bool = True) -> None:
        self.kind = fit_kind(output)
        self.local = local
        self.source: ScaleSource | None = None
        self.filter = ScaleFilter(0.0 if self.kind == "scale_and_shift" else WINDOW_S)
        self._now = 0.0
        self._few: deque[tuple[float, Values, Values]] = deque()
        self._few_of: ScaleSource | None = None

    def reset(self) -> None:
        """Forget the scale, for instance when time has jumped."""
        self.filter.reset()
        self._few.clear()

    @property
    def age(self) -> float:
        """Seconds from the last measurement that agreed to the last image; infinite before it."""
        return self.filter.age(self._now)

    def apply(
        self, values: Depth, camera: CameraModel | None, stamp_ns: int
    ) -> tuple[Depth, ScaleFit] | None:
        """Return metres (h, w) and their scale, or None before the first measurement.

        Args:
            values: (h, w), metres of a metric network, or what a relative one predicted.
            camera: of the image; without one there is nothing to measure with.
            stamp_ns: nanoseconds, of the image.
        """
        now = self._now = stamp_ns * 1e-9
        pairs = self._pairs(values, camera, stamp_ns)
        fit = self._fit(values, pairs, now) if pairs is not None else None
        if fit is not None:
            self.filter.add(fit, now)
        current = self.filter.current
        if current is None:
            return None
        metres = apply_fit(values, current, self.kind)
        if self.local and pairs is not None and self.filter.measured_at == now:
            deviation = local_deviation(metres, pairs)
            if deviation is not None:
                metres *= np.exp(deviation)
        return metres, replace(current, age=self.filter.age(now))

    def _pairs(self, values: Depth, camera: CameraModel | None, stamp_ns: int) -> Pairs | None:
        source = self.source
        if source is None or camera is None:
            return None
        if source.stamp_ns is not None and abs(stamp_ns - source.stamp_ns) > SYNC_S * 1e9:
            return None
        pairs = source.pairs(values, camera)
        return pairs if pairs is not None and len(pairs) > 0 else None

    def _fit(self, values: Depth, pairs: Pairs, now: float) -> ScaleFit | None:
        predicted, measured = values[pairs.rows, pairs.columns], pairs.depth
        if len(pairs) < MIN_PAIRS:  # one range sensor: its readings are collected over time
            if self.source is self._few_of:
                return None
            self._few_of = self.source
            self._few.append((now, predicted, measured))
            while not 0.0 <= now - self._few[0][0] <= MAX_AGE_S:
                self._few.popleft()
            predicted, measured = (
                np.concatenate(a) for a in list(zip(*self._few, strict=True))[1:]
            )
        if self.kind == "scale":
            return fit_scale(predicted, measured)
        return fit_scale_and_shift(predicted, measured, self.filter.current)
