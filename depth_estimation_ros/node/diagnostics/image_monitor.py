"""Looks at the images of a camera and names what is wrong with them. No ROS here.

Each image costs some hundredths of a millisecond: a sparse sample of its bytes is looked at. What
may come about by chance in one image is named when it holds for ten in a row, over a second.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.node.diagnostics.image_issues import (
    COMPARED,
    ERRORS,
    EVENTS,
    STREAKS,
    ImageIssue,
    duration,
)
from depth_estimation_ros.node.diagnostics.image_samples import (
    Bytes,
    is_black,
    is_saturated,
    sample,
    spread,
)
from depth_estimation_ros.node.diagnostics.rates import ConsecutiveCounter, Rate

STALLED_S = 5.0  # without an image for so long, something is wrong with the camera
EVENT_S = 10.0  # so long an event is news
FUTURE_S = 1.0  # that a stamp may be ahead of this machine's clock: two machines never quite agree
CLOCK_STEP_S = 0.5  # between two images, against a clock that nobody sets
PLAUSIBLE_AGE_S = 10.0  # within which a stamp tells how long its image was on its way


@dataclass(frozen=True)
class Clock:
    """What the clock of the node reads.

    Attributes:
        seconds: since its epoch; 0 if it has not begun.
        simulated: it is a recording's or a simulation's, which may jump, and whose scene may stand
            still.
    """

    seconds: float
    simulated: bool = False


class ImageMonitor:
    """Sees every image that comes in, decoded ones again, and what the network makes of them.

    May be used from several threads. Times are seconds of time.monotonic().

    Args:
        opened_at: when the node began to listen.
        max_age: seconds that a stamp may lie behind the node's clock; a function, because the
            parameter can change. 0 does not compare them.
    """

    def __init__(self, opened_at: float, max_age: Callable[[], float] = lambda: 0.0) -> None:
        self._lock = threading.Lock()
        self._max_age = max_age
        self._opened_at = self._last_at = opened_at
        self._rate = Rate(opened_at)
        self._streaks = {name: ConsecutiveCounter() for name in STREAKS}
        self._events: dict[str, tuple[float, str]] = {}
        self._counts = dict.fromkeys(EVENTS, 0)
        self._stamp, self._age = 0.0, math.nan
        self._bytes: tuple[int, bytes] = (-1, b"")
        self._clock_ahead: float | None = None
        self._size: tuple[int, int] | None = None
        self._varies = False  # the last picture that was decoded: it is not of one colour
        self._frame_id = self._info_frame_id = ""
        self._camera_problem = (opened_at, "")

    def image(self, image: Any, at: float, clock: Clock) -> float | None:
        """Look at an image that came in.

        Args:
            image: sensor_msgs/Image or CompressedImage.
            at: when its callback began.
            clock: read at the same time.

        Returns:
            The age of its stamp in seconds, if the clocks allow to tell how long it was on its way.
        """
        stamp = image.header.stamp.sec + image.header.stamp.nanosec / 1e9
        values = sample(image.data)
        content = (len(image.data), values.tobytes())
        with self._lock:
            self._last_at, self._frame_id = at, str(image.header.frame_id)
            self._rate.note(at)
            same = content == self._bytes
            self._look_at_stamp(stamp, same, at, clock)
            self._bytes, self._stamp = content, stamp
            if not hasattr(image, "format"):
                self._look_at_size((int(image.height), int(image.width)), at)
            self._look_at_clock(at, clock)
            known = stamp > 0 and clock.seconds > 0
            self._age = clock.seconds - stamp if known else math.nan
            limit = self._max_age()
            self._streaks["old"].note(known and 0 < limit < self._age, at)
            self._streaks["future"].note(known and limit > 0 and self._age < -FUTURE_S, at)
            return self._age if 0 <= self._age <= PLAUSIBLE_AGE_S else None

    def camera_info(self, image: Any, info: Any, at: float) -> None:
        """Compare an image with the CameraInfo (or None) that it goes to the network with."""
        with self._lock:
            self._info_frame_id = "" if info is None else str(info.header.frame_id)
            differs = info is not None and self._info_frame_id != image.header.frame_id
            self._streaks["frame_id"].note(differs, at)

    def picture(self, rgb: npt.NDArray[np.uint8], at: float) -> None:
        """Look at a decoded picture, (H, W, 3) uint8, contiguous, which its CameraInfo fits."""
        values = sample(rgb.data)
        with self._lock:
            self._camera_problem = (at, "")
            self._look_at_size(rgb.shape[:2], at)
            self._streaks["black"].note(is_black(values), at)
            self._streaks["saturated"].note(is_saturated(values), at)
            self._varies = _varies(values)

    def camera_disagrees(self, problem: str, at: float) -> None:
        """Note that the CameraInfo cannot be that of the image; holds until ``picture``."""
        with self._lock:
            self._camera_problem = (at, problem)

    def answer(self, numbers: npt.NDArray[np.float32], at: float) -> None:
        """Look at what the network made, (h, w), of the last ``picture``."""
        least, largest = spread(numbers)
        with self._lock:
            self._streaks["constant"].note(self._varies and least == largest, at)

    @property
    def frame_id(self) -> str:
        """Of the last image."""
        return self._frame_id

    def is_settled(self, at: float) -> bool:
        """Whether the node has listened for long enough to judge a rate."""
        return self._rate.is_settled(at)

    @property
    def last_at(self) -> float:
        """When the last image came; if none came yet, when the node began to listen."""
        return self._last_at

    def stalled(self, at: float) -> ImageIssue | None:
        """That no image comes: a warning if none ever came, an error if the camera has stopped."""
        with self._lock:
            seconds, came = at - self._last_at, self._last_at > self._opened_at
        if seconds <= STALLED_S:
            return None
        why = ": the camera has stalled" if came else ""
        return ImageIssue(f"no image for {seconds:.0f} s{why}", is_error=came)

    def findings(self, at: float, min_rate: float = 0.0) -> list[ImageIssue]:
        """What is wrong at this time, the errors first.

        Args:
            at: now.
            min_rate: images a second that should come; 0 asks for none.
        """
        if stalled := self.stalled(at):
            return [stalled]
        with self._lock:
            found = [
                ImageIssue(self._tell(name), name in ERRORS)
                for name, streak in self._streaks.items()
                if streak.is_long and at - streak.last < STALLED_S
            ]
            problem_at, problem = self._camera_problem
            if problem and at - problem_at < STALLED_S:
                found.append(ImageIssue(problem, is_error=True))
            hz = self._rate.hz(at)
            if 0 < hz < min_rate and self._rate.is_settled(at):
                found.append(ImageIssue(f"images come at {hz:.1f} Hz, less than {min_rate:g}"))
            found += [
                ImageIssue(text) for since, text in self._events.values() if at - since < EVENT_S
            ]
        return sorted(found, key=lambda finding: not finding.is_error)

    def values(self, at: float) -> dict[str, str]:
        """Rate, age, size and counts of what was seen, as text."""
        with self._lock:
            height, width = self._size or (0, 0)
            return {
                "input_rate_hz": f"{self._rate.hz(at):.2f}",
                "seconds_since_last_image": f"{at - self._last_at:.2f}",
                "stamp_age_s": "" if math.isnan(self._age) else f"{self._age:.3f}",
                "image_size": f"{width}x{height}" if self._size else "",
                **{name: str(count) for name, count in self._counts.items()},
            }

    def _look_at_stamp(self, stamp: float, same_bytes: bool, at: float, clock: Clock) -> None:
        # A simulated camera that stands still sees the same for ever, and that is right.
        again = stamp == self._stamp
        self._streaks["no_stamp"].note(stamp == 0.0, at)
        self._streaks["frozen"].note(stamp > 0 and again and same_bytes, at)
        self._streaks["stamp_stands"].note(stamp > 0 and again and not same_bytes, at)
        still = same_bytes and (not again or stamp == 0.0) and not clock.simulated
        self._streaks["still"].note(still, at)
        if 0.0 < stamp < self._stamp:
            # Not an event where time is simulated: a recording that is played in a loop.
            text = f"the stamps of the images went back by {self._stamp - stamp:.3f} s"
            self._happened("stamps_went_back", text, at, silently=clock.simulated)

    def _look_at_size(self, size: tuple[int, ...], at: float) -> None:
        height, width = size
        if self._size is not None and self._size != (height, width):
            before = f"{self._size[1]}x{self._size[0]}"
            text = f"the size of the images changed from {before} to {width}x{height}"
            self._happened("size_changes", text, at)
        self._size = (height, width)

    def _look_at_clock(self, at: float, clock: Clock) -> None:
        ahead = None if clock.simulated else clock.seconds - at
        if ahead is not None and self._clock_ahead is not None:
            step = ahead - self._clock_ahead
            if abs(step) > CLOCK_STEP_S:
                text = f"the clock of this machine jumped by {step:+.3f} s"
                self._happened("clock_jumps", text, at)
        self._clock_ahead = ahead

    def _happened(self, name: str, text: str, at: float, *, silently: bool = False) -> None:
        self._counts[name] += 1
        if not silently:
            self._events[name] = (at, text)

    def _tell(self, name: str) -> str:
        streak = self._streaks[name]
        return STREAKS[name].format(
            count=streak.count + 1 if name in COMPARED else streak.count,
            seconds=streak.seconds,
            age=duration(abs(self._age)),
            image_id=self._frame_id,
            info_id=self._info_frame_id,
        )


def _varies(values: Bytes) -> bool:
    """Whether a picture has more than one colour: bytes three samples apart are of one channel."""
    return bool((values[3:] != values[:-3]).any())
