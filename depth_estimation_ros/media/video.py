"""Open inputs; read videos and cameras through OpenCV; write MP4 through PyAV or OpenCV."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from depth_estimation_ros.errors import MediaError
from depth_estimation_ros.media.images import (
    IMAGE_SUFFIXES,
    ImageFile,
    ImageFolder,
    Media,
    MediaFrame,
    MediaKind,
    Rgb,
    evenly_spaced,
)
from depth_estimation_ros.utils.files import partial_name

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")

BAG_SUFFIXES = (".bag", ".mcap", ".db3")

DEFAULT_RATE = 30.0  # frames per second, where a video or camera does not say
MAX_RATE = 1000.0  # streams without a rate report the ticks of their clock

# By preference: name, encoder of FFmpeg (PyAV), FourCC (OpenCV). H.264 plays everywhere; OpenCV
# from PyPI cannot write it. MPEG-4 Part 2 plays in VLC, mpv, ffplay and Windows, not in browsers.
# VP9 plays in browsers and takes 30 times as long to write.
CODECS = {
    "h264": ("libx264", "avc1"),
    "mpeg4": ("mpeg4", "mp4v"),
    "vp9": ("libvpx-vp9", "vp09"),
}
MAX_SIDE = 3840  # pixels; many players refuse more


def open_media(source: str) -> Media:
    """Open the input that the user named.

    Args:
        source: path of an image, folder or video; number (0) or device (/dev/video0) of a camera;
            or the address of a stream (rtsp://...).

    Raises:
        MediaError: it does not exist, or is none of these.
    """
    if is_camera(source):
        return Camera(source)
    if "://" in source:
        return Video(source)
    path = Path(source).expanduser()
    suffix = path.suffix.lower()
    if suffix in BAG_SUFFIXES or (path / "metadata.yaml").is_file():
        raise MediaError(
            f"The input {path}",
            found="a bag",
            expected="an image, a folder of images, a video, or the number of a camera",
            fix=f"Use the command replay: replay {path} --output DIR",
        )
    if path.is_dir():
        return ImageFolder(path)
    if not path.exists():
        raise MediaError(
            f"The input {path}",
            found="nothing there",
            expected="an image, a folder of images, a video, or the number of a camera",
            fix="Check the path",
        )
    if suffix in IMAGE_SUFFIXES:
        return ImageFile(path)
    if suffix in VIDEO_SUFFIXES:
        return Video(str(path))
    raise MediaError(
        f"The input {path}",
        found=f"a file that ends in '{suffix}'",
        expected=f"an image ({', '.join(IMAGE_SUFFIXES)}) or a video ({', '.join(VIDEO_SUFFIXES)})",
    )


def is_camera(source: str) -> bool:
    """Return whether this names a camera of this machine: 0, 1, ... or /dev/video0."""
    return source.isdecimal() or source.startswith("/dev/video")


class Video:
    """A video file, or a stream (rtsp://, http://, ...) if this OpenCV can open it.

    Attributes:
        rate: frames per second, as the file says.

    Raises:
        MediaError: OpenCV cannot open it, or it has no frame.
    """

    kind: MediaKind = "video"
    has_focal_length = False

    def __init__(self, source: str) -> None:
        self.name = source
        self.is_stream = "://" in source
        self.unreadable: list[str] = []
        self.notes: list[str] = []
        self.count: int | None = None
        with self._open() as video:
            self.rate = _rate(video)
            claimed = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
            if not self.is_stream and claimed > 0:
                self.count = claimed
            if not self.is_stream and not video.grab():
                raise _cannot_open(f"The video {source}", "no frame in it")

    def frames(self) -> Iterator[MediaFrame]:
        """Yield every frame; stamps start at 0 and follow the frame rate.

        A file that ends well before the number of frames that it claims is listed in `unreadable`.
        """
        self.unreadable.clear()
        seen = 0
        with self._open() as video:
            for index, rgb in enumerate(_read_all(video)):
                yield self._frame(index, rgb)
                seen += 1
        if self.count is not None and seen < self.count - max(2, self.count // 50):
            claim = f"only {seen} of the {self.count} frames that it claims can be read"
            self.unreadable.append(f"The video {self.name} is cut off or broken: {claim}")

    def samples(self, count: int) -> list[MediaFrame]:
        """Return frames near evenly spaced positions; none of a stream."""
        if self.count is None:
            return []
        frames = []
        with self._open() as video:
            for index in evenly_spaced(self.count, count):
                video.set(cv2.CAP_PROP_POS_FRAMES, index)
                for rgb in islice(_read_all(video), 1):
                    frames.append(self._frame(index, rgb))
        return frames

    def _frame(self, index: int, rgb: Rgb) -> MediaFrame:
        return MediaFrame(rgb, round(index / self.rate * 1e9), f"{index:06d}")

    @contextmanager
    def _open(self) -> Iterator[cv2.VideoCapture]:
        what = "The stream" if self.is_stream else "The video"
        with _open_capture(self.name, f"{what} {self.name}") as video:
            yield video


class Camera:
    """A camera of this machine by its number or device; endless.

    Attributes:
        rate: frames per second, as the driver says.

    Raises:
        MediaError: it cannot be opened.
    """

    kind: MediaKind = "camera"
    has_focal_length = False

    def __init__(self, device: str) -> None:
        self.name = f"camera {device}"
        self.count: int | None = None
        self.unreadable: list[str] = []
        self.notes: list[str] = []
        self._device = int(device) if device.isdecimal() else device
        with _open_capture(self._device, f"The {self.name}") as video:
            self.rate = _rate(video)

    def frames(self) -> Iterator[MediaFrame]:
        """Yield frames stamped as they arrive; those that arrive meanwhile are dropped."""
        with _open_capture(self._device, f"The {self.name}") as video:
            video.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the latest image, not the oldest
            for index, rgb in enumerate(_read_all(video)):
                yield MediaFrame(rgb, time.time_ns(), f"{index:06d}")

    def samples(self, count: int) -> list[MediaFrame]:
        """Return none: one cannot look ahead."""
        return []


def _rate(video: cv2.VideoCapture) -> float:
    rate = float(video.get(cv2.CAP_PROP_FPS))
    return rate if 0 < rate <= MAX_RATE else DEFAULT_RATE


@contextmanager
def _open_capture(source: str | int, what: str) -> Iterator[cv2.VideoCapture]:
    if isinstance(source, str) and "://" not in source and not Path(source).exists():
        raise _cannot_open(what, "nothing there")
    video = cv2.VideoCapture(source)
    try:
        if not video.isOpened():
            raise _cannot_open(what, "")
        yield video
    finally:
        video.release()


def _cannot_open(what: str, found: str) -> MediaError:
    return MediaError(
        f"{what} cannot be opened by OpenCV",
        found=found or None,
        fix="Check that it exists, that nothing else uses it, and its permissions; for a stream "
        "also its address and the network",
    )


def _read_all(video: cv2.VideoCapture) -> Iterator[Rgb]:
    while True:
        good, bgr = video.read()
        if not good:
            return
        yield np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


class Encoder(Protocol):
    """Writes frames (H, W, 3) uint8 RGB of one size to one file."""

    def write(self, rgb: Rgb) -> None: ...

    def close(self) -> None: ...


class VideoWriter:
    """A video created by `write_video`; keeps time by the stamps of its images.

    Attributes:
        codec: key of CODECS.
        frames: written so far.
    """

    def __init__(self, path: Path, rate: float, codec: str | None) -> None:
        self._path, self._rate = path, rate
        self.codec = codec or ""
        self.frames = 0
        self._encoder: Encoder | None = None
        self._size = (0, 0)
        self._start_ns = 0
        self._last: Rgb | None = None

    def write(self, rgb: Rgb, stamp_ns: int) -> None:
        """Show the image from its stamp on.

        The last image is repeated if they come more slowly than the video's rate; those that come
        faster are dropped.

        Args:
            rgb: (H, W, 3) uint8. The first decides the size; others are fitted into it.
            stamp_ns: nanoseconds, not before that of the last image.

        Raises:
            MediaError: no encoder for such a video.
        """
        if self._encoder is None:
            self._size = _even_size(*rgb.shape[:2])
            self._encoder = self._open_encoder()
            self._start_ns = stamp_ns
        due = round((stamp_ns - self._start_ns) * 1e-9 * self._rate)
        while self._last is not None and self.frames < due:
            self._encode(self._last)
        self._last = _fit(rgb, *self._size)
        if self.frames <= due:
            self._encode(self._last)

    def close(self) -> None:
        """Complete the file."""
        if self._encoder is not None:
            self._encoder.close()
            self._encoder = None

    def _encode(self, rgb: Rgb) -> None:
        assert self._encoder is not None
        self._encoder.write(rgb)
        self.frames += 1

    def _open_encoder(self) -> Encoder:
        height, width = self._size
        for name in [self.codec] if self.codec else list(CODECS):
            for create in (_create_av_encoder, _create_opencv_encoder):
                encoder = create(self._path, name, self._rate, width, height)
                if encoder is not None:
                    self.codec = name
                    return encoder
        raise MediaError(
            f"Neither PyAV nor OpenCV {cv2.__version__} can write the video",
            found=f"no encoder of {self.codec or ', '.join(CODECS)} for {width} x {height} pixels",
            fix="Install PyAV (`pip install av`), choose another --codec, or --save color, which "
            "writes an image for each frame",
        )


@contextmanager
def write_video(path: Path, rate: float, codec: str | None = None) -> Iterator[VideoWriter]:
    """Yield a writer of a video that appears at `path` on exit, also on an exception.

    So what was written before a failure or an interruption is a complete video. Without any image
    there is no file.

    Args:
        path: ends in .mp4.
        rate: frames per second.
        codec: key of CODECS; None takes the first that can be written here.
    """
    unfinished = partial_name(path)
    video = VideoWriter(unfinished, rate, codec)
    try:
        yield video
    finally:
        video.close()
        if video.frames:
            unfinished.replace(path)
    if video.frames and not _is_playable(path):
        raise MediaError(
            f"The video {path} is not complete",
            found="no frame that can be read back",
            fix="Check the free space on the disk",
        )


class _AvEncoder:
    """PyAV (the extra `video`): FFmpeg with H.264, which OpenCV from PyPI lacks."""

    def __init__(self, container: Any, stream: Any) -> None:
        self._container, self._stream = container, stream

    def write(self, rgb: Rgb) -> None:
        from av import VideoFrame

        frame = VideoFrame.from_ndarray(rgb, format="rgb24")
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        self._container.mux(self._stream.encode())
        self._container.close()


def _create_av_encoder(
    path: Path, codec: str, rate: float, width: int, height: int
) -> Encoder | None:
    try:
        import av
    except ImportError:
        return None
    encoder = CODECS[codec][0]
    if encoder not in av.codecs_available:
        return None
    container = av.open(str(path), "w", options={"movflags": "faststart"})
    stream: Any = container.add_stream(encoder, Fraction(rate).limit_denominator(1001))
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    return _AvEncoder(container, stream)


class _OpenCvEncoder:
    def __init__(self, writer: cv2.VideoWriter) -> None:
        self._writer = writer

    def write(self, rgb: Rgb) -> None:
        self._writer.write(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        self._writer.release()


def _create_opencv_encoder(
    path: Path, codec: str, rate: float, width: int, height: int
) -> Encoder | None:
    fourcc = cv2.VideoWriter.fourcc(*CODECS[codec][1])
    writer = cv2.VideoWriter(str(path), cv2.CAP_ANY, fourcc, rate, (width, height))
    return _OpenCvEncoder(writer) if writer.isOpened() else None


def _is_playable(path: Path) -> bool:
    """Return whether a frame can be read back: OpenCV reports no full disk."""
    video = cv2.VideoCapture(str(path))
    try:
        return bool(video.grab())
    finally:
        video.release()


def _even_size(height: int, width: int) -> tuple[int, int]:
    """Return the size of the video: codecs halve the resolution of colors."""
    share = min(1.0, MAX_SIDE / max(height, width))
    return max(2, 2 * round(height * share / 2)), max(2, 2 * round(width * share / 2))


def _fit(rgb: Rgb, height: int, width: int) -> Rgb:
    """Return the whole image in the middle, with black borders where its shape differs."""
    if rgb.shape[:2] == (height, width):
        return rgb
    share = min(height / rgb.shape[0], width / rgb.shape[1])
    size = (min(width, round(rgb.shape[1] * share)), min(height, round(rgb.shape[0] * share)))
    method = cv2.INTER_AREA if share < 1 else cv2.INTER_LINEAR
    page = np.zeros((height, width, 3), np.uint8)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    page[top : top + size[1], left : left + size[0]] = cv2.resize(rgb, size, interpolation=method)
    return page
