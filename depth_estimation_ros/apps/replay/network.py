"""The second stage: one thread opens, runs and closes the network, and does no more.

Also the queues between the stages: short, so that memory does not grow with the recording.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, TypeVar

from depth_estimation_ros.apps.build_engine.unattended import open_or_build
from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.apps.replay.reading import CopiedMessage, Decoded, ReadFrame
from depth_estimation_ros.engines import Engine
from depth_estimation_ros.errors import DepthEstimationError, ParameterError
from depth_estimation_ros.estimation import DepthEstimator, Prediction
from depth_estimation_ros.estimation.scale import ScaleSource
from depth_estimation_ros.node.frame_processor import DecodedImage

MAX_QUEUED = 4
"""Items between two stages: enough to even out the times of single images."""
MAX_OWN_BATCH = 8
MAX_HELD = 64
"""Messages that are held until a batch is full, so that copied ones do not pile up."""


_POLL_S = 0.1
_END = object()

Item = TypeVar("Item")
logger = logging.getLogger(__name__)


class _Cancelled(Exception):
    """The replay ended early: nobody takes items any more."""


class Stage(Generic[Item]):
    """A thread that makes items; iterate over it, in another thread, to take them.

    The faster of the two waits for the other. What the thread raises comes after its last item.

    Args:
        cancelled: set when nothing is wanted any more; by leaving the context too.
        make: gives the items; called, run and closed in the thread.
        name: of the thread.
    """

    def __init__(
        self,
        cancelled: threading.Event,
        make: Callable[[], Generator[Item, None, None]],
        name: str,
    ) -> None:
        self._cancelled = cancelled
        self._make = make
        self._queue: queue.Queue[object] = queue.Queue(MAX_QUEUED)
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def __enter__(self) -> Stage[Item]:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._cancelled.set()
        self._thread.join()

    def __iter__(self) -> Iterator[Item]:
        while True:
            try:
                item = self._queue.get(timeout=_POLL_S)
            except queue.Empty:
                if self._cancelled.is_set():
                    raise _Cancelled from None
                continue
            if item is _END:
                return
            if isinstance(item, _Failure):
                raise item.error
            yield item  # type: ignore[misc]

    def _work(self) -> None:
        try:
            with closing(self._make()) as items:
                for item in items:
                    self._put(item)
            self._put(_END)
        except _Cancelled:
            pass
        except BaseException as error:
            with suppress(_Cancelled):
                self._put(_Failure(error))

    def _put(self, item: object) -> None:
        while True:
            try:
                self._queue.put(item, timeout=_POLL_S)
            except queue.Full:
                if self._cancelled.is_set():
                    raise _Cancelled from None
            else:
                return


@dataclass(frozen=True)
class _Failure:
    error: BaseException


@dataclass(frozen=True, eq=False)
class FrameResult:
    """An image with what the network said of it, or why there is nothing.

    Attributes:
        camera, stamp_ns, time_ns: see `ReadFrame`.
        frame, answer: None for a bad image.
        scale_source: see `Decoded`.
        camera_state: calibrated, unsupported, uncalibrated, missing or assumed; empty if bad.
        why: there is no depth; or empty.
        own_ms: time to make it ready, and in the engine.
    """

    camera: int
    stamp_ns: int
    time_ns: int
    frame: DecodedImage | None = None
    answer: Prediction | None = None
    scale_source: ScaleSource | None = None
    camera_state: str = ""
    why: str = ""
    own_ms: float = 0.0


@contextmanager
def open_network(
    read: Iterable[CopiedMessage | ReadFrame],
    options: ReplayOptions,
    cancelled: threading.Event,
) -> Iterator[tuple[DepthEstimator, Stage[CopiedMessage | FrameResult]]]:
    """The network in its thread, until the block is left.

    Args:
        read: what comes in; it is iterated over in the thread.
        options: of the replay.
        cancelled: see `Stage`.

    Yields:
        The estimator, whose steps before and after the network are for other threads; and what
        goes out, in the order in which it came in.

    Raises:
        ModelError, EngineError, ParameterError: the model cannot be opened with these options.
    """
    opened: Future[DepthEstimator] = Future()
    with Stage(cancelled, partial(_estimated, read, options, opened), "network") as done:
        yield opened.result(), done


def _estimated(
    read: Iterable[CopiedMessage | ReadFrame],
    options: ReplayOptions,
    opened: Future[DepthEstimator],
) -> Generator[CopiedMessage | FrameResult, None, None]:
    with ExitStack() as stack:
        try:
            engine = open_or_build(options.model, options.engine_options(), logger.info)
            stack.callback(engine.close)
            relative = options.is_anchored and not engine.card.output.unit
            settings = replace(options.estimator_settings(), scale_required=relative)
            estimator = DepthEstimator(engine, settings)
            batch = batch_size(options.batch, engine)
            estimator.warm_up()
        except BaseException as error:
            opened.set_exception(error)
            return
        opened.set_result(estimator)
        yield from estimate(read, estimator, batch)


def batch_size(asked: int, engine: Engine) -> int:
    """Return how many images go through the network at once.

    A TensorRT engine that was built for several is fastest with several. On a processor ONNX
    Runtime gains nothing by it.

    Args:
        asked: by the user; 0 leaves it to us.

    Raises:
        ParameterError: more than the engine takes.
    """
    most = engine.max_batch
    if asked == 0:
        return min(most or 1, MAX_OWN_BATCH)
    if most is not None and asked > most:
        raise ParameterError(
            "--batch is more than the network takes",
            found=asked,
            expected=f"at most {most}",
            fix="Export the network with a free batch axis, or build the engine with --batch 1 "
            f"{asked} {asked}",
        )
    return asked


def estimate(
    items: Iterable[CopiedMessage | ReadFrame], estimator: DepthEstimator, batch: int
) -> Iterator[CopiedMessage | FrameResult]:
    """Yield what comes in, in its order, with images taken through the network.

    Raises:
        EngineError: the network cannot be run.
    """
    held: list[CopiedMessage | ReadFrame] = []
    frames = 0
    for item in items:
        held.append(item)
        frames += isinstance(item, ReadFrame)
        if frames == batch or frames == 0 or len(held) == MAX_HELD:
            yield from _run(held, estimator)
            held, frames = [], 0
    yield from _run(held, estimator)


def _run(
    held: list[CopiedMessage | ReadFrame], estimator: DepthEstimator
) -> Iterator[CopiedMessage | FrameResult]:
    results: dict[int, CopiedMessage | FrameResult] = {}
    images: dict[int, tuple[ReadFrame, Decoded]] = {}
    for place, item in enumerate(held):
        if isinstance(item, CopiedMessage):
            results[place] = item
            continue
        try:
            images[place] = item, item.decoded.result()
        except DepthEstimationError as error:
            results[place] = FrameResult(item.camera, item.stamp_ns, item.time_ns, why=str(error))
    answers = estimator.infer([decoded.view for _, decoded in images.values()])
    for (place, (item, decoded)), answer in zip(images.items(), answers, strict=True):
        results[place] = FrameResult(
            item.camera,
            item.stamp_ns,
            item.time_ns,
            decoded.frame,
            answer,
            decoded.scale_source,
            decoded.camera_state,
            own_ms=decoded.milliseconds + answer.engine_ms,
        )
    for place in range(len(held)):
        yield results[place]
