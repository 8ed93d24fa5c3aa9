"""How a fleet looks in a terminal: bars while it works, a table when it is done."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from depth_estimation_ros.apps.replay.fleet import Fleet
from depth_estimation_ros.apps.replay.fleet_job import INTERRUPTED
from depth_estimation_ros.apps.replay.fleet_plan import Bag
from depth_estimation_ros.apps.replay.fleet_summary import FLEET, BagResult, FleetSummary

MOST_BARS = 12
READ_S = 0.5  # a fleet may have thousands of recordings, on a slow disk
WORDS = {0: "done", 1: "failed", 2: "with loss", 130: "interrupted"}
STYLES = {0: "green", 1: "bold red", 2: "yellow", 130: "yellow"}


class Bars:
    """A bar for each recording that is being worked on, and one for all.

    Args:
        console: to draw on.
        fleet: not yet running.
        quiet: show only what went wrong.
    """

    def __init__(self, console: Console, fleet: Fleet, quiet: bool = False) -> None:
        self._console = console
        self._lines = not console.is_terminal and not quiet
        self._fleet = fleet
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=quiet or not console.is_terminal,
        )
        self._all = self._progress.add_task("all", total=len(fleet.bags), unit="recordings")
        self._read = 0.0
        self._bars: dict[str, TaskID] = {}
        self._waiting = {bag.name: bag for bag in fleet.bags}

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def tick(self) -> None:
        """Reads how far the workers are, now and then."""
        if time.monotonic() - self._read < READ_S:
            return
        self._read = time.monotonic()
        for bag in self._waiting.values():
            told = self._told(bag)
            if told is None:
                continue
            if bag.name not in self._bars:
                if len(self._bars) == MOST_BARS:
                    break
                description = escape(bag.name)
                self._bars[bag.name] = self._progress.add_task(description, unit="images")
            completed, total = told
            self._progress.update(self._bars[bag.name], completed=completed, total=total)

    def done(self, result: BagResult) -> None:
        """Puts a line for a recording that ended in the place of its bar."""
        del self._waiting[result.name]
        if result.name in self._bars:
            self._progress.remove_task(self._bars.pop(result.name))
        if result.exit_code != INTERRUPTED:
            self._progress.advance(self._all)
        if result.exit_code or self._lines:
            self._console.print(f"{_state(result)} {escape(result.name)}")

    def _told(self, bag: Bag) -> tuple[int, int | None] | None:
        """Images done and in all of a recording; None as long as nobody works on it."""
        told = [self._fleet.board.progress(job.name) for job in bag.jobs]
        known = [one for one in told if one]
        if not known:
            return None
        totals = [one["frames_total"] for one in known]
        # Chunks that have not begun yet are about as long as those that have.
        total = None if None in totals else round(sum(totals) / len(totals) * len(bag.jobs))
        return sum(one["frames_done"] for one in known), total


def show(console: Console, summary: FleetSummary, folder: Path) -> None:
    """Prints what became of each recording."""
    table = Table(box=None, padding=(0, 2), pad_edge=False)
    table.add_column("recording", overflow="fold")
    for name in ("images", "depth", "bad", "chunks", "attempts"):
        table.add_column(name, justify="right")
    table.add_column("result")
    for bag in summary.bags:
        table.add_row(
            escape(bag.name),
            *map(str, (bag.frames_in, bag.frames_out, bag.frames_bad, bag.chunks, bag.attempts)),
            _state(bag),
        )
    console.print(table)
    for bag in summary.bags:
        if bag.problem:
            console.print(f"{escape(bag.name)}: {escape(bag.problem)}", soft_wrap=True)
    frames = sum(bag.frames_out for bag in summary.bags if not bag.before)
    rate = f", {frames / summary.seconds:.1f} images/s" if frames and summary.seconds else ""
    plural = "" if len(summary.bags) == 1 else "s"
    console.print(
        f"{len(summary.bags)} recording{plural} in {summary.seconds:.1f} s{rate}; "
        f"numbers: {escape(str(folder / FLEET))}",
        soft_wrap=True,
    )
    if any(bag.exit_code in (1, 130) for bag in summary.bags):
        console.print("Go on with what is missing: the same command with --resume")


def _state(bag: BagResult) -> str:
    words = WORDS[bag.exit_code] + (" before" if bag.before and bag.exit_code != 130 else "")
    return f"[{STYLES[bag.exit_code]}]{words}[/]"
