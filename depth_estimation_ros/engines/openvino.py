"""OpenVINO: runs the network on processors, on some faster than ONNX Runtime (docs/speed.md)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.engines.base import (
    Port,
    check_batch,
    check_signature,
    mark_sky,
    named_ports,
    to_maps,
)
from depth_estimation_ros.engines.model_card import METADATA_KEY, InputSpec, card_of_model
from depth_estimation_ros.engines.onnxruntime import read_metadata
from depth_estimation_ros.errors import EngineError, ModelError

_PLACES = ("Exception from ", "Check '")
_MAX_SHAPES = 4  # with graphs of their own: of cameras, that is, not of a folder of images
_POLL_MS = 50  # between two checks of a run whether it is broken off


class OpenVinoEngine:
    """An ONNX file with a model card, run by OpenVINO. Keeps to `engines.Engine`.

    Args:
        path: the .onnx file; weights in side files are found next to it.
        threads: for one run of the network; 0 leaves it to OpenVINO, which takes one per core.
        exact: whether to compute in float32. Else OpenVINO takes 16 bits (bfloat16 or float16)
            where the processor has them, and float32 where not. An int8 file stays int8 with both.

    Raises:
        ModelError: as `read_metadata`, no card, or a card that does not fit the network.
        EngineError: OpenVINO is not installed.
    """

    def __init__(self, path: Path, *, threads: int = 0, exact: bool = False) -> None:
        ov = import_openvino()
        self.path = path
        self.card = card_of_model(read_metadata(path).get(METADATA_KEY), path)
        self._core = ov.Core()
        self._network: Any = _load(path, lambda: self._core.read_model(path))
        spec, output = self.card.input, self.card.output
        inputs = [_port(port) for port in self._network.inputs]
        every_output = [_port(port) for port in self._network.outputs]
        outputs = named_ports(every_output, output.name, "output", path)
        self.max_batch: int | None = check_signature(
            named_ports(inputs, spec.name, "input", path), outputs, spec, path
        )
        self._places = [every_output.index(outputs[0])]
        if output.sky is not None:
            sky = named_ports(every_output, output.sky, "output", path)[0]
            self._places += [every_output.index(sky)]
        self._settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            # Threads that are bound to cores wait for whatever else a robot runs there: next to a
            # busy process an image took 32 ms with them and 29 without.
            "ENABLE_CPU_PINNING": False,
        }
        if threads:
            self._settings["INFERENCE_NUM_THREADS"] = threads
        if exact:
            self._settings["INFERENCE_PRECISION_HINT"] = "f32"
        self._requests: dict[tuple[int, ...] | None, Any] = {}
        usual = self._request_for(_usual_shape(self.card.input))
        self._broken_off = False
        name = f"{self.card.name} {self.card.model_version}".strip()
        computed = usual.get_compiled_model().get_property("INFERENCE_PRECISION_HINT")
        words = computed.get_type_name()
        if any(node.get_type_name() == "FakeQuantize" for node in self._network.get_ops()):
            words = f"i8 and {words}"
        self.description = f"{name} on OpenVINO {_version(ov)} (CPU, {words})"

    def infer(self, batch: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        """Run the network once: see `engines.Engine.infer`.

        The first batch of a shape waits for its graph, some tenths of a second.
        """
        if self._network is None:
            raise EngineError(f"{self.path.name}: the engine is closed", fix="Open it again")
        check_batch(batch, self.card.input, self.path.name)
        try:
            outputs = self._run(batch)
        except Exception as error:  # OpenVINO's own exceptions share no base class
            reason = "it was broken off" if self._broken_off else _shorten(error)
            raise self._failed(batch, reason) from error
        depth, *sky = (to_maps(output, batch.shape[0], self.path.name) for output in outputs)
        return mark_sky(depth, sky[0], self.card.output) if sky else depth

    def break_off(self) -> None:
        """End the present run with an EngineError between two operators, and every later one.

        From any thread. A loop within the network is one operator: it goes on to its end.
        """
        self._broken_off = True

    def close(self) -> None:
        """Free the network. Calling it twice is harmless."""
        self._network = None
        self._requests.clear()

    def _request_for(self, shape: tuple[int, ...]) -> Any:
        """Return the graph of one shape, up to a third faster than the one that others share."""
        key = shape if shape in self._requests or len(self._requests) < _MAX_SHAPES else None
        if key not in self._requests:
            self._requests[key] = _load(self.path, lambda: self._compiled(key))
        return self._requests[key]

    def _compiled(self, shape: tuple[int, ...] | None) -> Any:
        network = self._network.clone()
        if shape is not None:
            network.reshape(list(shape))
        return self._core.compile_model(network, "CPU", self._settings).create_infer_request()

    def _run(self, batch: npt.NDArray[np.generic]) -> list[npt.NDArray[np.float32]]:
        """Raises some exception if the engine is broken off, before or meanwhile."""
        request = self._request_for(batch.shape)
        if self._broken_off:
            raise InterruptedError
        # Only runs that were started so can be cancelled: `infer` goes on to its end.
        request.start_async([batch], share_inputs=True)
        while not request.wait_for(_POLL_MS):
            if self._broken_off:
                request.cancel()
        if self._broken_off:  # then the output is what was there until then
            raise InterruptedError
        return [np.array(request.get_output_tensor(place).data) for place in self._places]

    def _failed(self, batch: npt.NDArray[np.generic], reason: str) -> EngineError:
        return EngineError(
            f"{self.path.name}: OpenVINO failed on an input of {batch.shape}: {reason}",
            fix="Check 'input' in the model card against the network",
        )


def import_openvino() -> Any:
    """Return the module openvino.

    Raises:
        EngineError: it is not installed.
    """
    try:
        import openvino
    except ImportError as error:
        raise EngineError(
            f"OpenVINO cannot be imported ({error})",
            fix="Run: pip install openvino; or take backend auto or onnxruntime",
        ) from error
    return openvino


def _version(ov: Any) -> str:
    """Return the version, such as 2026.4.1, without the numbers of the build."""
    return str(ov.__version__).split("-")[0]


def _usual_shape(spec: InputSpec) -> tuple[int, ...]:
    """Return the shape of one image at the card's own size."""
    size = spec.height, spec.width
    return (1, *size, 3) if spec.layout == "NHWC" else (1, 3, *size)


def _load(path: Path, step: Callable[[], Any]) -> Any:
    """Return the result of a step of opening the file; ModelError for whatever it raises."""
    try:
        return step()
    except Exception as error:
        raise ModelError(
            f"{path}: OpenVINO cannot load this file",
            found=f"'{_shorten(error)}'",
            expected="a network in ONNX format, of operators that OpenVINO has",
            fix="Check that the file is complete, or take backend onnxruntime",
        ) from error


def _port(port: Any) -> Port:
    shape = port.get_partial_shape()
    axes = () if shape.rank.is_dynamic else tuple(shape)
    sizes = tuple(None if axis.is_dynamic else axis.get_length() for axis in axes)
    return Port(port.any_name, port.get_element_type().to_dtype().name, sizes)


def _shorten(error: Exception) -> str:
    """Return an OpenVINO error without its places in C++, cut at 200 characters."""
    lines = [line.strip() for line in str(error).splitlines()]
    words = [line for line in lines if line and not line.startswith(_PLACES)]
    text = " ".join(words) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."
