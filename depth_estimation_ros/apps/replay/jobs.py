"""The jobs of several recordings: each recording once, long ones in chunks; and what a job does."""

from __future__ import annotations

import json
import logging
import math
import os
import platform
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, pairwise
from pathlib import Path
from typing import Any

from depth_estimation_ros.apps.replay.frames_csv import FRAMES
from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.apps.replay.output import add_up
from depth_estimation_ros.apps.replay.run import replay
from depth_estimation_ros.apps.replay.summary import (
    SUMMARY,
    TOPIC_FIELDS,
    CameraSummary,
    Progress,
    ReplaySummary,
)
from depth_estimation_ros.bags import merge_parts, open_recording
from depth_estimation_ros.bags.metadata import STORAGE_SUFFIXES, ZSTD
from depth_estimation_ros.errors import DepthEstimationError, ParameterError
from depth_estimation_ros.utils.files import atomic_write

CHUNKS = ".chunks"
"""Folder of the unfinished chunks in that of the results."""
MIN_CHUNK_S = 20.0  # of chunks that nobody asked for: each opens the model, and reads the index
MAX_CHUNKS = 10_000
_BORDERS = "borders_ns.json"
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """A recording or a chunk of one, for one worker.

    Attributes:
        name: unique; of the bag, and of a chunk with its number after a slash.
        options: of its replay, with the `run_id` of this run.
        report: write report.html too.
    """

    name: str
    options: ReplayOptions
    report: bool = False

    def to_json(self) -> dict[str, Any]:
        """Values for JSON; `from_json` reads them."""
        return {"name": self.name, "options": self.options.to_json(), "report": self.report}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Job:
        """Return the job of `to_json`."""
        return cls(values["name"], ReplayOptions.from_json(values["options"]), values["report"])


@dataclass(frozen=True)
class JobResult:
    """How a job ended.

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


@dataclass(frozen=True)
class Bag:
    """A recording with its jobs: its chunks in order of time, or one for all of it.

    Attributes:
        name: of the output.
        options: of its replay as a whole.
        jobs: at least one.
    """

    name: str
    options: ReplayOptions
    jobs: tuple[Job, ...]

    @property
    def output(self) -> Path:
        """The directory of the result."""
        return Path(self.options.output)

    @property
    def chunks(self) -> Path:
        """The directory of its chunks."""
        return self.output.parent / CHUNKS / self.name


def run_job(
    job: Job,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    stop: threading.Event | None = None,
) -> JobResult:
    """Replay a recording or chunk; go on with what an earlier attempt of this run left.

    Raises:
        Exception: what another attempt may get over; what it cannot is in the result.
    """
    by = f"{platform.node()} pid {os.getpid()}"
    output = Path(job.options.output)
    earlier = read_summary(output)
    options = job.options
    if earlier is not None and earlier.options.get("run_id") == options.run_id:
        options = replace(options, resume=True, overwrite=False)
    if earlier is not None and earlier.complete and not options.overwrite:
        return JobResult(job.name, earlier.exit_code, earlier.problem, by)
    try:
        summary = replay(options, on_progress, stop)
    except DepthEstimationError as error:
        return JobResult(job.name, 1, str(error), by)
    if job.report and summary.complete:
        _try_report(output)
    return JobResult(job.name, summary.exit_code, summary.problem, by)


def read_summary(output: Path) -> ReplaySummary | None:
    """Return the summary of a result; None if there is none."""
    try:
        return ReplaySummary.read(output)
    except (OSError, ValueError, TypeError):
        return None


def is_finished(output: Path) -> bool:
    """Return whether the result lacks nothing that could still be done."""
    summary = read_summary(output)
    return summary is not None and summary.complete


def plan_bags(
    inputs: Sequence[str | Path],
    folder: Path,
    options: ReplayOptions,
    workers: int,
    chunk_s: float | None = None,
    report: bool = False,
) -> list[Bag]:
    """Name the outputs and cut what is to be cut.

    Where an earlier run left chunks, its cuts stay. What was begun in one piece is finished in one.

    Args:
        inputs: the recordings.
        folder: of the outputs.
        options: of all of them.
        workers: that there are; with fewer recordings, long ones are cut so that all have work.
        chunk_s: seconds of recording to a chunk; 0 cuts nothing, None only so that all have work.
        report: whether each result gets a report.html; not the single chunks.

    Raises:
        ParameterError: too many chunks.
    """
    once = {path.expanduser().resolve(): path.expanduser() for path in map(Path, reversed(inputs))}
    paths = [Path(os.path.abspath(path)) for path in reversed(once.values())]
    pieces = math.ceil(workers / max(1, len(paths)))
    bags = []
    for path, name in zip(paths, output_names(paths), strict=True):
        mine = replace(options, inputs=(str(path),), output=str(folder / name))
        chunks = folder / CHUNKS / name
        borders = None if options.overwrite else _read_borders(chunks, mine)
        if borders is None:
            begun = options.resume and (folder / name / SUMMARY).exists()
            borders = [] if begun else _borders(mine, chunk_s, pieces)
        jobs = [
            Job(
                f"{name}/{number:04}",
                replace(mine, output=str(chunks / f"{name}_{number:04}"), window_ns=window),
            )
            for number, window in enumerate(pairwise(borders))
        ]
        bags.append(Bag(name, mine, tuple(jobs) or (Job(name, mine, report),)))
    return bags


def prepare(bag: Bag) -> None:
    """Keep the cuts of a recording for a run that goes on with it."""
    windows = [job.options.window_ns for job in bag.jobs if job.options.window_ns]
    if not windows:
        return
    bag.chunks.mkdir(parents=True, exist_ok=True)
    borders = [start for start, _ in windows] + [windows[-1][1]]
    with atomic_write(bag.chunks / _BORDERS) as part:
        part.write_text(json.dumps({"input": bag.options.inputs, "borders_ns": borders}))


def merge_chunks(bag: Bag, report: bool = False) -> ReplaySummary:
    """Join the finished chunks of a recording to one result, as if replayed in one go.

    Raises:
        BagError: a chunk cannot be read.
    """
    parts = [Path(job.options.output) for job in bag.jobs]
    merged = bag.chunks / bag.name  # moved to its place when it is whole
    shutil.rmtree(merged, ignore_errors=True)
    merge_parts(merged, parts)
    with (merged / FRAMES).open("wb") as file:
        for number, part in enumerate(parts):
            with (part / FRAMES).open("rb") as rows:
                header = rows.readline()
                if number == 0:
                    file.write(header)
                shutil.copyfileobj(rows, file)
    summary = _joined([ReplaySummary.read(part) for part in parts], bag)
    add_up(summary, merged)
    summary.write(merged)
    if report:
        _try_report(merged)
    if bag.output.exists():  # an earlier result, which is to be replaced
        shutil.rmtree(bag.output)
    merged.replace(bag.output)
    shutil.rmtree(bag.chunks)
    return summary


def output_names(inputs: Sequence[Path]) -> list[str]:
    """Return a name for the output of each recording, no two alike: its own, without suffixes.

    Recordings of the same name get the names of folders above them (monday/run and tuesday/run
    become monday_run and tuesday_run), and where these do not help numbers.
    """
    parts = [Path(os.path.abspath(path)).parts[1:] or ("recording",) for path in inputs]
    names = [_name(one, 0) for one in parts]
    for level in range(1, max(map(len, parts), default=0)):
        counts = Counter(names)
        names = [
            _name(one, level) if counts[name] > 1 else name
            for one, name in zip(parts, names, strict=True)
        ]
    result: list[str] = []
    for name in names:
        numbered = (name if n == 1 else f"{name}_{n}" for n in count(1))
        result.append(
            next(n for n in numbered if n not in result and (n == name or n not in names))
        )
    return result


def _name(parts: tuple[str, ...], level: int) -> str:
    *folders, name = parts
    while (stem := Path(name)).suffix in (*STORAGE_SUFFIXES, ZSTD):
        name = stem.stem
    # A leading point would hide the output.
    return "_".join([*folders[max(0, len(folders) - level) :], name]).lstrip(".") or "recording"


def _read_borders(chunks: Path, options: ReplayOptions) -> list[int] | None:
    try:
        kept = json.loads((chunks / _BORDERS).read_text())
    except (OSError, ValueError):
        return None
    return kept["borders_ns"] if kept["input"] == list(options.inputs) else None


def _borders(options: ReplayOptions, chunk_s: float | None, pieces: int) -> list[int]:
    """Recording times at which a recording is cut; empty for not at all."""
    by_percentile = "color" in options.outputs and options.color_range == "percentile"
    needs_the_past = by_percentile or options.temporal_filter > 0 or options.is_anchored
    if chunk_s == 0 or (chunk_s is None and pieces < 2) or needs_the_past:
        return []
    try:
        with open_recording(options.inputs[0]) as recording:
            recording.require_whole()  # a damaged one is read through to its damage by one worker
            start_ns, end_ns = recording.start_ns, recording.end_ns
    except DepthEstimationError:
        return []  # what is wrong with it, its worker will say
    first = start_ns + round(options.start_s * 1e9)
    last = min(end_ns, start_ns + round(options.end_s * 1e9)) if options.end_s else end_ns
    wanted_s = max(0.0, (last - first) / 1e9)
    if chunk_s is None:
        pieces = min(pieces, int(wanted_s / MIN_CHUNK_S))
    else:
        pieces = math.ceil(wanted_s / chunk_s)
        if pieces > MAX_CHUNKS:  # of a clock that was set on the way, from 1970 to today
            raise ParameterError(
                f"--chunk for {options.inputs[0]}",
                found=f"{pieces} chunks of {chunk_s:g} s, from its first to its last message",
                expected=f"at most {MAX_CHUNKS}",
                fix="Give longer ones, or --chunk 0 for none",
            )
    if pieces < 2:
        return []
    # The outer borders are those of the recording: what is copied may lie before the first image.
    inner = [first + (last - first) * i // pieces for i in range(1, pieces)]
    return [start_ns, *inner, end_ns]


def _joined(parts: Sequence[ReplaySummary], bag: Bag) -> ReplaySummary:
    seconds = sum(part.seconds for part in parts)
    frames = sum(part.frames_in for part in parts)
    cameras: dict[str, CameraSummary] = {}
    for camera in (camera for part in parts for camera in part.cameras):
        known = cameras.get(camera.image_topic)
        # A chunk without images does not know the state of its camera, nor which topics it has.
        first = camera if known is None or known.frames_in == 0 else known
        cameras[camera.image_topic] = first
        for name in TOPIC_FIELDS.values():
            setattr(first, name, getattr(known, name, "") or getattr(camera, name))
    return replace(
        parts[0],
        inputs=list(bag.options.inputs),
        output=bag.options.output,
        notes=_each_once(note for part in parts for note in part.notes),
        damage=_each_once(damage for part in parts for damage in part.damage),
        # As if the chunks had been done one after the other: what it took, not when it was over.
        seconds=round(seconds, 3),
        frames_per_second=round(frames / seconds, 2) if seconds else 0.0,
        peak_rss_mb=max(part.peak_rss_mb for part in parts),
        bytes_written=sum(part.bytes_written for part in parts),
        cameras=[*cameras.values()],
        options=bag.options.to_json(),
    )


def _each_once(values: Iterable[Any]) -> list[Any]:
    result: list[Any] = []
    for value in values:
        if value not in result:
            result.append(value)
    return result


def _try_report(output: Path) -> None:
    """Write report.html; a result without one is still a result."""
    from depth_estimation_ros.apps.replay.report import write_report

    try:
        write_report(output)
    except DepthEstimationError as error:
        logger.warning("no report. %s", error)
