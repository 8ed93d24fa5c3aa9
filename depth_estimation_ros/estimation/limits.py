"""The near and the far limit: which ones hold, and how depth says that it reaches one."""

from __future__ import annotations

import numpy as np

from depth_estimation_ros.engines.model_card import ModelCard, OutputSpec
from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.estimation.frame import Depth
from depth_estimation_ros.estimation.settings import EstimatorSettings

# A network that clamps its output says "max_depth" for all that lies beyond. Resizing and float32
# move that value by a few ulps; so near the limit counts as at the limit.
LIMIT_TOLERANCE = 1e-4


def depth_limits(
    output: OutputSpec, settings: EstimatorSettings, scale: float = 1.0
) -> tuple[float, float]:
    """The near and the far limit in metres: the tighter of the card's and the settings'.

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


def check_settings(card: ModelCard, settings: EstimatorSettings) -> None:
    """Raises ParameterError for limits that leave no depth between them, whatever the camera.

    With a canonical focal length the model's own limits depend on the camera (`metric_scale`), so
    they say nothing here, and the pipeline checks each frame.
    """
    if card.canonical_focal_px is None:
        check_limits(card.output, settings, settings.scale_correction)
    elif 0 < settings.max_depth <= settings.min_depth:
        raise ParameterError(
            "min_depth and max_depth leave no depth between them",
            found=f"{settings.min_depth:g} m to {settings.max_depth:g} m",
            expected="min_depth < max_depth",
            fix="Change min_depth or max_depth; 0 stands for the model's own limit",
        )


def check_limits(
    output: OutputSpec, settings: EstimatorSettings, scale: float = 1.0
) -> tuple[float, float]:
    """`depth_limits`; raises ParameterError if nothing lies between them."""
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


def name_limits(depth: Depth, near: float, far: float) -> None:
    """Puts, in place, REP 117's infinities where depth reaches a limit.

    Clipping alone would build a phantom wall at `far`.
    """
    np.copyto(depth, np.inf, where=depth >= far * (1.0 - LIMIT_TOLERANCE))
    np.copyto(depth, -np.inf, where=depth <= near * (1.0 + LIMIT_TOLERANCE))


def reaches_limits(depth: Depth, near: float, far: float) -> bool:
    """Whether `name_limits` may find something, here or in what resizing makes of it.

    Also said of a map with a NaN, of which nobody asks often.
    """
    tolerance = 2 * LIMIT_TOLERANCE  # resizing rounds, by far less than that
    nearest, farthest = np.minimum.reduce(depth, axis=None), np.maximum.reduce(depth, axis=None)
    return not (nearest > near * (1.0 + tolerance) and farthest < far * (1.0 - tolerance))
