"""Estimated depth against the truth of a recording: which belong together, and how far apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.estimation.metrics import (
    constant_median,
    depth_metrics,
    mean_metrics,
    median_ratio,
)

Depth = npt.NDArray[np.float32]
Pair = tuple[Depth, Depth]
Frame = TypeVar("Frame")
Truth = TypeVar("Truth")

# Two cameras of one rig rarely expose at the very same time; 20 ms is what TUM's RGB-D benchmark
# allows between colour and depth.
PAIR_TOLERANCE_NS = 20_000_000

SAMPLES = 20_000  # of each ground truth image, for the median over all of them


@dataclass(frozen=True)
class Accuracy:
    """Errors against the truth: each a mean over images of `metrics.depth_metrics`.

    Attributes:
        as_predicted: the metric depth as it came out.
        median_scaled: each image scaled so that its median is the truth's: blind to scale.
        one_constant: what `constant_m` at every pixel of every image would score.
        constant_per_image: what each image's own median would score: no model, but the truth
            itself, says how large that is.
        constant_m: the median of all truth, metres; NaN where there is none.
        scale_correction: that would bring the medians of most images to the truth's: the median
            over images of median(truth) / median(depth); NaN where there is none.
        images: that had a pixel to compare.
        max_depth: metres; truth beyond it was not scored.
    """

    as_predicted: dict[str, float]
    median_scaled: dict[str, float]
    one_constant: dict[str, float]
    constant_per_image: dict[str, float]
    constant_m: float
    scale_correction: float
    images: int
    max_depth: float


def accuracy(pairs: Callable[[], Iterable[Pair]], max_depth: float) -> Accuracy:
    """Scores depth against truth, in two passes, one pair in memory at a time.

    Args:
        pairs: called once for each pass; gives depth and truth, (h, w) metres at the same pixels.
        max_depth: the cap, metres.
    """
    as_predicted, aligned, per_image, samples, ratios = [], [], [], [], []
    for depth, truth in pairs():
        as_predicted.append(depth_metrics(depth, truth, max_depth=max_depth))
        aligned.append(depth_metrics(depth, truth, max_depth=max_depth, align="median"))
        constant = constant_median(truth, max_depth=max_depth)
        per_image.append(depth_metrics(constant, truth, max_depth=max_depth))
        known = (truth > 1e-3) & (truth < max_depth)
        samples.append(truth[known][:: max(1, int(known.sum()) // SAMPLES)])
        if (both := known & ~np.isnan(depth)).any():
            ratios.append(median_ratio(depth[both], truth[both]))
    everything = np.concatenate(samples) if samples else np.empty(0)
    metres = float(np.median(everything)) if everything.size else math.nan
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


def paired(
    frames: Iterable[tuple[int, Frame]], truths: Iterable[tuple[int, Truth]]
) -> Iterator[tuple[int, Frame, Truth]]:
    """Stamp, frame and truth of the frames that have one.

    The truth of a frame is the nearest in time, within `PAIR_TOLERANCE_NS`. Both are read once,
    in step, and two truths are held at a time.

    Args:
        frames: by stamp (ns), in order.
        truths: by stamp (ns), in order.
    """
    coming = iter(truths)
    before: tuple[int, Truth] | None = None
    after = next(coming, None)
    for stamp, frame in frames:
        while after is not None and after[0] < stamp:
            before, after = after, next(coming, None)
        candidates = [truth for truth in (before, after) if truth is not None]
        nearest = min(candidates, key=lambda truth: abs(truth[0] - stamp), default=None)
        if nearest is not None and abs(nearest[0] - stamp) <= PAIR_TOLERANCE_NS:
            yield stamp, frame, nearest[1]


def sampled(depth: Depth, shape: tuple[int, ...]) -> Depth:
    """The depth at the centres of the pixels of a picture of this (height, width).

    Nearest pixels: a blend of two depths is a depth that nobody measured.
    """
    rows, columns = (
        np.minimum(((np.arange(n) + 0.5) * (m / n)).astype(np.int64), m - 1)
        for n, m in zip(shape, depth.shape, strict=True)
    )
    return depth[np.ix_(rows, columns)]


def registered(image_frame: str, depth_frames: Mapping[str, str]) -> list[str]:
    """The depth topics that lie on the pictures of a camera pixel by pixel.

    Depth that was registered to a camera has the frame_id of its pictures. Where one of them says
    "ground_truth" in its name, the others are estimates.

    Args:
        image_frame: frame_id of the pictures.
        depth_frames: frame_id of each depth topic.
    """
    frame = image_frame.lstrip("/")
    same = [topic for topic, its in depth_frames.items() if its.lstrip("/") == frame]
    return [topic for topic in same if "ground_truth" in topic] or same
