"""One image on its way: to the network, as its answer, and as depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.estimation.settings import EstimatorSettings
from depth_estimation_ros.geometry.camera_model import CameraModel

Depth = npt.NDArray[np.float32]
Rgb = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class DepthResult:
    """Depth of one image.

    Attributes:
        depth: (H, W) float32, metres along Z. As REP 117: NaN unknown, +Inf beyond the far limit,
            -Inf nearer than the near limit.
        camera: the camera at the size of `depth`; None if the camera is not calibrated.
        engine_ms: time inside the engine, milliseconds; of a batch, this image's share.
        near, far: the limits of this frame, metres: those of the model with this camera and of the
            settings, the tighter of the two.
    """

    depth: Depth
    camera: CameraModel | None
    engine_ms: float
    near: float
    far: float


@dataclass(frozen=True, eq=False)
class ModelInput:
    """One image on its way to the network.

    Attributes:
        input: a batch of one, as the card wants it.
        size: height and width of the image.
        camera: of the image; None if it is not calibrated.
        settings: of the pipeline when it was made.
        scale, near, far: metres per unit of the network's depth, and the limits in metres.
    """

    input: npt.NDArray[np.generic]
    size: tuple[int, int]
    camera: CameraModel | None
    settings: EstimatorSettings
    scale: float
    near: float
    far: float


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the network answered.

    Attributes:
        view: that it was given.
        numbers: (h, w) float32 at the network's size, in its own unit.
        engine_ms: time inside the engine, milliseconds; of a batch, this image's share.
    """

    view: ModelInput
    numbers: Depth
    engine_ms: float
