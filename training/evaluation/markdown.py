"""The text of a report, for people."""

from __future__ import annotations

from depth_estimation_ros.engines.model_card import ModelCard
from training.evaluation.inputs import Subject
from training.evaluation.pictures import shown_alignment
from training.evaluation.score import NEAREST_M, SetResult
from training.evaluation.words import (
    TITLES,
    band_rows,
    intervals_in_words,
    main_rows,
    number,
    protocol,
)

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


def model_lines(model: str, sha256: str, engine: str, card: ModelCard) -> list[str]:
    """What was measured: the file, what ran it, and what its card says."""
    focal = card.canonical_focal_px
    return [
        f"# Evaluation of {card.name} {card.model_version}".rstrip(),
        "",
        _line("", ""),
        _line("---", "---"),
        _line("Model", f"`{model}`"),
        _line("SHA-256", f"`{sha256}`"),
        _line("Run by", engine),
        _line("Encoder", card.encoder or "not said"),
        _line("Input", f"{card.input.height} x {card.input.width} nominal (height x width)"),
        _line("Output", f"{card.output.min_depth:g} to {card.output.max_depth:g} m"),
        _line("Canonical focal length", f"{focal:g} px" if focal else "none"),
        "",
        "Every frame of every data set: [per_image.csv](per_image.csv). The same numbers for "
        "programs: [report.json](report.json).",
    ]


def set_lines(subject: Subject, result: SetResult, picture: str | None) -> list[str]:
    """The tables of one data set; ``picture`` is the name of its sheet, if it has one."""
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
        intervals_in_words(result),
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
