"""The part of the command line of replay that is for several recordings or workers."""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from depth_estimation_ros.apps.replay.fleet import Fleet, FleetOptions
from depth_estimation_ros.apps.replay.fleet_board import Board
from depth_estimation_ros.apps.replay.fleet_display import Bars, show
from depth_estimation_ros.apps.replay.fleet_job import INTERRUPTED
from depth_estimation_ros.apps.replay.fleet_ray import LOCAL, RayOptions
from depth_estimation_ros.apps.replay.fleet_summary import FLEET
from depth_estimation_ros.apps.replay.options import ReplayOptions

EXAMPLES = """\
examples of several recordings and workers:
  replay monday/ tuesday/ run.bag --output depth --workers 4
      four at a time, each in a process of its own; results in depth/monday, depth/tuesday and
      depth/run
  replay drive/ --output depth --workers 8 --chunk 300
      one long recording in chunks of 5 minutes, joined into depth/drive at the end
  replay bags/* --output /nfs/depth --ray head:6379 --threads 4
      as tasks on a Ray cluster, each on 4 processors; bags and output lie on a filesystem that all
      machines see under the same path, and all of them have the package and the same version of it
  replay bags/* --output depth --workers 4 --resume
      what was interrupted or failed; what is finished is not done again
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds those for several workers to the command line of replay."""
    group = parser.add_argument_group(
        "several recordings and workers",
        "With several recordings, --workers, --chunk or --ray, --output is a folder that gets one "
        f"result for each recording, of the same name, and {FLEET}. One that fails does not stop "
        "the others.",
    )
    group.add_argument(
        "--workers",
        type=_count,
        default=0,
        metavar="N",
        help="recordings or chunks at a time, each in a process of its own, which share the "
        "processors unless --threads is given (default: 1); with --ray, tasks at a time (default: "
        "as many as the cluster has room for)",
    )
    group.add_argument(
        "--chunk",
        type=_not_negative,
        default=None,
        metavar="S",
        help="cut recordings into chunks of S seconds, which are joined in the end; 0 cuts none "
        "(default: long ones are cut where there are fewer recordings than --workers). Colours "
        "by percentile hang on the frames before, so they keep a recording whole",
    )
    group.add_argument(
        "--ray",
        default="",
        metavar="ADDRESS",
        help="run as tasks of the Ray cluster whose head is at host:port, or of one that is "
        f"started on this machine ({LOCAL}); needs pip install ray, and a filesystem "
        " that all machines share for recordings, chunks and results",
    )
    group.add_argument(
        "--gpus-per-task",
        type=_not_negative,
        default=0.0,
        metavar="G",
        help="GPUs of the Ray cluster that a task takes; 0.5 lets two share one (default: 0). Its "
        "processors are --threads (default: 1)",
    )
    group.add_argument(
        "--retries",
        type=_count,
        default=2,
        metavar="N",
        help="attempts after the first at a recording or chunk whose process or machine died; they "
        "go on where it was (default: 2)",
    )


def is_fleet(arguments: argparse.Namespace, inputs: list[str]) -> bool:
    """Whether the arguments ask for more than one replay in this process."""
    return bool(
        len(inputs) > 1 or arguments.workers or arguments.ray or arguments.chunk is not None
    )


def run(arguments: argparse.Namespace, inputs: list[str], options: ReplayOptions) -> int:
    """Replays all inputs; prints what became of them and returns the worst exit code.

    Args:
        arguments: with those of `add_arguments`.
        inputs: the recordings.
        options: for each of them; output is the folder of the results.

    Raises:
        DepthEstimationError: nothing could be begun.
    """
    ray = None
    if arguments.ray:
        cpus = options.threads or 1
        ray = RayOptions(arguments.ray, cpus, arguments.gpus_per_task, arguments.workers)
    fleet = Fleet(
        FleetOptions(
            tuple(inputs),
            options.output,
            options,
            workers=arguments.workers,
            chunk_s=arguments.chunk,
            ray=ray,
            retries=arguments.retries,
            report=not arguments.no_report,
        )
    )
    console = Console(highlight=False)
    try:
        with _stopping(fleet.board, console), Bars(console, fleet, arguments.quiet) as bars:
            summary = fleet.run(bars.tick, bars.done)
    except KeyboardInterrupt:
        console.print("killed; what was written is taken up by the same command with --resume")
        return INTERRUPTED
    show(console, summary, Path(options.output))
    return summary.exit_code


@contextmanager
def _stopping(board: Board, console: Console) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the workers in order; a second one ends them as they are."""

    def stop(number: int, frame: object) -> None:
        if board.stopped:
            raise KeyboardInterrupt
        board.stop()
        console.print("[yellow]stopping:[/] the workers finish their files; once more to kill them")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    earlier = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"found {text}, expected a whole number, 0 or more")
    return int(text)


def _not_negative(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"found {text}, expected a number, 0 or more")
    return value
