"""How the numbers of an evaluation are named, in tables and in files."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from training.evaluation.bootstrap import Interval, block_length, mean_interval
from training.evaluation.running import Metrics
from training.evaluation.score import SetResult

TITLES = {
    "abs_rel": "AbsRel",
    "sq_rel": "SqRel m",
    "rmse": "RMSE m",
    "rmse_log": "RMSElog",
    "log10": "log10",
    "silog": "SILog",
    "delta1": "delta1",
    "delta2": "delta2",
    "delta3": "delta3",
    "coverage": "coverage",
}


WITH_INTERVAL = ("delta1", "abs_rel")


@dataclass(frozen=True)
class Row:
    """One line of the main table: whose depth, and how its scale was aligned."""

    predictor: str
    alignment: str
    metrics: Metrics


def intervals(result: SetResult) -> dict[str, dict[str, Interval]]:
    """95 % intervals of the model's means: by alignment, then by metric."""
    by_alignment = {
        "none": [frame.unaligned for frame in result.frames],
        "median": [frame.median for frame in result.frames],
    }
    return {
        alignment: {name: mean_interval([m[name] for m in metrics]) for name in WITH_INTERVAL}
        for alignment, metrics in by_alignment.items()
    }


def intervals_in_words(result: SetResult) -> str:
    """The same in one sentence."""
    parts = [
        f"{TITLES[name]} {number(low)} to {number(high)} "
        + ("not aligned" if alignment == "none" else "median-scaled")
        for alignment, by_name in intervals(result).items()
        for name, (low, high) in by_name.items()
    ]
    blocks = block_length(len(result.frames))
    return (
        f"95 % intervals (bootstrap over blocks of {blocks} frames in a row): {', '.join(parts)}."
    )


def main_rows(result: SetResult) -> list[Row]:
    """The model beside a constant, first as predicted, then with the scale aligned."""
    titles = {
        "unaligned": ("model", "none"),
        "constant": ("data set's median", "none"),
        "median": ("model", "median"),
        "constant_median": ("frame's median", "median"),
    }
    return [Row(*titles[key], result.rows[key]) for key in titles]


@dataclass(frozen=True)
class BandRow:
    """One line of the table by distance."""

    near: float
    far: float
    alignment: str
    images: int
    share: float
    metrics: Metrics


def band_rows(result: SetResult) -> Iterator[BandRow]:
    """The bands as predicted, then again aligned; ``share`` is that of all scored pixels."""
    total = sum(band.unaligned["valid_pixels"] for band in result.bands)
    for alignment in ("none", "median"):
        for band in result.bands:
            metrics = band.unaligned if alignment == "none" else band.median
            share = metrics["valid_pixels"] / total if total else math.nan
            yield BandRow(band.near, band.far, alignment, band.images, share, metrics)


def protocol(result: SetResult, split: str) -> str:
    """All that decides the numbers, in one line."""
    frames = f"{len(result.frames)} frames"
    if result.without_truth:
        frames += f" ({result.without_truth} without a pixel to score)"
    if result.unreadable:
        frames += f" ({len(result.unreadable)} more cannot be read)"
    camera = "known" if result.camera == "known" else f"assumed, {result.camera}"
    parts = [frames, f"crop {result.crop}", f"cap {result.cap_m:g} m", f"camera {camera}"]
    if result.flip:
        parts.append("averaged with the mirrored picture")
    return f"{result.dataset}, {split}: {', '.join(parts)}"


def number(value: float, digits: int = 3) -> str:
    """A number for a table; a dash where there was nothing to score."""
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def known(value: float, digits: int = 6) -> float | None:
    """A number for a file, rounded; None where there was nothing to score: JSON has no NaN."""
    return round(value, digits) if math.isfinite(value) else None
