"""The numbers of an evaluation as files: per-image CSV, entries of a model card."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from depth_estimation_ros.estimation.metrics import METRICS
from training.evaluation.bootstrap import Interval
from training.evaluation.score import SetResult
from training.evaluation.words import intervals, known, main_rows

ON_CARDS = ("abs_rel", "rmse", "log10", "silog", "delta1", "delta2", "delta3", "coverage")


def write_file(path: Path, content: str | bytes) -> None:
    """Writes text or bytes under a temporary name, then renames; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}")
    partial.write_bytes(content.encode() if isinstance(content, str) else content)
    partial.replace(path)


def as_json(value: Any) -> str:
    """JSON text for a file."""
    return json.dumps(value, indent=1, allow_nan=False) + "\n"


def as_csv(results: Iterable[tuple[SetResult, str]]) -> str:
    """Two lines a frame, one for each alignment, of data sets and their splits.

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
            for alignment, metrics in (("none", frame.unaligned), ("median", frame.median)):
                numbers = [known(metrics[name]) for name in METRICS]
                ends = [int(metrics["valid_pixels"]), known(metrics["coverage"])]
                writer.writerow([*lead, frame.name, alignment, *numbers, *ends])
    return text.getvalue()


def as_card_entries(result: SetResult, split: str) -> list[dict[str, Any]]:
    """The results as entries of a model card: one for each predictor and alignment."""
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
