"""Issues with the images of a camera: frozen, black, late, in a wrong order. No ROS import.

Each image costs some hundredths of a millisecond, because only a sparse sample of its bytes is read
(every pixel of a 1920x1080 image would take milliseconds). What may happen by chance in one image
is an issue when it holds for ten in a row, over a second.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.node.diagnostics.statistics import SILENCE_S, ConsecutiveCounter, Rate

EVENT_S = 10.0  # an event is an issue for so long
FUTURE_S = 1.0  # that a stamp may be ahead of the clock: two machines never quite agree
CLOCK_STEP_S = 0.5  # between two images, against a clock that nobody sets
PLAUSIBLE_AGE_S = 10.0  # within which a stamp gives the transport time of its image
SAMPLES = 1024  # bytes of an image that are looked at
BLACK, WHITE = 16, 250  # of 255; a covered lens is not exactly 0, nor a dazzled sensor 255
MAX_EXCEPTIONS = 0.01  # share of the bytes that may be otherwise: a lamp at night, dead pixels

EVENTS = ("stamps_went_back", "size_changes", "clock_jumps")
ERRORS = ("frozen", "black", "saturated")
COMPARED = ("frozen", "still", "stamp_stands")  # each with the image before
CONSECUTIVE = {
    "frozen": "the camera is frozen: the same image, with the same stamp, {count} times in a row",
    "black": "the images are black: {count} in a row. Is the lens covered?",
    "saturated": "the images are saturated: {count} in a row. Is the exposure too long?",
    "still": "the camera may be frozen: {count} images in a row, with new stamps, are identical",
    "constant": "the network predicts one value for the whole image: {count} times in a row",
    "no_stamp": "the images have no stamp (0): {count} in a row",
    "stamp_stands": "the stamp of the images does not change: {count} images with one stamp",
    "old": "the stamps of the images are {age} behind the clock of the node. Of a bag? Play it "
    "with --clock and set use_sim_time",
    "future": "the stamps of the images are {age} ahead of the clock of the node. Are the clocks "
    "of the machines synchronised?",
    "frame_id": "CameraInfo disagrees with the image: its frame_id is '{info_id}', that of the "
    "image '{image_id}'",
    "rectified_twice": "the image topic looks rectified, but image_is_rectified is false and the "
    "CameraInfo has distortion: it is removed twice",
}

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ImageIssue:
    """Something wrong, in words; an error if the depth cannot be trusted, else a warning."""

    text: str
    is_error: bool = False


@dataclass(frozen=True)
class ClockReading:
    """A reading of the node's clock.

    Attributes:
        seconds: since its epoch; 0 if it has not begun.
        simulated: it is the clock of a bag or a simulation: it may jump, and the scene may stand
            still.
    """

    seconds: float
    simulated: bool = False


class ImageMonitor:
    """Looks at every image that is received, when it is decoded, and at its prediction.

    May be used from several threads. Times are seconds of time.monotonic().

    Args:
        opened_at: when the node subscribed.
        max_age: seconds that a stamp may lie behind the node's clock; a function, because the
            parameter can change. 0 does not compare them.
    """

    def __init__(self, opened_at: float, max_age: Callable[[], float] = lambda: 0.0) -> None:
        self._lock = threading.Lock()
        self._max_age = max_age
        self._opened_at = self._last_at = opened_at
        self._rate = Rate(opened_at)
        self._consecutive = {name: ConsecutiveCounter() for name in CONSECUTIVE}
        self._events: dict[str, tuple[float, str]] = {}
        self._counts = dict.fromkeys(EVENTS, 0)
        self._stamp, self._age = 0.0, math.nan
        self._bytes: tuple[int, bytes] = (-1, b"")
        self._clock_ahead: float | None = None
        self._size: tuple[int, int] | None = None
        self._varies = False  # the last decoded image has more than one colour
        self._frame_id = self._info_frame_id = ""
        self._camera_problem = (opened_at, "")

    def received(self, image: Any, at: float, clock: ClockReading) -> float | None:
        """Look at an image message; return the age of its stamp in seconds.

        Args:
            image: sensor_msgs/Image or CompressedImage.
            at: when its callback began.
            clock: read at the same time.

        Returns:
            The age; None if it cannot be the time that the image took to come here.
        """
        stamp = image.header.stamp.sec + image.header.stamp.nanosec / 1e9
        values = sample(image.data)
        content = (len(image.data), values.tobytes())
        with self._lock:
            self._last_at, self._frame_id = at, str(image.header.frame_id)
            self._rate.add(at)
            same = content == self._bytes
            self._look_at_stamp(stamp, same, at, clock)
            self._bytes, self._stamp = content, stamp
            if not hasattr(image, "format"):
                self._look_at_size((int(image.height), int(image.width)), at)
            self._look_at_clock(at, clock)
            known = stamp > 0 and clock.seconds > 0
            self._age = clock.seconds - stamp if known else math.nan
            limit = self._max_age()
            self._consecutive["old"].add(known and 0 < limit < self._age, at)
            self._consecutive["future"].add(known and limit > 0 and self._age < -FUTURE_S, at)
            return self._age if 0 <= self._age <= PLAUSIBLE_AGE_S else None

    def camera_info(self, image: Any, info: Any, rectified_twice: bool, at: float) -> None:
        """Compare an image with its CameraInfo, which is None if there is none."""
        with self._lock:
            self._info_frame_id = "" if info is None else str(info.header.frame_id)
            differs = info is not None and self._info_frame_id != image.header.frame_id
            self._consecutive["frame_id"].add(differs, at)
            self._consecutive["rectified_twice"].add(rectified_twice, at)

    def decoded(self, rgb: npt.NDArray[np.uint8], at: float) -> None:
        """Look at a decoded image, (H, W, 3) uint8, contiguous, which its CameraInfo fits."""
        values = sample(rgb.data)
        with self._lock:
            self._camera_problem = (at, "")
            self._look_at_size(rgb.shape[:2], at)
            self._consecutive["black"].add(is_black(values), at)
            self._consecutive["saturated"].add(is_saturated(values), at)
            self._varies = _varies(values)

    def calibration_failed(self, problem: str, at: float) -> None:
        """Add the issue that the CameraInfo cannot be used; it lasts until `decoded`."""
        with self._lock:
            self._camera_problem = (at, problem)

    def predicted(self, values: npt.NDArray[np.float32], at: float) -> None:
        """Look at the prediction, (h, w), of the last decoded image."""
        smallest, largest = value_range(values)
        with self._lock:
            self._consecutive["constant"].add(self._varies and smallest == largest, at)

    @property
    def frame_id(self) -> str:
        """The frame_id of the last image."""
        return self._frame_id

    def is_settled(self, at: float) -> bool:
        """Whether enough time has passed to judge the rate."""
        return self._rate.is_settled(at)

    @property
    def last_at(self) -> float:
        """When the last image was received; before the first, when the node subscribed."""
        return self._last_at

    @property
    def has_images(self) -> bool:
        """Whether any image was received."""
        return self._last_at > self._opened_at

    def stalled(self, at: float) -> ImageIssue | None:
        """Return the issue that no image comes: a warning before the first, else an error."""
        with self._lock:
            seconds, came = at - self._last_at, self.has_images
        if seconds <= SILENCE_S:
            return None
        why = ": the camera has stalled" if came else ""
        return ImageIssue(f"no image for {seconds:.0f} s{why}", is_error=came)

    def issues(self, at: float, min_rate: float = 0.0) -> list[ImageIssue]:
        """Return the present issues, the errors first.

        Args:
            at: now.
            min_rate: images per second below which the rate is an issue; 0 is off.
        """
        if stalled := self.stalled(at):
            return [stalled]
        with self._lock:
            found = [
                ImageIssue(self._text_of(name), name in ERRORS)
                for name, counter in self._consecutive.items()
                if counter.is_long and at - counter.last < SILENCE_S
            ]
            problem_at, problem = self._camera_problem
            if problem and at - problem_at < SILENCE_S:
                found.append(ImageIssue(problem, is_error=True))
            hz = self._rate.hz(at)
            if 0 < hz < min_rate and self._rate.is_settled(at):
                found.append(ImageIssue(f"images come at {hz:.1f} Hz, less than {min_rate:g}"))
            found += [
                ImageIssue(text) for since, text in self._events.values() if at - since < EVENT_S
            ]
        return sorted(found, key=lambda issue: not issue.is_error)

    def values(self, at: float) -> dict[str, str]:
        """Return rate, age, size and counts of events as text."""
        with self._lock:
            height, width = self._size or (0, 0)
            return {
                "input_rate_hz": f"{self._rate.hz(at):.2f}",
                "seconds_since_last_image": f"{at - self._last_at:.2f}",
                "stamp_age_s": "" if math.isnan(self._age) else f"{self._age:.3f}",
                "image_size": f"{width}x{height}" if self._size else "",
                **{name: str(count) for name, count in self._counts.items()},
            }

    def _look_at_stamp(
        self, stamp: float, same_bytes: bool, at: float, clock: ClockReading
    ) -> None:
        # A simulated camera that does not move sends identical images, rightly.
        again = stamp == self._stamp
        self._consecutive["no_stamp"].add(stamp == 0.0, at)
        self._consecutive["frozen"].add(stamp > 0 and again and same_bytes, at)
        self._consecutive["stamp_stands"].add(stamp > 0 and again and not same_bytes, at)
        still = same_bytes and (not again or stamp == 0.0) and not clock.simulated
        self._consecutive["still"].add(still, at)
        if 0.0 < stamp < self._stamp:
            # Not an event in simulated time: a bag that is played in a loop.
            text = f"the stamps of the images went back by {self._stamp - stamp:.3f} s"
            self._add_event("stamps_went_back", text, at, silently=clock.simulated)

    def _look_at_size(self, size: tuple[int, ...], at: float) -> None:
        height, width = size
        if self._size is not None and self._size != (height, width):
            before = f"{self._size[1]}x{self._size[0]}"
            text = f"the size of the images changed from {before} to {width}x{height}"
            self._add_event("size_changes", text, at)
        self._size = (height, width)

    def _look_at_clock(self, at: float, clock: ClockReading) -> None:
        ahead = None if clock.simulated else clock.seconds - at
        if ahead is not None and self._clock_ahead is not None:
            step = ahead - self._clock_ahead
            if abs(step) > CLOCK_STEP_S:
                text = f"the clock of this machine jumped by {step:+.3f} s"
                self._add_event("clock_jumps", text, at)
        self._clock_ahead = ahead

    def _add_event(self, name: str, text: str, at: float, *, silently: bool = False) -> None:
        self._counts[name] += 1
        if not silently:
            self._events[name] = (at, text)

    def _text_of(self, name: str) -> str:
        counter = self._consecutive[name]
        return CONSECUTIVE[name].format(
            count=counter.count + 1 if name in COMPARED else counter.count,
            seconds=counter.seconds,
            age=duration(abs(self._age)),
            image_id=self._frame_id,
            info_id=self._info_frame_id,
        )


def _varies(values: Bytes) -> bool:
    """Whether an image has more than one colour: bytes three samples apart are of one channel."""
    return bool((values[3:] != values[:-3]).any())


def sample(data: Any) -> Bytes:
    """Return about `SAMPLES` bytes of an image at most, as uint8, at even distances.

    Args:
        data: a buffer of bytes, of the message or of a contiguous image.
    """
    flat = np.frombuffer(data, np.uint8) if len(data) else np.zeros(0, np.uint8)
    step = max(1, flat.size // SAMPLES) | 1
    if step % 3 == 0 and step > 1:
        step += 2  # so that red, green and blue all have their turn
    return flat[::step].copy()  # far apart in memory, they are fetched once


def is_black(values: Bytes) -> bool:
    """Whether nearly all samples are at most `BLACK`."""
    return bool(np.count_nonzero(values > BLACK) < MAX_EXCEPTIONS * values.size)


def is_saturated(values: Bytes) -> bool:
    """Whether nearly all samples are at least `WHITE`."""
    return bool(np.count_nonzero(values < WHITE) < MAX_EXCEPTIONS * values.size)


def value_range(values: npt.NDArray[np.generic]) -> tuple[float, float]:
    """Return the minimum and maximum of a sample of the values; zeros if there are none."""
    flat = values.reshape(-1)[:: max(1, values.size // SAMPLES) | 1]
    return (float(flat.min()), float(flat.max())) if flat.size else (0.0, 0.0)


def duration(seconds: float) -> str:
    """Return seconds as text, in the largest unit that there are two of."""
    for unit, length in (("years", 31_556_952.0), ("days", 86400.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.1f} s"
