"""Workers of a fleet: processes of this machine, or tasks of a Ray cluster. Both call `run_job`.

Run as a module it is such a process: a job as JSON in its argument, progress and result as lines of
JSON on its standard output, and it stops in order when its standard input is closed, also because
the command has died.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from depth_estimation_ros import __version__
from depth_estimation_ros.apps.replay.jobs import Job, JobResult, run_job
from depth_estimation_ros.apps.replay.summary import Progress
from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.utils.memory import keep_freed_memory

INTERRUPTED = 130
LOCAL = "local"
FLEET_FILE = "fleet.json"
_PROGRESS_S = 0.2
_KNOCK_S = 5.0
_OBJECT_STORE_BYTES = 100 * 2**20  # the least there is: no image ever goes through it

OnProgress = Callable[[str, int, int], None]
"""Called with the name of a job, the images that are done, and the process that does them."""


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


class ProcessWorkers:
    """Processes of this machine, a fresh one for each job: one that the system kills for its
    memory, or that a driver takes down, costs the others nothing.

    Args:
        workers: processes at a time.
        retries: of a job whose process died, or failed in a way that may pass.
        on_progress: called by the threads that watch the processes.
    """

    def __init__(self, workers: int, retries: int, on_progress: OnProgress) -> None:
        self._workers, self._retries, self._on_progress = workers, retries, on_progress
        self._stopped = False
        self._running: set[subprocess.Popen[str]] = set()

    def run(self, jobs: Sequence[Job]) -> Iterator[JobResult]:
        """Do the jobs and yield each result as it comes."""
        with ThreadPoolExecutor(self._workers) as pool:
            futures = [pool.submit(self._supervise, job) for job in jobs]
            try:
                for future in as_completed(futures):
                    yield future.result()
            finally:
                self.stop()

    def stop(self) -> None:
        """Let the running jobs finish what they write, and begin no other."""
        self._stopped = True
        for process in [*self._running]:
            with suppress(OSError):
                process.stdin.close()  # type: ignore[union-attr]

    def _supervise(self, job: Job) -> JobResult:
        problem = ""
        for _ in range(self._retries + 1):
            if self._stopped:
                return JobResult(job.name, INTERRUPTED, problem)
            answer = self._attempt(job)
            if isinstance(answer, JobResult):
                return answer
            problem = answer
        times = "" if self._retries == 0 else f", {self._retries + 1} times"
        return JobResult(job.name, 1, problem + times)

    def _attempt(self, job: Job) -> JobResult | str:
        """Return the result of the job; or why there is none."""
        path = os.pathsep.join(entry for entry in sys.path if entry)
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, json.dumps(job.to_json())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        self._running.add(process)
        if self._stopped:
            self.stop()
        answer: JobResult | str = ""
        with process:
            for line in process.stdout or ():
                with suppress(ValueError):  # what a library prints
                    message = json.loads(line)
                    if "done" in message:
                        self._on_progress(job.name, message["done"], process.pid)
                    else:
                        result, error = message.get("result"), message.get("error", "")
                        answer = JobResult(**result) if result else error
        self._running.discard(process)
        code = process.returncode
        if answer:
            return answer
        if code < 0:
            killed = " (by the system, if the memory was full)" if -code == signal.SIGKILL else ""
            return f"its process was ended by {signal.Signals(-code).name}{killed}"
        return f"its process ended with code {code}"


class RayWorkers:
    """Tasks of a Ray cluster; one whose machine or process dies is started again by Ray.

    Only options go to a task and only a few words come back; recordings and results lie on a
    filesystem that all machines share.

    Args:
        options: of the cluster.
        folder: of the results.
        retries: of a task whose machine or process died, or failed in a way that may pass.

    Raises:
        ParameterError: Ray is not installed.
    """

    def __init__(self, options: RayOptions, folder: Path, retries: int) -> None:
        if find_spec("ray") is None:
            raise ParameterError(
                "--ray needs Ray",
                found="no module named ray",
                expected="Ray in this environment, and in that of every machine of the cluster",
                fix="Run: pip install ray. On one machine --workers N does without",
            )
        self._options, self._folder, self._retries = options, folder, retries
        self._stopped = False

    def run(self, jobs: Sequence[Job]) -> Iterator[JobResult]:
        """Do the jobs and yield each result as it comes.

        Raises:
            ParameterError: no such cluster, or none that could ever take a task.
        """
        options = self._options
        with connected(options) as ray:
            room = options.workers or _room_for_tasks(ray, options)
            task = ray.remote(
                num_cpus=options.cpus,
                num_gpus=options.gpus,
                max_retries=self._retries,
                retry_exceptions=True,
            )(portable_task())
            waiting, running = deque(jobs), dict[Any, Job]()
            while running or waiting:
                while waiting and len(running) < room and not self._stopped:
                    job = waiting.popleft()
                    named = task.options(name=f"replay {job.name}")
                    handle = named.remote(job.to_json(), str(self._folder), __version__)
                    running[handle] = job
                done, _ = ray.wait([*running], timeout=0.1) if running else ([], [])
                for handle in done:
                    yield self._result(ray, handle, running.pop(handle))
                if self._stopped:
                    for handle in running:
                        ray.cancel(handle)
                    while waiting:
                        yield JobResult(waiting.popleft().name, INTERRUPTED)

    def stop(self) -> None:
        """Let the running tasks finish what they write, and begin no other."""
        self._stopped = True

    def _result(self, ray: Any, handle: Any, job: Job) -> JobResult:
        try:
            return JobResult(**ray.get(handle))
        except (ray.exceptions.RayError, KeyboardInterrupt) as error:
            if self._stopped:
                return JobResult(job.name, INTERRUPTED)
            cause = getattr(error, "cause", None)
            why = f"{type(cause).__name__}: {cause}" if cause else _first_line(error)
            return JobResult(job.name, 1, f"{why}, {self._retries + 1} times")


def remote_job(values: dict[str, Any], folder: str, version: str) -> dict[str, Any]:
    """`run_job` on a machine of a cluster, with and as plain values.

    Args:
        values: name, options and report of the job.
        folder: of the results, as the command sees it.
        version: of the package that the command runs.
    """
    job = Job.from_json(values)
    here = socket.gethostname()
    problem = ""
    if version != __version__:
        problem = (
            f"depth_estimation_ros on {here}: found version {__version__}, expected version "
            f"{version}, which the command runs. Install the same version on every machine"
        )
    elif _run_id(Path(folder)) != job.options.run_id:
        problem = (
            f"The folder for the outputs, {folder}, as seen from {here}: found another folder, or "
            "none, expected the very folder that the command sees. Inputs and outputs of a cluster "
            "must lie on a filesystem that all its machines share under the same path, NFS for "
            "instance"
        )
    if problem:
        return asdict(JobResult(job.name, 1, problem, here))
    keep_freed_memory()
    return asdict(run_job(job))


def portable_task() -> Callable[[dict[str, Any], str, str], dict[str, Any]]:
    """`remote_job` for a machine that may lack this package: it then says so in its result.

    A function within a function goes to a cluster as code; one of a module goes as its name.
    """

    def task(job: dict[str, Any], folder: str, version: str) -> dict[str, Any]:
        import platform

        try:
            from depth_estimation_ros.apps.replay.workers import remote_job
        except ImportError as error:
            return {
                "job": job["name"],
                "exit_code": 1,
                "problem": f"The machine {platform.node()} cannot replay: found {error}, expected "
                f"depth_estimation_ros {version} in the environment of its Ray. Run there: pip "
                "install . in a checkout of it, as on the machine of the command",
            }
        return remote_job(job, folder, version)

    return task


@contextmanager
def connected(options: RayOptions) -> Iterator[Any]:
    """Ray, connected to the cluster, or to one of this machine that ends with the context.

    Raises:
        ParameterError: no such cluster.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    settings: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
    if options.address == LOCAL:
        settings |= {"include_dashboard": False, "object_store_memory": _OBJECT_STORE_BYTES}
    try:
        if options.address not in (LOCAL, "auto"):  # Ray would try for minutes
            host, _, port = options.address.removeprefix("ray://").rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), _KNOCK_S).close()
        ray.init(address=options.address, **settings)
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


def _room_for_tasks(ray: Any, options: RayOptions) -> int:
    """How many tasks fit now, and as many again, so that none waits and a cluster may grow."""
    there = ray.cluster_resources()
    cpus, gpus = there.get("CPU", 0.0), there.get("GPU", 0.0)
    fits = min(cpus / options.cpus, gpus / options.gpus if options.gpus else float("inf"))
    if fits < 1:
        raise ParameterError(
            "The Ray cluster has no room for a task",
            found=f"{cpus:g} processors and {gpus:g} GPUs in it",
            expected=f"{options.cpus} processors and {options.gpus:g} GPUs for each task",
            fix="Change --threads or --gpus-per-task, or give the cluster what the tasks need",
        )
    return 2 * int(fits)


def _run_id(folder: Path) -> str:
    with suppress(OSError, ValueError, KeyError):
        return str(json.loads((folder / FLEET_FILE).read_text("utf-8"))["run_id"])
    return ""


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _serve() -> None:
    """Do the job in the argument; see the head of this file."""
    stop = threading.Event()
    # Ctrl-C in the terminal is for the command alone, which stops its workers in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    threading.Thread(target=_stop_at_end_of_input, args=(stop,), daemon=True).start()
    keep_freed_memory()
    job = Job.from_json(json.loads(sys.argv[1]))
    last = 0.0

    def on_progress(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _PROGRESS_S or progress.frames_done == progress.frames_total:
            last = now
            _answer({"done": progress.frames_done})

    try:
        _answer({"result": asdict(run_job(job, on_progress, stop))})
    except Exception as error:
        _answer({"error": f"{type(error).__name__}: {error}"})


def _stop_at_end_of_input(stop: threading.Event) -> None:
    os.read(0, 1)
    stop.set()


def _answer(message: dict[str, Any]) -> None:
    with suppress(OSError):  # the command is gone
        print(json.dumps(message), flush=True)


if __name__ == "__main__":
    _serve()
