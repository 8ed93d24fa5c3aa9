"""What the user sees of a replay: its progress and its result."""

from __future__ import annotations

import logging
import time
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.table import Table

from depth_estimation_ros.apps.replay.summary import CameraSummary, Progress, ReplaySummary
from depth_estimation_ros.bags import Damage

if TYPE_CHECKING:
    from pathlib import Path

    from depth_estimation_ros.apps.replay.fleet import BagResult, FleetSummary
    from depth_estimation_ros.apps.replay.report import Comparison

LINE_S = 10.0
"""Seconds between two lines where there is no terminal."""
BAR_S = 0.1
STATES = {
    0: "[green]done[/]",
    1: "[bold red]failed[/]",
    2: "[yellow]with loss[/]",
    130: "[yellow]interrupted[/]",
}


class Log(logging.Handler):
    """What the package logs, as lines of the command.

    Args:
        console: to print to.
        quiet: only what the user should know, not what is as usual.
    """

    def __init__(self, console: Console, quiet: bool) -> None:
        super().__init__(logging.WARNING if quiet else logging.INFO)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        note = "[yellow]note:[/] " if record.levelno >= logging.WARNING else ""
        self._console.print(note + escape(record.getMessage()), soft_wrap=True)


class ProgressDisplay:
    """One bar for all cameras; a line now and then where there is no terminal.

    Args:
        console: to print to.
        quiet: show nothing.
    """

    def __init__(self, console: Console, quiet: bool = False) -> None:
        self._console = console
        self._lines = not console.is_terminal and not quiet
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._bar.add_task("opening the model", total=None, rate="")
        self._start: float | None = None
        self._shown = 0.0

    def __enter__(self) -> ProgressDisplay:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def update(self, progress: Progress) -> None:
        """After each image."""
        now = time.monotonic()
        if self._start is None:
            self._start = self._shown = now
        is_last = progress.frames_done == progress.frames_total
        if now - self._shown < (LINE_S if self._lines else BAR_S) and not is_last:
            return
        self._shown = now
        seconds = now - self._start
        done = progress.frames_done - progress.frames_before
        # The first image's time is that of the start.
        rate = (done - 1) / seconds if done > 1 and seconds > 0 else 0.0
        if self._lines:
            self._console.print(_line(progress, rate), soft_wrap=True)
            return
        bad = f", {progress.frames_bad} bad" if progress.frames_bad else ""
        total = progress.frames_total
        self._bar.update(
            self._task,
            description="images",
            completed=progress.frames_done,
            # How many there are may be an estimate, or wrong in a damaged recording.
            total=None if total is None else max(total, progress.frames_done),
            rate=f"{rate:.1f} images/s{bad}",
        )


class FleetDisplay:
    """One bar for all recordings; a line for each that ended where there is no terminal.

    Args:
        console: to print to.
        quiet: show only what went wrong.
    """

    def __init__(self, console: Console, quiet: bool = False) -> None:
        self._console = console
        self._lines = not console.is_terminal and not quiet
        self._bar = Bar(
            TextColumn("recordings"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[images]} images"),
            TimeElapsedColumn(),
            console=console,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=None, images=0)
        self._images: dict[str, int] = {}

    def __enter__(self) -> FleetDisplay:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def total(self, recordings: int) -> None:
        """Say how many recordings there are."""
        self._bar.update(self._task, total=recordings)

    def update(self, job: str, images: int, pid: int) -> None:
        """Show the progress of a job; from any thread."""
        self._images[job] = images
        self._bar.update(self._task, images=sum(self._images.values()))

    def done(self, result: BagResult) -> None:
        """Show a recording that ended."""
        self._bar.advance(self._task)
        if result.exit_code or self._lines:
            self._console.print(f"{_state(result)} {escape(result.name)}")


def show_fleet(console: Console, summary: FleetSummary, file: Path) -> None:
    """Print how each recording ended.

    Args:
        console: to print to.
        summary: of all recordings.
        file: where it was written.
    """
    table = Table(box=None, padding=(0, 2), pad_edge=False)
    table.add_column("recording", overflow="fold")
    for name in ("images", "depth", "bad", "chunks"):
        table.add_column(name, justify="right")
    table.add_column("result")
    for bag in summary.bags:
        numbers = (bag.frames_in, bag.frames_out, bag.frames_bad, bag.chunks)
        table.add_row(escape(bag.name), *map(str, numbers), _state(bag))
    console.print(table)
    for bag in summary.bags:
        if bag.problem:
            console.print(f"{escape(bag.name)}: {escape(bag.problem)}", soft_wrap=True)
    frames = sum(bag.frames_out for bag in summary.bags if not bag.before)
    rate = f", {frames / summary.seconds:.1f} images/s" if frames and summary.seconds else ""
    plural = "" if len(summary.bags) == 1 else "s"
    console.print(
        f"{len(summary.bags)} recording{plural} in {summary.seconds:.1f} s{rate}; "
        f"numbers: {escape(str(file))}",
        soft_wrap=True,
    )
    if any(bag.exit_code in (1, 130) for bag in summary.bags):
        console.print("Go on with what is missing: the same command with --resume")


def _state(bag: BagResult) -> str:
    words = STATES[bag.exit_code]
    if bag.exit_code == 0 and bag.guessed_scale:
        words = "[yellow]done, scale is a guess[/]"
    return words.replace("[/]", " before[/]") if bag.before else words


def show_result(console: Console, summary: ReplaySummary, written: list[str]) -> None:
    """Print the numbers, the losses and where to look.

    Args:
        console: to print to.
        summary: of the replay.
        written: files for people to look at.
    """
    table = Table(show_header=False, box=None, padding=(0, 2))
    numbers = f"{summary.frames_in}, {summary.frames_out}, {summary.frames_bad}"
    table.add_row("images in, with depth, bad", numbers)
    for camera in summary.cameras if len(summary.cameras) > 1 else []:
        numbers = f"{camera.frames_in}, {camera.frames_out}, {camera.frames_bad}"
        table.add_row(f"  {escape(camera.image_topic)}", numbers)
    table.add_row("speed", f"{summary.frames_per_second:g} images/s, {summary.seconds:g} s")
    if summary.engine_ms_p50 is not None:
        times = f"{summary.engine_ms_p50:.1f} ms, {summary.engine_ms_p99:.1f} ms"
        table.add_row("network p50, p99", times)
    table.add_row("network", escape(summary.engine))
    megabytes = f"{summary.peak_rss_mb:.0f} MB, {summary.bytes_written / 1e6:.0f} MB"
    table.add_row("memory, written", megabytes)
    console.print(table)
    for camera in summary.cameras:
        state = f"camera {camera.camera_state}" if camera.camera_state else "no images"
        # Not in the table, which cuts on a narrow screen what is to be copied.
        lines = [
            f"  {camera.image_topic} ({state}):",
            *(f"    {topic}" for topic in camera.topics.values()),
        ]
        console.print("\n".join(lines), markup=False, soft_wrap=True)
        if camera.has_guessed_scale:
            console.print(
                f"[yellow]note:[/] the scale of {escape(camera.image_topic)} is a guess: the field "
                "of view of its camera is not known. Give --hfov or --calibration",
                soft_wrap=True,
            )
    for frame in summary.bad_frames[:3]:
        console.print(
            f"[red]bad image[/] {escape(frame.topic)} at {frame.stamp_ns} ns: {escape(frame.why)}",
            soft_wrap=True,
        )
    if summary.frames_bad > 3:
        console.print(f"and {summary.frames_bad - 3} more; see replay.json")
    for damage in summary.damage:
        console.print(f"[red]damaged:[/] {escape(str(Damage(**damage)))}", soft_wrap=True)
    if summary.complete and not summary.frames_in:
        console.print(
            "[yellow]note:[/] no image was taken; check --start, --end, --rate and --every",
            soft_wrap=True,
        )
    if summary.problem:
        console.print(f"[bold red]error:[/] {escape(summary.problem)}", soft_wrap=True)
    console.print(f"\nRecording: {escape(summary.output)}", soft_wrap=True)
    for path in written:
        console.print(f"Look at {escape(path)}", soft_wrap=True)


def show_accuracy(
    console: Console, camera: CameraSummary, found: Comparison, made_for: str
) -> None:
    """Print the errors of a camera against the truth that the recording holds.

    Args:
        console: to print to.
        camera: whose depth it is.
        found: of the report.
        made_for: indoor, outdoor or any scenes, by the model's card.
    """
    scores = found.accuracy
    kinds = [
        ("as predicted", scores.as_predicted),
        ("median-scaled", scores.median_scaled),
        (f"{scores.constant_m:.2f} m everywhere", scores.one_constant),
    ]
    if scores.as_predicted["abs_rel"] >= scores.one_constant["abs_rel"]:
        note = "the depth is no better than one constant for all pixels"
        if made_for != "any":
            note += f"; the model is made for {made_for} scenes"
        console.print(
            f"[yellow]note:[/] {escape(camera.image_topic)}: {note}. Use a model that was trained "
            "for such places",
            soft_wrap=True,
        )
    errors = "; ".join(f"{kind} {one['abs_rel']:.3f}, {one['delta1']:.3f}" for kind, one in kinds)
    console.print(
        f"AbsRel, delta1 of {escape(camera.image_topic)} against {escape(found.topic)} "
        f"({scores.images} frames, to {scores.max_depth:g} m): {errors}",
        soft_wrap=True,
    )


def _line(progress: Progress, rate: float) -> str:
    total, done = progress.frames_total, progress.frames_done
    line = f"{done} images" if total is None else f"{done} of {max(total, done)} images"
    if rate > 0:
        line += f", {rate:.1f} images/s"
        if total is not None and total > done:
            line += f", {(total - done) / rate:.0f} s left"
    return line + (f", {progress.frames_bad} bad" if progress.frames_bad else "")
