"""Stamps of messages: read without deserialising, and matched with each other."""

from __future__ import annotations

import bisect
import struct
from collections.abc import Sequence

from depth_estimation_ros.bags.topic import RecordedMessage


def stamp_of(cdr: bytes) -> int:
    """The stamp in nanoseconds of a serialised message that begins with a Header."""
    order = "<" if cdr[1] & 1 else ">"
    sec, nanosec = struct.unpack_from(f"{order}iI", cdr, 4)
    return int(sec) * 1_000_000_000 + int(nanosec)


def stamp_in(message: RecordedMessage) -> int | None:
    """The stamp in nanoseconds of a message; None if it is too damaged to have one."""
    try:
        return stamp_of(message.cdr)
    except (struct.error, IndexError):
        return None


def nearest(stamps: Sequence[int], stamp: int) -> int:
    """Index of the nearest of sorted stamps."""
    after = bisect.bisect_left(stamps, stamp)
    if after == 0:
        return 0
    if after == len(stamps) or stamp - stamps[after - 1] <= stamps[after] - stamp:
        return after - 1
    return after
