"""A replay: three stages, each in a thread, with short queues between them.

    read, decode and resize -> network -> depth, messages and writing

The network is the slow one; the others work while it does. Queues are bounded, so memory does not
grow with the recording.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from depth_estimation_ros.apps.replay.frames_csv import FrameTable
from depth_estimation_ros.apps.replay.network import Stage, open_network
from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.apps.replay.output import (
    add_up,
    check_same,
    earlier_result,
    finished_part,
    new_summary,
    open_result,
)
from depth_estimation_ros.apps.replay.plan import Plan, make_plan
from depth_estimation_ros.apps.replay.reading import CopiedMessage, Reader, ReadFrame
from depth_estimation_ros.apps.replay.summary import SUMMARY, Progress, ReplaySummary
from depth_estimation_ros.apps.replay.writing import ResultWriter
from depth_estimation_ros.bags import open_recording
from depth_estimation_ros.errors import DepthEstimationError

OnProgress = Callable[[Progress], None]
logger = logging.getLogger(__name__)


def replay(
    options: ReplayOptions,
    on_progress: OnProgress | None = None,
    stop: threading.Event | None = None,
) -> ReplaySummary:
    """Estimate the depth of every image of a recording, into a new recording.

    Whatever ends it early, a full disk or `stop` say, the result is a valid recording of what was
    done until then, and `options.resume` goes on from there.

    Args:
        options: what to do.
        on_progress: called after each image, in this thread.
        stop: set by another thread or a signal handler to end early.

    Returns:
        The numbers of OUT/replay.json.

    Raises:
        DepthEstimationError: nothing could be done: the recording, the model, the options or what
            lies at the output do not allow it.
    """
    options.check()
    earlier = earlier_result(options)
    inputs = options.inputs[0] if len(options.inputs) == 1 else options.inputs
    with open_recording(inputs) as recording:
        plan = make_plan(recording, options)
        summary = new_summary(plan)
        if earlier is not None and options.resume:
            check_same(earlier, summary, options)
            if earlier.complete:
                logger.info("finished by an earlier run: these are its numbers, nothing is done")
                return earlier
            if "color" in options.outputs and options.color_range == "percentile":
                summary.notes.append(
                    "colours by percentile search their range again where this run goes on: for "
                    "some seconds they are not those of an unbroken run"
                )
            if options.temporal_filter > 0:
                summary.notes.append(
                    "the temporal filter begins again where this run goes on: the first depth is "
                    "as the network gives it, and some that follow are not those of an unbroken run"
                )
            if options.is_anchored:
                summary.notes.append(
                    "the scale is measured again where this run goes on: some frames are not those "
                    "of an unbroken run"
                )
        for note in summary.notes:
            logger.warning(note)
        _run(plan, summary, on_progress or (lambda _: None), stop or threading.Event())
        summary.damage = [asdict(recording.damage)] if recording.damage is not None else []
    add_up(summary, Path(options.output))
    try:
        summary.write(Path(options.output))
    except OSError as error:  # the disk is full
        logger.warning(f"{Path(options.output) / SUMMARY} is that of the beginning: {error}")
    return summary


def _run(
    plan: Plan, summary: ReplaySummary, on_progress: OnProgress, stop: threading.Event
) -> None:
    """Replay until all is written or something ends it; the summary says what."""
    options, output = plan.options, Path(plan.options.output)
    cancelled = threading.Event()
    frames = bad = 0
    start = None
    try:
        with ExitStack() as stack:
            # The reader needs the network's size, and the network reads what the reader gives.
            read = Stage[CopiedMessage | ReadFrame](cancelled, lambda: reader.items(), "reading")
            network = open_network(read, options, cancelled)
            estimator, done = stack.enter_context(network)
            summary.engine = estimator.engine.description
            summary.made_for = estimator.engine.card.made_for
            writer = stack.enter_context(open_result(options, summary))
            start = time.perf_counter()
            before, written = finished_part(options, plan.cameras)
            table = stack.enter_context(FrameTable(output))
            reader = Reader(plan, estimator, before, stop)
            stack.enter_context(read)
            results = ResultWriter(estimator, writer, table, plan.cameras, options, written)
            for item in done:
                if isinstance(item, CopiedMessage):
                    results.copy(item)
                    continue
                bad += results.frame(item).status == "bad"
                frames += 1
                on_progress(Progress(before + frames, plan.expected_images, bad, before))
        summary.complete, summary.interrupted = reader.finished, not reader.finished
    except (DepthEstimationError, OSError) as error:
        if start is None:
            raise
        # By now the writer has made a valid recording of what was done. Rows come before messages.
        summary.problem = str(error)
        finished_part(options, plan.cameras)
    seconds = time.perf_counter() - start
    summary.seconds = round(seconds, 3)
    summary.frames_per_second = round(frames / seconds, 2)
    summary.bytes_written = writer.bytes_written
