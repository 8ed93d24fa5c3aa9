"""Several recordings, or one in chunks, by several workers; fleet.json says how each ended."""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from depth_estimation_ros.apps.replay.jobs import (
    CHUNKS,
    Bag,
    Job,
    JobResult,
    is_finished,
    merge_chunks,
    plan_bags,
    prepare,
    read_summary,
)
from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.apps.replay.output import earlier_result
from depth_estimation_ros.apps.replay.summary import ReplaySummary
from depth_estimation_ros.apps.replay.workers import (
    FLEET_FILE,
    INTERRUPTED,
    OnProgress,
    ProcessWorkers,
    RayOptions,
    RayWorkers,
)
from depth_estimation_ros.errors import DepthEstimationError, ParameterError
from depth_estimation_ros.utils.files import atomic_write

FROM_GOOD_TO_BAD = (0, 2, 1, INTERRUPTED)


@dataclass
class BagResult:
    """How a recording ended.

    Attributes:
        name, input, output: of the recording and its result.
        exit_code: as that of `replay`.
        problem: why, in words; or empty.
        chunks: that it was cut into; 1 for none.
        by: machines and processes that did it.
        before: it was finished by an earlier run.
        guessed_scale: the field of view of a camera is not known.
        frames_in, frames_out, frames_bad: as in `ReplaySummary`, of what is finished.
        seconds: of all chunks together.
    """

    name: str
    input: str
    output: str
    exit_code: int = INTERRUPTED
    problem: str = ""
    chunks: int = 1
    by: list[str] = field(default_factory=list)
    before: bool = False
    guessed_scale: bool = False
    frames_in: int = 0
    frames_out: int = 0
    frames_bad: int = 0
    seconds: float = 0.0


@dataclass
class FleetSummary:
    """How all recordings ended; fleet.json.

    Attributes:
        exit_code: the worst of all: interrupted is worse than nothing done, that than with loss.
        seconds: from beginning to end.
        workers: processes or tasks at a time; 0 is as many as Ray has room for.
        ray: address of the cluster; or empty.
        run_id: of this run.
        bags: the recordings in their order.
    """

    exit_code: int
    seconds: float
    workers: int
    ray: str
    run_id: str
    bags: list[BagResult]

    def write(self, folder: Path) -> None:
        """Write fleet.json into the folder, all of it or nothing."""
        with atomic_write(folder / FLEET_FILE) as part:
            part.write_text(json.dumps(asdict(self), indent=2) + "\n", "utf-8")


class Fleet:
    """Recordings on their way through several workers; all is checked and planned here.

    Args:
        inputs: the recordings.
        output: folder of the results, one directory for each recording.
        options: of each replay; its inputs and output do not count.
        workers: processes at a time, or tasks of Ray; 0 is one process, or all that Ray has room
            for.
        chunk_s: seconds of recording to a chunk; 0 cuts nothing, None only so that all workers
            have work.
        ray: a cluster; None for processes of this machine.
        retries: of a job whose process or machine died, or failed in a way that may pass.
        report: whether each result gets a report.html.
        on_progress: called now and then with the progress of a job; not with Ray.

    Attributes:
        bags: the recordings.

    Raises:
        ParameterError, BagError: options that cannot work, or results that are there already.
    """

    def __init__(
        self,
        inputs: Iterable[str | Path],
        output: str | Path,
        options: ReplayOptions,
        workers: int = 0,
        chunk_s: float | None = None,
        ray: RayOptions | None = None,
        retries: int = 2,
        report: bool = False,
        on_progress: OnProgress = lambda name, done, pid: None,
    ) -> None:
        self._folder = Path(os.path.abspath(output))
        self._report, self._run_id = report, uuid.uuid4().hex
        self._workers_asked, self._ray = workers if ray else workers or 1, ray
        self._workers: RayWorkers | ProcessWorkers
        if ray is not None:
            self._workers = RayWorkers(ray, self._folder, retries)
        else:
            self._workers = ProcessWorkers(workers or 1, retries, on_progress)
        common = _everywhere(options, 0 if ray else workers or 1, self._run_id)
        common.check()
        self.bags = plan_bags([*inputs], self._folder, common, workers or 1, chunk_s, report)
        for bag in self.bags:
            _check_results(bag)

    def stop(self) -> None:
        """Let `run` end early: running jobs finish what they write, no other begins."""
        self._workers.stop()

    def run(self, on_done: Callable[[BagResult], None] = lambda result: None) -> FleetSummary:
        """Do all that is not done yet.

        Args:
            on_done: called with each recording as it ends.

        Raises:
            ParameterError: no such Ray cluster.
        """
        start = time.monotonic()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._write([BagResult(b.name, b.options.inputs[0], str(b.output)) for b in self.bags], 0)
        results: dict[str, JobResult] = {}
        ended: dict[str, BagResult] = {}
        jobs: list[Job] = []
        owner: dict[str, Bag] = {}
        for bag in self.bags:
            prepare(bag)
            if is_finished(bag.output) and not bag.options.overwrite:
                ended[bag.name] = _bag_result(bag, {}, before=True)
                on_done(ended[bag.name])
                continue
            jobs += bag.jobs
            owner |= {job.name: bag for job in bag.jobs}
        for result in self._workers.run(jobs) if jobs else ():
            results[result.job] = result
            bag = owner[result.job]
            if all(job.name in results for job in bag.jobs):
                ended[bag.name] = self._end(bag, results)
                on_done(ended[bag.name])
        bags = [ended.get(b.name) or _bag_result(b, results) for b in self.bags]
        summary = self._write(bags, time.monotonic() - start)
        if all(is_finished(bag.output) for bag in self.bags):
            shutil.rmtree(self._folder / CHUNKS, ignore_errors=True)
        return summary

    def _write(self, bags: list[BagResult], seconds: float) -> FleetSummary:
        summary = FleetSummary(
            exit_code=max((b.exit_code for b in bags), key=FROM_GOOD_TO_BAD.index, default=0),
            seconds=round(seconds, 3),
            workers=self._workers_asked,
            ray=self._ray.address if self._ray else "",
            run_id=self._run_id,
            bags=bags,
        )
        summary.write(self._folder)
        return summary

    def _end(self, bag: Bag, results: dict[str, JobResult]) -> BagResult:
        """Join the chunks if they are finished."""
        chunks = [Path(job.options.output) for job in bag.jobs]
        if len(chunks) > 1 and all(map(is_finished, chunks)):
            try:
                merge_chunks(bag, self._report)
            except (DepthEstimationError, OSError) as error:
                problem = f"The chunks of {bag.name} cannot be joined: {error}"
                return replace(_bag_result(bag, results), exit_code=1, problem=problem)
        return _bag_result(bag, results)


def _bag_result(bag: Bag, results: dict[str, JobResult], before: bool = False) -> BagResult:
    """From the results of its jobs and what lies in their outputs; jobs without one count as
    interrupted.
    """
    summaries = [read_summary(Path(job.options.output)) for job in bag.jobs]
    whole = read_summary(bag.output)
    parts = [part for part in ([whole] if whole else summaries) if part is not None]
    if before and whole is not None:
        of_jobs = [JobResult(bag.name, whole.exit_code, whole.problem)]
    else:
        of_jobs = [results.get(job.name, JobResult(job.name, INTERRUPTED)) for job in bag.jobs]
    return BagResult(
        name=bag.name,
        input=bag.options.inputs[0],
        output=str(bag.output),
        exit_code=max((one.exit_code for one in of_jobs), key=FROM_GOOD_TO_BAD.index),
        problem=next((one.problem for one in of_jobs if one.problem), ""),
        chunks=len(bag.jobs),
        by=sorted({one.by for one in of_jobs if one.by}),
        before=before,
        guessed_scale=any(camera.has_guessed_scale for part in parts for camera in part.cameras),
        frames_in=sum(part.frames_in for part in parts),
        frames_out=sum(part.frames_out for part in parts),
        frames_bad=sum(part.frames_bad for part in parts),
        seconds=sum(part.seconds for part in parts),
    )


def _everywhere(options: ReplayOptions, workers: int, run_id: str) -> ReplayOptions:
    """Return the same options, in any working folder, with a fair share of the processors."""
    threads = options.threads
    if threads == 0 and workers > 1:
        threads = max(1, (os.cpu_count() or 1) // workers)
    files = {
        name: os.path.abspath(getattr(options, name))
        for name in ("model", "calibration")
        if Path(getattr(options, name)).is_file()
    }
    return replace(options, threads=threads, run_id=run_id, **files)


def _check_results(bag: Bag) -> None:
    """Let results be continued or replaced only where that was asked for, and fits.

    Raises:
        ParameterError: they are in the way, or were made with other options.
    """
    earlier = earlier_result(replace(bag.options, resume=True))
    begun = earlier is not None or bag.chunks.exists()
    if begun and not bag.options.resume and not bag.options.overwrite:
        raise ParameterError(
            f"The folder {bag.output.parent}",
            found=f"{'a' if earlier and earlier.complete else 'an unfinished'} result of "
            f"{bag.options.inputs[0]}",
            expected="a new folder",
            fix="Replace what is in it with --overwrite, or go on with --resume: what is finished "
            "is not done again",
        )
    if bag.options.resume:
        for options in (bag.options, *(job.options for job in bag.jobs)):
            done = read_summary(Path(options.output))
            if done is not None and done.complete:
                _check_same(done, options)


def _check_same(done: ReplaySummary, options: ReplayOptions) -> None:
    if differences := ReplayOptions.from_json(done.options).differences(options):
        raise ParameterError(
            f"The result in {options.output} was made with other settings",
            found="; ".join(f"{line} now" for line in differences),
            expected="the same settings for all recordings of one folder",
            fix="Give the same ones to go on, or another folder with --output, or start over with "
            "--overwrite",
        )
