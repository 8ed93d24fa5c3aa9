"""Workers of a fleet as processes of this machine, a fresh one for each job.

No pool: a worker that the system kills for its memory, or that a driver takes down, would break
the whole pool; so it costs the others nothing, and every job begins with empty memory.
"""

from __future__ import annotations

import logging
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from depth_estimation_ros.apps.replay.fleet_board import Board
from depth_estimation_ros.apps.replay.fleet_job import INTERRUPTED, JobResult, do_job
from depth_estimation_ros.apps.replay.fleet_plan import Job
from depth_estimation_ros.utils.memory import keep_freed_memory

TICK_S = 0.1


@dataclass
class _Running:
    job: Job
    tries: int
    process: BaseProcess
    result: Connection


def run(
    jobs: Sequence[Job], board: Board, workers: int, retries: int, tick: Callable[[], None]
) -> Iterator[JobResult]:
    """Does the jobs, so many at a time, and yields each result as it comes.

    Args:
        jobs: in the order in which they begin.
        board: `Board.stop` makes this end early, with results of the jobs that were running.
        workers: processes at a time.
        retries: of a job whose process died, or failed in a way that may pass.
        tick: called a few times a second.
    """
    waiting = deque((job, 0) for job in jobs)
    running: list[_Running] = []
    try:
        while running or (waiting and not board.stopped):
            while waiting and len(running) < workers and not board.stopped:
                running.append(_start(*waiting.popleft(), board))
            wait([one.process.sentinel for one in running], TICK_S)
            for one in [one for one in running if not one.process.is_alive()]:
                running.remove(one)
                result = _result(one)
                if isinstance(result, JobResult):
                    yield result
                elif board.stopped:
                    yield JobResult(one.job.name, INTERRUPTED, result)
                elif one.tries < retries:
                    waiting.appendleft((one.job, one.tries + 1))
                else:
                    yield JobResult(one.job.name, 1, f"{result}, {one.tries + 1} times")
            tick()
    finally:
        for one in running:
            one.process.kill()
            one.process.join()


def _start(job: Job, tries: int, board: Board) -> _Running:
    # Not forked: threads of ONNX Runtime and CUDA do not survive a fork.
    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(
        target=_work, args=(job, board, os.getpid(), theirs), name=job.name, daemon=True
    )
    process.start()
    theirs.close()
    return _Running(job, tries, process, ours)


def _result(one: _Running) -> JobResult | str:
    """The result; or why there is none."""
    with one.result as result, suppress(EOFError):
        if result.poll():
            answer: JobResult | str = result.recv()
            return answer
    code = one.process.exitcode or 0
    if code < 0:
        return f"its process was ended by {signal.Signals(-code).name}" + (
            " (by the system, if the memory was full)" if -code == signal.SIGKILL else ""
        )
    return f"its process ended with code {code}"


def _work(job: Job, board: Board, parent: int, result: Connection) -> None:
    # Ctrl-C in the terminal is for the command alone, which stops its workers in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Notes are in the summary; several workers at once would write them across the progress.
    logging.getLogger("depth_estimation_ros").setLevel(logging.ERROR)
    keep_freed_memory()
    answer: JobResult | str
    try:
        answer = do_job(job, board, alone=lambda: os.getppid() != parent)
    except Exception as error:
        answer = f"{type(error).__name__}: {error}"
    with suppress(BrokenPipeError):  # the command is gone
        result.send(answer)
