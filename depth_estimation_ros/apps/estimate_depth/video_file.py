"""A video of pictures, whole or not there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from depth_estimation_ros.errors import MediaError
from depth_estimation_ros.utils.files import partial_name

Picture = npt.NDArray[np.uint8]

# In the order of preference: (name, FourCC). H.264 plays everywhere, but OpenCV of PyPI cannot
# write it. MPEG-4 Part 2 plays in VLC, mpv, ffplay and Windows; not in browsers and QuickTime.
# VP9 plays in browsers too, and takes 30 times as long to write.
CODECS = {"h264": "avc1", "mpeg4": "mp4v", "vp9": "vp09"}
LARGEST_SIDE = 3840  # pixels; beyond it many players refuse


class VideoFile:
    """Made by `writing`; keeps time by the stamps of its pictures.

    Attributes:
        codec: key of CODECS.
        frames: written so far.
    """

    def __init__(self, path: Path, rate: float, codec: str | None) -> None:
        self._path, self._rate = path, rate
        self.codec = codec or ""
        self.frames = 0
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)
        self._start_ns = 0
        self._last: Picture | None = None

    def write(self, rgb: Picture, stamp_ns: int) -> None:
        """Shows the picture from its stamp on.

        The last one stands until then, if pictures come more slowly than the video's rate; what
        comes sooner than the rate has room for is left out.

        Args:
            rgb: (H, W, 3) uint8. The first decides the size; others are fitted into it.
            stamp_ns: nanoseconds, not before that of the picture before.

        Raises:
            MediaError: OpenCV cannot write such a video.
        """
        if self._writer is None:
            self._size = _even_size(*rgb.shape[:2])
            self._writer = self._open()
            self._start_ns = stamp_ns
        due = round((stamp_ns - self._start_ns) * 1e-9 * self._rate)
        while self._last is not None and self.frames < due:
            self._put(self._last)
        self._last = cv2.cvtColor(_fit(rgb, *self._size), cv2.COLOR_RGB2BGR).astype(np.uint8)
        if self.frames <= due:
            self._put(self._last)

    def close(self) -> None:
        """Completes the file."""
        if self._writer is not None:
            self._writer.release()
            self._writer = None

    def _put(self, bgr: Picture) -> None:
        assert self._writer is not None
        self._writer.write(bgr)
        self.frames += 1

    def _open(self) -> cv2.VideoWriter:
        height, width = self._size
        for name in [self.codec] if self.codec else list(CODECS):
            fourcc = cv2.VideoWriter.fourcc(*CODECS[name])
            writer = cv2.VideoWriter(
                str(self._path), cv2.CAP_ANY, fourcc, self._rate, (width, height)
            )
            if writer.isOpened():
                self.codec = name
                return writer
        raise MediaError(
            f"OpenCV {cv2.__version__} cannot write a video",
            found=f"no encoder of {self.codec or ', '.join(CODECS)} for {width} x {height} pixels",
            fix="Choose another --codec, or --save color, which writes a picture for each frame",
        )


@contextmanager
def writing(path: Path, rate: float, codec: str | None = None) -> Iterator[VideoFile]:
    """A video that appears at `path` when the context is left, also by an exception.

    So what was written before a failure or an interruption is a whole, playable video. Without any
    picture there is no file.

    Args:
        path: ends in .mp4.
        rate: frames per second.
        codec: key of CODECS; None takes the first that this OpenCV can write.
    """
    unfinished = partial_name(path)
    video = VideoFile(unfinished, rate, codec)
    try:
        yield video
    finally:
        video.close()
        if video.frames:
            unfinished.replace(path)
    if video.frames and not _is_playable(path):
        raise MediaError(
            f"The video {path} is not whole",
            found="no frame that can be read back",
            fix="Look at the space that is left on the disk",
        )


def _is_playable(path: Path) -> bool:
    """OpenCV tells nobody of a full disk."""
    video = cv2.VideoCapture(str(path))
    try:
        return bool(video.grab())
    finally:
        video.release()


def _even_size(height: int, width: int) -> tuple[int, int]:
    """The size at which the video is written: the codecs halve the resolution of colours."""
    share = min(1.0, LARGEST_SIDE / max(height, width))
    return max(2, 2 * round(height * share / 2)), max(2, 2 * round(width * share / 2))


def _fit(rgb: Picture, height: int, width: int) -> Picture:
    """The whole picture, in the middle, with black beside it where its shape is another."""
    if rgb.shape[:2] == (height, width):
        return rgb
    share = min(height / rgb.shape[0], width / rgb.shape[1])
    size = (min(width, round(rgb.shape[1] * share)), min(height, round(rgb.shape[0] * share)))
    method = cv2.INTER_AREA if share < 1 else cv2.INTER_LINEAR
    page = np.zeros((height, width, 3), np.uint8)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    page[top : top + size[1], left : left + size[0]] = cv2.resize(rgb, size, interpolation=method)
    return page
