"""All metrics of one data set.

Truth is at the size of the image in every data set, and the pipeline resizes its depth to that
size, so nothing is resized here. Pixels outside the crop, nearer than 1 mm or at the cap and
beyond are not scored. Metrics are per image, then averaged over images.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from depth_estimation_ros.errors import DatasetError, ParameterError
from depth_estimation_ros.estimation import DepthEstimator, DepthResult, apply_limits
from depth_estimation_ros.estimation.metrics import (
    Array,
    constant_median,
    depth_metrics,
    mean_metrics,
    median_ratio,
)
from depth_estimation_ros.estimation.scale import ScaleAnchor, ScaleSource
from depth_estimation_ros.geometry.camera_model import CameraModel
from training.data.crops import crop_mask
from training.data.sample import Sample, SampleSet
from training.evaluation.alignment import Alignment
from training.evaluation.statistics import (
    Band,
    ByDistance,
    DepthMedian,
    Metrics,
    RunningMean,
    band_edges,
)


def frames_with_progress(count: int, title: str) -> Iterator[int]:
    """0 to ``count - 1`` with a progress bar in frames per second.

    Without a terminal (in a log, in a pipe) there is no bar.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _FramesPerSecond(),
        TimeRemainingColumn(),
    )
    hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as progress:
        yield from progress.track(range(count), description=title)


class _FramesPerSecond(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f} frames/s")


def predict(pipeline: DepthEstimator, sample: Sample, *, flip: bool = False) -> DepthResult:
    """Return depth of a sample.

    Args:
        flip: the mean of this prediction and of that for the mirrored image, mirrored back. A
            depth beyond a limit counts as the limit in the mean.
    """
    frame = pipeline.run(sample.rgb, camera_of(sample))
    if not flip:
        return frame
    other = pipeline.run(np.ascontiguousarray(sample.rgb[:, ::-1]), camera_of(sample, mirror=True))
    pair = [np.clip(d, frame.near, frame.far) for d in (frame.depth, other.depth[:, ::-1])]
    depth: npt.NDArray[np.float32] = (pair[0] + pair[1]) * np.float32(0.5)
    apply_limits(depth, frame.near, frame.far)
    spent = frame.engine_ms + other.engine_ms
    return DepthResult(depth, frame.camera, spent, frame.near, frame.far)


def predict_anchored(
    pipeline: DepthEstimator, sample: Sample, source: ScaleSource | None
) -> tuple[DepthResult, DepthResult]:
    """Return depth of a sample with the network's own scale, and anchored to a source.

    Where the source says nothing, both are the same.
    """
    camera = camera_of(sample) or CameraModel.from_hfov(
        sample.depth.shape[1], sample.depth.shape[0], pipeline.settings.assumed_hfov_deg
    )
    (prediction,) = pipeline.infer([pipeline.prepare(sample.rgb, camera)])
    anchor = ScaleAnchor(pipeline.engine.card.output)
    anchor.source = source
    return pipeline.finish(prediction), pipeline.finish(prediction, None, 0, anchor)


def camera_of(sample: Sample, *, mirror: bool = False) -> CameraModel | None:
    """Return the camera of a sample, or of its mirrored image; None where it is not known."""
    if sample.intrinsics is None:
        return None
    height, width = sample.depth.shape
    fx, fy, cx, cy = sample.intrinsics
    return CameraModel.from_intrinsics(fx, fy, width - 1 - cx if mirror else cx, cy, width, height)


NEAREST_M = 1e-3  # nearer truth is not scored


@dataclass(frozen=True)
class FrameScore:
    """The metrics of one frame: as predicted, with its median scaled to the truth's, anchored.

    `anchored` is None without an alignment.
    """

    index: int
    name: str
    unaligned: Metrics
    median: Metrics
    anchored: Metrics | None = None


@dataclass(frozen=True)
class SetResult:
    """The metrics of one data set, and the settings that decide them.

    Attributes:
        dataset: its name.
        cap_m: the farthest scored depth, metres.
        crop: a name of :data:`training.data.crops.CROPS`.
        camera: "known", or the horizontal field of view that was assumed.
        flip: whether each prediction was averaged with that for the mirrored image.
        rows: means over frames; ``unaligned`` and ``median`` of the model, ``constant`` (the data
            set's median depth for every pixel, unaligned) and ``constant_median`` (each frame's
            own median, so aligned).
        bands: by distance, nearest first.
        frames: those that could be read, in order.
        unreadable: names of those that could not, and why.
        seconds: for reading, predicting and scoring all frames.
        engine_ms: the median time in the engine for a frame.
        alignment: of the row ``anchored``, such as "points:30"; empty without one.
    """

    dataset: str
    cap_m: float
    crop: str
    camera: str
    flip: bool
    rows: dict[str, Metrics]
    bands: list[Band]
    frames: list[FrameScore]
    unreadable: list[tuple[str, str]]
    seconds: float
    engine_ms: float
    alignment: str = ""

    @property
    def without_truth(self) -> int:
        """Return how many of ``frames`` had no pixel to score."""
        return sum(frame.unaligned["valid_pixels"] == 0 for frame in self.frames)


def evaluate_set(
    pipeline: DepthEstimator,
    samples: SampleSet,
    *,
    cap: float | None = None,
    crop: str | None = None,
    flip: bool = False,
    distances: Sequence[float] | None = None,
    align: Alignment | None = None,
) -> SetResult:
    """Score every frame of a data set.

    A frame that cannot be read is named in the result, and the rest is scored.

    Args:
        pipeline: with depth at the image's size, as by default.
        samples: the data set.
        cap: the farthest scored depth, metres; None: the data set's own.
        crop: a name of :data:`training.data.crops.CROPS`; None: the data set's own.
        flip: average each prediction with that for the mirrored image.
        distances: where to cut the table by distance, metres; None: the usual places.
        align: what each frame is anchored to, for one more row; None: nothing.

    Raises:
        DatasetError: not one frame can be read.
        EngineError: the network failed.
        ParameterError: no such crop, a cap that leaves nothing, or distances that do not rise.
    """
    cap = samples.cap_m if cap is None else cap
    crop = samples.crop if crop is None else crop
    if not cap > NEAREST_M:
        raise ParameterError("cap", found=f"{cap:g} m", expected=f"more than {NEAREST_M:g} m")
    tally = _Tally(crop, cap, distances)
    unreadable: list[tuple[str, str]] = []
    calibrated = True
    start = time.perf_counter()
    for index in frames_with_progress(len(samples), samples.name):
        name = samples.frame_name(index)
        try:
            sample = samples[index]
        except (DatasetError, OSError) as error:
            unreadable.append((name, str(error)))
            continue
        calibrated = calibrated and sample.intrinsics is not None
        anchored = None
        if align is not None:
            usable = scored_pixels(sample.depth, crop, cap)
            source = align.source(sample.depth, usable, index)
            predicted, anchored = predict_anchored(pipeline, sample, source)
        else:
            predicted = predict(pipeline, sample, flip=flip)
        tally.add(index, name, predicted, sample.depth, anchored)
    if not tally.frames:
        raise _nothing_readable(samples, unreadable)
    rows = {
        "unaligned": mean_metrics([frame.unaligned for frame in tally.frames]),
        "constant": _score_one_depth(samples, tally, crop, cap),
        "median": mean_metrics([frame.median for frame in tally.frames]),
        "constant_median": tally.constants.result(),
    }
    if align is not None:
        rows["anchored"] = mean_metrics([f.anchored for f in tally.frames if f.anchored])
    return SetResult(
        dataset=samples.name,
        cap_m=cap,
        crop=crop,
        camera="known" if calibrated else f"{pipeline.settings.assumed_hfov_deg:g} deg",
        flip=flip,
        rows=rows,
        bands=tally.by_distance.result(),
        frames=tally.frames,
        unreadable=unreadable,
        seconds=time.perf_counter() - start,
        engine_ms=float(np.median(tally.engine_ms)),
        alignment=align.name if align is not None else "",
    )


def scored_pixels(depth: Array, crop: str, cap: float) -> npt.NDArray[np.bool_]:
    """Return ``(H, W)`` bool: where there is truth to score."""
    return crop_mask(crop, *depth.shape) & (depth > NEAREST_M) & (depth < cap)


class _Tally:
    """What is kept of the frames of one data set."""

    def __init__(self, crop: str, cap: float, distances: Sequence[float] | None) -> None:
        self.crop, self.cap = crop, cap
        self.frames: list[FrameScore] = []
        self.by_distance = ByDistance(band_edges(cap, distances))
        self.depths = DepthMedian(NEAREST_M, cap)
        self.constants = RunningMean()
        self.engine_ms: list[float] = []

    def add(
        self,
        index: int,
        name: str,
        frame: DepthResult,
        truth: Array,
        anchored: DepthResult | None = None,
    ) -> None:
        scored = scored_pixels(truth, self.crop, self.cap)
        gt = truth[scored].astype(np.float64)
        pred = frame.depth[scored].astype(np.float64)
        known = ~np.isnan(pred)
        aligned = pred * median_ratio(pred[known], gt[known])
        unaligned_metrics = depth_metrics(pred, gt, max_depth=self.cap)
        median_metrics = depth_metrics(aligned, gt, max_depth=self.cap)
        anchored_metrics = None
        if anchored is not None:
            depth = anchored.depth[scored].astype(np.float64)
            anchored_metrics = depth_metrics(depth, gt, max_depth=self.cap)
        self.frames.append(
            FrameScore(index, name, unaligned_metrics, median_metrics, anchored_metrics)
        )
        self.by_distance.add(pred, aligned, gt, self.cap)
        self.depths.add(gt)
        self.constants.add(
            depth_metrics(constant_median(gt, max_depth=self.cap), gt, max_depth=self.cap)
        )
        self.engine_ms.append(frame.engine_ms)


def _score_one_depth(samples: SampleSet, tally: _Tally, crop: str, cap: float) -> Metrics:
    """Return the metrics of the median depth for all pixels of all frames.

    Reads the truth again, since the median is known only now and keeping the truth costs memory.
    """
    depth, means = tally.depths.result(), RunningMean()
    for place in frames_with_progress(len(tally.frames), f"{samples.name}, constant"):
        truth = samples[tally.frames[place].index].depth
        gt = truth[scored_pixels(truth, crop, cap)]
        means.add(depth_metrics(np.full_like(gt, depth), gt, max_depth=cap))
    return means.result()


def _nothing_readable(samples: SampleSet, unreadable: list[tuple[str, str]]) -> DatasetError:
    if not unreadable:
        return DatasetError(f"{samples.name}: no frames to score", fix="Check path and split")
    _, first = unreadable[0]
    return DatasetError(
        f"{samples.name}: none of {len(unreadable)} frames can be read; the first: {first}"
    )
