"""The command: pictures, videos and cameras in, depth files out."""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from functools import partial

import cv2
from rich.markup import escape

from depth_estimation_ros.apps.arguments import engine_options
from depth_estimation_ros.apps.build_engine.unattended import open_or_build
from depth_estimation_ros.apps.estimate_depth.arguments import lens_of, parse
from depth_estimation_ros.apps.estimate_depth.display import (
    closing_notes,
    console,
    failed,
    note,
    progress,
    report,
    say,
)
from depth_estimation_ros.apps.estimate_depth.lens import ASSUMED_HFOV_DEG, Lens
from depth_estimation_ros.apps.estimate_depth.looks import Looks, choose_looks
from depth_estimation_ros.apps.estimate_depth.names import SUMMARY, places, planned, refuse_existing
from depth_estimation_ros.apps.estimate_depth.outputs import OutputSettings
from depth_estimation_ros.apps.estimate_depth.run import Estimation, Task, kinds_for
from depth_estimation_ros.apps.estimate_depth.stopping import stop_on_signals
from depth_estimation_ros.apps.estimate_depth.summary import Outcome, write_summary
from depth_estimation_ros.errors import DepthEstimationError, MediaError, ParameterError
from depth_estimation_ros.estimation import DepthEstimator, EstimatorSettings
from depth_estimation_ros.media.images import Media
from depth_estimation_ros.media.video import open_media


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the depth of every input; 0 if all of them could be read."""
    options = parse(argv)
    _silence_opencv()
    try:
        with stop_on_signals() as stop:
            return _run(options, stop)
    except DepthEstimationError as error:
        return failed(str(error))
    except OSError as error:
        return failed(
            f"{error.filename or options.out} cannot be written: {error.strerror}. Check the free "
            "space and the permissions of the folder, or give another --out"
        )
    except KeyboardInterrupt:
        console.print("interrupted; files that are there are whole")
        return 130


def _run(options: argparse.Namespace, stop: threading.Event) -> int:
    outcome = Outcome()
    lens = lens_of(options)
    inputs = _open_inputs(options.inputs, outcome)
    tasks = [
        Task(media, place, kinds_for(media, options.save), options.frames, options.every)
        for media, place in zip(
            inputs, places(inputs, options.out, alone=len(options.inputs) == 1), strict=True
        )
    ]
    _check(options, tasks, lens)
    with closing(open_or_build(options.model, engine_options(options), say)) as engine:
        pipeline = DepthEstimator(
            engine,
            EstimatorSettings(
                options.min_depth,
                options.max_depth,
                edge_filter=options.edge_filter,
                temporal_filter=options.temporal_filter,
                scale_correction=options.scale_correction,
            ),
        )
        settings = _settings(options, tasks, pipeline, lens, outcome)
        options.out.mkdir(parents=True, exist_ok=True)
        work = Estimation(pipeline, settings, options.out, options.codec)
        try:
            _work_off(work, tasks, stop, outcome)
        finally:
            closing_notes(outcome, settings.png_scale, options.codec)
            kinds = [kind for task in tasks for kind in task.kinds]
            if outcome.files:
                write_summary(options.out, outcome, settings, kinds, engine.description)
    return report(options.out, outcome)


def _open_inputs(names: Sequence[str], outcome: Outcome) -> list[Media]:
    """Those that can be opened; an error if none can."""
    opened: list[Media] = []
    for name in names:
        try:
            opened.append(open_media(name))
        except MediaError as error:
            outcome.left_out[name] = str(error)
            if len(names) == 1:
                raise
            console.print(f"[bold red]left out:[/] {escape(str(error))}", soft_wrap=True)
    if not opened:
        raise MediaError("None of the inputs can be read")
    for media in opened:
        for text in media.notes:
            note(outcome, text)
    return opened


def _check(options: argparse.Namespace, tasks: Sequence[Task], lens: Lens) -> None:
    """Whatever would fail after minutes fails now."""
    if any("ply" in task.kinds and not lens.knows(task.media) for task in tasks):
        raise ParameterError(
            "--save ply",
            found="no focal length, without which a cloud has no shape",
            expected="--hfov DEGREES, --focal-px PIXELS or --calibration YAML",
            fix="The data sheet of the camera tells its field of view",
        )
    if not options.overwrite:
        files = [options.out / SUMMARY]
        for task in tasks:
            files += planned(task.media, task.place, task.kinds, options.png_scale)
        refuse_existing(files)


def _settings(
    options: argparse.Namespace,
    tasks: Sequence[Task],
    pipeline: DepthEstimator,
    lens: Lens,
    outcome: Outcome,
) -> OutputSettings:
    card = pipeline.engine.card
    if not all(lens.knows(task.media) for task in tasks):
        note(
            outcome,
            "the focal length of the lens is not known: a horizontal view of "
            f"{ASSUMED_HFOV_DEG:g} degrees is assumed, and all depths may be wrong by one common "
            "factor. "
            "Give --hfov DEGREES, --focal-px PIXELS or --calibration YAML",
        )
    shown = [task.media for task in tasks if {"color", "side-by-side"} & set(task.kinds)]
    looks: Looks | None = None
    if shown:
        with console.status("looking for the range of depths"):
            looks = choose_looks(options.range, options.color_map, shown, pipeline, lens)
    return OutputSettings(
        options.png_scale,
        options.stride,
        options.voxel,
        looks,
        f"{card.name} {card.model_version}".strip(),
        lens,
    )


def _work_off(
    work: Estimation, tasks: Sequence[Task], stop: threading.Event, outcome: Outcome
) -> None:
    """Fills the outcome, whether it ends well or not."""
    outcome.results = work.results
    start = time.monotonic()
    try:
        with progress(tasks, outcome) as show:
            for task in tasks:
                if not stop.is_set():
                    work.run(task, stop, partial(show, task))
    except (DepthEstimationError, OSError) as error:
        outcome.problem = str(error)
        raise
    except KeyboardInterrupt:
        outcome.interrupted = True
        raise
    finally:
        outcome.seconds = time.monotonic() - start
        outcome.interrupted |= stop.is_set()


def _silence_opencv() -> None:
    """It tells the terminal of each codec that it lacks; what matters comes as an error."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET, read at its first video
    if hasattr(cv2.utils, "logging"):
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
