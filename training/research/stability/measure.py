"""Flicker, error and lag of a sequence, with and without each filter over time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.estimation import DepthEstimator
from depth_estimation_ros.estimation.metrics import median_ratio
from training.evaluation.score import frames_with_progress
from training.research.stability.motion import (
    Flicker,
    Moment,
    changes,
    common_points,
    flicker,
)
from training.research.stability.sequences import APPEARS_AT, FrameSequence
from training.research.stability.smoothing import Finish

Depth = npt.NDArray[np.float32]
Makers = Mapping[str, Callable[[], Finish]]

_THIN = 4  # every N-th row and column is kept to the end of a sequence
_NEARER = 0.02  # of log depth; less is no approach
STEP = 0.25  # of log depth: pixels whose estimate falls by more see the obstacle


@dataclass
class Run:
    """One sequence with one filter.

    Attributes:
        pairs: flicker between successive frames.
        errors: AbsRel of each frame; one factor for the whole sequence, the median over frames of
            median(truth) / median(unfiltered estimate), aligns the scale, and is the same for all
            filters.
        left: of an obstacle that appears, which share of the step of log depth was missing in each
            frame from its appearance on; empty where nothing appears, or where the network did not
            see it.
        lag: of an approach, by how many frames what is published is behind (see `add_lag`).
    """

    pairs: list[Flicker] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    left: list[float] = field(default_factory=list)
    lag: float | None = None


@dataclass(frozen=True, eq=False)
class Measured:
    """A sequence with all filters.

    Attributes:
        frames: what was measured.
        runs: by the name of the filter.
        unknown_motions: pairs whose motion could not be estimated; they are left out.
        turn_deg, shift_m: medians of the motion between frames.
    """

    frames: FrameSequence
    runs: dict[str, Run]
    unknown_motions: int
    turn_deg: float
    shift_m: float


def measure_sequence(
    pipeline: DepthEstimator, frames: FrameSequence, makers: Makers, step: int
) -> Measured:
    """Run the network once a frame and every filter on its answers.

    Args:
        makers: filters by name; "none" among them.
        step: every N-th row and column is compared between frames.
    """
    filters = {name: make() for name, make in makers.items()}
    runs = {name: Run() for name in filters}
    estimates: dict[str, list[Depth]] = {name: [] for name in filters}  # thinned
    truths: list[Depth] = []
    last: dict[str, Depth] = {}
    motions = []
    unknown = 0
    before: Moment | None = None
    moments = frames.moments()
    for _ in frames_with_progress(frames.frames, frames.name):
        now = next(moments, None)
        if now is None:
            break
        (answer,) = pipeline.infer([pipeline.prepare(now.rgb, now.camera)])
        depths = {name: finish(pipeline, answer, now.stamp_ns) for name, finish in filters.items()}
        for name, depth in depths.items():
            estimates[name].append(depth[::_THIN, ::_THIN].copy())
        truths.append(now.truth[::_THIN, ::_THIN])
        if before is not None and now.to_previous is None:
            unknown += 1
        elif before is not None and now.to_previous is not None:
            motions.append(now.to_previous)
            common = common_points(before, now, step)
            for name, run in runs.items():
                pair = flicker(changes(last[name], depths[name], common))
                run.pairs += [pair] if pair else []
        before, last = now, depths
    _add_errors(runs, estimates, truths)
    if frames.kind == "appear":
        add_step(runs, estimates)
    if frames.kind == "approach":
        add_lag(runs, estimates, truths)
    turns = [np.degrees(np.arccos(np.clip((np.trace(m[:3, :3]) - 1) / 2, -1, 1))) for m in motions]
    shifts = [np.linalg.norm(m[:3, 3]) for m in motions]
    return Measured(
        frames,
        runs,
        unknown,
        float(np.median(turns)) if turns else float("nan"),
        float(np.median(shifts)) if shifts else float("nan"),
    )


def _add_errors(
    runs: Mapping[str, Run], estimates: Mapping[str, Sequence[Depth]], truths: Sequence[Depth]
) -> None:
    factors = []
    for bare, truth in zip(estimates["none"], truths, strict=True):
        both = np.isfinite(bare) & np.isfinite(truth)
        if both.any():
            factors.append(median_ratio(bare[both], truth[both]))
    factor = float(np.median(factors)) if factors else 1.0
    for name, run in runs.items():
        for depth, truth in zip(estimates[name], truths, strict=True):
            both = np.isfinite(depth) & np.isfinite(truth)
            if both.any():
                error = np.abs(factor * depth[both] / truth[both] - 1.0)
                run.errors.append(float(error.mean()))


def add_step(runs: Mapping[str, Run], estimates: Mapping[str, Sequence[Depth]]) -> None:
    """Return how much of the step is missing, by the pixels at which the bare network sees it.

    With p the bare estimate and q the filtered one, k the frame of the obstacle and j >= k, the
    share is sum(ln q_j - ln p_j) / sum(ln p_(k-1) - ln p_j): 0 is no lag, 1 is no response yet.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        bare = [np.log(np.where(depth > 0, depth, np.nan)) for depth in estimates["none"]]
        sees = bare[APPEARS_AT - 1] - bare[APPEARS_AT] > STEP
        if not sees.any():
            return
        for name, run in runs.items():
            for j in range(APPEARS_AT, len(bare)):
                published = np.log(np.where(estimates[name][j] > 0, estimates[name][j], np.nan))
                late = _finite_sum(published[sees] - bare[j][sees])
                whole = _finite_sum(bare[APPEARS_AT - 1][sees] - bare[j][sees])
                run.left.append(late / whole)


def add_lag(
    runs: Mapping[str, Run], estimates: Mapping[str, Sequence[Depth]], truths: Sequence[Depth]
) -> None:
    """Return how far what is published is behind an approach that goes on, in frames.

    With p the bare estimate, q the filtered one and z the truth, means over the middle ninth of the
    image, which is what the camera comes nearer to (floor and side walls look the same all the
    time), summed over frames j from the fourth on:

        lag = sum(mean(ln q_j - ln p_j)) / sum(mean(ln z_(j-1)) - mean(ln z_j))

    A filter that publishes what the network said n frames ago has a lag of n. Where the middle
    comes nearer by less than 2 %, no lag is reported.
    """
    first = 3
    height, width = truths[0].shape
    middle = slice(height // 3, 2 * height // 3), slice(width // 3, 2 * width // 3)
    ahead = [_mean_log(truth[middle]) for truth in truths]
    nearer = ahead[first - 1] - ahead[-1]
    if not nearer > _NEARER:
        return
    for name, run in runs.items():
        pairs = zip(estimates["none"][first:], estimates[name][first:], strict=True)
        behind = sum(_mean_log(q[middle] / p[middle]) for p, q in pairs)
        run.lag = behind / nearer


def _mean_log(values: npt.NDArray[np.floating]) -> float:
    """Over what is finite and above 0; NaN where that is nothing."""
    good = values[np.isfinite(values) & (values > 0)]
    return float(np.log(good).mean()) if good.size else float("nan")


def _finite_sum(values: npt.NDArray[np.floating]) -> float:
    return float(values[np.isfinite(values)].sum())
