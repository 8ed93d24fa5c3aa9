"""A job of a fleet as it arrives on another machine: as plain values, with a folder to check."""

from __future__ import annotations

import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

from depth_estimation_ros import __version__
from depth_estimation_ros.apps.replay.fleet_board import Board
from depth_estimation_ros.apps.replay.fleet_job import JobResult, do_job
from depth_estimation_ros.apps.replay.fleet_plan import Job
from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.errors import DepthEstimationError, ParameterError
from depth_estimation_ros.utils.memory import keep_freed_memory


def do_remote_job(values: dict[str, Any], board: str, token: str, version: str) -> dict[str, Any]:
    """Does the job and returns `JobResult` as plain values.

    Args:
        values: name, options (`ReplayOptions.to_json`) and report of the job.
        board: folder of the board, as the command sees it.
        token: of the board, by which a machine knows that it sees the same one.
        version: of the package that the command runs.
    """
    here = platform.node()
    job = Job(values["name"], ReplayOptions.from_json(values["options"]), values["report"])
    try:
        if version != __version__:
            raise ParameterError(
                f"depth_estimation_ros on {here}",
                found=f"version {__version__}",
                expected=f"version {version}, which the command runs",
                fix="Install the same version on every machine of the cluster",
            )
        shared = Board(Path(board), token)
        shared.check_shared(here)
        keep_freed_memory()
        return asdict(do_job(job, shared))
    except DepthEstimationError as error:
        return asdict(JobResult(job.name, 1, str(error), here))
