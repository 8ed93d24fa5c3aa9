"""Which inputs an engine takes: the arithmetic of its optimisation profile. No TensorRT here."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Annotated

from depth_estimation_ros.engines.model_card import MAX_SIDE, InputSpec
from depth_estimation_ros.errors import EngineError
from depth_estimation_ros.utils.schema import Limit

Shape = Annotated[
    tuple[int, ...],
    Limit(
        lambda shape: len(shape) == 4 and min(shape) >= 1 and max(shape) <= MAX_SIDE,
        f"four whole numbers of at least 1 and at most {MAX_SIDE}",
    ),
]


@dataclass(frozen=True)
class Profile:
    """The input shapes that an engine was built for, axis by axis from smallest to largest.

    Attributes:
        smallest: (N, H, W, 3) or (N, 3, H, W), as the network's layout says.
        best: what the engine is fastest at.
        largest: what memory is allocated for.
    """

    smallest: Shape
    best: Shape
    largest: Shape

    def takes(self, shape: Shape) -> bool:
        """Whether the engine runs an input of this shape."""
        return len(shape) == len(self.smallest) and all(
            low <= size <= high
            for low, size, high in zip(self.smallest, shape, self.largest, strict=True)
        )

    def __str__(self) -> str:
        """Axis by axis, "(1...4, 480, 640, 3)"."""
        axes = [
            str(low) if low == high else f"{low}...{high}"
            for low, high in zip(self.smallest, self.largest, strict=True)
        ]
        return f"({', '.join(axes)})"


def check_shape(profile: Profile, shape: Shape, name: str) -> None:
    """Raises EngineError for an input that the engine was not built for."""
    if not profile.takes(shape):
        raise EngineError(
            f"{name}: the input given to the engine",
            found=shape,
            expected=f"{profile}, as it was built",
            fix="Build an engine for that batch and size: build_engine --help",
        )


def input_of_engine(spec: InputSpec, profile: Profile) -> InputSpec:
    """The card's input as this engine takes it.

    A network of any size becomes, in an engine of one size, a network of that size: the pipeline
    then stretches pictures to it instead of choosing a size the engine cannot run. An engine for a
    range of sizes keeps the card's freedom, around the size that it is fastest at.
    """
    rows, columns = (1, 2) if spec.layout == "NHWC" else (2, 3)
    fixed = all(profile.smallest[axis] == profile.largest[axis] for axis in (rows, columns))
    return dataclasses.replace(
        spec,
        height=profile.best[rows],
        width=profile.best[columns],
        multiple_of=None if fixed else spec.multiple_of,
    )


def nbytes(shape: Shape, itemsize: int) -> int:
    """The bytes of a dense array."""
    return math.prod(shape) * itemsize
