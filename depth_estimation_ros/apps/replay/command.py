"""The command: recordings in, recordings with depth and clouds out."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.markup import escape

from depth_estimation_ros.apps.replay import fleet_command
from depth_estimation_ros.apps.replay.arguments import parse, replay_options
from depth_estimation_ros.apps.replay.display import (
    Log,
    ProgressDisplay,
    show_accuracy,
    show_result,
)
from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.apps.replay.report import REPORT, Comparison, write_report
from depth_estimation_ros.apps.replay.run import replay
from depth_estimation_ros.apps.replay.summary import CameraSummary, ReplaySummary
from depth_estimation_ros.errors import DepthEstimationError
from depth_estimation_ros.utils.memory import keep_freed_memory

console = Console(highlight=False)
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Replays; returns the exit code, see `ReplaySummary.exit_code`."""
    argv = list(sys.argv[1:] if argv is None else argv)
    arguments = parse(argv)
    keep_freed_memory()  # of all threads of this process, for its whole life
    try:
        with _logged(arguments.quiet):
            options = replay_options(arguments)
            if fleet_command.is_fleet(arguments, arguments.inputs):
                return fleet_command.run(arguments, arguments.inputs, options)
            return _replay(options, argv, arguments.quiet, not arguments.no_report)
    except DepthEstimationError as error:
        return _failed(str(error))
    except OSError as error:
        return _failed(f"{error.filename or arguments.output}: {error.strerror or error}")


def _replay(options: ReplayOptions, argv: list[str], quiet: bool, report: bool) -> int:
    with _stop_on_signals() as stop, ProgressDisplay(console, quiet) as display:
        summary = replay(options, display.update, stop)
    written: list[str] = []
    compared: list[tuple[CameraSummary, Comparison]] = []
    if report and not summary.interrupted and summary.frames_out:
        written = _write_report(Path(options.output), compared)
    else:
        (Path(options.output) / REPORT).unlink(missing_ok=True)  # of a part, by an earlier run
    show_result(console, summary, written)
    for camera, found in compared:
        show_accuracy(console, camera, found)
    if not summary.complete:
        _say_how_to_go_on(summary, argv)
    return summary.exit_code


def _write_report(output: Path, compared: list[tuple[CameraSummary, Comparison]]) -> list[str]:
    try:
        with console.status("writing the report"):
            return [str(write_report(output, lambda *found: compared.append(found)))]
    except DepthEstimationError as error:
        console.print(f"[yellow]note:[/] no report. {escape(str(error))}", soft_wrap=True)
    except KeyboardInterrupt:
        console.print("[yellow]note:[/] no report: interrupted; the recording is complete")
    return []


def _say_how_to_go_on(summary: ReplaySummary, argv: list[str]) -> None:
    words = [word for word in argv if word not in ("--overwrite", "--resume")]
    done = f"{summary.frames_in} images are done, and the recording is valid"
    state = "interrupted" if summary.interrupted else "not complete"
    console.print(f"\n[yellow]{state}:[/] {done}. Go on with:", soft_wrap=True)
    command = shlex.join(["replay", *words, "--resume"])
    console.print(f"  {command}", markup=False, soft_wrap=True)


@contextmanager
def _logged(quiet: bool) -> Iterator[None]:
    logger = logging.getLogger("depth_estimation_ros")
    handler = Log(console, quiet)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


@contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    """Set by the first Ctrl-C or SIGTERM; the second ends the process as it is."""
    stop = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            # What is in the files by now is kept by --resume; nothing is waited for.
            with suppress(RuntimeError):
                console.show_cursor(True)  # which the bar hides
            os._exit(INTERRUPTED)
        stop.set()
        with suppress(RuntimeError):  # it came in the midst of another print
            console.print("[yellow]stopping:[/] finishing the recording; once more to end at once")

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _failed(message: str) -> int:
    console.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)
    return 1
