"""From the network's prediction to published depth: metres, limits, edges, image size."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from depth_estimation_ros.engines.model_card import ModelCard, OutputSpec
from depth_estimation_ros.errors import ModelError, ParameterError, PredictionError
from depth_estimation_ros.estimation.frame import Depth, EstimatorSettings

# A network that clamps its output returns "max_depth" for everything beyond. Resizing and float32
# move that value by a few ulps; so near the limit counts as at the limit.
LIMIT_TOLERANCE = 1e-4


def check_metric(card: ModelCard, settings: EstimatorSettings) -> None:
    """Raise ModelError for a network without metric scale, unless a measured one is required."""
    output = card.output
    if not output.unit and not settings.scale_required:
        raise ModelError(
            f"model '{card.name}' is not metric: its depth has no unit and cannot be published "
            "as metres",
            found=f"output.kind {output.kind}, unit '{output.unit}'",
            expected="metric_depth in 'm' or inverse_depth in '1/m'",
            fix="Use a model trained for metric depth, or set scale_source, and scale_required "
            "to true",
        )


def check_prediction(raw: Depth, output: OutputSpec) -> None:
    """Raise PredictionError for values, (h, w), that no scene can have.

    A few wrong values are tolerated: NaN is published as unknown. But if none is finite, or of
    metric depth none above zero, something is broken, and publishing "unknown" or "too near" for
    the whole image would hide it. Inverse depth of zero is sky.
    """
    finite = np.isfinite(raw)
    if not finite.any():
        found = "only NaN" if np.isnan(raw).all() else "only NaN and infinities"
    elif output.kind == "metric_depth" and not (raw[finite] > 0.0).any():
        found = f"nothing above 0 (largest {raw[finite].max():g})"
    else:
        return
    raise PredictionError(
        "the network's prediction is not a depth map",
        found=found,
        expected=f"finite {output.kind} in {output.unit}",
        fix="If it happens often, try backend onnxruntime, or precision fp32, and check the model",
    )


def metric_scale(card: ModelCard, focal_px: float) -> float:
    """Return metres per unit of the network's depth, for a focal length at the input size.

    A network trained with one canonical focal length f_c takes what a lens of focal length f
    shows for f_c / f times as far as it is: metres = output * f / f_c (Yin et al., Metric3D, ICCV
    2023, section 3).
    """
    return 1.0 if card.canonical_focal_px is None else focal_px / card.canonical_focal_px


def to_metres(raw: Depth, output: OutputSpec, scale: float) -> Depth:
    """Return the network's values as metres. An inverse depth of 0 or less is infinitely far."""
    if output.kind == "inverse_depth":
        with np.errstate(divide="ignore"):
            return np.float32(scale) / np.maximum(raw, np.float32(0.0))
    return raw if scale == 1.0 else raw * np.float32(scale)


def depth_limits(
    output: OutputSpec, settings: EstimatorSettings, scale: float = 1.0
) -> tuple[float, float]:
    """Return the near and far limit in metres: the tighter of the card's and the settings'.

    The card's limits are of the network's own output, so they scale with it: a network that ends
    at 80 m in its canonical camera ends at 40 m in a camera of half that focal length.

    Args:
        output: of the card.
        settings: of the user.
        scale: metres per unit of the network's depth.
    """
    near = max(output.min_depth * scale, settings.min_depth)
    far = output.max_depth * scale
    return near, min(far, settings.max_depth) if settings.max_depth > 0 else far


def check_limits(
    output: OutputSpec, settings: EstimatorSettings, scale: float = 1.0
) -> tuple[float, float]:
    """Return `depth_limits`; raise ParameterError if nothing lies between them."""
    near, far = depth_limits(output, settings, scale)
    if not near < far:
        model = f"{output.min_depth * scale:g} m to {output.max_depth * scale:g} m"
        raise ParameterError(
            "min_depth and max_depth leave no depth between them",
            found=f"{near:g} m to {far:g} m",
            expected=f"a range within the model's {model}"
            + ("" if scale == 1.0 else " with this camera and scale"),
            fix="Change min_depth or max_depth; 0 stands for the model's own limit",
        )
    return near, far


def check_settings(card: ModelCard, settings: EstimatorSettings) -> None:
    """Raise ParameterError for limits that leave no depth between them, whatever the camera.

    With a canonical focal length the model's own limits depend on the camera (`metric_scale`), so
    they are not checked here but with each frame.

    Raises:
        ModelError: see `check_metric`.
    """
    check_metric(card, settings)
    if card.canonical_focal_px is None:
        check_limits(card.output, settings, settings.scale_correction)
    elif 0 < settings.max_depth <= settings.min_depth:
        raise ParameterError(
            "min_depth and max_depth leave no depth between them",
            found=f"{settings.min_depth:g} m to {settings.max_depth:g} m",
            expected="min_depth < max_depth",
            fix="Change min_depth or max_depth; 0 stands for the model's own limit",
        )


def to_depth(
    metres: Depth, near: float, far: float, size: tuple[int, int], edge_filter: float = 0.0
) -> Depth:
    """Return metres, (h, w), as depth of a `size` (H, W): see `DepthResult.depth`.

    Never shares the memory of `metres`, which may be an engine's.
    """
    limited = _reaches_limits(metres, near, far)
    # Clamped before and marked after resizing: an infinity would smear over its neighbours. No
    # pixel in between is nearer or farther than its neighbours: if the small map stays off the
    # limits, there is nothing to clamp in it nor to mark in the large one.
    depth = np.clip(metres, near, far) if limited else metres
    edges = find_edges(depth, edge_filter) if edge_filter > 0 else None
    depth = _resized(depth, *size)
    if limited:
        apply_limits(depth, near, far)
    if edges is not None:
        marks = cv2.resize(edges, size[::-1], interpolation=cv2.INTER_NEAREST)
        np.copyto(depth, np.nan, where=marks != 0)
    return depth


def apply_limits(depth: Depth, near: float, far: float) -> None:
    """Put, in place, REP 117's infinities where depth reaches a limit.

    Clipping alone would build a phantom wall at `far`.
    """
    np.copyto(depth, np.inf, where=depth >= far * (1.0 - LIMIT_TOLERANCE))
    np.copyto(depth, -np.inf, where=depth <= near * (1.0 + LIMIT_TOLERANCE))


def find_edges(depth: Depth, max_jump: float) -> npt.NDArray[np.uint8]:
    """Mark (1) the pixels whose 3x3 window holds a relative depth jump above `max_jump`.

    There the network blends front and back, which hangs points in the air between them.
    """
    window = np.ones((3, 3), np.uint8)
    farthest, nearest = cv2.dilate(depth, window), cv2.erode(depth, window)
    return (farthest > np.float32(1.0 + max_jump) * nearest).view(np.uint8)


def _reaches_limits(depth: Depth, near: float, far: float) -> bool:
    """Return whether `apply_limits` may change a pixel, here or after resizing.

    Also true of a map with a NaN, which is rare.
    """
    tolerance = 2 * LIMIT_TOLERANCE  # resizing rounds, by far less than that
    nearest, farthest = np.minimum.reduce(depth, axis=None), np.maximum.reduce(depth, axis=None)
    return not (nearest > near * (1.0 + tolerance) and farthest < far * (1.0 - tolerance))


def _resized(depth: Depth, height: int, width: int) -> Depth:
    """Return depth at another size, or a copy."""
    if depth.shape == (height, width):
        return depth.copy()
    resized = cv2.resize(depth, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, np.float32)
