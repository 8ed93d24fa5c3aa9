"""Flicker, error and lag as tables and as entries of a JSON file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.table import Table

from training.evaluation.words import known, number
from training.research.stability.measure import Measured, Run

COLUMNS = {
    "flicker": "flicker %",
    "common": "of the whole frame %",
    "rest": "rest %",
    "abs_rel": "AbsRel",
    "left_0": "step missing at once %",
    "left_1": "after 1 frame %",
    "left_2": "after 2 frames %",
    "lag": "lag, frames",
}
_PLAIN = {"abs_rel", "lag"}
HOW_TO_READ = """\
*Flicker*: by how much the estimated depth of one static surface point changes from a frame to the
next beyond what the true motion explains, mean over points and pairs of frames. *Of the whole
frame*: the part that all points share, *rest*: what is left without it. *AbsRel*: one scale for the
whole sequence, the same for all filters. *Step missing*: of the fall in depth where a box appears
1 m before the camera, which share the filter still holds back. *Lag*: by how many frames it is
behind when the camera goes straight ahead at 1 m/s.
"""


def row(runs: Sequence[Run]) -> dict[str, float]:
    """Means over all pairs and frames of some runs; NaN where there is nothing. Shares of depth."""
    pairs = [pair for run in runs for pair in run.pairs]
    steps = [run.left for run in runs if run.left]
    return {
        "flicker": _mean([pair.total for pair in pairs]),
        "common": _mean([pair.common for pair in pairs]),
        "rest": _mean([pair.rest for pair in pairs]),
        "abs_rel": _mean([error for run in runs for error in run.errors]),
        **{f"left_{j}": _mean([left[j] for left in steps if len(left) > j]) for j in range(3)},
        "lag": _mean([run.lag for run in runs if run.lag is not None]),
    }


def by_kind(measured: Sequence[Measured]) -> dict[str, list[Measured]]:
    """The sequences of each kind, in order."""
    kinds: dict[str, list[Measured]] = {}
    for one in measured:
        kinds.setdefault(one.frames.kind, []).append(one)
    return kinds


def title(kind: str, group: Sequence[Measured]) -> str:
    """What was measured, in a line."""
    pairs = sum(len(one.runs["none"].pairs) for one in group)
    turn = float(np.median([one.turn_deg for one in group]))
    shift = float(np.median([one.shift_m for one in group]))
    lost = sum(one.unknown_motions for one in group)
    names = f" ({', '.join(one.frames.name for one in group)})" if kind == "recorded" else ""
    text = f"{kind}{names}: {len(group)} sequences, {pairs} pairs of frames, between two "
    text += f"{turn:.2f} deg and {1000 * shift:.0f} mm (medians)"
    return text + (f"; {lost} pairs of unknown motion left out" if lost else "")


def as_tables(measured: Sequence[Measured]) -> list[Table]:
    """For the terminal, one a kind."""
    tables = []
    for kind, group in by_kind(measured).items():
        table = Table(title=title(kind, group), title_justify="left")
        for head in ("filter", *COLUMNS.values()):
            table.add_column(head, justify="left" if head == "filter" else "right")
        for cells in _cells(group):
            table.add_row(*cells)
        tables.append(table)
    return tables


def as_markdown(measured: Sequence[Measured], model: str) -> str:
    """For a page; ends with how to read it."""
    lines = [f"Model: {model}.", ""]
    for kind, group in by_kind(measured).items():
        lines += [f"**{title(kind, group)}**", ""]
        lines += [_line(("filter", *COLUMNS.values())), _line(["---", *["--:"] * len(COLUMNS)])]
        lines += [*(_line(cells) for cells in _cells(group)), ""]
    return "\n".join([*lines, HOW_TO_READ])


def as_entries(measured: Sequence[Measured]) -> list[dict[str, Any]]:
    """For programs, one a sequence: numbers are shares of depth."""
    return [
        {
            "sequence": one.frames.name,
            "kind": one.frames.kind,
            "turn_deg": known(one.turn_deg),
            "shift_m": known(one.shift_m),
            "unknown_motions": one.unknown_motions,
            "filters": {
                name: {key: known(value) for key, value in row([run]).items()}
                for name, run in one.runs.items()
            },
        }
        for one in measured
    ]


def _cells(group: Sequence[Measured]) -> list[list[str]]:
    lines = []
    for name in group[0].runs:
        numbers = row([one.runs[name] for one in group])
        texts = [
            number(value) if key in _PLAIN else number(100 * value, 2)
            for key, value in numbers.items()
        ]
        lines.append([name, *texts])
    return lines


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan
