"""The result of a replay: replay.json next to the recording."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from depth_estimation_ros.utils.files import atomic_write

SUMMARY = "replay.json"
REPORT = "report.html"
MAX_BAD_FRAMES = 100
TOPIC_FIELDS = {
    "depth": "depth_topic",
    "camera_info": "depth_camera_info_topic",
    "points": "points_topic",
    "color": "color_topic",
}


@dataclass(frozen=True)
class Progress:
    """How far a replay is.

    Attributes:
        frames_done: images that went out or were bad, in this run and in those before it.
        frames_total: images to do in all, as far as is known; an estimate where only some of them
            are wanted; None if the recording does not tell.
        frames_bad: of frames_done.
        frames_before: of frames_done, by the runs before this one.
    """

    frames_done: int
    frames_total: int | None
    frames_bad: int = 0
    frames_before: int = 0


@dataclass(frozen=True)
class BadFrame:
    """An image that gave no depth.

    Attributes:
        topic: of the image.
        stamp_ns: of its header; of its recording if the header cannot be read.
        why: in words.
    """

    topic: str
    stamp_ns: int
    why: str


@dataclass
class CameraSummary:
    """One camera: its topics, empty where nothing is written, and its images."""

    image_topic: str
    camera_info_topic: str = ""
    camera_state: str = ""
    """calibrated, unsupported (its lens model: no cloud), uncalibrated, missing, or assumed."""
    depth_topic: str = ""
    depth_camera_info_topic: str = ""
    points_topic: str = ""
    color_topic: str = ""
    frames_in: int = 0
    frames_out: int = 0
    frames_bad: int = 0

    @property
    def topics(self) -> dict[str, str]:
        """The topics of its results by the names of `options.OUTPUTS`."""
        topics = {name: str(getattr(self, field)) for name, field in TOPIC_FIELDS.items()}
        return {name: topic for name, topic in topics.items() if topic}

    @property
    def has_guessed_scale(self) -> bool:
        """Whether its depth is for an assumed field of view."""
        return self.frames_out > 0 and self.camera_state in ("missing", "uncalibrated")


@dataclass
class ReplaySummary:
    """The whole replay.

    Attributes:
        inputs, output: paths.
        complete: all images of the recording, as far as it can be read, went through.
        interrupted: it was stopped before.
        problem: why it ended early, if it was not stopped; or empty.
        notes: what the user should know.
        damage: losses of the recording: what, where, lost_messages, lost_bytes.
        seconds: of the last run, without opening the model.
        frames_per_second: of the last run.
        made_for: indoor, outdoor or any scenes, by the card of the model.
        engine_ms_p50, engine_ms_p99: time inside the engine per image.
        peak_rss_mb: memory of the process at its largest.
        bytes_written: of messages, by the last run.
        model_sha256: of the model file.
        input_bytes: size of each input.
        options: `ReplayOptions.to_json`.
    """

    inputs: list[str]
    output: str
    complete: bool = False
    interrupted: bool = False
    problem: str = ""
    notes: list[str] = field(default_factory=list)
    model: str = ""
    engine: str = ""
    made_for: str = "any"
    frames_in: int = 0
    frames_out: int = 0
    frames_bad: int = 0
    bad_frames: list[BadFrame] = field(default_factory=list)
    damage: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    frames_per_second: float = 0.0
    engine_ms_p50: float | None = None
    engine_ms_p99: float | None = None
    peak_rss_mb: float = 0.0
    bytes_written: int = 0
    cameras: list[CameraSummary] = field(default_factory=list)
    model_sha256: str = ""
    input_bytes: list[int] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 all images gave depth; 1 none did; 2 with loss (damage, bad images, a problem); 130
        interrupted."""
        if self.interrupted:
            return 130
        if self.problem and not self.frames_out:
            return 1
        return 2 if self.frames_bad or self.damage or self.problem or not self.complete else 0

    def write(self, output: Path) -> Path:
        """Write replay.json into the directory, all of it or nothing; returns its path."""
        path = output / SUMMARY
        with atomic_write(path) as unfinished:
            unfinished.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        return path

    @classmethod
    def read(cls, output: Path) -> ReplaySummary:
        """Return what `write` wrote.

        Raises:
            OSError, ValueError: there is none, or it is not one.
        """
        values = json.loads((output / SUMMARY).read_text(encoding="utf-8"))
        if not isinstance(values, dict) or not {"inputs", "output"} <= values.keys():
            raise ValueError(f"{output / SUMMARY} is not of a replay")
        known = {f.name for f in fields(cls)}
        summary = cls(**{name: value for name, value in values.items() if name in known})
        summary.cameras = [CameraSummary(**camera) for camera in values.get("cameras", [])]
        summary.bad_frames = [BadFrame(**frame) for frame in values.get("bad_frames", [])]
        return summary


def percentile(values: Sequence[float], share: float) -> float | None:
    """Of milliseconds, to three digits; None of nothing."""
    import numpy as np

    return round(float(np.percentile(values, share)), 3) if values else None
