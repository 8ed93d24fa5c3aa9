"""Candidates for a filter over time: that of the node, and others that are not part of it.

docs/cloud_quality.md says why. The others work on what the network answers, at the network's size,
before it is finished. Each is given the logarithm of depth (h, w) and the network's image
(h, w, 3) uint8 and returns the logarithm to go on with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from depth_estimation_ros.estimation import DepthEstimator, Prediction
from depth_estimation_ros.estimation.temporal_filter import TemporalFilter

Depth = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]
Smoother = Callable[[Depth, Image], Depth]
Finish = Callable[[DepthEstimator, Prediction, int], Depth]
"""The depth in metres that is published of an answer with this stamp in nanoseconds; asked for each
frame of a sequence in order."""

_SCENE_CHANGE = 0.15  # of log depth, by the median pixel: no flicker, but another scene
_SAME_IMAGE = 12.0  # grey levels out of 255, after a blur: above that, a pixel shows a change


def published(smoother: Smoother | None = None, temporal_filter: float = 0.0) -> Finish:
    """Return what the node publishes of a sequence.

    Args:
        smoother: at work before, on what the network answers.
        temporal_filter: the node's parameter.
    """
    past = TemporalFilter()

    def finish(pipeline: DepthEstimator, answer: Prediction, stamp_ns: int) -> Depth:
        settings = replace(answer.model_input.settings, temporal_filter=temporal_filter)
        answer = replace(answer, model_input=replace(answer.model_input, settings=settings))
        if smoother is not None:
            answer = smoothed(answer, smoother)
        return pipeline.finish(answer, past, stamp_ns).depth

    return finish


def shared_factor(weight: float) -> Smoother:
    """Return exponential smoothing of a factor that is common to the whole frame.

    m is the median over pixels of the change of log depth since the frame before. The part c of the
    accumulated changes that is not yet let through decays: c = (1 - weight) (c + m), and the frame
    is published as log depth - c. A change of scene lets all through.
    """
    before: Depth | None = None
    held = 0.0

    def smooth(logs: Depth, image: Image) -> Depth:
        nonlocal before, held
        if before is None or before.shape != logs.shape:
            held = 0.0
        else:
            shared = float(np.median(logs - before))
            held = 0.0 if abs(shared) > _SCENE_CHANGE else (1.0 - weight) * (held + shared)
        before = logs
        return logs - np.float32(held)

    return smooth


def where_nothing_moves(weight: float, gate: float) -> Smoother:
    """As the node's filter, but only where the image stays the same, too.

    A pixel restarts where log depth differs from its smoothed value by `gate` or more, or the
    blurred image by more than 12 grey levels from that of the frame before. `weight` is that of
    the new frame.
    """
    state: Depth | None = None
    before: npt.NDArray[np.float32] | None = None

    def smooth(logs: Depth, image: Image) -> Depth:
        nonlocal state, before
        blurred = cv2.blur(image, (5, 5)).astype(np.float32)
        if state is None or before is None or state.shape != logs.shape:
            state = logs
        else:
            moves = np.abs(blurred - before).max(axis=2) > _SAME_IMAGE
            change = logs - state
            restarts = moves | (np.abs(change) >= gate)
            state = state + np.where(restarts, np.float32(1.0), np.float32(weight)) * change
        before = blurred
        return state

    return smooth


CANDIDATES: dict[str, Callable[[], Finish]] = {
    "none": published,
    "factor 0.5": lambda: published(shared_factor(0.5)),
    "factor 0.25": lambda: published(shared_factor(0.25)),
    "pixels 0.5": lambda: published(temporal_filter=0.5),
    "pixels 0.25": lambda: published(temporal_filter=0.75),
    "still pixels 0.25": lambda: published(where_nothing_moves(0.25, 0.1)),
    "factor 0.5, pixels 0.5": lambda: published(shared_factor(0.5), 0.5),
}
"""By name; the numbers are weights of the new frame."""


def smoothed(answer: Prediction, smoother: Smoother) -> Prediction:
    """Return the network's answer after the filter.

    Answers that are not above 0 (unknown, or no depth) stay as they are.
    """
    values = answer.values
    good = np.isfinite(values) & (values > 0)
    logs = np.log(np.where(good, values, np.float32(1.0)))
    after = np.exp(smoother(logs, np.asarray(answer.model_input.batch[0], np.uint8)))
    return replace(answer, values=np.where(good, after, values).astype(np.float32))
