"""What became of the recordings of a fleet: fleet.json beside the results."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from depth_estimation_ros.apps.replay.fleet_board import Board, write_json
from depth_estimation_ros.apps.replay.fleet_job import INTERRUPTED, JobResult
from depth_estimation_ros.apps.replay.fleet_plan import Bag
from depth_estimation_ros.apps.replay.summary import ReplaySummary

FLEET = "fleet.json"
FROM_GOOD_TO_BAD = (0, 2, 1, INTERRUPTED)


@dataclass
class BagResult:
    """What became of a recording.

    Attributes:
        name, input, output: of the recording and its result.
        exit_code: as that of `replay`.
        problem: why, in words; or empty.
        chunks: that it was cut into; 1 for none.
        attempts: at all of them together, in this run and those before; one each if all went well.
        by: machines and processes that did it.
        before: it was finished by an earlier run.
        frames_in, frames_out, frames_bad: as in `ReplaySummary`, of what is finished.
        seconds: of all chunks together.
    """

    name: str
    input: str
    output: str
    exit_code: int = INTERRUPTED
    problem: str = ""
    chunks: int = 1
    attempts: int = 0
    by: list[str] = field(default_factory=list)
    before: bool = False
    frames_in: int = 0
    frames_out: int = 0
    frames_bad: int = 0
    seconds: float = 0.0


@dataclass
class FleetSummary:
    """What became of all recordings; fleet.json.

    Attributes:
        exit_code: the worst of all: interrupted is worse than nothing done, that than with loss.
        seconds: from beginning to end.
        workers: processes or tasks at a time; 0 is as many as Ray has room for.
        ray: address of the cluster; or empty.
        bags: the recordings in their order.
    """

    exit_code: int
    seconds: float
    workers: int
    ray: str
    bags: list[BagResult]

    def write(self, folder: Path) -> Path:
        """Writes fleet.json into the folder, all of it or nothing; returns its path."""
        write_json(folder / FLEET, asdict(self))
        return folder / FLEET


def bag_result(bag: Bag, results: dict[str, JobResult], board: Board) -> BagResult:
    """Of a recording, from what is known of its jobs and from what lies in their outputs.

    Args:
        bag: the recording.
        results: of the jobs that ended, by name; the others count as interrupted.
        board: knows the attempts.
    """
    of_jobs = [results.get(job.name, JobResult(job.name, INTERRUPTED)) for job in bag.jobs]
    attempts = [by for job in bag.jobs for by in board.attempts(job.name)]
    result = BagResult(
        name=bag.name,
        input=str(bag.input),
        output=str(bag.output),
        exit_code=worst(one.exit_code for one in of_jobs),
        problem=next((one.problem for one in of_jobs if one.problem), ""),
        chunks=len(bag.jobs),
        attempts=len(attempts),
        by=sorted(set(attempts)),
    )
    outputs = [bag.output, *(Path(job.options.output) for job in bag.jobs)]
    summaries = []
    for output in outputs[:1] if bag.output.exists() else outputs:
        with suppress(OSError, ValueError, TypeError):
            summaries.append(ReplaySummary.read(output))
    for name in ("frames_in", "frames_out", "frames_bad", "seconds"):
        setattr(result, name, sum(getattr(summary, name) for summary in summaries))
    return result


def worst(exit_codes: Iterable[int]) -> int:
    """The exit code that says most of what went wrong; 0 of none."""
    return max(exit_codes, key=FROM_GOOD_TO_BAD.index, default=0)
