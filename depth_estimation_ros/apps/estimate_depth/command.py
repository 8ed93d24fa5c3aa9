"""The command estimate_depth: images, videos and cameras in, depth files out."""

from __future__ import annotations

import argparse
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

import cv2
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from depth_estimation_ros.apps.arguments import engine_options
from depth_estimation_ros.apps.build_engine.unattended import open_or_build
from depth_estimation_ros.apps.estimate_depth.arguments import lens_of, parse
from depth_estimation_ros.apps.estimate_depth.files import (
    SUMMARY,
    OutputSettings,
    choose_coloring,
    destinations,
    refuse_existing,
)
from depth_estimation_ros.apps.estimate_depth.inputs import (
    ASSUMED_HFOV_DEG,
    Lens,
    Task,
    kinds_for,
)
from depth_estimation_ros.apps.estimate_depth.run import (
    Estimation,
    InputResult,
    Outcome,
    write_summary,
)
from depth_estimation_ros.errors import DepthEstimationError, MediaError, ParameterError
from depth_estimation_ros.estimation import DepthEstimator, EstimatorSettings
from depth_estimation_ros.estimation.scale_sources import FloorBelow, down_vector
from depth_estimation_ros.media.images import Media
from depth_estimation_ros.media.video import open_media

console = Console(highlight=False)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the depth of every input; return 0 if all of them could be read."""
    options = parse(argv)
    _silence_opencv()
    try:
        with stop_on_signals() as stop:
            return _run(options, stop)
    except DepthEstimationError as error:
        return _failed(str(error))
    except OSError as error:
        return _failed(
            f"{error.filename or options.out} cannot be written: {error.strerror}. Check the free "
            "space and the permissions of the folder, or give another --out"
        )
    except KeyboardInterrupt:
        console.print("interrupted; files that exist are complete")
        return 130


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Yield an event that the first Ctrl-C or SIGTERM sets: the frame at hand is finished.

    The second one interrupts at once.
    """
    stop = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run(options: argparse.Namespace, stop: threading.Event) -> int:
    outcome = Outcome()
    lens = lens_of(options)
    inputs = _open_inputs(options.inputs, outcome)
    into = destinations(inputs, options.out, alone=len(options.inputs) == 1)
    tasks = [
        Task(media, to, kinds_for(media, options.save), options.frames, options.every)
        for media, to in zip(inputs, into, strict=True)
    ]
    _check(options, tasks, lens)
    with closing(open_or_build(options.model, engine_options(options), _say)) as engine:
        estimator = DepthEstimator(
            engine,
            EstimatorSettings(
                options.min_depth,
                options.max_depth,
                edge_filter=options.edge_filter,
                temporal_filter=options.temporal_filter,
                scale_correction=options.scale_correction,
            ),
        )
        settings = _settings(options, tasks, estimator, lens, outcome)
        options.out.mkdir(parents=True, exist_ok=True)
        floor = None
        if options.camera_height is not None:
            down = down_vector(0.0, math.radians(options.camera_pitch))
            floor = FloorBelow(options.camera_height, down)
        estimation = Estimation(estimator, lens, settings, options.out, options.codec, floor)
        try:
            _process(estimation, tasks, stop, outcome)
        finally:
            if floor is not None:
                anchored = sum(result.anchored for result in outcome.results)
                _note(
                    outcome,
                    f"--camera-height: {anchored} of {outcome.frames} frames have the floor's "
                    "scale; the others have the network's own",
                )
            _note_files(outcome, settings.png_scale, options.codec)
            kinds = [kind for task in tasks for kind in task.kinds]
            if outcome.files:
                write_summary(options.out, outcome, settings, kinds, engine.description)
    return _report(options.out, outcome)


def _open_inputs(names: Sequence[str], outcome: Outcome) -> list[Media]:
    """Open those that can be opened; raise if none can."""
    opened: list[Media] = []
    for name in names:
        try:
            opened.append(open_media(name))
        except MediaError as error:
            outcome.skipped[name] = str(error)
            if len(names) == 1:
                raise
            console.print(f"[bold red]skipped:[/] {escape(str(error))}", soft_wrap=True)
    if not opened:
        raise MediaError("None of the inputs can be read")
    for media in opened:
        for text in media.notes:
            _note(outcome, text)
    return opened


def _check(options: argparse.Namespace, tasks: Sequence[Task], lens: Lens) -> None:
    """Fail now with what would fail after minutes."""
    if any("ply" in task.kinds and not lens.is_known(task.media) for task in tasks):
        raise ParameterError(
            "--save ply",
            found="no focal length, without which a cloud has no shape",
            expected="--hfov DEGREES, --focal-px PIXELS or --calibration YAML",
            fix="The data sheet of the camera tells its field of view",
        )
    if not options.overwrite:
        files = [options.out / SUMMARY]
        for task in tasks:
            files += task.destination.planned(task.media, task.kinds, options.png_scale)
        refuse_existing(files)


def _settings(
    options: argparse.Namespace,
    tasks: Sequence[Task],
    estimator: DepthEstimator,
    lens: Lens,
    outcome: Outcome,
) -> OutputSettings:
    card = estimator.engine.card
    if not all(lens.is_known(task.media) for task in tasks):
        _note(
            outcome,
            "the focal length of the lens is not known: a horizontal view of "
            f"{ASSUMED_HFOV_DEG:g} degrees is assumed, and all depths may be wrong by one common "
            "factor. Give --hfov DEGREES, --focal-px PIXELS or --calibration YAML",
        )
    colored = [task.media for task in tasks if {"color", "side-by-side"} & set(task.kinds)]
    coloring = None
    if colored:
        with console.status("looking for the range of depths"):
            coloring = choose_coloring(
                options.range,
                options.color_map,
                colored,
                lambda frame: estimator.run(frame.rgb, lens.camera(frame)).depth,
            )
    model = f"{card.name} {card.model_version}".strip()
    return OutputSettings(options.png_scale, options.stride, options.voxel, coloring, model)


def _process(
    estimation: Estimation, tasks: Sequence[Task], stop: threading.Event, outcome: Outcome
) -> None:
    """Run all tasks; fill the outcome, whether it ends well or not."""
    start = time.monotonic()
    try:
        with _progress(tasks, outcome) as show:
            for task in tasks:
                if not stop.is_set():
                    outcome.results.append(InputResult(task.media.name, task.media.kind))
                    estimation.run(task, outcome.results[-1], stop, partial(show, task))
    except (DepthEstimationError, OSError) as error:
        outcome.problem = str(error)
        raise
    except KeyboardInterrupt:
        outcome.interrupted = True
        raise
    finally:
        outcome.seconds = time.monotonic() - start
        outcome.interrupted |= stop.is_set()


# What the terminal shows


@contextmanager
def _progress(tasks: Sequence[Task], outcome: Outcome) -> Iterator[Callable[[Task], None]]:
    """Show a bar with the remaining time; yield what is to be called after each frame."""
    counts = [task.count for task in tasks]
    total = None if None in counts else sum(count or 0 for count in counts)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("frames, {task.fields[rate]:.1f} a second,"),
        TimeElapsedColumn(),
        TextColumn("elapsed,"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    start = time.monotonic()
    with Progress(*columns, console=console) as display:
        bar = display.add_task("", total=total, rate=0.0)

        def show(task: Task) -> None:
            name = escape(Path(task.media.name).name)
            rate = outcome.frames / max(time.monotonic() - start, 1e-9)
            display.update(bar, description=name, completed=outcome.frames, rate=rate)

        yield show


def _note_files(outcome: Outcome, png_scale: float, codec: str | None) -> None:
    """Note what the user should know of the files."""
    if codec is None and any(result.codec == "mpeg4" for result in outcome.results):
        _note(
            outcome,
            "the video is MPEG-4 Part 2, which VLC, mpv and Windows play, browsers do not. "
            "For H.264, which plays everywhere, install PyAV: pip install av",
        )
    if outcome.lost_pixels:
        _note(
            outcome,
            f"{outcome.lost_pixels} pixels do not fit into 16 bits at {png_scale:g} units per "
            f"metre, which reach to {65535 / png_scale:g} m: they are 0 in depth16. "
            "Give another --png-scale, or --save npz",
        )


def _report(out: Path, outcome: Outcome) -> int:
    """Show the result of the run; return the exit status."""
    for line in outcome.unreadable:
        if line not in outcome.skipped.values():  # those were shown at the start
            console.print(f"[bold red]not read:[/] {escape(line)}", soft_wrap=True)
    files = outcome.files
    shown = ", ".join(escape(str(out / name)) for name in files[:4])
    more = f" and {len(files) - 4} more" if len(files) > 4 else ""
    speed = outcome.frames / max(outcome.seconds, 1e-9)
    console.print(
        f"{outcome.frames} frame{'s' * (outcome.frames != 1)} in {outcome.seconds:.1f} s "
        f"({speed:.1f} a second)",
        soft_wrap=True,
    )
    if files:
        console.print(f"Look at {shown}{more}", soft_wrap=True)
        console.print(f"Units and numbers: {escape(str(out / SUMMARY))}", soft_wrap=True)
    if outcome.interrupted:
        console.print("interrupted; files that exist are complete")
        return 130
    if not outcome.frames:
        return _failed("None of the inputs can be read")
    if outcome.unreadable:
        console.print(f"[bold red]{len(outcome.unreadable)} could not be read[/]")
        return 2
    return 0


def _note(outcome: Outcome, text: str) -> None:
    """Show a note now and in summary.json."""
    outcome.notes.append(text)
    console.print(f"[yellow]note:[/] {escape(text)}", soft_wrap=True)


def _failed(message: str) -> int:
    """Show an error; return the exit status."""
    console.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)
    return 1


def _say(line: str) -> None:
    console.print(escape(line), soft_wrap=True)


def _silence_opencv() -> None:
    """Keep OpenCV from printing each codec that it lacks; what matters comes as an error."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET, read at its first video
    if hasattr(cv2.utils, "logging"):
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
