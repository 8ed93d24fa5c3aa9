"""A run: every frame of every input through the network and into its files, and its summary."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from depth_estimation_ros import __version__
from depth_estimation_ros.apps.estimate_depth.files import (
    SUMMARY,
    FrameWriter,
    OutputSettings,
    side_by_side,
    units,
)
from depth_estimation_ros.apps.estimate_depth.inputs import Lens, Task
from depth_estimation_ros.estimation import DepthEstimator
from depth_estimation_ros.estimation.scale import ScaleAnchor
from depth_estimation_ros.estimation.scale_sources import FloorBelow
from depth_estimation_ros.estimation.temporal_filter import TemporalFilter
from depth_estimation_ros.media.images import MediaFrame
from depth_estimation_ros.media.video import DEFAULT_RATE, VideoWriter, write_video
from depth_estimation_ros.utils.files import atomic_write


@dataclass
class InputResult:
    """The result of one input.

    Attributes:
        frames: that gave depth.
        files: written, relative to the output folder.
        unreadable: what could not be read, one line each.
        lost_pixels: finite depths that did not fit into depth16.
        engine_ms: of each frame.
        codec: of the side-by-side video.
        focal_lengths: where those of the frames come from; keys in words, in order.
        anchored: frames whose scale is that of the floor, with a known camera height.
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
    anchored: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of summary.json."""
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


@dataclass
class Outcome:
    """What is known of a run when it ends, however it ends.

    Attributes:
        results: of the inputs that were begun; the last one may be unfinished.
        skipped: inputs that could not be opened, and why.
        notes: shown to the user.
        problem: the error that ended the run; empty if none did.
        interrupted: the user stopped it.
        seconds: duration without opening the model.
    """

    results: list[InputResult] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problem: str = ""
    interrupted: bool = False
    seconds: float = 0.0

    @property
    def frames(self) -> int:
        """Frames that gave depth."""
        return sum(result.frames for result in self.results)

    @property
    def files(self) -> list[str]:
        """All files written, relative to the output folder."""
        return [name for result in self.results for name in result.files]

    @property
    def unreadable(self) -> list[str]:
        """Everything that could not be read, one line each."""
        broken = [line for result in self.results for line in result.unreadable]
        return [*self.skipped.values(), *broken]

    @property
    def lost_pixels(self) -> int:
        """Finite depths that did not fit into depth16."""
        return sum(result.lost_pixels for result in self.results)


class Estimation:
    """Runs inputs through one network.

    Args:
        estimator: with an open engine.
        lens: of the cameras.
        settings: of the files.
        out: folder of the files.
        codec: of videos; None takes the best there is.
        floor: at a known height below the camera, which gives the depth its scale; None if unknown.
    """

    def __init__(
        self,
        estimator: DepthEstimator,
        lens: Lens,
        settings: OutputSettings,
        out: Path,
        codec: str | None,
        floor: FloorBelow | None = None,
    ) -> None:
        self._floor = floor
        self._estimator, self._lens, self._settings = estimator, lens, settings
        self._out, self._codec = out, codec

    def run(
        self,
        task: Task,
        result: InputResult,
        stop: threading.Event,
        on_frame: Callable[[], None],
    ) -> None:
        """Process one input, until its end or until `stop`; all files are then complete.

        Raises:
            CalibrationError: an image is of another shape than the calibration.
            EngineError: the network failed.
            MediaError: a video cannot be written.
            OSError: a file cannot be written.
        """
        writer = FrameWriter(self._settings)
        # Images of a folder need not follow one another in time.
        follows = task.media.kind in ("video", "camera")
        history = TemporalFilter() if follows else None
        anchor = self._anchor() if follows else None
        video: VideoWriter | None = None
        try:
            with ExitStack() as stack:
                if task.destination.video is not None and "side-by-side" in task.kinds:
                    rate = getattr(task.media, "rate", DEFAULT_RATE) / task.every
                    writing = write_video(task.destination.video, rate, self._codec)
                    video = stack.enter_context(writing)
                for frame in task.frames(result.unreadable):
                    self._process(
                        task, frame, history, anchor or self._anchor(), writer, video, result
                    )
                    on_frame()
                    if stop.is_set():
                        break
        finally:
            if video is not None and task.destination.video is not None and video.frames:
                result.codec = video.codec
                result.files.append(str(task.destination.video.relative_to(self._out)))
            result.unreadable += task.media.unreadable
            result.lost_pixels = writer.lost

    def _anchor(self) -> ScaleAnchor | None:
        """Return a new anchor to the floor, if its height is known."""
        if self._floor is None:
            return None
        anchor = ScaleAnchor(self._estimator.engine.card.output)
        anchor.source = self._floor
        return anchor

    def _process(
        self,
        task: Task,
        frame: MediaFrame,
        history: TemporalFilter | None,
        anchor: ScaleAnchor | None,
        writer: FrameWriter,
        video: VideoWriter | None,
        result: InputResult,
    ) -> None:
        model_input = self._estimator.prepare(frame.rgb, self._lens.camera(frame))
        (prediction,) = self._estimator.infer([model_input])
        depth = self._estimator.finish(prediction, history, frame.stamp_ns, anchor)
        result.anchored += depth.scale is not None
        focal_source = self._lens.source(frame)
        result.engine_ms.append(depth.engine_ms)
        result.focal_lengths.setdefault(focal_source)
        if video is not None:
            coloring = self._settings.coloring
            assert coloring is not None
            colors, *_ = coloring.draw(depth.depth, frame.stamp_ns)
            video.write(side_by_side(frame.rgb, colors), frame.stamp_ns)
        for kind in task.kinds:
            if kind == "side-by-side" and video is not None:
                continue
            path = task.destination.path(frame.name, kind, self._settings.png_scale)
            writer.write(kind, path, frame, depth, focal_source)
            result.files.append(str(path.relative_to(self._out)))
        result.frames += 1


def write_summary(
    out: Path, outcome: Outcome, settings: OutputSettings, kinds: Iterable[str], engine: str
) -> None:
    """Write summary.json into the output folder.

    Args:
        out: the folder.
        outcome: of the run.
        settings: of its files.
        kinds: of files that were to be written.
        engine: one line about what ran the network.

    Raises:
        OSError: it cannot be written.
    """
    coloring = settings.coloring
    contents: dict[str, Any] = {
        "complete": not (outcome.interrupted or outcome.problem),
        "interrupted": outcome.interrupted,
        "problem": outcome.problem,
        "frames": outcome.frames,
        "unreadable": len(outcome.unreadable),
        "seconds": round(outcome.seconds, 3),
        "frames_per_second": round(outcome.frames / max(outcome.seconds, 1e-9), 2),
        "units": {kind: units(kind, settings.png_scale) for kind in dict.fromkeys(kinds)},
        "colors": coloring
        and {"map": coloring.color_map, "near_far_m": coloring.limits, "from": coloring.origin},
        "model": settings.model,
        "engine": engine,
        "software": f"depth_estimation_ros {__version__}",
        "notes": outcome.notes,
        "left_out": outcome.skipped,
        "inputs": [result.as_dict() for result in outcome.results],
    }
    with atomic_write(out / SUMMARY) as unfinished:
        unfinished.write_text(json.dumps(contents, indent=2) + "\n", encoding="utf-8")
