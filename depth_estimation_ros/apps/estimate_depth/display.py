"""What the terminal shows of a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from depth_estimation_ros.apps.estimate_depth.names import SUMMARY
from depth_estimation_ros.apps.estimate_depth.run import Task
from depth_estimation_ros.apps.estimate_depth.summary import Outcome

console = Console(highlight=False)


@contextmanager
def progress(tasks: Sequence[Task], outcome: Outcome) -> Iterator[Callable[[Task], None]]:
    """A bar with the time that is left; gives what is to be called after each frame of a task."""
    counts = [task.count for task in tasks]
    total = None if None in counts else sum(count or 0 for count in counts)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("frames, {task.fields[rate]:.1f} a second,"),
        TimeElapsedColumn(),
        TextColumn("gone,"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    start = time.monotonic()
    with Progress(*columns, console=console) as display:
        bar = display.add_task("", total=total, rate=0.0)

        def show(task: Task) -> None:
            name = escape(Path(task.media.name).name)
            rate = outcome.frames / max(time.monotonic() - start, 1e-9)
            display.update(bar, description=name, completed=outcome.frames, rate=rate)

        yield show


def closing_notes(outcome: Outcome, png_scale: float, codec: str | None) -> None:
    """What the user should know of the files.

    Args:
        outcome: of the run; the notes go there too.
        png_scale: units per metre of depth16.
        codec: that the user asked for.
    """
    if codec is None and any(result.codec == "mpeg4" for result in outcome.results):
        note(
            outcome,
            "the video is MPEG-4 Part 2, which VLC, mpv and Windows play, browsers do not. "
            "For H.264, which plays everywhere, install PyAV: pip install av",
        )
    if outcome.lost_pixels:
        note(
            outcome,
            f"{outcome.lost_pixels} pixels do not fit into 16 bits at {png_scale:g} units per "
            f"metre, which reach to {65535 / png_scale:g} m: they are 0 in depth16. "
            "Give another --png-scale, or --save npz",
        )


def report(out: Path, outcome: Outcome) -> int:
    """Says what became of the run; returns the exit status."""
    for line in outcome.unreadable:
        if line not in outcome.left_out.values():  # those were told at the beginning
            console.print(f"[bold red]not read:[/] {escape(line)}", soft_wrap=True)
    files = outcome.files
    shown = ", ".join(escape(str(out / name)) for name in files[:4])
    more = f" and {len(files) - 4} more" if len(files) > 4 else ""
    speed = outcome.frames / max(outcome.seconds, 1e-9)
    console.print(
        f"{outcome.frames} frame{'s' * (outcome.frames != 1)} in {outcome.seconds:.1f} s "
        f"({speed:.1f} a second)",
        soft_wrap=True,
    )
    if files:
        console.print(f"Look at {shown}{more}", soft_wrap=True)
        console.print(f"Units and numbers: {escape(str(out / SUMMARY))}", soft_wrap=True)
    if outcome.interrupted:
        console.print("interrupted; what is there is whole")
        return 130
    if not outcome.frames:
        return failed("None of the inputs can be read")
    if outcome.unreadable:
        console.print(f"[bold red]{len(outcome.unreadable)} could not be read[/]")
        return 2
    return 0


def note(outcome: Outcome, text: str) -> None:
    """For the user to know, now and in summary.json."""
    outcome.notes.append(text)
    console.print(f"[yellow]note:[/] {escape(text)}", soft_wrap=True)


def failed(message: str) -> int:
    """Shows an error; returns the exit status."""
    console.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)
    return 1


def say(line: str) -> None:
    """Shows a line."""
    console.print(escape(line), soft_wrap=True)
