"""An evaluation as a folder: report.md and report.json, per_image.csv, pictures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from depth_estimation_ros.engines.model_card import ModelCard
from depth_estimation_ros.estimation.metrics import METRICS
from training.evaluation.files import as_csv, as_json, write_file
from training.evaluation.inputs import Subject
from training.evaluation.markdown import HOW_TO_READ, model_lines, set_lines
from training.evaluation.pictures import chosen_frames, shown_alignment
from training.evaluation.score import NEAREST_M, SetResult
from training.evaluation.words import band_rows, known, main_rows

Picture = npt.NDArray[np.uint8]
Shown = tuple[Subject, SetResult, "str | None"]  # with the name of its picture


@dataclass(frozen=True)
class Report:
    """All that the files tell.

    Attributes:
        model: as given to the command.
        sha256: of the model's file.
        engine: what ran it, in one line.
        card: the model's.
        sets: what was scored, the result, and the sheet of its best, median and worst frame.
    """

    model: str
    sha256: str
    engine: str
    card: ModelCard
    sets: Sequence[tuple[Subject, SetResult, Picture | None]]

    def write(self, folder: Path) -> None:
        """Writes all files into ``folder``, which is made; files of an older report go over."""
        shown: list[Shown] = []
        for place, (subject, result, picture) in enumerate(self.sets, start=1):
            name = None
            if picture is not None:
                name = f"{place:02}_{re.sub(r'[^A-Za-z0-9_.-]+', '_', result.dataset)}.png"
                _, png = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
                write_file(folder / name, png.tobytes())
            shown.append((subject, result, name))
        write_file(folder / "report.json", as_json(self._as_dict(shown)))
        write_file(folder / "per_image.csv", as_csv((r, s.split) for s, r, _ in self.sets))
        # Last: it leads to the others.
        write_file(folder / "report.md", self._as_markdown(shown))

    def _as_markdown(self, shown: Sequence[Shown]) -> str:
        lines = model_lines(self.model, self.sha256, self.engine, self.card)
        for subject, result, picture in shown:
            lines += ["", *set_lines(subject, result, picture)]
        return "\n".join([*lines, "", HOW_TO_READ])

    def _as_dict(self, shown: Sequence[Shown]) -> dict[str, Any]:
        return {
            "model": self.model,
            "sha256": self.sha256,
            "engine": self.engine,
            "name": self.card.name,
            "model_version": self.card.model_version,
            "nearest_scored_m": NEAREST_M,
            "sets": [
                {
                    "dataset": result.dataset,
                    "layout": subject.layout,
                    "path": str(subject.path),
                    "options": subject.options,
                    **_set_as_dict(result, subject.split),
                    "picture": picture,
                }
                for subject, result, picture in shown
            ],
        }


def _set_as_dict(result: SetResult, split: str) -> dict[str, Any]:
    return {
        "split": split,
        "crop": result.crop,
        "cap_m": result.cap_m,
        "camera": result.camera,
        "flip_averaged": result.flip,
        "frames": len(result.frames),
        "frames_without_truth": result.without_truth,
        "unreadable": [{"frame": name, "error": error} for name, error in result.unreadable],
        "frames_per_second": known(len(result.frames) / result.seconds, 2),
        "engine_ms": known(result.engine_ms, 3),
        "rows": [
            {"predictor": row.predictor, "alignment": row.alignment, **_numbers(row.metrics)}
            for row in main_rows(result)
        ],
        "by_distance": [
            {
                "from_m": band.near,
                "to_m": band.far,
                "alignment": band.alignment,
                "frames": band.images,
                **_numbers(band.metrics),
            }
            for band in band_rows(result)
        ],
        "frames_shown": {
            "ranked_by": "abs_rel",
            "alignment": shown_alignment(result),
            **{which: frame.name for which, frame in chosen_frames(result).items()},
        },
    }


def _numbers(metrics: dict[str, float]) -> dict[str, float | int | None]:
    numbers: dict[str, float | int | None] = {name: known(metrics[name]) for name in METRICS}
    counts = {"valid_pixels": int(metrics["valid_pixels"]), "coverage": known(metrics["coverage"])}
    return numbers | counts
