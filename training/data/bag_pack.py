"""The images, depth and cameras of a recording in one file that can be read from any place.

A recording is made to be read from its beginning: in some (mcap without chunks, ROS 1) one message
in the middle costs a walk over all before it, in others a decompressed chunk. A training run asks
for frames in random order from several processes, so the messages are copied out once.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from rich.progress import track

from depth_estimation_ros.bags import STORE, Recording, open_recording, stamp_of
from depth_estimation_ros.errors import DatasetError

_VERSION = "1"
_MESSAGES, _INDEX, _ABOUT = "messages.bin", "index.npy", "about.json"

Topics = dict[str, tuple[str, str]]
"""Name and message type of a topic, by what it is used for."""


class BagPack:
    """Messages of some topics of a recording, by topic and in the order of their stamps.

    Attributes:
        stamps: of each use's messages, nanoseconds, sorted: the header's stamp, or the time of
            recording where the header has none.
    """

    def __init__(self, folder: Path) -> None:
        self._messages = folder / _MESSAGES
        self.topics: Topics = json.loads((folder / _ABOUT).read_text())
        index = np.load(folder / _INDEX)
        self.stamps: dict[str, list[int]] = {}
        self._places: dict[str, np.ndarray] = {}
        for number, use in enumerate(self.topics):
            rows = index[index[:, 0] == number]
            rows = rows[np.argsort(rows[:, 1], kind="stable")]
            self.stamps[use], self._places[use] = rows[:, 1].tolist(), rows[:, 2:]

    def read(self, use: str, index: int) -> Any:
        """The message at this place of ``stamps[use]``."""
        start, length = (int(value) for value in self._places[use][index])
        with self._messages.open("rb") as file:
            file.seek(start)
            raw = file.read(length)
        return STORE.deserialize_cdr(raw, self.topics[use][1])


def packed(
    bag: Path, cache: Path | None, options: dict[str, str], choose: Callable[[Recording], Topics]
) -> BagPack:
    """The pack of this recording: from the cache, or made now.

    Args:
        cache: folder for packs, ``default_cache()`` if None. A pack takes as much room as the
            messages have in the recording, uncompressed.
        options: all that ``choose`` looks at beside the recording.
        choose: the topics to pack, called only if there is no pack yet.

    Raises:
        BagError: the recording is missing, damaged or cut short.
        DatasetError: the pack cannot be written.
    """
    if not bag.exists():
        raise DatasetError(
            f"no recording {bag}", expected="a rosbag2 directory, .mcap, .db3 or ROS 1 .bag"
        )
    cache = default_cache() if cache is None else cache
    folder = cache / f"{bag.stem}-{_fingerprint(bag, options)}"
    if not folder.is_dir():
        with open_recording(bag) as recording:
            recording.require_whole()
            topics = choose(recording)
            try:
                cache.mkdir(parents=True, exist_ok=True)
                part = Path(tempfile.mkdtemp(dir=cache, prefix=f".{folder.name}."))
                try:
                    _write(part, recording, topics, bag.name)
                    _publish(part, folder)
                finally:
                    shutil.rmtree(part, ignore_errors=True)
            except OSError as error:
                raise DatasetError(
                    f"The frames of {bag} cannot be unpacked to {cache}",
                    found=str(error),
                    expected="room for the messages of the recording, uncompressed",
                    fix="Name a folder on a larger disk as the option cache",
                ) from error
    return BagPack(folder)


def default_cache() -> Path:
    """``$XDG_CACHE_HOME/depth_estimation_ros/bags``, by default under ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "depth_estimation_ros" / "bags"


def _write(folder: Path, recording: Recording, topics: Topics, name: str) -> None:
    uses = {topic: number for number, (topic, _) in enumerate(topics.values())}
    count = sum(topic.count or 0 for topic in recording.topics if topic.name in uses)
    rows: list[tuple[int, int, int, int]] = []
    with (folder / _MESSAGES).open("wb") as file:
        messages = recording.messages([*uses])
        for message in track(messages, f"unpacking {name}", total=count, transient=True):
            stamp = stamp_of(message.cdr) or message.time_ns
            rows.append((uses[message.topic], stamp, *_append(file, message.cdr)))
    recording.require_whole()
    np.save(folder / _INDEX, np.array(rows, np.int64).reshape(-1, 4))
    (folder / _ABOUT).write_text(json.dumps(topics))


def _publish(part: Path, folder: Path) -> None:
    try:
        part.replace(folder)
    except OSError:
        if not folder.is_dir():
            raise
        # Another process of the same run was faster, and its pack is as good.


def _append(file: BinaryIO, data: bytes) -> tuple[int, int]:
    start = file.tell()
    return start, file.write(data)


def _fingerprint(bag: Path, options: dict[str, str]) -> str:
    """Changes with the recording's place, its files and the options."""
    files = sorted(bag.rglob("*")) if bag.is_dir() else [bag]
    stats = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.is_file()]
    about = [_VERSION, str(bag.resolve()), stats, sorted(options.items())]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]
