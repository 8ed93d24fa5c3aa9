"""What a worker of a fleet does, in whatever process of whatever machine: one job, once."""

from __future__ import annotations

import logging
import os
import platform
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from depth_estimation_ros.apps.replay import fleet_attempt
from depth_estimation_ros.apps.replay.fleet_board import Board
from depth_estimation_ros.apps.replay.fleet_plan import Job
from depth_estimation_ros.apps.replay.run import replay
from depth_estimation_ros.apps.replay.summary import Progress, ReplaySummary
from depth_estimation_ros.errors import DepthEstimationError

TELL_S = 0.2
ERROR = "error.txt"
INTERRUPTED = 130
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class JobResult:
    """What became of a job.

    Attributes:
        job: its name.
        exit_code: as that of `replay`: 0 done, 1 nothing done, 2 with loss, 130 interrupted.
        problem: why, in words; or empty.
        by: machine and process that did it.
    """

    job: str
    exit_code: int
    problem: str = ""
    by: str = ""


def do_job(job: Job, board: Board, alone: Callable[[], bool] = lambda: False) -> JobResult:
    """Replays a recording or chunk to its place; goes on with what an earlier attempt left.

    Args:
        job: what to do; does nothing where its output is finished.
        board: of the command.
        alone: whether the command is gone, so that nobody wants the result any more.

    Raises:
        Exception: what another attempt may get over; what it cannot is in the result.
    """
    by = f"{platform.node()} pid {os.getpid()}"
    output = Path(job.options.output)
    if (done := finished(output)) is not None:
        return JobResult(job.name, done.exit_code, done.problem, by)
    if board.stopped:
        return JobResult(job.name, INTERRUPTED, by=by)
    room = board.room(job.name)
    board.begin_attempt(job.name, by)
    mine, resume = fleet_attempt.begin(room, output)
    options = replace(job.options, output=str(mine), resume=resume, overwrite=False)
    try:
        with _stop_event(lambda: board.stopped or alone()) as stop:
            summary = replay(options, _teller(job, board, by), stop)
        result = JobResult(job.name, summary.exit_code, summary.problem, by)
    except DepthEstimationError as error:
        result = JobResult(job.name, 1, str(error), by)
    except Exception:
        with suppress(OSError):
            (room / ERROR).write_text(traceback.format_exc(), "utf-8")
        raise
    _rename_in_summary(mine, output)
    if job.report and result.exit_code in (0, 2):
        try_report(mine)
    fleet_attempt.finish(mine, output)
    return result


def finished(output: Path) -> ReplaySummary | None:
    """The summary of an output that lacks nothing that could still be done."""
    try:
        summary = ReplaySummary.read(output)
    except (OSError, ValueError, TypeError):
        return None
    return summary if summary.complete else None


def try_report(output: Path) -> None:
    """Writes report.html; a result without one is still a result."""
    from depth_estimation_ros.apps.replay.report import write_report

    try:
        write_report(output)
    except DepthEstimationError as error:
        logger.warning("no report. %s", error)


def _rename_in_summary(folder: Path, output: Path) -> None:
    """Makes the summary in a folder say that it is of this output."""
    with suppress(OSError, ValueError, TypeError):
        summary = ReplaySummary.read(folder)
        summary.output = str(output)
        summary.options["output"] = str(output)
        summary.write(folder)


@contextmanager
def _stop_event(stopped: Callable[[], bool]) -> Iterator[threading.Event]:
    """An event that is set as soon as `stopped` is true."""
    stop, ended = threading.Event(), threading.Event()

    def watch() -> None:
        while not ended.wait(TELL_S):
            if stopped():
                stop.set()
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield stop
    finally:
        ended.set()
        watcher.join()


def _teller(job: Job, board: Board, by: str) -> Callable[[Progress], None]:
    """Puts progress on the board, every now and then."""
    last = -TELL_S

    def tell(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= TELL_S or progress.frames_done == progress.frames_total:
            last = now
            with suppress(OSError):  # a full disk is for the writer of the recording to report
                board.tell(job.name, {**asdict(progress), "by": by})

    return tell
