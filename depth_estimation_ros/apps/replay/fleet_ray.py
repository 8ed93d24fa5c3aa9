"""Workers of a fleet as Ray tasks: the same jobs on the machines of a cluster.

A task whose machine or process dies is started again by Ray, elsewhere if need be. Only options go
to a task and only a few words come back; recordings and results lie on a shared filesystem.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from depth_estimation_ros import __version__
from depth_estimation_ros.apps.replay.fleet_board import Board
from depth_estimation_ros.apps.replay.fleet_job import INTERRUPTED, JobResult
from depth_estimation_ros.apps.replay.fleet_plan import Job
from depth_estimation_ros.errors import ParameterError

LOCAL = "local"
TICK_S = 0.1
KNOCK_S = 5.0
OBJECT_STORE_BYTES = 100 * 2**20  # the least there is: no image ever goes through it


@dataclass(frozen=True)
class RayOptions:
    """A cluster and what a task takes of it.

    Attributes:
        address: of the cluster's head, host:port; or "local": one that is started here for the
            time of the run, with one node of all processors.
        cpus: processors that a task counts for.
        gpus: of the cluster that a task counts for; 0.5 lets two share one.
        workers: tasks at a time; 0 is as many as the cluster has room for.
    """

    address: str
    cpus: int = 1
    gpus: float = 0.0
    workers: int = 0


def require_ray() -> None:
    """Raises ParameterError, with what to install, where Ray is missing."""
    if find_spec("ray") is None:
        raise ParameterError(
            "--ray needs Ray",
            found="no module named ray",
            expected="Ray in this environment, and in that of every machine of the cluster",
            fix="Run: pip install ray. On one machine --workers N does without",
        )


def run(
    jobs: Sequence[Job],
    board: Board,
    options: RayOptions,
    retries: int,
    tick: Callable[[], None],
) -> Iterator[JobResult]:
    """Does the jobs on a cluster and yields each result as it comes.

    Args:
        jobs: in the order in which they begin.
        board: on a filesystem that all machines of the cluster see under the same path.
        options: the cluster.
        retries: of a task whose machine or process died, or failed in a way that may pass.
        tick: called a few times a second.

    Raises:
        ParameterError: no Ray, no such cluster, or none that could ever take a task.
    """
    require_ray()
    with connected(options) as ray:
        room = options.workers or _room_for_tasks(ray, options)
        task = ray.remote(
            num_cpus=options.cpus,
            num_gpus=options.gpus,
            max_retries=retries,
            retry_exceptions=True,
        )(portable_task())
        waiting = deque(jobs)
        running: dict[Any, Job] = {}
        while running or (waiting and not board.stopped):
            while waiting and len(running) < room and not board.stopped:
                job = waiting.popleft()
                options_of_job = job.options.to_json()
                values = {"name": job.name, "options": options_of_job, "report": job.report}
                handle = task.options(name=f"replay {job.name}").remote(
                    values, str(board.folder), board.token, __version__
                )
                running[handle] = job
            done, _ = ray.wait(list(running), timeout=TICK_S) if running else ([], [])
            for handle in done:
                job = running.pop(handle)
                yield _result(ray, handle, job, board, retries)
            tick()


@contextmanager
def connected(options: RayOptions) -> Iterator[Any]:
    """Ray, connected to the cluster, or to one of this machine that ends with the context."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    quiet: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
    local: dict[str, Any] = {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    try:
        if options.address == LOCAL:
            ray.init(address=LOCAL, **local, **quiet)
        else:
            _knock(options.address)
            ray.init(address=options.address, **quiet)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise ParameterError(
            "--ray",
            found=f"{options.address}, which does not answer ({_first_line(error)})",
            expected="host:port of the head of a running Ray cluster, or local",
            fix="On its head run: ray start --head. On the others: ray start --address=HEAD:6379",
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Raises OSError or ValueError where nobody listens; Ray would try for minutes."""
    if address == "auto":  # the cluster that runs on this machine, which Ray knows at once
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), KNOCK_S).close()


def _room_for_tasks(ray: Any, options: RayOptions) -> int:
    """How many tasks fit now, and as many again, so that none waits and a cluster may grow."""
    there = ray.cluster_resources()
    cpus, gpus = there.get("CPU", 0.0), there.get("GPU", 0.0)
    fits = cpus / options.cpus
    if options.gpus:
        fits = min(fits, gpus / options.gpus)
    if fits < 1:
        raise ParameterError(
            "The Ray cluster has no room for a task",
            found=f"{cpus:g} processors and {gpus:g} GPUs in it",
            expected=f"{options.cpus} processors and {options.gpus:g} GPUs for each task",
            fix="Change --threads or --gpus-per-task, or give the cluster what the tasks need",
        )
    return 2 * int(fits)


def portable_task() -> Callable[[dict[str, Any], str, str, str], dict[str, Any]]:
    """`do_remote_job` for a machine that may lack this package: it then says so in its result.

    A function within a function goes to a cluster as code; one of a module goes as its name.
    """

    def task(job: dict[str, Any], board: str, token: str, version: str) -> dict[str, Any]:
        import platform

        try:
            from depth_estimation_ros.apps.replay.fleet_task import do_remote_job
        except ImportError as error:
            return {
                "job": job["name"],
                "exit_code": 1,
                "problem": f"The machine {platform.node()} cannot replay: found {error}, expected "
                f"depth_estimation_ros {version} in the environment of its Ray. Run there: pip "
                "install . in a checkout of it, as on the machine of the command",
            }
        return do_remote_job(job, board, token, version)

    return task


def _result(ray: Any, handle: Any, job: Job, board: Board, retries: int) -> JobResult:
    try:
        return JobResult(**ray.get(handle))
    except ray.exceptions.RayError as error:
        if board.stopped:
            return JobResult(job.name, INTERRUPTED, _first_line(error))
        cause = getattr(error, "cause", None)
        why = f"{type(cause).__name__}: {cause}" if cause else _first_line(error)
        return JobResult(job.name, 1, f"{why}, {retries + 1} times")


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
