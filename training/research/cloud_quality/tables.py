"""The quality of clouds as tables and as entries of a JSON file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.table import Table

from training.evaluation.words import known, number
from training.research.cloud_quality.edges import JUMP, ON_SURFACE
from training.research.cloud_quality.measure import PlaneScore, SetQuality, Tally

CLOUD = {
    "removed": "removed %",
    "flying_at_edges": "flying at edges %",
    "flying": "flying %",
    "flying_caught": "of these removed %",
    "removed_flying": "removed that flew %",
    "edges_seen": "edges seen %",
    "smeared": "smeared %",
    "smeared_caught": "of these removed %",
    "right": "within 5 % of truth %",
    "abs_rel_kept": "AbsRel kept",
    "abs_rel_removed": "AbsRel removed",
}
PLANES = {
    "faces": "faces",
    "residual": "residual %",
    "residual_median": "median %",
    "angle": "angle deg",
    "angle_median": "median deg",
    "blind": "one depth, deg",
}
_IN_PERCENT = {*CLOUD} - {"abs_rel_kept", "abs_rel_removed"} | {"residual", "residual_median"}
HOW_TO_READ = f"""\
Each picture's scale is aligned first, by median(truth) / median(prediction) over the whole picture.
"At edges": not farther than 1/128 of the picture's width from two neighbouring pixels whose true
depths differ by more than {100 * JUMP:g} %. *Flying*: between the nearest and the farthest surface
there, and more than {100 * ON_SURFACE:g} % of depth from all of them. *Edges seen*: share of the
pixels at edges where the network, too, has a jump of that size. *Smeared*: in the middle half of
the network's own jump, whatever its height. Shares without "at edges" are of all points that are
left. *Residual*: RMS distance of the points of a flat face from the plane fitted to them, along the
rays, relative to depth; *angle*: between its normal and the true one; *one depth*: the same angle
for a network that says one depth everywhere, whose residual is 0.
"""


def cloud_row(tally: Tally) -> dict[str, float]:
    """The shares (0 to 1) and errors of one setting; NaN where there was nothing to count."""
    removed = tally.known - tally.kept
    return {
        "removed": _share(removed, tally.known),
        "flying_at_edges": _share(tally.flying_kept, tally.edge_kept),
        "flying": _share(tally.flying_kept, tally.kept),
        "flying_caught": _share(tally.flying - tally.flying_kept, tally.flying),
        "removed_flying": _share(tally.flying - tally.flying_kept, removed),
        "edges_seen": _share(tally.seen, tally.edge),
        "smeared": _share(tally.smeared_kept, tally.kept),
        "smeared_caught": _share(tally.smeared - tally.smeared_kept, tally.smeared),
        "right": _share(tally.right_kept, tally.kept),
        "abs_rel_kept": _share(tally.error_kept, tally.kept),
        "abs_rel_removed": _share(tally.error_removed, removed),
    }


def plane_row(planes: Sequence[PlaneScore]) -> dict[str, float]:
    """Means and medians over faces, each counting once; residuals are shares of depth."""
    residuals, angles = [p.residual for p in planes], [p.angle for p in planes]
    return {
        "faces": float(len(planes)),
        "residual": _over(np.mean, residuals),
        "residual_median": _over(np.median, residuals),
        "angle": _over(np.mean, angles),
        "angle_median": _over(np.median, angles),
        "blind": _over(np.mean, [p.blind for p in planes]),
    }


def split(planes: Sequence[PlaneScore]) -> dict[str, list[PlaneScore]]:
    """Level faces (floors, ceilings, tops) and the others (walls, fronts, what is tilted)."""
    return {
        "level": [plane for plane in planes if plane.level],
        "upright": [plane for plane in planes if not plane.level],
    }


def rows(result: SetQuality) -> tuple[list[list[str]], list[list[str]]]:
    """The two tables of a set as text, with their headers; the second is empty without planes."""
    clouds = [["edge_filter", *CLOUD.values()]]
    planes = [["edge_filter", "faces lie", *PLANES.values()]]
    for name, tally in result.tallies.items():
        clouds.append([name, *_texts(cloud_row(tally))])
        if tally.planes:
            for kind, some in split(tally.planes).items():
                planes.append([name, kind, *_texts(plane_row(some))])
    return clouds, planes if len(planes) > 1 else []


def as_tables(result: SetQuality) -> list[Table]:
    """For the terminal."""
    titles = (f"{result.name}: {result.views} views", f"{result.name}: flat faces")
    return [
        _table(title, lines) for title, lines in zip(titles, rows(result), strict=True) if lines
    ]


def as_markdown(results: Sequence[SetQuality], model: str) -> str:
    """For a page; ends with how to read it."""
    lines = [f"Model: {model}.", ""]
    for result in results:
        left_out = f" ({len(result.sparse)} more with too little truth)" if result.sparse else ""
        lines += [f"**{result.name}**, {result.views} views{left_out}:", ""]
        for table in rows(result):
            if table:
                lines += [_line(table[0]), _line(["--:"] * len(table[0]))]
                lines += [*(_line(row) for row in table[1:]), ""]
    return "\n".join([*lines, HOW_TO_READ])


def as_entries(result: SetQuality) -> dict[str, Any]:
    """For programs: shares from 0 to 1; null where there was nothing to count."""
    settings = []
    for name, tally in result.tallies.items():
        kinds = split(tally.planes).items()
        settings.append(
            {
                "edge_filter": name,
                **{key: known(share) for key, share in cloud_row(tally).items()},
                "planes": {
                    kind: {key: known(x) for key, x in plane_row(some).items()}
                    for kind, some in kinds
                    if some
                },
            }
        )
    return {
        "set": result.name,
        "views": result.views,
        "left_out": result.sparse,
        "points": next(iter(result.tallies.values())).known,
        "settings": settings,
    }


def _texts(row: dict[str, float]) -> list[str]:
    return [
        f"{value:.0f}" if name == "faces" else _text(value, name in _IN_PERCENT)
        for name, value in row.items()
    ]


def _text(value: float, percent: bool) -> str:
    return number(100 * value, 2) if percent else number(value, 3 if value < 1 else 1)


def _table(title: str, lines: Sequence[Sequence[str]]) -> Table:
    table = Table(title=title, title_justify="left")
    for head in lines[0]:
        table.add_column(head, justify="right", overflow="fold")
    for line in lines[1:]:
        table.add_row(*line)
    return table


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _share(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _over(mean: Any, values: Sequence[float]) -> float:
    return float(mean(values)) if values else math.nan
