"""The best, the median and the worst frame of a data set, to look at."""

from __future__ import annotations

import math
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from depth_estimation_ros.estimation import DepthEstimator
from depth_estimation_ros.estimation.metrics import median_ratio
from depth_estimation_ros.visualization import PreviewRow, preview
from training.crops import crop_mask
from training.data.sample import SampleSet
from training.evaluation.predict import predict
from training.evaluation.running import Metrics
from training.evaluation.score import FrameScore, SetResult, scored_pixels

Depth = npt.NDArray[np.float32]


def shown_alignment(result: SetResult) -> Literal["none", "median"]:
    """How pictures are aligned: "median" where the camera is a guess, and so the scale with it."""
    return "none" if result.camera == "known" else "median"


def chosen_frames(result: SetResult) -> dict[str, FrameScore]:
    """The frames with the lowest, the median and the highest AbsRel, by these names.

    AbsRel is aligned as `shown_alignment` says. Frames without truth are not chosen, and none
    twice: one frame is the best, two are the best and the worst.
    """
    scored = [frame for frame in result.frames if frame.unaligned["valid_pixels"] > 0]
    ranked = sorted(scored, key=lambda frame: _shown(result, frame)["abs_rel"])
    names = {0: "best"}
    names.setdefault(len(ranked) - 1, "worst")
    names.setdefault((len(ranked) - 1) // 2, "median")
    return {names[place]: ranked[place] for place in sorted(names) if 0 <= place < len(ranked)}


def picture_sheet(
    pipeline: DepthEstimator, samples: SampleSet, result: SetResult
) -> npt.NDArray[np.uint8] | None:
    """One line for each of `chosen_frames`: picture, prediction, truth, relative error.

    Truth outside the crop, which is not scored, is black; beyond the cap it has the colour of the
    cap.

    Returns:
        (H, W, 3) uint8 RGB; None if no frame had truth.
    """
    rows = []
    for name, frame in chosen_frames(result).items():
        sample = samples[frame.index]
        depth = predict(pipeline, sample, flip=result.flip).depth
        if shown_alignment(result) == "median":
            scored = scored_pixels(sample.depth, result.crop, result.cap_m) & ~np.isnan(depth)
            depth = depth * np.float32(median_ratio(depth[scored], sample.depth[scored]))
        truth = truth_to_show(sample.depth, result.crop, result.cap_m, panel_size(*depth.shape))
        rows.append(PreviewRow(sample.rgb, depth, truth, _caption(result, name, frame)))
    if not rows:
        return None
    width, _ = panel_size(*rows[0].rgb.shape[:2])
    nearest = 1.0 if result.cap_m > 20.0 else 0.0  # metres; outdoors little is nearer
    return preview(rows, max_depth=result.cap_m, min_depth=nearest, panel_width=width)


def panel_size(height: int, width: int) -> tuple[int, int]:
    """Width and height in pixels at which a picture is shown; wide ones are shown wider."""
    shown = 320 if width < 2 * height else 480
    return shown, round(shown * height / width)


def truth_to_show(truth: Depth, crop: str, cap: float, size: tuple[int, int]) -> Depth:
    """Scored truth at the size (width, height) of a panel.

    A pixel of the panel is the pixel of the picture at its place, or, where that was not measured,
    the nearest depth that was measured in its neighbourhood: else lidar's thin lines would vanish.
    """
    scored = np.where(crop_mask(crop, *truth.shape), truth, np.float32(np.nan))
    scored = np.where(scored >= cap, np.float32(np.inf), scored).astype(np.float32)
    window = 2 * math.ceil(truth.shape[1] / size[0]) - 1  # no pixel of the picture is left out
    filled = np.where(np.isnan(scored), np.float32(np.inf), scored)
    kernel = np.ones((window, window), np.uint8)
    around = cv2.erode(filled, kernel, borderType=cv2.BORDER_REPLICATE)
    around = np.where(np.isinf(around), np.float32(np.nan), around)
    shown = np.where(np.isnan(scored), around, scored)
    return np.asarray(cv2.resize(shown, size, interpolation=cv2.INTER_NEAREST), np.float32)


def _shown(result: SetResult, frame: FrameScore) -> Metrics:
    return frame.unaligned if shown_alignment(result) == "none" else frame.median


def _caption(result: SetResult, name: str, frame: FrameScore) -> str:
    numbers = "AbsRel {abs_rel:.3f}, delta1 {delta1:.3f}".format(**_shown(result, frame))
    aligned = "" if shown_alignment(result) == "none" else ", scale aligned"
    return f"{name}: {frame.name}   {numbers}{aligned}"
