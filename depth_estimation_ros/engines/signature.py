"""What a network takes and gives, compared with its model card: alike for every library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from depth_estimation_ros.engines.model_card import InputSpec
from depth_estimation_ros.errors import ModelError


@dataclass(frozen=True)
class Port:
    """An input or output of a network, as its library describes it.

    Attributes:
        name: in the graph.
        dtype: as NumPy names it, or the library's own word for a type that no card has.
        shape: one entry for each axis; names and None are free ones.
    """

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]


def check_signature(
    inputs: Sequence[Port], outputs: Sequence[Port], spec: InputSpec, path: Path
) -> int | None:
    """Compares a network with its card.

    Returns:
        The number of pictures that one run takes, None where any does.

    Raises:
        ModelError: the network has not one picture as input and one depth map as output, or of
            another type or shape than the card says.
    """
    if len(inputs) != 1 or len(outputs) != 1:
        raise _mismatch(
            path,
            "inputs and outputs",
            f"{[port.name for port in inputs]} and {[port.name for port in outputs]}",
            "one picture in and one depth map out",
        )
    _check_input(inputs[0], spec, path)
    _check_output(outputs[0], path)
    count = inputs[0].shape[0]
    return count if isinstance(count, int) else None


def _check_input(source: Port, spec: InputSpec, path: Path) -> None:
    if source.dtype != spec.dtype:
        raise _mismatch(path, f"input '{source.name}'", source.dtype, spec.dtype)
    size: tuple[int | str, int | str] = (spec.height, spec.width)
    if spec.multiple_of is not None:
        size = ("height", "width")
    wanted = [1, *size, 3] if spec.layout == "NHWC" else [1, 3, *size]
    if len(source.shape) != 4 or not all(map(_fits, source.shape, wanted)):
        shown = "(" + ", ".join(map(str, ["batch", *wanted[1:]])) + f") as {spec.layout}"
        raise _mismatch(path, f"input '{source.name}'", source.shape, shown)


def _check_output(result: Port, path: Path) -> None:
    if result.dtype != "float32":
        raise _mismatch(path, f"output '{result.name}'", result.dtype, "float32")
    shape = result.shape
    single_channel = len(shape) == 4 and _fits(shape[1], 1)
    if shape and len(shape) != 3 and not single_channel:  # no shape at all: seen at the first run
        expected = "(batch, height, width) or (batch, 1, height, width)"
        raise _mismatch(path, f"output '{result.name}'", shape, expected)


def _fits(size: int | str | None, wanted: int | str) -> bool:
    """Whether an axis of the graph takes what the card promises."""
    return not isinstance(size, int) or size == wanted


def _mismatch(path: Path, what: str, found: object, expected: object) -> ModelError:
    return ModelError(
        f"{path}: {what} of the network against its card",
        found=found,
        expected=expected,
        fix="Correct the model card, or export the network again",
    )
