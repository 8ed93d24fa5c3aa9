"""Candidates for a filter over time. None is part of the node: docs/cloud_quality.md says why.

Each works on what the network answers, at the network's size, before it is resized and filtered. It
is given the logarithm of depth (h, w) and the network's picture (h, w, 3) uint8 and returns the
logarithm to be published.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from depth_estimation_ros.pipeline import NetworkDepth

Depth = npt.NDArray[np.float32]
Picture = npt.NDArray[np.uint8]
Smoother = Callable[[Depth, Picture], Depth]

_SCENE_CHANGE = 0.15  # of log depth, by the median pixel: no flicker, but another scene
_SAME_PICTURE = 12.0  # grey levels out of 255, after a blur: above that, a pixel shows a change


def nothing() -> Smoother:
    """What the node does: every frame as the network answers it."""
    return lambda logs, picture: logs


def shared_factor(weight: float) -> Smoother:
    """Exponential smoothing of a factor that is common to the whole frame.

    m is the median over pixels of the change of log depth since the frame before. The part c of the
    accumulated changes that is not yet let through decays: c = (1 - weight) (c + m), and the frame
    is published as log depth - c. A change of scene lets all through.
    """
    before: Depth | None = None
    held = 0.0

    def smooth(logs: Depth, picture: Picture) -> Depth:
        nonlocal before, held
        if before is None or before.shape != logs.shape:
            held = 0.0
        else:
            shared = float(np.median(logs - before))
            held = 0.0 if abs(shared) > _SCENE_CHANGE else (1.0 - weight) * (held + shared)
        before = logs
        return logs - np.float32(held)

    return smooth


def each_pixel(weight: float, gate: float) -> Smoother:
    """Exponential smoothing of each pixel's log depth.

    A pixel that differs from its smoothed value by more than `gate` starts anew.
    """
    state: Depth | None = None

    def smooth(logs: Depth, picture: Picture) -> Depth:
        nonlocal state
        if state is None or state.shape != logs.shape:
            state = logs
        else:
            change = logs - state
            share = np.where(np.abs(change) < gate, np.float32(weight), np.float32(1.0))
            state = state + share * change
        return state

    return smooth


def where_nothing_moves(weight: float, gate: float) -> Smoother:
    """As `each_pixel`, but only where the picture stays the same, too.

    A pixel starts anew where the blurred picture differs by more than 12 grey levels from that of
    the frame before.
    """
    state: Depth | None = None
    before: npt.NDArray[np.float32] | None = None

    def smooth(logs: Depth, picture: Picture) -> Depth:
        nonlocal state, before
        blurred = cv2.blur(picture, (5, 5)).astype(np.float32)
        if state is None or before is None or state.shape != logs.shape:
            state = logs
        else:
            moves = np.abs(blurred - before).max(axis=2) > _SAME_PICTURE
            change = logs - state
            anew = moves | (np.abs(change) >= gate)
            state = state + np.where(anew, np.float32(1.0), np.float32(weight)) * change
        before = blurred
        return state

    return smooth


def both(first: Smoother, second: Smoother) -> Smoother:
    """One after the other."""
    return lambda logs, picture: second(first(logs, picture), picture)


CANDIDATES: dict[str, Callable[[], Smoother]] = {
    "none": nothing,
    "factor 0.5": lambda: shared_factor(0.5),
    "factor 0.25": lambda: shared_factor(0.25),
    "pixels 0.5": lambda: each_pixel(0.5, 0.1),
    "pixels 0.25": lambda: each_pixel(0.25, 0.1),
    "still pixels 0.25": lambda: where_nothing_moves(0.25, 0.1),
    "factor 0.5, pixels 0.5": lambda: both(shared_factor(0.5), each_pixel(0.5, 0.1)),
}


def smoothed(answer: NetworkDepth, smoother: Smoother) -> NetworkDepth:
    """The network's answer after the filter.

    Answers that are not above 0 (unknown, or no depth) stay as they are.
    """
    numbers = answer.numbers
    good = np.isfinite(numbers) & (numbers > 0)
    logs = np.log(np.where(good, numbers, np.float32(1.0)))
    after = np.exp(smoother(logs, np.asarray(answer.view.input[0], np.uint8)))
    return replace(answer, numbers=np.where(good, after, numbers).astype(np.float32))
