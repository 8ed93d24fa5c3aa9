"""Depth against ground truth: the metrics of Eigen et al. 2014, and which frames to compare."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]
Depth = npt.NDArray[np.float32]
Pair = tuple[Depth, Depth]
Frame = TypeVar("Frame")
Truth = TypeVar("Truth")

METRICS = (
    "abs_rel",
    "sq_rel",
    "rmse",
    "rmse_log",
    "log10",
    "silog",
    "delta1",
    "delta2",
    "delta3",
)

# Two cameras of one rig rarely expose at the very same time; 20 ms is what TUM's RGB-D benchmark
# allows between colour and depth.
PAIR_TOLERANCE_NS = 20_000_000

MAX_SAMPLES = 20_000  # of each ground truth image, for the median over all of them


def depth_metrics(
    pred: Array,
    gt: Array,
    *,
    min_depth: float = 1e-3,
    max_depth: float,
    align: Literal["median"] | None = None,
) -> dict[str, float]:
    """Return the metrics of one image over the pixels with min_depth < gt < max_depth.

    The prediction is clamped to [min_depth, max_depth] first, as Eigen's evaluation does; so +Inf
    (beyond range) scores as max_depth and -Inf (too near) as min_depth. A prediction of NaN
    (unknown) is left out of every mean; `coverage` is the share that remains.

    Args:
        pred: (H, W) metres, any of NaN, +Inf and -Inf allowed.
        gt: (H, W) metres; NaN, infinities and values outside the range are not scored.
        min_depth: metres, above 0.
        max_depth: the cap, metres.
        align: "median" multiplies pred by median(gt) / median(pred) before scoring (scale-blind;
            say so wherever such numbers are shown). None: as predicted.

    Returns:
        abs_rel, sq_rel (m), rmse (m), rmse_log, log10, silog (x 100), delta1, delta2, delta3;
        valid_pixels, the number of pixels scored; coverage, their share of the valid ground truth.
        With nothing to score, the metrics are NaN.
    """
    valid = (gt > min_depth) & (gt < max_depth)
    scored = valid & ~np.isnan(pred)
    t = gt[scored].astype(np.float64)
    p = pred[scored].astype(np.float64)
    counts = {
        "valid_pixels": float(t.size),
        "coverage": float(t.size / valid.sum()) if valid.any() else float("nan"),
    }
    if t.size == 0:
        return dict.fromkeys(METRICS, float("nan")) | counts
    if align == "median":
        p = p * median_ratio(p, t)
    p = np.clip(p, min_depth, max_depth)

    error = p - t
    log_error = np.log(p) - np.log(t)
    ratio = np.maximum(t / p, p / t)
    return {
        "abs_rel": float(np.mean(np.abs(error) / t)),
        "sq_rel": float(np.mean(error**2 / t)),
        "rmse": float(np.sqrt(np.mean(error**2))),
        "rmse_log": float(np.sqrt(np.mean(log_error**2))),
        "log10": float(np.mean(np.abs(np.log10(p) - np.log10(t)))),
        "silog": float(100.0 * np.std(log_error)),
        "delta1": float(np.mean(ratio < 1.25)),
        "delta2": float(np.mean(ratio < 1.25**2)),
        "delta3": float(np.mean(ratio < 1.25**3)),
    } | counts


def mean_metrics(images: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean over images, each counting once; `valid_pixels` is the sum.

    An image with nothing to score has NaN metrics and is left out of their means.
    """
    if not images:
        return {}
    means = {}
    for name in images[0]:
        values = np.array([image[name] for image in images], np.float64)
        if name == "valid_pixels":
            means[name] = float(values.sum())
        else:
            known = values[~np.isnan(values)]
            means[name] = float(known.mean()) if known.size else float("nan")
    return means


def constant_median(gt: Array, *, min_depth: float = 1e-3, max_depth: float) -> Array:
    """Return the baseline any model must beat: the median ground truth at every pixel."""
    valid = gt[(gt > min_depth) & (gt < max_depth)]
    value = float(np.median(valid)) if valid.size else float("nan")
    return np.full(gt.shape, value, np.float32)


def median_ratio(pred: Array, gt: Array) -> float:
    """Return the factor of median alignment: median(gt) / median(pred).

    Args:
        pred: metres, no NaN.
        gt: metres at the same pixels.

    Returns:
        the factor; 1 where pred is empty or has no finite median above 0 to be scaled by.
    """
    median = float(np.median(pred)) if pred.size else 0.0
    return float(np.median(gt)) / median if np.isfinite(median) and median > 0 else 1.0


@dataclass(frozen=True)
class Accuracy:
    """Errors against ground truth: each a mean over images of `depth_metrics`.

    Attributes:
        as_predicted: the metric depth as it came out.
        median_scaled: each image scaled to the median of its ground truth: blind to scale.
        one_constant: what `constant_m` at every pixel of every image would score.
        constant_per_image: what the median of each image's own ground truth would score.
        constant_m: the median of all ground truth, metres; NaN where there is none.
        scale_correction: the median over images of median(ground truth) / median(depth); NaN where
            there is none.
        images: how many had a pixel to compare.
        max_depth: metres; ground truth beyond it was not scored.
    """

    as_predicted: dict[str, float]
    median_scaled: dict[str, float]
    one_constant: dict[str, float]
    constant_per_image: dict[str, float]
    constant_m: float
    scale_correction: float
    images: int
    max_depth: float


def measure_accuracy(pairs: Callable[[], Iterable[Pair]], max_depth: float) -> Accuracy:
    """Score depth against ground truth, in two passes, with one pair in memory at a time.

    Args:
        pairs: called once for each pass; yields depth and ground truth, (h, w) metres at the same
            pixels.
        max_depth: the cap, metres.
    """
    as_predicted, aligned, per_image, samples, ratios = [], [], [], [], []
    for depth, truth in pairs():
        as_predicted.append(depth_metrics(depth, truth, max_depth=max_depth))
        aligned.append(depth_metrics(depth, truth, max_depth=max_depth, align="median"))
        constant = constant_median(truth, max_depth=max_depth)
        per_image.append(depth_metrics(constant, truth, max_depth=max_depth))
        known = (truth > 1e-3) & (truth < max_depth)
        samples.append(truth[known][:: max(1, int(known.sum()) // MAX_SAMPLES)])
        if (both := known & ~np.isnan(depth)).any():
            ratios.append(median_ratio(depth[both], truth[both]))
    sampled = np.concatenate(samples) if samples else np.empty(0)
    metres = float(np.median(sampled)) if sampled.size else math.nan
    one_for_all = [
        depth_metrics(np.full(truth.shape, metres, np.float32), truth, max_depth=max_depth)
        for _, truth in pairs()
    ]
    return Accuracy(
        as_predicted=mean_metrics(as_predicted),
        median_scaled=mean_metrics(aligned),
        one_constant=mean_metrics(one_for_all),
        constant_per_image=mean_metrics(per_image),
        constant_m=metres,
        scale_correction=float(np.median(ratios)) if ratios else math.nan,
        images=sum(image["valid_pixels"] > 0 for image in as_predicted),
        max_depth=max_depth,
    )


def match_stamps(
    frames: Iterable[tuple[int, Frame]], truths: Iterable[tuple[int, Truth]]
) -> Iterator[tuple[int, Frame, Truth]]:
    """Yield stamp, frame and ground truth of the frames that have one.

    The ground truth of a frame is the nearest in time, within `PAIR_TOLERANCE_NS`. Both are read
    once, in step, and two ground truths are held at a time.

    Args:
        frames: by stamp (ns), in order.
        truths: by stamp (ns), in order.
    """
    remaining = iter(truths)
    before: tuple[int, Truth] | None = None
    after = next(remaining, None)
    for stamp, frame in frames:
        while after is not None and after[0] < stamp:
            before, after = after, next(remaining, None)
        candidates = [truth for truth in (before, after) if truth is not None]
        nearest = min(candidates, key=lambda truth: abs(truth[0] - stamp), default=None)
        if nearest is not None and abs(nearest[0] - stamp) <= PAIR_TOLERANCE_NS:
            yield stamp, frame, nearest[1]


def sample_nearest(depth: Depth, shape: tuple[int, ...]) -> Depth:
    """Return the depth at the pixel centres of an image of this (height, width).

    Nearest pixels: a blend of two depths is a depth that nobody measured.
    """
    rows, columns = (
        np.minimum(((np.arange(n) + 0.5) * (m / n)).astype(np.int64), m - 1)
        for n, m in zip(shape, depth.shape, strict=True)
    )
    return depth[np.ix_(rows, columns)]


def registered_topics(image_frame: str, depth_frames: Mapping[str, str]) -> list[str]:
    """Return the depth topics that match the images of a camera pixel by pixel.

    Depth that was registered to a camera has the frame_id of its images. Where one of them has
    "ground_truth" in its name, the others are estimates.

    Args:
        image_frame: frame_id of the images.
        depth_frames: frame_id of each depth topic.
    """
    frame = image_frame.lstrip("/")
    same = [topic for topic, its in depth_frames.items() if its.lstrip("/") == frame]
    return [topic for topic in same if "ground_truth" in topic] or same
