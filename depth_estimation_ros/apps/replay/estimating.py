"""The second stage: the network. One thread opens, runs and closes the engine, and does no more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from depth_estimation_ros.apps.replay.reading import CopiedMessage, Decoded, ReadFrame
from depth_estimation_ros.engines import Engine
from depth_estimation_ros.errors import DepthEstimationError, ParameterError
from depth_estimation_ros.estimation import DepthEstimator, Prediction
from depth_estimation_ros.node.frame_processor import DecodedImage

LARGEST_OWN_BATCH = 8
MOST_HELD = 64
"""Messages that are held until a batch is full, so that copied ones do not pile up."""


@dataclass(frozen=True, eq=False)
class FrameResult:
    """An image with what the network said of it, or why there is nothing.

    Attributes:
        camera, stamp_ns, time_ns: see `ReadFrame`.
        frame, answer: None for a bad image.
        camera_state: calibrated, unsupported, uncalibrated, missing or assumed; empty if bad.
        why: there is no depth; or empty.
        own_ms: time to make it ready, and in the engine.
    """

    camera: int
    stamp_ns: int
    time_ns: int
    frame: DecodedImage | None = None
    answer: Prediction | None = None
    camera_state: str = ""
    why: str = ""
    own_ms: float = 0.0


def batch_size(asked: int, engine: Engine) -> int:
    """How many images go through the network at once.

    A TensorRT engine that was built for several is fastest with several. On a processor ONNX
    Runtime gains nothing by it.

    Args:
        asked: by the user; 0 leaves it to us.

    Raises:
        ParameterError: more than the engine takes.
    """
    most = engine.max_batch
    if asked == 0:
        return min(most or 1, LARGEST_OWN_BATCH)
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
    items: Iterable[CopiedMessage | ReadFrame], pipeline: DepthEstimator, batch: int
) -> Iterator[CopiedMessage | FrameResult]:
    """What comes in, in its order, with images taken through the network.

    Raises:
        EngineError: the network cannot be run.
    """
    held: list[CopiedMessage | ReadFrame] = []
    frames = 0
    for item in items:
        held.append(item)
        frames += isinstance(item, ReadFrame)
        if frames == batch or frames == 0 or len(held) == MOST_HELD:
            yield from _run(held, pipeline)
            held, frames = [], 0
    yield from _run(held, pipeline)


def _run(
    held: list[CopiedMessage | ReadFrame], pipeline: DepthEstimator
) -> Iterator[CopiedMessage | FrameResult]:
    results: dict[int, CopiedMessage | FrameResult] = {}
    pictures: dict[int, tuple[ReadFrame, Decoded]] = {}
    for place, item in enumerate(held):
        if isinstance(item, CopiedMessage):
            results[place] = item
            continue
        try:
            pictures[place] = item, item.decoded.result()
        except DepthEstimationError as error:
            results[place] = FrameResult(item.camera, item.stamp_ns, item.time_ns, why=str(error))
    answers = pipeline.infer([decoded.view for _, decoded in pictures.values()])
    for (place, (item, decoded)), answer in zip(pictures.items(), answers, strict=True):
        results[place] = FrameResult(
            item.camera,
            item.stamp_ns,
            item.time_ns,
            decoded.frame,
            answer,
            decoded.camera_state,
            own_ms=decoded.milliseconds + answer.engine_ms,
        )
    for place in range(len(held)):
        yield results[place]
