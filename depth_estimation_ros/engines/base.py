"""What every engine is: its options, its interface, and the checks that all of them share.

An engine runs one network and belongs to one thread: open it, run it and close it there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.engines.model_card import InputSpec, ModelCard, OutputSpec
from depth_estimation_ros.errors import EngineError, ModelError
from depth_estimation_ros.utils.files import sha256

AUTO = ("auto",)
MEMORY_PERIOD_S = 1.0
Log = Callable[[str], object]


@dataclass(frozen=True)
class EngineOptions:
    """How a model is to be run.

    Attributes:
        backend: tensorrt, onnxruntime, openvino, or auto: TensorRT where it is installed and has an
            engine of this model, else ONNX Runtime.
        device: index of the GPU.
        build_engine: whether to build a TensorRT engine where none fits, which takes minutes.
        precision: auto, fp32, fp16 or int8; see `factory.open_engine`.
        engine_cache: folder of the TensorRT engines; empty: the variable
            DEPTH_ESTIMATION_ENGINE_CACHE, else ~/.cache/depth_estimation_ros/engines.
        providers: execution providers of ONNX Runtime, best first; ("auto",) is CUDA where it
            starts, else the processor.
        threads: of one run on the processor; 0 = one per physical core.
    """

    backend: str = "auto"
    device: int = 0
    build_engine: bool = False
    precision: str = "auto"
    engine_cache: str = ""
    providers: Sequence[str] = AUTO
    threads: int = 0


class Engine(Protocol):
    """A network, ready to run.

    Attributes:
        card: what it expects and what it gives.
        path: the file that runs: an ONNX file, or a TensorRT engine.
    """

    card: ModelCard
    path: Path

    @property
    def max_batch(self) -> int | None:
        """The number of images that one run takes at most; None: as many as memory holds."""
        ...

    @property
    def description(self) -> str:
        """One line for logs and diagnostics: model, library, device."""
        ...

    def infer(self, batch: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        """Run the network once.

        Args:
            batch: as `card.input` says, for example (N, H, W, 3) uint8 for NHWC.

        Returns:
            (N, H, W) float32, the network's own numbers: not yet scaled to metres.

        Raises:
            EngineError: the batch has another shape or type, or the run failed.
        """
        ...

    def close(self) -> None:
        """Free what the engine holds. Calling it twice is harmless."""
        ...


@runtime_checkable
class Cancellable(Protocol):
    """An engine whose run can be ended from another thread."""

    def break_off(self) -> None:
        """End the present run with an EngineError between two operators, and every later one."""
        ...


class ModelInfo:
    """Names and SHA-256 of an open engine, for diagnostics.

    Made and refreshed in the engine's thread, read in any.

    Args:
        engine: open.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._facts = {
            "model": f"{engine.card.name} {engine.card.model_version}".strip(),
            "model_file": str(engine.path),
            "model_sha256": getattr(engine, "onnx_sha256", "") or sha256(engine.path),
            # Of the TensorRT engine that was built from the model; other engines have no file.
            "engine_sha256": str(getattr(engine, "plan_sha256", "")),
        }
        self._memory: dict[str, str] = {}
        self._next_at = 0.0

    def refresh(self) -> None:
        """Read the used memory of the GPU, at most once a second, where the engine knows it."""
        # CUDA contexts belong to a thread, so no other thread could ask.
        read: Any = getattr(self._engine, "gpu_memory", None)
        if read is None or time.monotonic() < self._next_at:
            return
        self._next_at = time.monotonic() + MEMORY_PERIOD_S
        try:
            free, total = read()
        except EngineError:
            return  # a GPU that fails says so when the network runs
        self._memory = {
            "gpu_memory_used_mb": f"{(total - free) / 1e6:.0f}",
            "gpu_memory_total_mb": f"{total / 1e6:.0f}",
        }

    def values(self) -> dict[str, str]:
        """Return all values as text; memory of the GPU in MB (10^6 bytes), of all its processes."""
        return {**self._facts, "engine": self._engine.description, **self._memory}


def check_batch(batch: npt.NDArray[np.generic], spec: InputSpec, name: str) -> None:
    """Raise EngineError for a batch that is not what the card says; `name` is the model's."""
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
            fix="Prepare the image as 'input' in the model card says",
        )


def to_maps(output: npt.NDArray[np.float32], count: int, name: str) -> npt.NDArray[np.float32]:
    """Return the output as (N, H, W), without a channel axis of one; nothing is copied.

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


def mark_sky(
    depth: npt.NDArray[np.float32], sky: npt.NDArray[np.float32], output: OutputSpec
) -> npt.NDArray[np.float32]:
    """Return depth with the sky, where `sky` is above 0.5, infinitely far."""
    return np.where(sky > 0.5, np.float32(far_away(output)), depth)


def far_away(output: OutputSpec) -> float:
    """Return the network's number for what is infinitely far."""
    return 0.0 if output.kind == "inverse_depth" else np.inf


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


def named_ports(ports: Sequence[Port], name: str | None, what: str, path: Path) -> list[Port]:
    """Return the port that the card names, or all where it names none.

    Raises:
        ModelError: the network has no such `what`, an input or output.
    """
    chosen = [port for port in ports if name in (None, port.name)]
    if not chosen:
        known = ", ".join(port.name for port in ports)
        raise _mismatch(path, f"{what} '{name}'", "no such name", f"one of {known}")
    return chosen


def check_signature(
    inputs: Sequence[Port], outputs: Sequence[Port], spec: InputSpec, path: Path
) -> int | None:
    """Compare a network with its card.

    Returns:
        The number of images that one run takes, None where it is free.

    Raises:
        ModelError: the network does not have one image as input and one depth map as output, or of
            another type or shape than the card says.
    """
    if len(inputs) != 1 or len(outputs) != 1:
        raise _mismatch(
            path,
            "inputs and outputs",
            f"{[port.name for port in inputs]} and {[port.name for port in outputs]}",
            "one image in and one depth map out, or input.name and output.name on the card",
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
