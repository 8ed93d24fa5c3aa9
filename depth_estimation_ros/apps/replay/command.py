"""The command: recordings in, recordings with depth and clouds out."""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.markup import escape

from depth_estimation_ros.apps.replay.arguments import parse, replay_options
from depth_estimation_ros.apps.replay.display import (
    FleetDisplay,
    Log,
    ProgressDisplay,
    show_accuracy,
    show_fleet,
    show_result,
)
from depth_estimation_ros.apps.replay.fleet import Fleet
from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.apps.replay.report import REPORT, Comparison, write_report
from depth_estimation_ros.apps.replay.run import replay
from depth_estimation_ros.apps.replay.summary import CameraSummary, ReplaySummary
from depth_estimation_ros.apps.replay.workers import FLEET_FILE, INTERRUPTED, RayOptions
from depth_estimation_ros.errors import DepthEstimationError
from depth_estimation_ros.utils.memory import keep_freed_memory

console = Console(highlight=False)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code, see `ReplaySummary.exit_code`."""
    argv = list(sys.argv[1:] if argv is None else argv)
    arguments = parse(argv)
    keep_freed_memory()  # of all threads of this process, for its whole life
    try:
        with _logged(arguments.quiet):
            options = replay_options(arguments)
            several = len(arguments.inputs) > 1 or arguments.workers or arguments.ray
            if several or arguments.chunk is not None:
                return _replay_several(options, arguments)
            return _replay(options, argv, arguments.quiet, not arguments.no_report)
    except DepthEstimationError as error:
        return _failed(str(error))
    except OSError as error:
        return _failed(f"{error.filename or arguments.output}: {error.strerror or error}")


def _replay(options: ReplayOptions, argv: list[str], quiet: bool, report: bool) -> int:
    stop = threading.Event()
    with _on_signals(stop.set), ProgressDisplay(console, quiet) as display:
        summary = replay(options, display.update, stop)
    written: list[str] = []
    compared: list[tuple[CameraSummary, Comparison]] = []
    if report and not summary.interrupted and summary.frames_out:
        written = _write_report(Path(options.output), compared)
    else:
        (Path(options.output) / REPORT).unlink(missing_ok=True)  # of a part, by an earlier run
    show_result(console, summary, written)
    for camera, found in compared:
        show_accuracy(console, camera, found, summary.made_for)
    if not summary.complete:
        _say_how_to_go_on(summary, argv)
    return summary.exit_code


def _replay_several(options: ReplayOptions, arguments: argparse.Namespace) -> int:
    ray = None
    if arguments.ray:
        cpus = options.threads or 1
        ray = RayOptions(arguments.ray, cpus, arguments.gpus_per_task, arguments.workers)
    with FleetDisplay(console, arguments.quiet) as display:
        fleet = Fleet(
            arguments.inputs,
            options.output,
            options,
            workers=arguments.workers,
            chunk_s=arguments.chunk,
            ray=ray,
            retries=arguments.retries,
            report=not arguments.no_report,
            on_progress=display.update,
        )
        display.total(len(fleet.bags))
        with _on_signals(fleet.stop):
            summary = fleet.run(display.done)
    show_fleet(console, summary, Path(options.output) / FLEET_FILE)
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
def _on_signals(stop: Callable[[], object]) -> Iterator[None]:
    """Call `stop` at the first Ctrl-C or SIGTERM; the second ends the process as it is."""
    stopping = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        if stopping:
            # Finished files are kept by --resume; nothing is waited for.
            with suppress(RuntimeError):
                console.show_cursor(True)  # which the bar hides
            os._exit(INTERRUPTED)
        stopping = True
        stop()
        with suppress(RuntimeError):  # it came in the midst of another print
            console.print("[yellow]stopping:[/] finishing the recording; once more to end at once")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _failed(message: str) -> int:
    console.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)
    return 1
