"""What was found in each data set: one line in the table, one in the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.markup import escape
from rich.table import Table

from training.config import DataSetConfig
from training.data_check.survey import SetSurvey

PERCENTILES = (1, 50, 99)


@dataclass
class Checked:
    """A data set of the run, and what was found: either ``found`` or ``error`` is set.

    Attributes:
        role: ``training``, ``validation``, or ``-`` without a configuration.
        share: of the training pictures; None where the set has no share.
    """

    role: str
    entry: DataSetConfig
    path: Path
    share: float | None = None
    found: SetSurvey | None = None
    error: str | None = None
    warnings: list[str] = field(default_factory=list)


def as_table(sets: list[Checked]) -> Table:
    """One line a set; the numbers are of the frames that were read."""
    table = Table(title="Data sets, depth in metres", title_justify="left")
    table.add_column("role", no_wrap=True)
    for name in ("set", "layout"):
        table.add_column(name, overflow="fold")
    for name in ("share", "read", "size", "valid", "p1", "median", "p99", "camera"):
        table.add_column(name, justify="right", no_wrap=True)
    for checked in sets:
        names = (checked.role, escape(checked.entry.path), _layout(checked.entry))
        table.add_row(*names, _share(checked), *_numbers(checked))
    return table


def _layout(entry: DataSetConfig) -> str:
    chosen = [f"{name}={value}" for name, value in entry.options.items()]
    return escape(" ".join([entry.layout, *chosen]))


def _share(checked: Checked) -> str:
    return "" if checked.share is None else f"{checked.share:.0%}"


def _numbers(checked: Checked) -> list[str]:
    found = checked.found
    if found is None:
        return ["[red]not opened[/]"]
    read = f"{len(found.frames)} of {len(found.samples)}"
    if found.unreadable:
        read += f" [red]({len(found.unreadable)} unreadable)[/]"
    if not found.frames:
        return [read]
    valid = f"{np.mean([f.valid for f in found.frames]):.1%}"
    beyond = float(np.mean([f.beyond for f in found.frames]))
    if beyond > 0.0005:
        valid += f" + {beyond:.1%} sky"
    depths = ["-" if math.isnan(d) else f"{d:.3g}" for d in found.percentiles(PERCENTILES)]
    return [read, size_of(found), valid, *depths, camera_of(found)]


def size_of(found: SetSurvey) -> str:
    """``640x480``, or the range of widths and heights."""
    heights, widths = zip(*(frame.size for frame in found.frames), strict=True)
    return "x".join(
        str(min(sides)) if min(sides) == max(sides) else f"{min(sides)}-{max(sides)}"
        for sides in (widths, heights)
    )


def camera_of(found: SetSurvey) -> str:
    """The horizontal field of view in degrees, or that the camera is unknown."""
    views = [frame.hfov_deg for frame in found.frames if frame.hfov_deg is not None]
    if not views:
        return "unknown"
    low, high = round(min(views)), round(max(views))
    return f"{low} deg" if low == high else f"{low}-{high} deg"


def facts(checked: Checked, found: SetSurvey) -> str:
    """The numbers of a set in one line, for the picture."""
    near, _, far = found.percentiles(PERCENTILES)
    valid = np.mean([frame.valid for frame in found.frames])
    parts = [
        checked.entry.layout,
        f"{len(found.samples)} frames",
        size_of(found),
        f"camera {camera_of(found)}",
        f"{valid:.1%} of the pixels valid",
        f"99% of them beyond {near:.3g} m, 99% nearer than {far:.3g} m",
    ]
    if checked.share is not None:
        parts.append(f"{checked.share:.0%} of the training pictures")
    return "  ·  ".join(parts)
