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

from depth_estimation_ros.metrics import METRICS
from depth_estimation_ros.model_card import ModelCard
from training.evaluation.files import as_csv, as_json, write_file
from training.evaluation.inputs import Subject
from training.evaluation.pictures import chosen_frames, shown_alignment
from training.evaluation.score import NEAREST_M, SetResult
from training.evaluation.words import (
    TITLES,
    band_rows,
    known,
    main_rows,
    number,
    protocol,
)

Picture = npt.NDArray[np.uint8]

HOW_TO_READ = f"""\
## How to read the numbers

- Each metric is of one image, over the pixels inside the crop whose true depth lies between
  {1000 * NEAREST_M:g} mm and the cap; then averaged over images, each counting once. By distance,
  an image counts where it has pixels of that distance.
- "aligned: none" is depth in metres as predicted. "aligned: median" is each image's prediction
  times median(truth) / median(prediction): it says nothing about scale.
- Predictions are clamped to the cap first. Pixels without a prediction are left out; coverage says
  how many were not.
- delta k: share of pixels with max(truth/prediction, prediction/truth) < 1.25^k. AbsRel, SqRel:
  mean of |p - t| / t and of (p - t)^2 / t. RMSElog: natural logarithm. SILog: 100 x standard
  deviation of ln p - ln t.
- The constants see no picture: one knows the median depth of the whole data set, the other that of
  each frame.
- A camera that is "assumed" has a guessed focal length, so for a model with a canonical camera the
  scale is a guess, too: look at the aligned lines.
"""


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
        pictures = self._picture_names()
        for (_, _, picture), name in zip(self.sets, pictures, strict=True):
            if picture is not None:
                _, png = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
                write_file(folder / name, png.tobytes())
        write_file(folder / "report.json", as_json(self._as_dict(pictures)))
        write_file(folder / "per_image.csv", as_csv((r, s.split) for s, r, _ in self.sets))
        # Last: it leads to the others.
        write_file(folder / "report.md", self._as_markdown(pictures))

    def _picture_names(self) -> list[str]:
        names = [re.sub(r"[^\w.-]+", "_", result.dataset) for _, result, _ in self.sets]
        return [f"{place:02}_{name}.png" for place, name in enumerate(names, start=1)]

    def _as_dict(self, pictures: Sequence[str]) -> dict[str, Any]:
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
                    "picture": name if picture is not None else None,
                }
                for (subject, result, picture), name in zip(self.sets, pictures, strict=True)
            ],
        }

    def _as_markdown(self, pictures: Sequence[str]) -> str:
        spec, output = self.card.input, self.card.output
        focal = self.card.canonical_focal_px
        lines = [
            f"# Evaluation of {self.card.name} {self.card.model_version}".rstrip(),
            "",
            "| | |",
            "|---|---|",
            f"| Model | `{self.model}` |",
            f"| SHA-256 | `{self.sha256}` |",
            f"| Run by | {self.engine} |",
            f"| Encoder | {self.card.encoder or 'not said'} |",
            f"| Input | {spec.height} x {spec.width} nominal |",
            f"| Output | {output.min_depth:g} to {output.max_depth:g} m |",
            f"| Canonical focal length | {f'{focal:g} px' if focal else 'none'} |",
            "",
            "Every frame of every data set: [per_image.csv](per_image.csv). The same numbers for "
            "programs: [report.json](report.json).",
        ]
        for (subject, result, picture), name in zip(self.sets, pictures, strict=True):
            lines += ["", *_set_as_markdown(subject, result, name if picture is not None else None)]
        return "\n".join([*lines, "", HOW_TO_READ])


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


def _set_as_markdown(subject: Subject, result: SetResult, picture: str | None) -> list[str]:
    speed = len(result.frames) / result.seconds
    lines = [
        f"## {result.dataset}",
        "",
        f"{protocol(result, subject.split)}.",
        "",
        f"Read as `{subject.layout}` from `{subject.path}`. {speed:.1f} frames/s in all; "
        f"{result.engine_ms:.1f} ms a frame in the network (median).",
        "",
        _line("predictor", "aligned", *TITLES.values()),
        _line("---", "---", *["--:" for _ in TITLES]),
    ]
    for row in main_rows(result):
        name = f"**{row.predictor}**" if row.predictor == "model" else row.predictor
        lines.append(_line(name, row.alignment, *[number(row.metrics[m]) for m in TITLES]))
    lines += [
        "",
        "By true distance, the model alone:",
        "",
        _line("distance", "aligned", "frames", "pixels", *TITLES.values()),
        _line("---", "---", "--:", "--:", *["--:" for _ in TITLES]),
    ]
    for band in band_rows(result):
        lead = (f"{band.near:g} to {band.far:g} m", band.alignment, str(band.images))
        share = f"{100 * band.share:.1f} %"
        lines.append(_line(*lead, share, *[number(band.metrics[m]) for m in TITLES]))
    if picture is not None:
        aligned = shown_alignment(result) == "median"
        scale = "median-aligned, since the camera is assumed" if aligned else "not aligned"
        lines += [
            "",
            f"The frames with the lowest, the median and the highest AbsRel, {scale}. Black: "
            "no truth, or outside the crop.",
            "",
            f"![best, median and worst frame of {result.dataset}]({picture})",
        ]
    if result.unreadable:
        count = len(result.unreadable)
        lines += ["", f"Not scored, because they could not be read ({count}):", ""]
        lines += [f"- `{name}`: {error}" for name, error in result.unreadable]
    return lines


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
