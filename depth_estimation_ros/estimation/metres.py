"""What the numbers of a network mean in metres, and which of them mean nothing."""

from __future__ import annotations

import numpy as np

from depth_estimation_ros.engines.model_card import ModelCard, OutputSpec
from depth_estimation_ros.errors import ModelError, PredictionError
from depth_estimation_ros.estimation.frame import Depth


def check_metric(card: ModelCard) -> None:
    """Raises ModelError for a network whose output has no metric scale."""
    output = card.output
    if output.kind == "relative_depth" or not output.unit:
        raise ModelError(
            f"model '{card.name}' is not metric: its depth has no unit and cannot be published "
            "as metres",
            found=f"output.kind {output.kind}, unit '{output.unit}'",
            expected="metric_depth in 'm' or inverse_depth in '1/m'",
            fix="Use a model trained for metric depth",
        )


def metric_scale(card: ModelCard, focal_px: float) -> float:
    """Metres per unit of the network's depth, for a focal length at the network's input size.

    A network that learned with one canonical focal length f_c takes what a lens of focal length f
    shows for f_c / f times as far as it is: metres = output * f / f_c (Yin et al., Metric3D, ICCV
    2023, section 3).
    """
    return 1.0 if card.canonical_focal_px is None else focal_px / card.canonical_focal_px


def check_prediction(raw: Depth, output: OutputSpec) -> None:
    """Raises PredictionError for numbers, (h, w), that no scene can have.

    A few numbers may be wrong: NaN is published as unknown. But if not one is finite, or of metric
    depth not one above zero, something is broken, and publishing "unknown" or "too near" for the
    whole picture would hide it. Inverse depth of zero is a sky.
    """
    finite = np.isfinite(raw)
    if not finite.any():
        found = "only NaN" if np.isnan(raw).all() else "only NaN and infinities"
    elif output.kind == "metric_depth" and not (raw[finite] > 0.0).any():
        found = f"nothing above 0 (largest {raw[finite].max():g})"
    else:
        return
    raise PredictionError(
        "the network's answer is no depth",
        found=found,
        expected=f"finite {output.kind} in {output.unit}",
        fix="If it happens often, try backend onnxruntime, or precision fp32, and check the model",
    )


def to_metres(raw: Depth, output: OutputSpec, scale: float) -> Depth:
    """The network's own numbers as metres. An inverse depth of 0 or less is infinitely far."""
    if output.kind == "inverse_depth":
        with np.errstate(divide="ignore"):
            return np.float32(scale) / np.maximum(raw, np.float32(0.0))
    return raw if scale == 1.0 else raw * np.float32(scale)
