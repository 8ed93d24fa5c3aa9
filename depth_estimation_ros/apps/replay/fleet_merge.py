"""The chunks of a recording become one result, as if it had been replayed in one go."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from depth_estimation_ros.apps.replay.fleet_job import try_report
from depth_estimation_ros.apps.replay.fleet_plan import Bag
from depth_estimation_ros.apps.replay.frames_csv import FRAMES
from depth_estimation_ros.apps.replay.summary import CameraSummary, ReplaySummary
from depth_estimation_ros.apps.replay.totals import add_up
from depth_estimation_ros.bags import merge_parts
from depth_estimation_ros.utils.files import atomic_write

Value = TypeVar("Value")


def merge(bag: Bag, room: Path, report: bool = False) -> ReplaySummary:
    """Joins the finished chunks of a recording in its output, which appears when it is whole.

    Args:
        bag: all of whose chunks are finished.
        room: folder of the bag on the board.
        report: write report.html too.

    Raises:
        BagError: a chunk cannot be read.
    """
    parts = [Path(job.options.output) for job in bag.jobs]
    merged = room / f"merged-{uuid.uuid4().hex[:12]}" / bag.output.name
    merged.parent.mkdir()
    try:
        merge_parts(merged, parts)
        _join_tables(merged, parts)
        summary = joined([ReplaySummary.read(part) for part in parts], bag)
        add_up(summary, merged)
        summary.write(merged)
        if report:
            try_report(merged)
        os.rename(merged, bag.output)
    finally:
        shutil.rmtree(merged.parent, ignore_errors=True)
    for part in parts:
        shutil.rmtree(part, ignore_errors=True)
    return summary


def joined(parts: Sequence[ReplaySummary], bag: Bag) -> ReplaySummary:
    """One summary of all chunks of a recording; `add_up` fills in the images.

    Args:
        parts: the summaries of the chunks in order of time, at least one.
        bag: the recording.
    """
    seconds = sum(part.seconds for part in parts)
    frames = sum(part.frames_in for part in parts)
    return replace(
        parts[0],
        inputs=[str(bag.input)],
        output=str(bag.output),
        complete=all(part.complete for part in parts),
        interrupted=any(part.interrupted for part in parts),
        problem=next((part.problem for part in parts if part.problem), ""),
        notes=_each_once(note for part in parts for note in part.notes),
        damage=_each_once(damage for part in parts for damage in part.damage),
        # As if the chunks had been done one after the other: what it took, not when it was over.
        seconds=round(seconds, 3),
        frames_per_second=round(frames / seconds, 2) if seconds else 0.0,
        peak_rss_mb=max(part.peak_rss_mb for part in parts),
        bytes_written=sum(part.bytes_written for part in parts),
        cameras=_joined_cameras(parts),
        options=bag.options.to_json(),
    )


def _joined_cameras(parts: Sequence[ReplaySummary]) -> list[CameraSummary]:
    """The cameras of all chunks; one without images of a camera does not know its state."""
    cameras: dict[str, CameraSummary] = {}
    for camera in (camera for part in parts for camera in part.cameras):
        known = cameras.get(camera.image_topic)
        if known is None or known.frames_in == 0:
            cameras[camera.image_topic] = camera
    return list(cameras.values())


def _join_tables(output: Path, parts: Sequence[Path]) -> None:
    with atomic_write(output / FRAMES) as unfinished, unfinished.open("wb") as file:
        for number, part in enumerate(parts):
            with (part / FRAMES).open("rb") as rows:
                header = rows.readline()
                if number == 0:
                    file.write(header)
                shutil.copyfileobj(rows, file)


def _each_once(values: Iterable[Value]) -> list[Value]:
    result: list[Value] = []
    for value in values:
        if value not in result:
            result.append(value)
    return result
