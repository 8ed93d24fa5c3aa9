"""The second stage: pictures through the network. One thread opens, runs and closes the engine."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from depth_estimation_ros.engines import Engine
from depth_estimation_ros.errors import DepthEstimationError, ParameterError
from depth_estimation_ros.frames import EstimatedFrame, PreparedFrame
from depth_estimation_ros.pipeline import DepthFrame, DepthPipeline
from depth_estimation_ros.replay.reading import CopiedMessage, Decoded, ReadFrame

LARGEST_OWN_BATCH = 8
MOST_HELD = 64
"""Messages that are held until a batch is full, so that copied ones do not pile up."""


@dataclass(frozen=True, eq=False)
class FrameResult:
    """An image with its depth, or why there is none.

    Attributes:
        camera, stamp_ns, time_ns: see `ReadFrame`.
        estimated: None for a bad image.
        camera_state: calibrated, unsupported, uncalibrated, missing or assumed; empty if bad.
        why: there is no depth; or empty.
        decode_ms: time to decode it.
        run_ms: time in the pipeline with the engine.
    """

    camera: int
    stamp_ns: int
    time_ns: int
    estimated: EstimatedFrame | None
    camera_state: str = ""
    why: str = ""
    decode_ms: float = 0.0
    run_ms: float = 0.0


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
    items: Iterable[CopiedMessage | ReadFrame], pipeline: DepthPipeline, batch: int
) -> Iterator[CopiedMessage | FrameResult]:
    """What comes in, in its order, with images turned into depth.

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
    held: list[CopiedMessage | ReadFrame], pipeline: DepthPipeline
) -> Iterator[CopiedMessage | FrameResult]:
    results: dict[int, CopiedMessage | FrameResult] = {}
    pictures: dict[int, Decoded] = {}
    for place, item in enumerate(held):
        if isinstance(item, CopiedMessage):
            results[place] = item
            continue
        try:
            pictures[place] = item.decoded.result()
        except DepthEstimationError as error:
            results[place] = _bad(item, error)
    start = time.perf_counter()
    depths = _depths([decoded.frame for decoded in pictures.values()], pipeline)
    run_ms = 1e3 * (time.perf_counter() - start) / max(1, len(pictures))
    for (place, decoded), depth in zip(pictures.items(), depths, strict=True):
        item = held[place]
        assert isinstance(item, ReadFrame)
        if isinstance(depth, ParameterError):
            results[place] = _bad(item, depth)
        else:
            results[place] = FrameResult(
                item.camera,
                item.stamp_ns,
                item.time_ns,
                EstimatedFrame(decoded.frame, depth),
                decoded.camera_state,
                decode_ms=decoded.milliseconds,
                run_ms=run_ms,
            )
    for place in range(len(held)):
        yield results[place]


def _depths(
    frames: list[PreparedFrame], pipeline: DepthPipeline
) -> list[DepthFrame | ParameterError]:
    """Depth of each; the error of one whose camera leaves no depth between the limits."""
    try:
        return [*pipeline.run_batch([(frame.rgb, frame.camera) for frame in frames])]
    except ParameterError as error:
        if len(frames) == 1:
            return [error]
    return [depth for frame in frames for depth in _depths([frame], pipeline)]


def _bad(item: ReadFrame, error: DepthEstimationError) -> FrameResult:
    return FrameResult(item.camera, item.stamp_ns, item.time_ns, None, why=str(error))
