"""Which inputs an engine takes: the arithmetic of its optimisation profile. No TensorRT here."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from depth_estimation_ros.engines.model_card import MAX_SIDE, InputSpec
from depth_estimation_ros.errors import EngineError, ParameterError
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
    then stretches images to it instead of choosing a size the engine cannot run. An engine for a
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


Size = tuple[int, int]  # height, width


def make_profile(
    spec: InputSpec, batch: Sequence[int] = (1,), sizes: Sequence[Size] = ()
) -> Profile:
    """The input shapes of an engine.

    Args:
        spec: of the model's card.
        batch: images at once: one number, or smallest, best and largest.
        sizes: (height, width): none for the card's size, one, or smallest, best and largest.

    Raises:
        ParameterError: a size or batch that the network does not take, or a wrong order.
    """
    batches = _three("--batch", batch)
    chosen = _three("--size", sizes or [(spec.height, spec.width)])
    for size in chosen:
        _check_size(spec, size)
    for index, axis in enumerate(("height", "width")):
        _check_order(f"--size, {axis}", [size[index] for size in chosen])
    _check_order("--batch", batches)

    def shape(count: int, size: Size) -> Shape:
        return (count, *size, 3) if spec.layout == "NHWC" else (count, 3, *size)

    return Profile(*map(shape, batches, chosen))


def _three(option: str, values: Sequence[object]) -> list:
    if len(values) not in (1, 3):
        raise ParameterError(
            option,
            found=f"{len(values)} values",
            expected="one, or three: smallest, best, largest",
            fix="See build_engine --help",
        )
    return list(values) * (3 // len(values))


def _check_order(what: str, values: Sequence[int]) -> None:
    if not 1 <= values[0] <= values[1] <= values[2]:
        raise ParameterError(
            what,
            found=", ".join(map(str, values)),
            expected="whole numbers of at least 1 that nowhere get smaller",
            fix="Give smallest, best and largest in this order",
        )


def _check_size(spec: InputSpec, size: Size) -> None:
    step = spec.multiple_of
    if step is None and size != (spec.height, spec.width):
        expected = f"{spec.height}x{spec.width}: the network has this size and no other"
    elif step is not None and (size[0] % step or size[1] % step or min(size) < step):
        expected = f"multiples of {step}, as the model's card says"
    else:
        return
    raise ParameterError(
        "--size", found=f"{size[0]}x{size[1]}", expected=expected, fix="Choose another size"
    )
