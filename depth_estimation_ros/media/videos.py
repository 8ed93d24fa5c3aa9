"""Video files, streams and cameras of this machine, as OpenCV opens them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from depth_estimation_ros.errors import MediaError
from depth_estimation_ros.media.media import Kind, MediaFrame, Rgb
from depth_estimation_ros.media.pictures import spread

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")

USUAL_RATE = 30.0  # frames per second, where a video or camera does not say
LARGEST_RATE = 1000.0  # streams without a rate report the ticks of their clock


class Video:
    """A video file, or a stream (rtsp://, http://, ...) if this OpenCV can open it.

    Attributes:
        rate: frames per second, as the file says.

    Raises:
        MediaError: OpenCV cannot open it, or there is no frame in it.
    """

    kind: Kind = "video"
    tells_focal = False

    def __init__(self, source: str) -> None:
        self.name = source
        self.is_stream = "://" in source
        self.unreadable: list[str] = []
        self.notes: list[str] = []
        self.count: int | None = None
        with self._opened() as video:
            self.rate = _rate(video)
            claimed = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
            if not self.is_stream and claimed > 0:
                self.count = claimed
            if not self.is_stream and not video.grab():
                raise _unreadable(f"The video {source}", "no frame in it")

    def frames(self) -> Iterator[MediaFrame]:
        """Every frame; stamps begin at 0 and follow the frame rate.

        A file that ends well before the number of frames that it claims is listed in `unreadable`.
        """
        self.unreadable.clear()
        seen = 0
        with self._opened() as video:
            for index, rgb in enumerate(_pictures(video)):
                yield self._frame(index, rgb)
                seen += 1
        if self.count is not None and seen < self.count - max(2, self.count // 50):
            claim = f"of the {self.count} frames that it claims only {seen} can be read"
            self.unreadable.append(f"The video {self.name} is cut off or broken: {claim}")

    def samples(self, count: int) -> list[MediaFrame]:
        """Frames near evenly spaced places; none of a stream."""
        if self.count is None:
            return []
        frames = []
        with self._opened() as video:
            for index in spread(self.count, count):
                video.set(cv2.CAP_PROP_POS_FRAMES, index)
                for rgb in islice(_pictures(video), 1):
                    frames.append(self._frame(index, rgb))
        return frames

    def _frame(self, index: int, rgb: Rgb) -> MediaFrame:
        return MediaFrame(rgb, round(index / self.rate * 1e9), f"{index:06d}")

    @contextmanager
    def _opened(self) -> Iterator[cv2.VideoCapture]:
        what = "The stream" if self.is_stream else "The video"
        with _opened(self.name, f"{what} {self.name}") as video:
            yield video


class Camera:
    """A camera of this machine, by its number or device; it goes on until the caller stops.

    Attributes:
        rate: frames per second, as the driver says.

    Raises:
        MediaError: it cannot be opened.
    """

    kind: Kind = "camera"
    tells_focal = False

    def __init__(self, device: str) -> None:
        self.name = f"camera {device}"
        self.count: int | None = None
        self.unreadable: list[str] = []
        self.notes: list[str] = []
        self._device = int(device) if device.isdecimal() else device
        with _opened(self._device, f"The {self.name}") as video:
            self.rate = _rate(video)

    def frames(self) -> Iterator[MediaFrame]:
        """Frames stamped as they arrive. Those that come while the caller is busy are lost."""
        with _opened(self._device, f"The {self.name}") as video:
            video.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # whoever is slow shall see what is, not what was
            for index, rgb in enumerate(_pictures(video)):
                yield MediaFrame(rgb, time.time_ns(), f"{index:06d}")

    def samples(self, count: int) -> list[MediaFrame]:
        """None: what a camera will see is not known."""
        return []


def _rate(video: cv2.VideoCapture) -> float:
    rate = float(video.get(cv2.CAP_PROP_FPS))
    return rate if 0 < rate <= LARGEST_RATE else USUAL_RATE


@contextmanager
def _opened(source: str | int, what: str) -> Iterator[cv2.VideoCapture]:
    if isinstance(source, str) and "://" not in source and not Path(source).exists():
        raise _unreadable(what, "nothing there")
    video = cv2.VideoCapture(source)
    try:
        if not video.isOpened():
            raise _unreadable(what, "")
        yield video
    finally:
        video.release()


def _unreadable(what: str, found: str) -> MediaError:
    return MediaError(
        f"{what} cannot be opened by OpenCV",
        found=found or None,
        fix="Check that it exists, that nothing else uses it, and its permissions; of a stream "
        "also its address and the network",
    )


def _pictures(video: cv2.VideoCapture) -> Iterator[Rgb]:
    while True:
        good, picture = video.read()
        if not good:
            return
        yield np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
