"""The engine in a thread of its own, which opens, runs and closes it."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from functools import partial

from depth_estimation_ros.apps.build_engine.unattended import open_or_build
from depth_estimation_ros.apps.replay.channel import Channel, filling
from depth_estimation_ros.apps.replay.estimating import FrameResult, batch_size, estimate
from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.apps.replay.reading import CopiedMessage, ReadFrame
from depth_estimation_ros.estimation import DepthEstimator

logger = logging.getLogger(__name__)


@contextmanager
def network(
    read: Channel[CopiedMessage | ReadFrame],
    done: Channel[CopiedMessage | FrameResult],
    options: ReplayOptions,
) -> Iterator[DepthEstimator]:
    """Takes what was read and gives what is done, until the block is left.

    Yields:
        The pipeline, whose steps before and after the network are for other threads.

    Raises:
        ModelError, EngineError, ParameterError: the model cannot be opened with these options.
    """
    opened: Future[DepthEstimator] = Future()
    with filling(done, partial(_estimated, read, options, opened), "network"):
        try:
            yield opened.result()
        finally:
            read.cancel()  # else the thread would wait for images for ever


def _estimated(
    read: Channel[CopiedMessage | ReadFrame], options: ReplayOptions, opened: Future[DepthEstimator]
) -> Generator[CopiedMessage | FrameResult, None, None]:
    with ExitStack() as stack:
        try:
            engine = open_or_build(options.model, options.engine_options(), logger.info)
            stack.callback(engine.close)
            pipeline = DepthEstimator(engine, options.pipeline_settings())
            batch = batch_size(options.batch, engine)
            pipeline.warm_up()
        except BaseException as error:
            opened.set_exception(error)
            return
        opened.set_result(pipeline)
        yield from estimate(read, pipeline, batch)
