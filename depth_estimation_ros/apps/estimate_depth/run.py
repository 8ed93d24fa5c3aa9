"""The work: every frame of every input through the network and into its files."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from depth_estimation_ros.apps.estimate_depth.looks import side_by_side
from depth_estimation_ros.apps.estimate_depth.names import Place
from depth_estimation_ros.apps.estimate_depth.outputs import FrameFiles, OutputSettings
from depth_estimation_ros.errors import MediaError
from depth_estimation_ros.estimation import DepthEstimator
from depth_estimation_ros.estimation.temporal_filter import TemporalFilter
from depth_estimation_ros.media.images import Media, MediaFrame
from depth_estimation_ros.media.video import VideoWriter, write_video

PICTURE_KINDS = ("color", "depth16")
VIDEO_KINDS = ("side-by-side",)


@dataclass
class InputResult:
    """What became of one input.

    Attributes:
        frames: that gave depth.
        files: written, relative to the output folder.
        unreadable: what could not be read, one line each.
        lost_pixels: finite depths that did not fit into depth16.
        engine_ms: of each frame.
        codec: of the side-by-side video.
        focal_lengths: where those of the frames come from; keys in words, in order.
    """

    name: str
    kind: str
    frames: int = 0
    files: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    lost_pixels: int = 0
    engine_ms: list[float] = field(default_factory=list)
    codec: str = ""
    focal_lengths: dict[str, None] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For summary.json."""
        median = round(float(np.median(self.engine_ms)), 2) if self.engine_ms else None
        return {
            "input": self.name,
            "kind": self.kind,
            "frames": self.frames,
            "files": self.files,
            "unreadable": self.unreadable,
            "depth16_lost_pixels": self.lost_pixels,
            "engine_ms_median": median,
            "focal_length": list(self.focal_lengths),
            "video_codec": self.codec,
        }


@dataclass(frozen=True)
class Task:
    """One input on its way.

    Attributes:
        kinds: of files to write; see `outputs.SAVED`.
        frames: at most so many; None = all.
        every: only every n-th frame.
    """

    media: Media
    place: Place
    kinds: Sequence[str]
    frames: int | None
    every: int

    @property
    def count(self) -> int | None:
        """How many frames it will be, as far as is known."""
        if self.media.count is None:
            return self.frames
        count = -(-self.media.count // self.every)
        return count if self.frames is None else min(count, self.frames)

    def chosen(self) -> Iterator[MediaFrame]:
        """The frames to work on."""
        stop = None if self.frames is None else self.frames * self.every
        return islice(self.media.frames(), 0, stop, self.every)


def kinds_for(media: Media, wanted: Sequence[str] | None) -> Sequence[str]:
    """What is written of an input: what the user asked for, or what suits it."""
    if wanted:
        return list(dict.fromkeys(wanted))
    return PICTURE_KINDS if media.kind in ("image", "folder") else VIDEO_KINDS


class Estimation:
    """Takes inputs through one network.

    Attributes:
        results: of the inputs so far, in their order; the last one may be unfinished.
    """

    def __init__(
        self,
        pipeline: DepthEstimator,
        settings: OutputSettings,
        out: Path,
        codec: str | None,
    ) -> None:
        self._pipeline, self._settings = pipeline, settings
        self._out, self._codec = out, codec
        self.results: list[InputResult] = []

    def run(self, task: Task, stop: threading.Event, on_frame: Callable[[], None]) -> None:
        """Works off one input, until its end or until `stop`; all files are then whole.

        What cannot be read is noted in its result.

        Raises:
            CalibrationError: a picture is of another shape than the calibration.
            EngineError: the network failed.
            MediaError: a video cannot be written.
            OSError: a file cannot be written.
        """
        result = InputResult(task.media.name, task.media.kind)
        self.results.append(result)
        files = FrameFiles(self._settings)
        # Pictures that lie in one folder need not follow one another.
        past = TemporalFilter() if task.media.kind in ("video", "camera") else None
        video: VideoWriter | None = None
        try:
            with ExitStack() as stack:
                video = self._open_video(task, stack)
                for frame in _readable(task, result):
                    self._estimate(task, frame, past, files, video, result)
                    on_frame()
                    if stop.is_set():
                        break
        finally:
            if video is not None and task.place.video is not None and video.frames:
                result.codec = video.codec
                result.files.append(str(task.place.video.relative_to(self._out)))
            result.unreadable += task.media.unreadable
            result.lost_pixels = files.lost

    def _open_video(self, task: Task, stack: ExitStack) -> VideoWriter | None:
        if task.place.video is None or "side-by-side" not in task.kinds:
            return None
        rate = getattr(task.media, "rate", 30.0) / task.every
        return stack.enter_context(write_video(task.place.video, rate, self._codec))

    def _estimate(
        self,
        task: Task,
        frame: MediaFrame,
        past: TemporalFilter | None,
        files: FrameFiles,
        video: VideoWriter | None,
        result: InputResult,
    ) -> None:
        lens = self._settings.lens
        view = self._pipeline.prepare(frame.rgb, lens.camera(frame))
        (answer,) = self._pipeline.infer([view])
        depth = self._pipeline.finish(answer, past, frame.stamp_ns)
        result.engine_ms.append(depth.engine_ms)
        result.focal_lengths.setdefault(lens.source(frame))
        if video is not None:
            looks = self._settings.looks
            assert looks is not None
            colors, *_ = looks.colors(depth.depth, frame.stamp_ns)
            video.write(side_by_side(frame.rgb, colors), frame.stamp_ns)
        for kind in task.kinds:
            if kind == "side-by-side" and video is not None:
                continue
            path = task.place.path(frame.name, kind, self._settings.png_scale)
            path.parent.mkdir(parents=True, exist_ok=True)
            files.write(kind, path, frame, depth)
            result.files.append(str(path.relative_to(self._out)))
        result.frames += 1


def _readable(task: Task, result: InputResult) -> Iterator[MediaFrame]:
    """The frames; an input that ends with an error is noted, and the others go on."""
    frames = task.chosen()
    while True:
        try:
            frame = next(frames, None)
        except MediaError as error:
            result.unreadable.append(str(error))
            return
        if frame is None:
            return
        yield frame
