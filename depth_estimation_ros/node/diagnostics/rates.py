"""How often something happens, and for how long something has been so: by the seconds given."""

from __future__ import annotations

import math
from collections import deque

RATE_S = 5.0  # that a rate looks back on
STREAK_COUNT, STREAK_S = 10, 1.0


class Rate:
    """Events a second, over the last ``RATE_S`` seconds or since the start.

    Args:
        since: seconds, of the clock that all later times are of.
    """

    def __init__(self, since: float) -> None:
        self._since = since
        self._times: deque[float] = deque()

    def note(self, at: float) -> None:
        """One more event."""
        self._times.append(at)
        while self._times[0] <= at - RATE_S:
            self._times.popleft()

    def hz(self, at: float) -> float:
        """Events a second at this time."""
        recent = sum(time > at - RATE_S for time in self._times)
        return recent / max(min(at - self._since, RATE_S), 1e-3)

    def is_settled(self, at: float) -> bool:
        """Whether the time since the start is long enough for a judgement."""
        return at - self._since >= RATE_S


class ConsecutiveCounter:
    """Something that is true of each image, one after the other.

    Attributes:
        count: of images in a row.
        seconds: from the first of them to the last.
        last: when the last image was looked at.
    """

    def __init__(self) -> None:
        self.count, self.seconds, self._began, self.last = 0, 0.0, 0.0, -math.inf

    def note(self, holds: bool, at: float) -> None:
        """Whether it is true of one more image."""
        self.last = at
        if not holds:
            self.count, self.seconds = 0, 0.0
            return
        if self.count == 0:
            self._began = at
        self.count += 1
        self.seconds = at - self._began

    @property
    def is_long(self) -> bool:
        """Whether it is worth a word: ``STREAK_COUNT`` images over ``STREAK_S`` seconds."""
        return self.count >= STREAK_COUNT and self.seconds >= STREAK_S
