"""Checks of an imported network: the original, the size, what its numbers mean on a recording."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from depth_estimation_ros.apps.build_engine.calibration_images import drawn_images
from depth_estimation_ros.engines.model_card import ModelCard
from depth_estimation_ros.engines.onnxruntime import OnnxRuntimeEngine
from depth_estimation_ros.errors import EngineError, ModelError
from depth_estimation_ros.estimation import DepthEstimator, Rgb, resize_image, to_input
from depth_estimation_ros.estimation.metrics import Accuracy, measure_accuracy
from depth_estimation_ros.estimation.scale import fit_scale_and_shift
from training.data.layouts import open_dataset
from training.evaluation.score import camera_of

if TYPE_CHECKING:
    from training.data.sample import Sample
    from training.pretrained import Checkpoint

MAX_ABS_REL = 1e-3  # between the file and the original
MAX_OF_SPREAD = 0.01  # mean difference from the original, of the standard deviation of its output
MIN_SPREAD = 1e-5  # of the mean output; less is a constant
MIN_CORRELATION = -0.3  # of ranks, between the output and what its kind says; below it is wrong
MAX_SCALE = 10.0  # times too large or too small: no metres
RECORDED_FRAMES = 10
DEMO_BAG = Path(__file__).parents[1] / "depth_estimation_ros" / "apps" / "demo" / "bag"


@dataclass(frozen=True)
class Report:
    """What the checks of a file found.

    Attributes:
        card: the file's.
        abs_rel: difference from the original; None where there is none.
        accuracy: on the demo's recording; None where it was not tried. Relative depth has scale and
            shift fitted to each image.
        engine_ms: of one image on ONNX Runtime here.
        warnings: for the user.
    """

    card: ModelCard
    abs_rel: float | None
    accuracy: Accuracy | None
    engine_ms: float
    warnings: tuple[str, ...] = ()


def check_engine(
    engine: OnnxRuntimeEngine, checkpoint: Checkpoint | None, *, recording: bool
) -> Report:
    """Check a file that is open in ONNX Runtime.

    Raises:
        ModelError: naming the check that failed.
    """
    card = engine.card
    images = [
        resize_image(rgb, card.input.height, card.input.width) for rgb in drawn_images(card.input)
    ]
    check_output_size(engine, images[0])
    warnings: tuple[str, ...] = ()
    abs_rel = None
    if checkpoint is not None:
        abs_rel = check_parity(engine, checkpoint, images)
        if _difference(engine, images[0], images[0][..., ::-1]) < MAX_ABS_REL:
            warnings += ("its depth does not depend on the order of colours",)
    if card.input.multiple_of:
        check_free_size(engine, checkpoint, images)
    scored = score_recording(engine) if recording else None
    return Report(card, abs_rel, scored, _engine_ms(engine, images[0]), warnings)


def check_free_size(
    engine: OnnxRuntimeEngine, checkpoint: Checkpoint | None, images: Sequence[Rgb]
) -> None:
    """Raise ModelError if the network does not run at a second size as it does at the first."""
    turned = [np.ascontiguousarray(rgb.transpose(1, 0, 2)) for rgb in images]
    try:
        check_output_size(engine, turned[0])
        if checkpoint is not None:
            check_parity(engine, checkpoint, turned)
    except (EngineError, ModelError) as error:
        raise ModelError(
            f"{engine.card.name} does not take any size ({error})",
            fix="Its size is part of the graph: leave out --free-size (and multiple_of)",
        ) from error


def check_output_size(engine: OnnxRuntimeEngine, rgb: Rgb) -> None:
    """Raise ModelError if the output for an image of the network's size has another size."""
    given = rgb.shape[:2]
    found = _infer(engine, rgb).shape
    if found != given:
        raise ModelError(
            f"{engine.card.name}: size of the output (width x height)",
            found=f"{found[1]}x{found[0]} for an input of {given[1]}x{given[0]}",
            expected="the size of the input",
            fix="The export has another size built in: export the network again at the size that "
            "it is to run at, or import its checkpoint with this command",
        )


def check_parity(engine: OnnxRuntimeEngine, checkpoint: Checkpoint, images: Sequence[Rgb]) -> float:
    """Return the largest AbsRel of the images between a file and the original.

    Of a network whose output hardly varies, AbsRel is small whatever the preprocessing is; so the
    difference must be small against the spread of the output, too.

    Raises:
        ModelError: it is above `MAX_ABS_REL`, or the difference above `MAX_OF_SPREAD`.
    """
    pairs = [(_infer(engine, rgb), checkpoint.infer(rgb)) for rgb in images]
    worst = max(_abs_rel(found, original) for found, original in pairs)
    spread = float(np.std([original for _, original in pairs]))
    if not spread > MIN_SPREAD * float(np.mean([np.abs(original) for _, original in pairs])):
        raise ModelError(
            f"{checkpoint.source}: its output does not depend on the image",
            found=f"a standard deviation of {spread:.2g} over {len(pairs)} images",
            fix="Check that the checkpoint is trained",
        )
    off = max(float(np.mean(np.abs(found - original))) for found, original in pairs)
    if not (worst <= MAX_ABS_REL and off <= MAX_OF_SPREAD * spread):
        raise ModelError(
            f"{engine.card.name} is not the network of {checkpoint.source}",
            found=f"AbsRel {worst:.2g}, {100 * off / max(spread, 1e-12):.2g} % of the output's "
            "spread, between the two on the same images",
            expected=f"at most {MAX_ABS_REL:g} and {100 * MAX_OF_SPREAD:g} %",
            fix="Check mean, std and color_order on the card: the checkpoint's own processor "
            f"says mean {_shown(checkpoint.processor, 'image_mean')}, "
            f"std {_shown(checkpoint.processor, 'image_std')}, order RGB",
        )
    return worst


def score_recording(engine: OnnxRuntimeEngine) -> Accuracy:
    """Score some frames of the demo's recording.

    Raises:
        ModelError: depth is of another kind than the card says.
    """
    samples = open_dataset("bag", DEMO_BAG)
    places = np.linspace(0, len(samples) - 1, min(RECORDED_FRAMES, len(samples))).astype(int)
    frames = [samples[int(place)] for place in places]
    pairs = [(_depth(engine, frame), frame.depth) for frame in frames]
    scored = measure_accuracy(lambda: pairs, max_depth=samples.cap_m)
    check_kind(engine.card, pairs, scored)
    return scored


def check_kind(
    card: ModelCard, pairs: Sequence[tuple[npt.NDArray, npt.NDArray]], scored: Accuracy
) -> None:
    """Raise ModelError where predicted depth and truth contradict the kind on the card."""
    kind = card.output.kind
    correlation = float(np.mean([_rank_correlation(depth, truth) for depth, truth in pairs]))
    if not correlation >= MIN_CORRELATION:
        other = "metric_depth or relative_depth" if kind == "inverse_depth" else "inverse_depth"
        raise ModelError(
            f"'{card.name}' is not {kind}",
            found=f"near and far change places (rank correlation {correlation:.2f} with measured "
            "depth on the demo's recording)",
            expected=f"depth as the card says; perhaps it is {other}",
            fix="Correct output.kind (--kind)",
        )
    factor = scored.scale_correction
    if card.output.unit and not 1.0 / MAX_SCALE < factor < MAX_SCALE:
        raise ModelError(
            f"'{card.name}' is not in {card.output.unit}",
            found=f"depth that must be multiplied by {factor:.3g} on the demo's recording",
            expected=f"a factor between {1 / MAX_SCALE:g} and {MAX_SCALE:g}",
            fix="Relative depth has no unit: give --kind inverse_depth or relative_depth (and set "
            "scale_source on the node). --no-recording leaves this check out",
        )


def _infer(engine: OnnxRuntimeEngine, rgb: Rgb) -> npt.NDArray[np.float32]:
    return engine.infer(to_input(np.ascontiguousarray(rgb), engine.card.input))[0]


def _abs_rel(found: npt.NDArray[np.float32], original: npt.NDArray[np.float32]) -> float:
    # Inverse depth is 0 at infinity: there the difference counts against a thousandth of the rest.
    floor = 1e-3 * float(np.abs(original).max()) + 1e-12
    return float(np.mean(np.abs(found - original) / np.maximum(np.abs(original), floor)))


def _difference(engine: OnnxRuntimeEngine, first: Rgb, second: Rgb) -> float:
    return _abs_rel(_infer(engine, second), _infer(engine, first))


def _depth(engine: OnnxRuntimeEngine, frame: Sample) -> npt.NDArray[np.float32]:
    """Return depth at the image's size; relative inverse depth is fitted to the truth."""
    if engine.card.output.unit:
        return DepthEstimator(engine).run(frame.rgb, camera_of(frame)).depth
    spec, (height, width) = engine.card.input, frame.rgb.shape[:2]
    values = _infer(engine, resize_image(frame.rgb, spec.height, spec.width))
    values = _resize_values(values, height, width)
    if engine.card.output.kind != "inverse_depth":
        return values
    known = np.isfinite(frame.depth) & (frame.depth > 0)
    fit = fit_scale_and_shift(values[known], frame.depth[known])
    if fit is None:  # a shift cannot be seen, or near and far change places
        return np.float32(1.0) / np.maximum(values, np.float32(1e-6))
    inverse = np.maximum(values + np.float32(fit.shift), np.float32(1e-6))
    return np.asarray(np.float32(fit.scale) / inverse, np.float32)


def _resize_values(
    values: npt.NDArray[np.float32], height: int, width: int
) -> npt.NDArray[np.float32]:
    """Return an output at another size, bilinear."""
    return np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR))


def _rank_correlation(depth: npt.NDArray, truth: npt.NDArray) -> float:
    """Return Spearman's correlation over the pixels that both know."""
    both = np.isfinite(depth) & np.isfinite(truth)
    step = max(1, int(both.sum()) // 5000)
    ranks = [np.argsort(np.argsort(values[both][::step])) for values in (depth, truth)]
    return float(np.asarray(np.corrcoef(np.stack(ranks)))[0, 1]) if len(ranks[0]) > 1 else 0.0


def _engine_ms(engine: OnnxRuntimeEngine, rgb: Rgb, rounds: int = 5) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        _infer(engine, rgb)
        times.append(1e3 * (time.perf_counter() - start))
    return float(np.median(times))


def _shown(processor: Any, name: str) -> str:
    values = getattr(processor, name, None) if processor.do_normalize else None
    return "none" if values is None else str([round(float(value), 4) for value in values])
