"""One prediction as it is scored: at the picture's size, by the pipeline of the robot."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.estimation import DepthEstimator, DepthResult, apply_limits
from depth_estimation_ros.geometry.camera_model import CameraModel
from training.data.sample import Sample


def predict(pipeline: DepthEstimator, sample: Sample, *, flip: bool = False) -> DepthResult:
    """Depth of a sample.

    Args:
        flip: the mean of this prediction and of that for the mirrored picture, mirrored back. A
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


def camera_of(sample: Sample, *, mirror: bool = False) -> CameraModel | None:
    """The camera of a sample, or of its mirrored picture; None where it is not known."""
    if sample.intrinsics is None:
        return None
    height, width = sample.depth.shape
    fx, fy, cx, cy = sample.intrinsics
    return CameraModel.from_intrinsics(fx, fy, width - 1 - cx if mirror else cx, cy, width, height)
