"""Single frames out of a replay and the recording that it was made of, found by time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from depth_estimation_ros import messages
from depth_estimation_ros.apps.replay.report.frames import Frames
from depth_estimation_ros.apps.replay.summary import CameraSummary
from depth_estimation_ros.bags import RecordedMessage, Recording, open_recording, stamp_in
from depth_estimation_ros.errors import DepthEstimationError

Depth = npt.NDArray[np.float32]
Rgb = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Footage:
    """What there is to look at, open for reading.

    Attributes:
        output: the replay's bag; None if it cannot be read.
        original: the recording that was played, else the bag, which may hold copies.
        name: of what was played.
        notes: sentences on what cannot be read.
    """

    output: Recording | None
    original: Recording | None
    name: str
    notes: list[str]


@contextmanager
def open_footage(output: Path, inputs: Iterable[str]) -> Iterator[Footage]:
    """Opens the bag and its inputs, as far as they are there."""
    paths = [Path(path) for path in inputs]
    notes: list[str] = []
    with ExitStack() as stack:

        def opened(paths: list[Path], what: str) -> Recording | None:
            try:
                return stack.enter_context(open_recording(paths))
            except DepthEstimationError as error:
                notes.append(f"{what} cannot be read. {error}")
                return None

        bag = opened([output], "The bag of this replay")
        original = opened(paths, "What was played")
        yield Footage(bag, original or bag, ", ".join(path.name for path in paths), notes)


@dataclass(frozen=True, eq=False)
class Sample:
    """One frame.

    Attributes:
        rgb: (H, W, 3) uint8; None if the image is no longer there.
        depth: (h, w) metres; None if none was written.
        cloud: points in metres and their colours; None if none were written.
    """

    rgb: Rgb | None
    depth: Depth | None
    cloud: tuple[Depth, Rgb] | None


def read_sample(footage: Footage, camera: CameraSummary, frames: Frames, index: int) -> Sample:
    """All there is to see of one frame.

    Args:
        footage: open bags.
        camera: its topics.
        frames: of that camera.
        index: of the frame.
    """
    time_ns, stamp = int(frames.time_ns[index]), int(frames.stamp_ns[index])
    return Sample(
        rgb=read_image(footage.original, camera.image_topic, time_ns, stamp),
        depth=read_depth(footage.output, camera.depth_topic, time_ns, stamp),
        cloud=_at(footage.output, camera.points_topic, time_ns, stamp, messages.read_points),
    )


def spread(indices: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.int64]:
    """At most this many of them, evenly from the first to the last."""
    if len(indices) <= most:
        return indices
    return indices[np.rint(np.linspace(0, len(indices) - 1, most)).astype(np.int64)]


def read_depth(recording: Recording | None, topic: str, time_ns: int, stamp: int) -> Depth | None:
    """The depth image (h, w) in metres of this moment; None if there is none."""
    depth: Depth | None = _at(recording, topic, time_ns, stamp, messages.decode_depth)
    return depth


def read_image(recording: Recording | None, topic: str, time_ns: int, stamp: int) -> Rgb | None:
    """The camera's image (H, W, 3) uint8 RGB of this moment; None if there is none."""
    rgb: Rgb | None = _at(recording, topic, time_ns, stamp, _decode_any)
    return rgb


def decoded(recording: Recording, message: RecordedMessage, decode: Callable[[Any], Any]) -> Any:
    """What a message holds; None where it is damaged: the page goes without it."""
    try:
        return decode(recording.deserialize(message))
    except DepthEstimationError:
        return None


def _at(
    recording: Recording | None,
    topic: str,
    time_ns: int,
    stamp: int,
    decode: Callable[[Any], Any],
) -> Any:
    if recording is not None and topic:
        for message in recording.messages([topic], time_ns, time_ns + 1):
            if stamp_in(message) == stamp:
                return decoded(recording, message, decode)
    return None


def _decode_any(message: Any) -> Rgb:
    compressed = hasattr(message, "format")
    return messages.decode_compressed(message) if compressed else messages.decode_image(message)
