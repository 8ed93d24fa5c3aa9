"""How far a depth map is from the truth, as the field measures it since Eigen et al. 2014."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]


def depth_metrics(
    pred: Array,
    gt: Array,
    *,
    min_depth: float = 1e-3,
    max_depth: float,
    align: Literal["median"] | None = None,
) -> dict[str, float]:
    """Metrics of one image over the pixels with min_depth < gt < max_depth.

    The prediction is clamped to [min_depth, max_depth] first, as Eigen's evaluation does; so +Inf
    (beyond range) scores as max_depth and -Inf (too near) as min_depth. A prediction of NaN
    (unknown) is left out of every mean, and `coverage` says how much that was.

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


def mean_metrics(images: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean over images, each counting once; `valid_pixels` is the sum.

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
    """The baseline that any model must beat: the image's own median depth at every pixel."""
    valid = gt[(gt > min_depth) & (gt < max_depth)]
    value = float(np.median(valid)) if valid.size else float("nan")
    return np.full(gt.shape, value, np.float32)


def median_ratio(pred: Array, gt: Array) -> float:
    """What median alignment multiplies a prediction by: median(gt) / median(pred).

    Args:
        pred: metres, no NaN.
        gt: metres at the same pixels.

    Returns:
        the factor; 1 where pred is empty or has no finite median above 0 to be scaled by.
    """
    median = float(np.median(pred)) if pred.size else 0.0
    return float(np.median(gt)) / median if np.isfinite(median) and median > 0 else 1.0
