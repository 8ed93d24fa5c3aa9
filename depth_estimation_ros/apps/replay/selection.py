"""Which images of a recording are wanted."""

from __future__ import annotations

import math

from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.bags import CameraTopics, Recording

SECOND = 1_000_000_000


class Selection:
    """Goes through the images of a recording in order and says which ones are wanted.

    Args:
        options: start, end, rate, every, window.
        start_ns: time of the first message of the recording.
    """

    def __init__(self, options: ReplayOptions, start_ns: int) -> None:
        self.start_ns = start_ns + round(options.start_s * SECOND)
        self.end_ns = start_ns + round(options.end_s * SECOND) if options.end_s else None
        self._window = options.window_ns
        self._every = options.every
        self._period_ns = SECOND / options.rate_hz if options.rate_hz else 0.0
        self._seen: dict[str, int] = {}
        self._due: dict[str, float] = {}

    def wants_time(self, time_ns: int) -> bool:
        """Whether a message of this time of recording lies in the part that is wanted."""
        if time_ns < self.start_ns or (self.end_ns is not None and time_ns >= self.end_ns):
            return False
        return self._window is None or self._window[0] <= time_ns < self._window[1]

    def is_over(self, time_ns: int) -> bool:
        """Whether nothing at or after this time is wanted."""
        ends = [self.end_ns, self._window[1] if self._window else None]
        return any(end is not None and time_ns >= end for end in ends)

    def wants_image(self, topic: str, time_ns: int) -> bool:
        """Whether the next image of a topic is wanted. Asked for each of them, in order of time.

        Images in time to a rate are those that a clock beginning with the first one picks, so that
        the mean rate is kept though images do not come on its beats.
        """
        if time_ns < self.start_ns or (self.end_ns is not None and time_ns >= self.end_ns):
            return False
        number = self._seen.get(topic, 0)
        self._seen[topic] = number + 1
        if number % self._every:
            return False
        if self._period_ns:
            due = self._due.setdefault(topic, float(time_ns))
            # Images come with a jitter; one a little early is not worth waiting for the next.
            if time_ns < due - 0.1 * self._period_ns:
                return False
            beats = math.floor((time_ns - due) / self._period_ns + 0.1) + 1
            self._due[topic] = due + beats * self._period_ns
        return self.wants_time(time_ns)


def expected_images(
    recording: Recording, cameras: list[CameraTopics], options: ReplayOptions
) -> int | None:
    """About how many images will be wanted; None if the recording does not say how many it has."""
    counts = [camera.image.count for camera in cameras]
    if any(count is None for count in counts):
        return None
    whole_ns = max(1, recording.end_ns - recording.start_ns)
    selection = Selection(options, recording.start_ns)
    first, last = selection.start_ns, selection.end_ns or recording.end_ns
    if options.window_ns:
        first, last = max(first, options.window_ns[0]), min(last, options.window_ns[1])
    part_ns = min(whole_ns, max(0, min(last, recording.end_ns) - first))
    total = 0
    for count in counts:
        images = math.ceil((count or 0) * part_ns / whole_ns / options.every)
        if options.rate_hz:
            images = min(images, math.ceil(options.rate_hz * part_ns / SECOND))
        total += images
    return total
