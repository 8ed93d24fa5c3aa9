"""Writes report.html beside the recording that a replay has made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from depth_estimation_ros.apps.replay.report.camera_frames import read_frames
from depth_estimation_ros.apps.replay.report.footage import open_footage
from depth_estimation_ros.apps.replay.report.page import page
from depth_estimation_ros.apps.replay.report.truth import Comparison
from depth_estimation_ros.apps.replay.summary import REPORT, SUMMARY, CameraSummary, ReplaySummary
from depth_estimation_ros.errors import BagError
from depth_estimation_ros.utils.files import atomic_write


def write_report(
    output: Path,
    on_comparison: Callable[[CameraSummary, Comparison], None] = lambda camera, found: None,
) -> Path:
    """Writes the report of a finished or interrupted replay; an earlier one is replaced.

    Of the bags only some messages are read, found by their time, so that memory and time do not
    grow with them. What is missing (bags, frames, clouds, truth) is missing on the page.

    Args:
        output: directory of the replay, with its replay.json.
        on_comparison: told the errors of each camera whose truth the recording holds.

    Returns:
        the path of the page: one file that needs nothing else.

    Raises:
        BagError: the directory is not of a replay, or cannot be written to.
    """
    try:
        summary = ReplaySummary.read(output)
    except (OSError, ValueError, TypeError) as error:
        raise BagError(
            f"No report of {output}",
            found=f"{type(error).__name__}: {error}",
            expected=f"a directory that a replay wrote, with its {SUMMARY}",
        ) from error
    frames = read_frames(output)
    with open_footage(output, summary.inputs) as footage:
        text = page(summary, frames, footage, on_comparison)
    path = output / REPORT
    try:
        with atomic_write(path) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BagError(f"The report {path} cannot be written", found=error.strerror) from error
    return path
