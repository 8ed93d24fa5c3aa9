"""What factors of the scenes are worth, as a table for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from training.evaluation.files import as_card_entries
from training.evaluation.score import SetResult
from training.evaluation.words import number

EVERYTHING = "everything"
SPLIT = "never trained on"
Results = Mapping[str, Sequence[Sequence[SetResult]]]
# Heading, row of SetResult.rows, and the metric in it.
COLUMNS = (
    ("delta1, median-scaled", "median", "delta1"),
    ("AbsRel, median-scaled", "median", "abs_rel"),
    ("delta1", "unaligned", "delta1"),
    ("AbsRel", "unaligned", "abs_rel"),
)


def as_markdown(results: Results) -> str:
    """One line for each factor, after those of the trainings with everything.

    Args:
        results: for `EVERYTHING` and each factor: for each training, its validation sets.
    """
    sets = results[EVERYTHING][0]
    middle = np.mean([means(scored) for scored in results[EVERYTHING]], axis=0)
    lines = [
        "# What is lost without a factor of the scenes",
        "",
        f"Means over {len(sets)} data sets ({', '.join(s.dataset for s in sets)}) of the means "
        "over their frames; unaligned numbers only of those with known intrinsics. In brackets: "
        "minus the mean of the trainings with everything, which differ in their seed alone: what "
        "is no larger than their spread says nothing.",
        "",
        _line("without", *(heading for heading, _, _ in COLUMNS)),
        _line("---", *["--:"] * len(COLUMNS)),
    ]
    for name, trainings in results.items():
        for scored in trainings:
            cells = zip(means(scored), middle, strict=True)
            label = f"nothing ({EVERYTHING})" if name == EVERYTHING else name
            lines.append(_line(label, *(f"{number(v)} ({v - m:+.3f})" for v, m in cells)))
    return "\n".join(lines) + "\n"


def means(scored: Sequence[SetResult]) -> list[float]:
    """The mean over data sets of each of `COLUMNS`; NaN if none counts."""
    values = []
    for _, row, metric in COLUMNS:
        counted = [s.rows[row][metric] for s in scored if row == "median" or s.camera == "known"]
        values.append(float(np.mean(counted)) if counted else float("nan"))
    return values


def as_entries(results: Results) -> dict[str, Any]:
    """The same for programs: for each training, entries as ``evaluate --json`` writes them."""
    return {
        name: [[e for s in scored for e in as_card_entries(s, SPLIT)] for scored in trainings]
        for name, trainings in results.items()
    }


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
