"""The data of one frame on its way: settings, model input, prediction, depth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.geometry.camera_model import CameraModel

Depth = npt.NDArray[np.float32]
Rgb = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ScaleFit:
    """Metres from predicted values: depth = scale * value, or 1 / depth = (value + shift) / scale.

    Attributes:
        scale: above 0.
        shift: of inverse depth, in the network's unit; 0 for a metric network.
        pairs: how many pixels had a prediction and a measurement.
        inliers: how many of them agree.
        spread: robust standard deviation of log depth among all pairs.
        age: seconds from the last measurement that agreed to the image.
    """

    scale: float
    shift: float
    pairs: int
    inliers: int
    spread: float
    age: float = 0.0


@dataclass(frozen=True)
class EstimatorSettings:
    """What the user may change between two frames.

    Attributes:
        min_depth: metres; nearer becomes -Inf. 0 = the card's; the tighter of the two holds.
        max_depth: metres; farther becomes +Inf. 0 = the card's; the tighter of the two holds.
        output_size: "image": depth at the image's size; "network": at the network's.
        edge_filter: relative depth jump, (far - near) / near, within 3x3 pixels of the network's
            output above which these pixels become NaN. 0 = off.
        temporal_filter: weight of earlier frames in each pixel's depth, 0 to below 1; see
            `TemporalFilter`, which `finish` must be given. 0 = off.
        assumed_hfov_deg: horizontal field of view of a camera that is not calibrated; used only
            when the card has a canonical focal length.
        scale_correction: factor on all depth, and so on the card's limits: true distance divided by
            published depth. 1 = the model's own metres.
        scale_required: depth is unknown (NaN) until a scale was measured; see `ScaleAnchor`. A
            network without metric scale needs it.
    """

    min_depth: float = 0.0
    max_depth: float = 0.0
    output_size: Literal["image", "network"] = "image"
    edge_filter: float = 0.0
    temporal_filter: float = 0.0
    assumed_hfov_deg: float = 60.0
    scale_correction: float = 1.0
    scale_required: bool = False


@dataclass(frozen=True, eq=False)
class ModelInput:
    """One image, ready for the network.

    Attributes:
        batch: a batch of one, in the layout of the model card.
        image_size: height and width of the image.
        camera: of the image; None if it is not calibrated.
        settings: of the estimator when this was made.
        scale: metres per unit of the network's depth.
        near, far: the limits, metres.
    """

    batch: npt.NDArray[np.generic]
    image_size: tuple[int, int]
    camera: CameraModel | None
    settings: EstimatorSettings
    scale: float
    near: float
    far: float


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the network returned for one image.

    Attributes:
        model_input: that it was given.
        values: (h, w) float32 at the network's size, in the unit of the model card.
        engine_ms: time inside the engine, milliseconds; of a batch, this image's share.
    """

    model_input: ModelInput
    values: Depth
    engine_ms: float


@dataclass(frozen=True, eq=False)
class DepthResult:
    """Depth of one image.

    Attributes:
        depth: (H, W) float32, metres along Z. As REP 117: NaN unknown, +Inf beyond the far limit,
            -Inf nearer than the near limit.
        camera: the camera at the size of `depth`; None if the camera is not calibrated.
        engine_ms: time inside the engine, milliseconds; of a batch, this image's share.
        near, far: the limits of this frame, metres: those of the model with this camera and scale
            and of the settings, the tighter of the two.
        scale: what `depth` was anchored with; None if it was not.
    """

    depth: Depth
    camera: CameraModel | None
    engine_ms: float
    near: float
    far: float
    scale: ScaleFit | None = None
