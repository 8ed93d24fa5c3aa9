"""summary.json: what was done, in which units."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from depth_estimation_ros import __version__
from depth_estimation_ros.apps.estimate_depth.names import SUMMARY
from depth_estimation_ros.apps.estimate_depth.outputs import OutputSettings, units
from depth_estimation_ros.apps.estimate_depth.run import InputResult
from depth_estimation_ros.utils.files import atomic_write


@dataclass
class Outcome:
    """What is known of a run when it ends, however it ends.

    Attributes:
        results: of the inputs that were begun.
        left_out: inputs that could not be opened, and why.
        notes: what the user was told.
        problem: the error that ended the run; empty if none did.
        interrupted: the user stopped it.
        seconds: the work took, without opening the model.
    """

    results: list[InputResult] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problem: str = ""
    interrupted: bool = False
    seconds: float = 0.0

    @property
    def frames(self) -> int:
        """That gave depth."""
        return sum(result.frames for result in self.results)

    @property
    def files(self) -> list[str]:
        """All that were written, relative to the output folder."""
        return [name for result in self.results for name in result.files]

    @property
    def unreadable(self) -> list[str]:
        """Whatever could not be read, one line each."""
        broken = [line for result in self.results for line in result.unreadable]
        return [*self.left_out.values(), *broken]

    @property
    def lost_pixels(self) -> int:
        """Finite depths that did not fit into depth16."""
        return sum(result.lost_pixels for result in self.results)


def write_summary(
    out: Path, outcome: Outcome, settings: OutputSettings, kinds: Iterable[str], engine: str
) -> None:
    """Writes summary.json into the output folder.

    Args:
        out: the folder.
        outcome: of the run.
        settings: of its files.
        kinds: of files that were to be written.
        engine: one line about what ran the network.

    Raises:
        OSError: it cannot be written.
    """
    looks = settings.looks
    contents: dict[str, Any] = {
        "complete": not (outcome.interrupted or outcome.problem),
        "interrupted": outcome.interrupted,
        "problem": outcome.problem,
        "frames": outcome.frames,
        "unreadable": len(outcome.unreadable),
        "seconds": round(outcome.seconds, 3),
        "frames_per_second": round(outcome.frames / max(outcome.seconds, 1e-9), 2),
        "units": {kind: units(kind, settings.png_scale) for kind in dict.fromkeys(kinds)},
        "colors": looks and {"map": looks.color_map, "near_far_m": looks.limits, "from": looks.why},
        "model": settings.model,
        "engine": engine,
        "software": f"depth_estimation_ros {__version__}",
        "notes": outcome.notes,
        "left_out": outcome.left_out,
        "inputs": [result.as_dict() for result in outcome.results],
    }
    with atomic_write(out / SUMMARY) as unfinished:
        unfinished.write_text(json.dumps(contents, indent=2) + "\n", encoding="utf-8")
