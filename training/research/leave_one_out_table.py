"""The table of a leave-one-out comparison, for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from training.evaluation.files import as_card_entries
from training.evaluation.score import SetResult
from training.evaluation.words import number

SPLIT = "left out of training"
Results = Mapping[str, Sequence[SetResult]]
# Heading, row of SetResult.rows, and the metric in it.
COLUMNS = (
    ("delta1", "unaligned", "delta1"),
    ("AbsRel", "unaligned", "abs_rel"),
    ("delta1, median-scaled", "median", "delta1"),
    ("AbsRel, median-scaled", "median", "abs_rel"),
)
CONSTANT = {"unaligned": "constant", "median": "constant_median"}


def as_markdown(results: Results) -> str:
    """One line for each recipe and data set, the constant's lines, and means over the data sets.

    Unaligned numbers of data sets without intrinsics are left out of the means.
    """
    sets = next(iter(results.values()))
    lines = [
        "# Left out of training, then scored",
        "",
        "Means over the frames of a data set that the model was trained without. Not aligned, and "
        "with each frame's median scaled to the truth's; a constant is the median of the set's "
        "truth, or of each frame's. Without intrinsics a field of view is assumed, and what is not "
        "aligned says little.",
        "",
        _line("data set", "frames", "cap", "camera", "predictor", *(c[0] for c in COLUMNS)),
        _line("---", "--:", "--:", "---", "---", *["--:"] * len(COLUMNS)),
    ]
    for place, one in enumerate(sets):
        about = (one.dataset, str(len(one.frames)), f"{one.cap_m:g} m", one.camera)
        for recipe, scored in results.items():
            lines.append(_line(*about, recipe, *(_cells(scored[place].rows, {}))))
        lines.append(_line(*about, "a constant", *(_cells(one.rows, CONSTANT))))
    for recipe, scored in results.items():
        lines.append(_line("mean", "", "", "", recipe, *_means(scored, {})))
    lines.append(_line("mean", "", "", "", "a constant", *_means(sets, CONSTANT)))
    return "\n".join(lines) + "\n"


def as_entries(results: Results) -> dict[str, Any]:
    """The same for programs: entries as ``evaluate --json`` writes them, by recipe."""
    return {
        recipe: [entry for result in scored for entry in as_card_entries(result, SPLIT)]
        for recipe, scored in results.items()
    }


def _cells(rows: Mapping[str, Mapping[str, float]], names: Mapping[str, str]) -> list[str]:
    return [number(rows[names.get(row, row)][metric]) for _, row, metric in COLUMNS]


def _means(scored: Sequence[SetResult], names: Mapping[str, str]) -> list[str]:
    cells = []
    for _, row, metric in COLUMNS:
        counted = [r for r in scored if row == "median" or r.camera == "known"]
        values = [r.rows[names.get(row, row)][metric] for r in counted]
        cells.append(number(float(np.mean(values))) if values else "")
    return cells


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
