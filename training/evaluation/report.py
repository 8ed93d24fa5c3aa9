"""An evaluation as a folder: report.md and report.json, per_image.csv, images."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from depth_estimation_ros.engines.model_card import ModelCard
from depth_estimation_ros.estimation import DepthEstimator
from depth_estimation_ros.estimation.metrics import METRICS, median_ratio
from depth_estimation_ros.visualization.figures import PreviewRow, render_sheet
from training.data.crops import crop_mask
from training.data.sample import SampleSet
from training.evaluation.inputs import Subject
from training.evaluation.score import NEAREST_M, FrameScore, SetResult, predict, scored_pixels
from training.evaluation.statistics import Metrics
from training.evaluation.tables import (
    TITLES,
    as_csv,
    as_json,
    band_rows,
    distance_rows,
    intervals_in_words,
    known,
    main_rows,
    markdown_table,
    metric_rows,
    protocol,
    write_file,
)

Depth = npt.NDArray[np.float32]


def shown_alignment(result: SetResult) -> Literal["none", "median"]:
    """Return how images are aligned: "median" where the camera, and so the scale, is a guess."""
    return "none" if result.camera == "known" else "median"


def chosen_frames(result: SetResult) -> dict[str, FrameScore]:
    """Return the frames with the lowest, the median and the highest AbsRel, by these names.

    AbsRel is aligned as `shown_alignment` says. Frames without truth are not chosen, and none
    twice: one frame is the best, two are the best and the worst.
    """
    scored = [frame for frame in result.frames if frame.unaligned["valid_pixels"] > 0]
    ranked = sorted(scored, key=lambda frame: _shown(result, frame)["abs_rel"])
    names = {0: "best"}
    names.setdefault(len(ranked) - 1, "worst")
    names.setdefault((len(ranked) - 1) // 2, "median")
    return {names[place]: ranked[place] for place in sorted(names) if 0 <= place < len(ranked)}


def draw_frames(
    pipeline: DepthEstimator, samples: SampleSet, result: SetResult
) -> npt.NDArray[np.uint8] | None:
    """Return one line for each of `chosen_frames`: image, prediction, truth, relative error.

    Truth outside the crop, which is not scored, is black; beyond the cap it has the colour of the
    cap.

    Returns:
        (H, W, 3) uint8 RGB; None if no frame had truth.
    """
    rows = []
    for name, frame in chosen_frames(result).items():
        sample = samples[frame.index]
        depth = predict(pipeline, sample, flip=result.flip).depth
        if shown_alignment(result) == "median":
            scored = scored_pixels(sample.depth, result.crop, result.cap_m) & ~np.isnan(depth)
            depth = depth * np.float32(median_ratio(depth[scored], sample.depth[scored]))
        truth = truth_to_show(sample.depth, result.crop, result.cap_m, panel_size(*depth.shape))
        rows.append(PreviewRow(sample.rgb, depth, truth, _caption(result, name, frame)))
    if not rows:
        return None
    width, _ = panel_size(*rows[0].rgb.shape[:2])
    nearest = 1.0 if result.cap_m > 20.0 else 0.0  # metres; outdoors little is nearer
    return render_sheet(rows, max_depth=result.cap_m, min_depth=nearest, panel_width=width)


def panel_size(height: int, width: int) -> tuple[int, int]:
    """Return width and height in pixels at which an image is shown; wide ones are shown wider."""
    shown = 320 if width < 2 * height else 480
    return shown, round(shown * height / width)


def truth_to_show(truth: Depth, crop: str, cap: float, size: tuple[int, int]) -> Depth:
    """Scored truth at the size (width, height) of a panel.

    A pixel of the panel is the pixel of the image at its place, or, where that was not measured,
    the nearest depth that was measured in its neighbourhood: else lidar's thin lines would vanish.
    """
    scored = np.where(crop_mask(crop, *truth.shape), truth, np.float32(np.nan))
    scored = np.where(scored >= cap, np.float32(np.inf), scored).astype(np.float32)
    window = 2 * math.ceil(truth.shape[1] / size[0]) - 1  # no pixel of the image is left out
    filled = np.where(np.isnan(scored), np.float32(np.inf), scored)
    kernel = np.ones((window, window), np.uint8)
    around = cv2.erode(filled, kernel, borderType=cv2.BORDER_REPLICATE)
    around = np.where(np.isinf(around), np.float32(np.nan), around)
    shown = np.where(np.isnan(scored), around, scored)
    return np.asarray(cv2.resize(shown, size, interpolation=cv2.INTER_NEAREST), np.float32)


def _shown(result: SetResult, frame: FrameScore) -> Metrics:
    return frame.unaligned if shown_alignment(result) == "none" else frame.median


def _caption(result: SetResult, name: str, frame: FrameScore) -> str:
    numbers = "AbsRel {abs_rel:.3f}, delta1 {delta1:.3f}".format(**_shown(result, frame))
    aligned = "" if shown_alignment(result) == "none" else ", scale aligned"
    return f"{name}: {frame.name}   {numbers}{aligned}"


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
- The constants see no image: one knows the median depth of the whole data set, the other that of
  each frame.
- A camera that is "assumed" has a guessed focal length, so for a model with a canonical camera the
  scale is a guess, too: look at the aligned lines.
"""


def model_lines(model: str, sha256: str, engine: str, card: ModelCard) -> list[str]:
    """Return what was measured: the file, what ran it, and what its card says."""
    focal = card.canonical_focal_px
    return [
        f"# Evaluation of {card.name} {card.model_version}".rstrip(),
        "",
        *markdown_table(
            ("", ""),
            [
                ("Model", f"`{model}`"),
                ("SHA-256", f"`{sha256}`"),
                ("Run by", engine),
                ("Encoder", card.encoder or "unknown"),
                ("Input", f"{card.input.height} x {card.input.width} nominal (height x width)"),
                ("Output", f"{card.output.min_depth:g} to {card.output.max_depth:g} m"),
                ("Canonical focal length", f"{focal:g} px" if focal else "none"),
            ],
            left=2,
        ),
        "",
        "Every frame of every data set: [per_image.csv](per_image.csv). The same numbers for "
        "programs: [report.json](report.json).",
    ]


def set_lines(subject: Subject, result: SetResult, image: str | None) -> list[str]:
    """Return the tables of one data set; ``image`` is the name of its sheet, if it has one."""
    speed = len(result.frames) / result.seconds
    lines = [
        f"## {result.dataset}",
        "",
        f"{protocol(result, subject.split)}.",
        "",
        f"Read as `{subject.layout}` from `{subject.path}`. {speed:.1f} frames/s in all; "
        f"{result.engine_ms:.1f} ms a frame in the network (median).",
        "",
        *markdown_table(*metric_rows(result), left=2),
        "",
        intervals_in_words(result),
        "",
        "By true distance, the model alone:",
        "",
        *markdown_table(*distance_rows(result, TITLES), left=2),
    ]
    if image is not None:
        aligned = shown_alignment(result) == "median"
        scale = "median-aligned, since the camera is assumed" if aligned else "not aligned"
        lines += [
            "",
            f"The frames with the lowest, the median and the highest AbsRel, {scale}. Black: "
            "no truth, or outside the crop.",
            "",
            f"![best, median and worst frame of {result.dataset}]({image})",
        ]
    if result.unreadable:
        count = len(result.unreadable)
        lines += ["", f"Not scored, because they could not be read ({count}):", ""]
        lines += [f"- `{name}`: {error}" for name, error in result.unreadable]
    return lines


Image = npt.NDArray[np.uint8]
Shown = tuple[Subject, SetResult, "str | None"]  # with the name of its image


@dataclass(frozen=True)
class Report:
    """The content of all files.

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
    sets: Sequence[tuple[Subject, SetResult, Image | None]]

    def write(self, folder: Path) -> None:
        """Write all files into ``folder``, which is made; files of an older report go over."""
        shown: list[Shown] = []
        for place, (subject, result, image) in enumerate(self.sets, start=1):
            name = None
            if image is not None:
                name = f"{place:02}_{re.sub(r'[^A-Za-z0-9_.-]+', '_', result.dataset)}.png"
                _, png = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
                write_file(folder / name, png.tobytes())
            shown.append((subject, result, name))
        write_file(folder / "report.json", as_json(self._as_dict(shown)))
        write_file(folder / "per_image.csv", as_csv((r, s.split) for s, r, _ in self.sets))
        # Last: it leads to the others.
        write_file(folder / "report.md", self._as_markdown(shown))

    def _as_markdown(self, shown: Sequence[Shown]) -> str:
        lines = model_lines(self.model, self.sha256, self.engine, self.card)
        for subject, result, image in shown:
            lines += ["", *set_lines(subject, result, image)]
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
                    "image": image,
                }
                for subject, result, image in shown
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
