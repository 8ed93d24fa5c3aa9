"""Reads back what the recorder wrote, and pairs it with the ground truth of the source."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rosbags.highlevel import AnyReader

from depth_estimation_ros import messages
from depth_estimation_ros.demo import topics
from depth_estimation_ros.demo.sources import Source, stamp_of

Depth = npt.NDArray[np.float32]
Picture = npt.NDArray[np.uint8]

# Two cameras of one rig rarely expose at the very same time; 20 ms is what TUM's RGB-D benchmark
# allows between colour and depth.
PAIR_TOLERANCE_NS = 20_000_000


class Recording:
    """The recorded bag, open for reading. Every message lies at the stamp of its image (ns)."""

    def __init__(self, reader: AnyReader, transport: str) -> None:
        self._reader = reader
        self._transport = transport

    @classmethod
    @contextmanager
    def open(cls, bag: Path, transport: str) -> Iterator[Recording]:
        """Args: bag: rosbag2 directory; transport: raw or compressed, of the images in it."""
        with AnyReader([bag]) as reader:
            yield cls(reader, transport)

    def depth_stamps(self) -> list[int]:
        """Stamps of the depth images, in order."""
        return [stamp_of(raw) for _, _, raw in self._raw(topics.DEPTH)]

    def depths(self) -> Iterator[tuple[int, Depth]]:
        """Stamps and depth images (H, W) in metres."""
        for connection, _, raw in self._raw(topics.DEPTH):
            message = self._reader.deserialize(raw, connection.msgtype)
            yield stamp_of(raw), messages.decode_depth(message)

    def depth_at(self, stamp: int) -> Depth:
        """The depth image (H, W) in metres with this stamp."""
        return messages.decode_depth(self._at(topics.DEPTH, stamp))

    def image_at(self, stamp: int) -> Picture | None:
        """The camera image (H, W, 3) uint8 RGB with this stamp; None if it was not recorded."""
        message = self._at(topics.IMAGES[self._transport][0], stamp)
        if message is None:
            return None
        if self._transport == "compressed":
            return messages.decode_compressed(message)
        return messages.decode_image(message)

    def cloud_at(self, stamp: int) -> tuple[Depth, Picture] | None:
        """Points (H, W, 3) in metres and their colours; None if there is no such cloud."""
        message = self._at(topics.POINTS, stamp)
        return None if message is None else messages.read_points(message)

    def diagnostics(self) -> dict[str, str]:
        """What the node said last of itself."""
        values: dict[str, str] = {}
        for connection, _, raw in self._raw(topics.DIAGNOSTICS):
            message: Any = self._reader.deserialize(raw, connection.msgtype)
            for status in message.status:
                if status.name.startswith(topics.NODE):
                    values = {pair.key: pair.value for pair in status.values}
        return values

    def _raw(self, topic: str, start: int | None = None, stop: int | None = None) -> Iterator[Any]:
        connections = [c for c in self._reader.connections if c.topic == topic]
        if connections:  # none would mean all of them
            yield from self._reader.messages(connections, start=start, stop=stop)

    def _at(self, topic: str, stamp: int) -> Any:
        for connection, _, raw in self._raw(topic, stamp, stamp + 1):
            return self._reader.deserialize(raw, connection.msgtype)
        return None


def paired(recording: Recording, source: Source) -> Iterator[tuple[int, Depth, Depth]]:
    """Stamp, depth and ground truth of the frames that have one, both (h, w) of the truth's size.

    The truth of a frame is the nearest in time, within `PAIR_TOLERANCE_NS`.
    """
    truths = source.ground_truth()
    before: tuple[int, Depth] | None = None
    after = next(truths, None)
    for stamp, depth in recording.depths():
        while after is not None and after[0] < stamp:
            before, after = after, next(truths, None)
        candidates = [truth for truth in (before, after) if truth is not None]
        nearest = min(candidates, key=lambda truth: abs(truth[0] - stamp), default=None)
        if nearest is not None and abs(nearest[0] - stamp) <= PAIR_TOLERANCE_NS:
            yield stamp, sampled(depth, nearest[1].shape), nearest[1]


def sampled(depth: Depth, shape: tuple[int, ...]) -> Depth:
    """The depth at the centres of the pixels of a picture of this (height, width).

    Nearest pixels: a blend of two depths is a depth that nobody measured.
    """
    rows, columns = (
        np.minimum(((np.arange(n) + 0.5) * (m / n)).astype(np.int64), m - 1)
        for n, m in zip(shape, depth.shape, strict=True)
    )
    return depth[np.ix_(rows, columns)]
