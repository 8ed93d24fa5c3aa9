"""Reads back what the recorder wrote."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rosbags.highlevel import AnyReader

from depth_estimation_ros import messages
from depth_estimation_ros.apps.demo import topics
from depth_estimation_ros.bags import stamp_of

Depth = npt.NDArray[np.float32]
Picture = npt.NDArray[np.uint8]


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
                if status.name == f"{topics.NODE}: depth":
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
