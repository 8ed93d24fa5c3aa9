"""The numbers of evaluations and experiments as tables, CSV, JSON and blocks of a page."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.estimation.metrics import METRICS
from training.evaluation.score import SetResult
from training.evaluation.statistics import Interval, Metrics, block_length, mean_interval

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
SHOWN_BY_DISTANCE = ("abs_rel", "rmse", "silog", "delta1", "delta2", "delta3")
ON_CARDS = ("abs_rel", "rmse", "log10", "silog", "delta1", "delta2", "delta3", "coverage")


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
    if result.alignment:
        by_alignment[result.alignment] = [f.anchored for f in result.frames if f.anchored]
    return {
        alignment: {name: mean_interval([m[name] for m in metrics]) for name in WITH_INTERVAL}
        for alignment, metrics in by_alignment.items()
    }


def intervals_in_words(result: SetResult) -> str:
    """Return the same in one sentence."""
    parts = [
        f"{TITLES[name]} {number(low)} to {number(high)} "
        + {"none": "not aligned", "median": "median-scaled"}.get(alignment, alignment)
        for alignment, by_name in intervals(result).items()
        for name, (low, high) in by_name.items()
    ]
    blocks = block_length(len(result.frames))
    return (
        f"95 % intervals (bootstrap over blocks of {blocks} frames in a row): {', '.join(parts)}."
    )


def main_rows(result: SetResult) -> list[Row]:
    """Return the model next to a constant, first as predicted, then with the scale aligned."""
    titles = {
        "unaligned": ("model", "none"),
        "constant": ("data set's median", "none"),
        "median": ("model", "median"),
        "constant_median": ("frame's median", "median"),
    }
    if result.alignment:
        titles["anchored"] = ("model", result.alignment)
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
    """Return the bands as predicted, then again aligned; ``share`` is that of all scored pixels."""
    total = sum(band.unaligned["valid_pixels"] for band in result.bands)
    for alignment in ("none", "median"):
        for band in result.bands:
            metrics = band.unaligned if alignment == "none" else band.median
            share = metrics["valid_pixels"] / total if total else math.nan
            yield BandRow(band.near, band.far, alignment, band.images, share, metrics)


def protocol(result: SetResult, split: str) -> str:
    """Return all that decides the numbers, in one line."""
    frames = f"{len(result.frames)} frames"
    if result.without_truth:
        frames += f" ({result.without_truth} without a pixel to score)"
    if result.unreadable:
        frames += f" ({len(result.unreadable)} more cannot be read)"
    camera = "known" if result.camera == "known" else f"assumed, {result.camera}"
    parts = [frames, f"crop {result.crop}", f"cap {result.cap_m:g} m", f"camera {camera}"]
    if result.flip:
        parts.append("averaged with the mirrored image")
    return f"{result.dataset}, {split}: {', '.join(parts)}"


def number(value: float, digits: int = 3) -> str:
    """Return a number for a table; a dash where there was nothing to score."""
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def known(value: float, digits: int = 6) -> float | None:
    """Return a rounded number for a file; None for NaN, which JSON does not have."""
    return round(value, digits) if math.isfinite(value) else None


def as_tables(result: SetResult, split: str) -> Iterator[Table]:
    """Return all metrics of a data set, and the most telling ones by distance."""
    yield terminal_table(
        f"{protocol(result, split)}\nmean over frames", *metric_rows(result), left=2, section=2
    )
    header, rows = distance_rows(result, SHOWN_BY_DISTANCE)
    title = f"{result.dataset}: model by true distance"
    yield terminal_table(title, header, rows, left=2, section=len(result.bands))


def metric_rows(result: SetResult) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of the main table."""
    rows = [
        [row.predictor, row.alignment, *(number(row.metrics[name]) for name in TITLES)]
        for row in main_rows(result)
    ]
    return ["predictor", "aligned", *TITLES.values()], rows


def distance_rows(result: SetResult, shown: Iterable[str]) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of the table by distance, with the metrics ``shown``."""
    shown = list(shown)
    rows = []
    for band in band_rows(result):
        lead = [f"{band.near:g} to {band.far:g} m", band.alignment, str(band.images)]
        numbers = [number(band.metrics[name]) for name in shown]
        rows.append([*lead, f"{100 * band.share:.1f} %", *numbers])
    return ["distance", "aligned", "frames", "pixels", *(TITLES[name] for name in shown)], rows


def terminal_table(
    title: str,
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    left: int = 1,
    section: int = 0,
) -> Table:
    """Return a table for `print_tables`.

    Args:
        title: above the table.
        header: of the columns.
        rows: of text.
        left: number of columns, from the first, that are aligned to the left.
        section: number of rows above a line; 0 for no line.
    """
    table = Table(title=title, title_justify="left")
    for place, name in enumerate(header):
        table.add_column(name, justify="left" if place < left else "right", overflow="fold")
    for place, row in enumerate(rows, start=1):
        table.add_row(*row, end_section=place == section)
    return table


def print_tables(tables: Iterable[Table], width: int = 140) -> None:
    """Print tables; ``width`` is in characters, for a file or a pipe, which have no width."""
    console = Console()
    console = Console(width=console.width if console.is_terminal else width)
    for table in tables:
        console.print(table)


def markdown_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1
) -> list[str]:
    """Return the lines of a Markdown table; ``left`` as in `terminal_table`."""
    align = ["---" if place < left else "--:" for place in range(len(header))]
    return [f"| {' | '.join(cells)} |" for cells in (header, align, *rows)]


def write_file(path: Path, content: str | bytes) -> None:
    """Write text or bytes under a temporary name, then rename it; make the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}")
    partial.write_bytes(content.encode() if isinstance(content, str) else content)
    partial.replace(path)


def as_json(value: Any) -> str:
    """JSON text for a file."""
    return json.dumps(value, indent=1, allow_nan=False) + "\n"


def as_csv(results: Iterable[tuple[SetResult, str]]) -> str:
    """Return two lines a frame, one for each alignment, of data sets and their splits.

    A metric is empty where the frame had no pixel to score.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    setting = ("dataset", "split", "crop", "cap_m", "camera", "flip")
    writer.writerow([*setting, "frame", "alignment", *METRICS, "valid_pixels", "coverage"])
    for result, split in results:
        lead = [result.dataset, split, result.crop, f"{result.cap_m:g}", result.camera]
        lead.append("yes" if result.flip else "no")
        for frame in result.frames:
            by_alignment = [("none", frame.unaligned), ("median", frame.median)]
            if frame.anchored is not None:
                by_alignment.append((result.alignment, frame.anchored))
            for alignment, metrics in by_alignment:
                numbers = [known(metrics[name]) for name in METRICS]
                ends = [int(metrics["valid_pixels"]), known(metrics["coverage"])]
                writer.writerow([*lead, frame.name, alignment, *numbers, *ends])
    return text.getvalue()


def as_card_entries(result: SetResult, split: str) -> list[dict[str, Any]]:
    """Return the results as entries of a model card: one for each predictor and alignment."""
    ends = intervals(result)
    return [
        {
            "dataset": result.dataset,
            "split": split,
            "frames": len(result.frames),
            "crop": result.crop,
            "cap_m": result.cap_m,
            "camera": result.camera,
            "flip_averaged": result.flip,
            "predictor": row.predictor,
            "alignment": row.alignment,
            **{name: known(row.metrics[name], 4) for name in ON_CARDS},
            **(_interval_entries(ends[row.alignment]) if row.predictor == "model" else {}),
        }
        for row in main_rows(result)
    ]


def _interval_entries(ends: dict[str, Interval]) -> dict[str, list[float | None]]:
    return {f"{name}_interval95": [known(end, 4) for end in pair] for name, pair in ends.items()}


def replace_block(page: Path, name: str, content: str) -> None:
    """Put `content` between the lines ``<!-- NAME ... -->`` and ``<!-- end NAME -->`` of a page.

    Raises:
        ParameterError: the page is missing, or has not exactly one such block.
    """
    if not page.is_file():
        raise ParameterError(f"no page {page}", fix="Give a page that exists, or --report")
    begin, end = rf"<!-- {re.escape(name)}\b[^\n]*-->\n", rf"<!-- end {re.escape(name)} -->"
    block = re.compile(rf"({begin})(.*?)({end})", re.DOTALL)
    text = page.read_text(encoding="utf-8")
    found = len(block.findall(text))
    if found != 1:
        raise ParameterError(
            f"{page}: the block that these numbers go into",
            found=f"{found} of them",
            expected=f"one, from <!-- {name} --> to <!-- end {name} -->",
        )
    body = content.strip("\n")
    write_file(page, block.sub(lambda match: f"{match[1]}{body}\n{match[3]}", text))
