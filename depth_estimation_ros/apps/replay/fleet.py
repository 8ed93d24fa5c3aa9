"""Several recordings, or one in chunks, by several workers: processes here, or a Ray cluster."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from depth_estimation_ros.apps.replay import fleet_processes, fleet_ray
from depth_estimation_ros.apps.replay.fleet_board import Board
from depth_estimation_ros.apps.replay.fleet_job import JobResult, finished
from depth_estimation_ros.apps.replay.fleet_merge import merge
from depth_estimation_ros.apps.replay.fleet_plan import Bag, Job, plan, save_plan
from depth_estimation_ros.apps.replay.fleet_ray import RayOptions
from depth_estimation_ros.apps.replay.fleet_replace import replacing
from depth_estimation_ros.apps.replay.fleet_summary import (
    BagResult,
    FleetSummary,
    bag_result,
    worst,
)
from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.apps.replay.output import earlier_result
from depth_estimation_ros.apps.replay.summary import ReplaySummary
from depth_estimation_ros.errors import DepthEstimationError, ParameterError

BOARD = ".fleet"


@dataclass(frozen=True)
class FleetOptions:
    """What a fleet is to do.

    Attributes:
        inputs: the recordings.
        output: folder of the results, one directory for each recording.
        replay: what is done to each of them; its inputs and output do not count.
        workers: processes at a time, or tasks of Ray; 0 is one process, or all that Ray has room
            for.
        chunk_s: seconds of recording to a chunk; 0 cuts nothing, None only so that all workers
            have work.
        ray: a cluster; None for processes of this machine.
        retries: of a job whose process or machine died, or failed in a way that may pass.
        report: whether each result gets a report.html.
    """

    inputs: tuple[str, ...]
    output: str
    replay: ReplayOptions
    workers: int = 0
    chunk_s: float | None = None
    ray: RayOptions | None = None
    retries: int = 2
    report: bool = False


class Fleet:
    """Recordings on their way through several workers.

    Args:
        options: what to do. All of it is checked and planned here, and nothing is done yet.

    Attributes:
        bags: the recordings.
        board: what workers and command tell each other.

    Raises:
        ParameterError, BagError: options that cannot work, or results that are there already.
    """

    def __init__(self, options: FleetOptions) -> None:
        if options.ray is not None:
            fleet_ray.require_ray()
        self.options = options
        self._workers = options.workers or 1
        self.board = Board(Path(os.path.abspath(options.output)) / BOARD)
        common = _everywhere(options.replay, 0 if options.ray else self._workers)
        common.check()
        if not options.inputs:
            raise ParameterError("No recordings", expected="at least one input")
        folder, board = self.board.folder.parent, self.board.folder
        self.bags = plan(
            options.inputs, folder, common, board, self._workers, options.chunk_s, options.report
        )
        for bag in self.bags:
            _check_results(bag, self.board.folder)

    def run(
        self,
        tick: Callable[[], None] = lambda: None,
        done: Callable[[BagResult], None] = lambda result: None,
    ) -> FleetSummary:
        """Does all that is not done yet; `board.stop` makes it end early.

        Args:
            tick: called a few times a second.
            done: told of each recording as it ends.

        Raises:
            ParameterError: no such Ray cluster.
        """
        if not self.options.replay.overwrite:
            return self._run(tick, done)
        with replacing([bag.output for bag in self.bags], self.board.folder):
            return self._run(tick, done)

    def _run(self, tick: Callable[[], None], done: Callable[[BagResult], None]) -> FleetSummary:
        start = time.monotonic()
        self.board.open()
        save_plan(self.bags, self.board.folder)
        results: dict[str, JobResult] = {}
        ended: dict[str, BagResult] = {}

        def end_if_done(bag: Bag) -> None:
            if all(job.name in results for job in bag.jobs):
                ended[bag.name] = self._end(bag, results)
                ended[bag.name].before = not any(job.name in jobs for job in bag.jobs)
                done(ended[bag.name])

        jobs: dict[str, tuple[Job, Bag]] = {}
        for bag in self.bags:
            for job in bag.jobs:
                earlier = finished(bag.output) or finished(Path(job.options.output))
                if earlier is None:
                    jobs[job.name] = job, bag
                else:
                    results[job.name] = JobResult(job.name, earlier.exit_code, earlier.problem)
            end_if_done(bag)
        for result in self._results([job for job, _ in jobs.values()], tick):
            results[result.job] = result
            end_if_done(jobs[result.job][1])
        for bag in self.bags:
            if bag.name not in ended:
                ended[bag.name] = bag_result(bag, results, self.board)
        bags = [ended[bag.name] for bag in self.bags]
        ray = self.options.ray
        summary = FleetSummary(
            exit_code=worst(bag.exit_code for bag in bags),
            seconds=round(time.monotonic() - start, 3),
            workers=self.options.workers if ray else self._workers,
            ray=ray.address if ray else "",
            bags=bags,
        )
        summary.write(self.board.folder.parent)
        if all(finished(bag.output) for bag in self.bags):
            shutil.rmtree(self.board.folder, ignore_errors=True)
        return summary

    def _results(self, jobs: Sequence[Job], tick: Callable[[], None]) -> Iterator[JobResult]:
        if not jobs:
            return iter(())
        retries = self.options.retries
        if self.options.ray is not None:
            return fleet_ray.run(jobs, self.board, self.options.ray, retries, tick)
        return fleet_processes.run(jobs, self.board, self._workers, retries, tick)

    def _end(self, bag: Bag, results: dict[str, JobResult]) -> BagResult:
        """Joins the chunks if they are finished."""
        problem = ""
        chunks_done = all(finished(Path(job.options.output)) for job in bag.jobs)
        if bag.is_cut and chunks_done and finished(bag.output) is None:
            try:
                merge(bag, self.board.room(bag.name), self.options.report)
            except (DepthEstimationError, OSError) as error:
                problem = f"The chunks of {bag.name} cannot be joined: {error}"
        result = bag_result(bag, results, self.board)
        if problem:
            result.problem, result.exit_code = problem, 1
        return result


def _everywhere(options: ReplayOptions, workers: int) -> ReplayOptions:
    """The same options, in any working folder, with a fair share of the processors."""
    threads = options.threads
    if threads == 0 and workers > 1:
        threads = max(1, (os.cpu_count() or 1) // workers)
    files = {
        name: os.path.abspath(getattr(options, name))
        for name in ("model", "calibration")
        if Path(getattr(options, name)).is_file()
    }
    return replace(options, threads=threads, **files)


def _check_results(bag: Bag, board: Path) -> None:
    """Lets results be continued or replaced only where that was asked for, and fits.

    Raises:
        ParameterError: they are in the way, or were made with other options.
    """
    earlier = earlier_result(replace(bag.options, resume=True))
    begun = earlier is not None or (board / bag.name).exists()
    if begun and not bag.options.resume and not bag.options.overwrite:
        raise ParameterError(
            f"The folder {board.parent}",
            found=f"{'a' if earlier and earlier.complete else 'an unfinished'} result of "
            f"{bag.input}",
            expected="a new folder",
            fix="Replace what is in it with --overwrite, or go on with --resume: what is finished "
            "is not done again",
        )
    if not bag.options.resume:
        return
    for job in bag.jobs:
        done = finished(Path(job.options.output))
        if done is not None:
            _check_same(done, job.options)
    if earlier is not None and earlier.complete:
        _check_same(earlier, bag.options)


def _check_same(done: ReplaySummary, options: ReplayOptions) -> None:
    if differences := ReplayOptions.from_json(done.options).differences(options):
        raise ParameterError(
            f"The result in {options.output} was made with other settings",
            found="; ".join(f"{line} now" for line in differences),
            expected="the same settings for all recordings of one folder",
            fix="Give the same ones to go on, or another folder with --output, or begin anew with "
            "--overwrite",
        )
