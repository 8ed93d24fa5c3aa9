"""Tables of numbers, for the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import rich.table


@dataclass(frozen=True)
class Table:
    """A title, the heads of the columns, rows of texts, and a sentence on how to read it."""

    title: str
    columns: tuple[str, ...]
    rows: list[list[str]] = field(default_factory=list)
    note: str = ""

    def add(self, *cells: Any) -> None:
        """One row; numbers with three digits that count."""
        self.rows.append([number(c) if isinstance(c, float) else str(c) for c in cells])

    def for_terminal(self) -> rich.table.Table:
        shown = rich.table.Table(title=self.title, caption=self.note or None)
        for place, column in enumerate(self.columns):
            shown.add_column(column, justify="right" if place else "left")
        for row in self.rows:
            shown.add_row(*row)
        return shown

    def markdown(self) -> str:
        lines = [f"### {self.title}", ""] + ([self.note, ""] if self.note else [])
        return "\n".join(lines) + grid(self.columns, self.rows)


def grid(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Rows under heads, as Markdown."""
    heads = list(columns)
    lines = ["", f"| {' | '.join(heads)} |", f"|---|{'---:|' * (len(heads) - 1)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def number(value: float) -> str:
    """Three digits that count, without an exponent."""
    if value != value:
        return "-"
    digits = 0 if abs(value) >= 99.5 else 1 if abs(value) >= 9.95 else 2
    return f"{value:.{digits}f}" if abs(value) >= 0.095 or value == 0 else f"{value:.3f}"


def both(times: Mapping[str, float]) -> str:
    """Median / 99th percentile."""
    return f"{number(times['p50'])} / {number(times['p99'])}"
