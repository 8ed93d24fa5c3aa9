"""Which work a fleet has: every recording once, long ones in chunks that meet without a gap."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from depth_estimation_ros.apps.replay.fleet_board import read_json, write_json
from depth_estimation_ros.apps.replay.fleet_names import each_once, output_names
from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.apps.replay.summary import SUMMARY
from depth_estimation_ros.bags import open_recording
from depth_estimation_ros.errors import DepthEstimationError, ParameterError

SHORTEST_CHUNK_S = 20.0  # of those made unasked: each opens the model anew, and reads the index
MOST_CHUNKS = 10_000
PLAN = "plan.json"


@dataclass(frozen=True)
class Job:
    """What one worker does at a time: a recording, or a chunk of one.

    Attributes:
        name: unlike any other; of the bag, and for a chunk its number behind a slash.
        options: of its replay; the output is the place where it belongs in the end.
        report: write report.html too.
    """

    name: str
    options: ReplayOptions
    report: bool = False


@dataclass(frozen=True)
class Bag:
    """One recording of the fleet.

    Attributes:
        name: of the output.
        input: the recording.
        options: of its replay as a whole.
        borders_ns: recording times between which its chunks lie; empty if it is not cut.
        jobs: its chunks in order of time, or one for all of it.
    """

    name: str
    input: Path
    options: ReplayOptions
    borders_ns: tuple[int, ...]
    jobs: tuple[Job, ...]

    @property
    def output(self) -> Path:
        """The directory of the result."""
        return Path(self.options.output)

    @property
    def is_cut(self) -> bool:
        """Whether it is done in chunks."""
        return len(self.jobs) > 1


def plan(
    inputs: Sequence[str | Path],
    folder: Path,
    options: ReplayOptions,
    board: Path,
    workers: int,
    chunk_s: float | None = None,
    report: bool = False,
) -> list[Bag]:
    """Names the outputs and cuts what is to be cut.

    Where an earlier plan lies on the board, its cuts stay: chunks that are done fit them only. What
    was begun in one piece, by a fleet or alone, is gone on with in one.

    Args:
        inputs: the recordings.
        folder: of the outputs.
        options: of all of them.
        board: folder of the chunks and of the plan itself.
        workers: that there are; with fewer recordings, long ones are cut so that all have work.
        chunk_s: seconds of recording to a chunk; 0 cuts nothing, None only so that all have work.
        report: whether each result gets a report.html; not the single chunks.

    Raises:
        ParameterError: far too many chunks.
    """
    paths = [Path(os.path.abspath(path)) for path in each_once(inputs)]
    earlier = {} if options.overwrite else read_json(board / PLAN)
    pieces = math.ceil(workers / max(1, len(paths)))
    bags = []
    for path, name in zip(paths, output_names(paths), strict=True):
        output = folder / name
        mine = replace(options, inputs=(str(path),), output=str(output))
        known = earlier.get(name, {})
        borders = known.get("borders_ns") if known.get("input") == str(path) else None
        if borders is None:
            begun = options.resume and (output / SUMMARY).exists()
            borders = [] if begun else _borders(mine, chunk_s, pieces)
        jobs = jobs_of(name, mine, borders, board) if borders else (Job(name, mine, report),)
        bags.append(Bag(name, path, mine, tuple(borders), jobs))
    return bags


def save_plan(bags: Sequence[Bag], board: Path) -> None:
    """Keeps the cuts of an unfinished run for the one that goes on with it."""
    cut = {bag.name: {"input": str(bag.input), "borders_ns": bag.borders_ns} for bag in bags}
    write_json(board / PLAN, {**read_json(board / PLAN), **cut})


def jobs_of(
    name: str, options: ReplayOptions, borders_ns: Sequence[int], board: Path
) -> tuple[Job, ...]:
    """The chunks between these recording times."""
    windows = pairwise(borders_ns)
    return tuple(
        Job(
            f"{name}/{number:04}",
            replace(
                options,
                output=str(board / name / f"{number:04}" / f"{name}_{number:04}"),
                window_ns=window,
            ),
        )
        for number, window in enumerate(windows)
    )


def cuts(start_ns: int, end_ns: int, pieces: int) -> list[int]:
    """Borders of so many pieces of about one length; the first is start_ns, the last end_ns."""
    return [start_ns + (end_ns - start_ns) * i // pieces for i in range(pieces + 1)]


def _borders(options: ReplayOptions, chunk_s: float | None, pieces: int) -> list[int]:
    """Where to cut a recording; empty for not at all."""
    if chunk_s == 0 or (chunk_s is None and pieces < 2) or needs_the_past(options):
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
        pieces = min(pieces, int(wanted_s / SHORTEST_CHUNK_S))
    else:
        pieces = math.ceil(wanted_s / chunk_s)
        if pieces > MOST_CHUNKS:  # of a clock that was set on the way, from 1970 to today
            raise ParameterError(
                f"--chunk for {options.inputs[0]}",
                found=f"{pieces} chunks of {chunk_s:g} s, from its first to its last message",
                expected=f"at most {MOST_CHUNKS}",
                fix="Give longer ones, or --chunk 0 for none",
            )
    if pieces < 2:
        return []
    # The outer borders are those of the recording: what is copied may lie before the first image.
    return [start_ns, *cuts(first, last, pieces)[1:-1], end_ns]


def needs_the_past(options: ReplayOptions) -> bool:
    """Whether frames depend on those before them, so that chunks would differ from the whole."""
    by_percentile = "color" in options.outputs and options.color_range == "percentile"
    return by_percentile or options.temporal_filter > 0
