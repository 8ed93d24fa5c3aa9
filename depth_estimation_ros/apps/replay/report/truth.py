"""How far the depth of a replay is from the depth that a sensor measured, if its input has some."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.apps.replay.report.footage import (
    Footage,
    decoded,
    read_depth,
    spread,
)
from depth_estimation_ros.apps.replay.report.frames import Frames
from depth_estimation_ros.apps.replay.summary import CameraSummary
from depth_estimation_ros.bags import RecordedMessage, Recording, stamp_in
from depth_estimation_ros.bags.topics import OWN_OUTPUTS, find_topics, first_message
from depth_estimation_ros.engines import resolve_model
from depth_estimation_ros.engines.factory import card_of_file
from depth_estimation_ros.errors import BagError, DepthEstimationError
from depth_estimation_ros.estimation.metrics import (
    PAIR_TOLERANCE_NS,
    Accuracy,
    Depth,
    Pair,
    match_stamps,
    measure_accuracy,
    registered_topics,
    sample_nearest,
)
from depth_estimation_ros.messages import decode_depth

SCORED = 100  # frames at most; more make no other number, but minutes of reading
APART_NS = 250_000_000  # in the recording, at most, of an image and the truth of the same stamp
UNKNOWN_CAP = 80.0

Shown = tuple[int, Depth, Depth]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Depth against truth for one camera.

    Attributes:
        topic: of the truth.
        accuracy: over the frames that were compared.
        shown: index in `Frames`, depth and truth of one frame, at the same pixels.
    """

    topic: str
    accuracy: Accuracy
    shown: Shown


def compare(
    footage: Footage, camera: CameraSummary, frames: Frames, max_depth: float
) -> tuple[Comparison | None, str]:
    """Scores at most `SCORED` good frames, evenly over the recording.

    Args:
        footage: open bags.
        camera: its topics.
        frames: of that camera.
        max_depth: the cap, metres.

    Returns:
        None where there is nothing to compare with; and a sentence that says why, or empty.
    """
    recording, output = footage.original, footage.output
    if recording is None or output is None or not camera.depth_topic:
        return None, ""
    topic, why = _truth_topic(recording, camera.image_topic)
    if topic is None:
        return None, why
    chosen = spread(np.flatnonzero(frames.ok), SCORED)

    def pairs() -> Iterator[Shown]:
        truths = _messages_near(recording, topic, frames.time_ns[chosen])
        stamps = ((int(frames.stamp_ns[index]), int(index)) for index in chosen)
        for stamp, index, message in match_stamps(stamps, truths):
            depth = read_depth(output, camera.depth_topic, int(frames.time_ns[index]), stamp)
            truth = decoded(recording, message, decode_depth)
            if depth is not None and truth is not None:
                yield index, sample_nearest(depth, truth.shape), truth

    def maps() -> Iterator[Pair]:
        for _, depth, truth in pairs():
            yield depth, truth

    found = measure_accuracy(maps, max_depth)
    if not found.images:
        return None, (
            f"No frame has a depth of up to {max_depth:g} m on {topic} within "
            f"{PAIR_TOLERANCE_NS // 10**6} ms, so none was compared."
        )
    return Comparison(topic, found, _middle(pairs(), int(chosen[len(chosen) // 2]))), ""


def cap(options: ReplayOptions) -> float:
    """Metres beyond which truth is not scored: the limit of the settings or of the model."""
    limits = [options.max_depth]
    with contextlib.suppress(DepthEstimationError):  # the model has gone since
        limits.append(card_of_file(resolve_model(options.model)).output.max_depth)
    return min((limit for limit in limits if limit > 0), default=UNKNOWN_CAP)


def _middle(pairs: Iterator[Shown], index: int) -> Shown:
    """The first pair with something to see from this frame on, else the last one before it."""
    best = None
    for pair in pairs:
        seen = np.isfinite(pair[2]).any() and not np.isnan(pair[1]).all()
        if seen or best is None:
            best = pair
        if seen and pair[0] >= index:
            break
    assert best is not None  # accuracy was found from them
    return best


def _truth_topic(recording: Recording, image_topic: str) -> tuple[str | None, str]:
    try:
        topics = find_topics(recording)
    except BagError:
        return None, ""
    images = [topic for topic in topics.images if topic.name == image_topic]
    depths = [topic for topic in topics.depths if OWN_OUTPUTS not in topic.name]
    if not images or not depths:
        return None, ""
    frame = _frame_id(recording, images[0])
    on_the_pictures = registered_topics(frame, {t.name: _frame_id(recording, t) for t in depths})
    if len(on_the_pictures) == 1:
        return on_the_pictures[0], ""
    names = ", ".join(on_the_pictures or [topic.name for topic in depths])
    if on_the_pictures:
        return None, f"Several depth topics lie on these images, so none is the truth: {names}."
    return None, (
        f"There is depth ({names}), but not in the frame {frame!r} of these images: it is not "
        "registered to them, so nothing was compared."
    )


def _frame_id(recording: Recording, topic: Any) -> str:
    return str(first_message(recording, topic).header.frame_id)


def _messages_near(
    recording: Recording, topic: str, times: Iterable[int]
) -> Iterator[tuple[int, RecordedMessage]]:
    """By stamp, the messages recorded near any of these times, without reading the rest."""
    for start, end in _windows(sorted(int(time) for time in times)):
        for message in recording.messages([topic], start, end):
            stamp = stamp_in(message)
            if stamp is not None:
                yield stamp, message


def _windows(times: list[int]) -> list[tuple[int, int]]:
    """Times with what is near, overlapping ones as one: (start, end)."""
    windows: list[tuple[int, int]] = []
    for time in times:
        start, end = time - APART_NS, time + APART_NS + 1
        if windows and start <= windows[-1][1]:
            start = windows.pop()[0]
        windows.append((start, end))
    return windows
