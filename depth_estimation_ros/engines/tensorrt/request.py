"""The optimisation profile that a user asks for, checked against the model's card."""

from __future__ import annotations

from collections.abc import Sequence

from depth_estimation_ros.engines.model_card import InputSpec
from depth_estimation_ros.engines.tensorrt.shapes import Profile, Shape
from depth_estimation_ros.errors import ParameterError

Size = tuple[int, int]  # height, width


def make_profile(
    spec: InputSpec, batch: Sequence[int] = (1,), sizes: Sequence[Size] = ()
) -> Profile:
    """The input shapes of an engine.

    Args:
        spec: of the model's card.
        batch: pictures at once: one number, or smallest, best and largest.
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
