"""What goes into a network and what comes out of it, checked alike for every engine."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.engines.model_card import InputSpec
from depth_estimation_ros.errors import EngineError


def check_batch(batch: npt.NDArray[np.generic], spec: InputSpec, name: str) -> None:
    """Raises EngineError for a batch that is not what the card says; `name` is the model's."""
    shape = batch.shape
    nhwc = spec.layout == "NHWC"
    good = len(shape) == 4 and shape[3 if nhwc else 1] == 3 and batch.dtype == spec.dtype
    if good:
        height, width = shape[1:3] if nhwc else shape[2:4]
        step = spec.multiple_of
        if step is None:
            good = (height, width) == (spec.height, spec.width)
        else:
            good = height % step == 0 and width % step == 0 and height > 0 and width > 0
    if not good:
        size = f"{spec.height}, {spec.width}"
        if spec.multiple_of is not None:
            size = f"multiples of {spec.multiple_of}"
        raise EngineError(
            f"{name}: the batch given to the network",
            found=f"{shape} {batch.dtype}",
            expected=f"{f'(N, {size}, 3)' if nhwc else f'(N, 3, {size})'} {spec.dtype}",
            fix="Prepare the picture as 'input' in the model card says",
        )


def to_maps(output: npt.NDArray[np.float32], count: int, name: str) -> npt.NDArray[np.float32]:
    """The network's output as (N, H, W): a channel axis of one is taken off, nothing is copied.

    Raises:
        EngineError: it is not `count` maps.
    """
    if output.ndim == 4 and output.shape[1] == 1:
        output = output[:, 0]
    if output.ndim != 3 or output.shape[0] != count:
        raise EngineError(
            f"{name}: the network's output",
            found=output.shape,
            expected=f"({count}, H, W) or ({count}, 1, H, W)",
            fix="Export the network with depth as its only output",
        )
    return output
