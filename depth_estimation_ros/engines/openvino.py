"""OpenVINO: runs the network on processors, quicker than ONNX Runtime does (docs/speed.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.engines.batches import check_batch, to_maps
from depth_estimation_ros.engines.signature import Port, check_signature
from depth_estimation_ros.errors import EngineError, ModelError
from depth_estimation_ros.model_card import METADATA_KEY, InputSpec, card_of_model
from depth_estimation_ros.onnx_file import read_onnx_file

_PLACES = ("Exception from ", "Check '")
_SHORT = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


class OpenVinoEngine:
    """An ONNX file with a model card, run by OpenVINO. Keeps to `engines.Engine`.

    Args:
        path: the .onnx file; weights in side files are found beside it.
        threads: for one run of the network; 0 leaves it to OpenVINO, which takes one per core.
        exact: whether to compute in float32. Else OpenVINO takes 16 bits (bfloat16 or float16)
            where the processor has them, and float32 where not. An int8 file stays int8 with both.

    Raises:
        ModelError: as `read_onnx_file`, no card, or a card that does not fit the network.
        EngineError: OpenVINO is not installed.
    """

    def __init__(self, path: Path, *, threads: int = 0, exact: bool = False) -> None:
        ov = import_openvino()
        self._core: Any = ov.Core()
        self._path = path
        metadata = read_onnx_file(path).metadata
        self.card = card_of_model(metadata.get(METADATA_KEY), path)
        network = self._read()
        self.max_batch: int | None = check_signature(
            [_port(port) for port in network.inputs],
            [_port(port) for port in network.outputs],
            self.card.input,
            path,
        )
        self._settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            # Threads that are bound to cores wait for whatever else a robot runs there: beside a
            # busy process a picture took 32 ms with them and 29 without.
            "ENABLE_CPU_PINNING": False,
        }
        if threads:
            self._settings["INFERENCE_NUM_THREADS"] = threads
        if exact:
            self._settings["INFERENCE_PRECISION_HINT"] = "f32"
        # A graph for one shape is 5 to 15 % quicker than one for any. So the card's own size has
        # its graph, and all others share one, which is made when the first of them comes.
        self._usual_shape = _usual_shape(self.card.input)
        network.reshape(list(self._usual_shape))
        compiled = self._compile(network)
        self._usual: Any = compiled.create_infer_request()
        self._any: Any = None
        self._closed = self._broken_off = False
        name = f"{self.card.name} {self.card.model_version}".strip()
        computed = compiled.get_property("INFERENCE_PRECISION_HINT").to_dtype().name
        computed = _SHORT.get(computed, computed)
        self.description = f"{name} on OpenVINO {_version(ov)} (CPU, {computed})"

    def infer(self, batch: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        """Runs the network once: see `engines.Engine.infer`."""
        if self._closed:
            raise EngineError(f"{self._path.name}: the engine is closed", fix="Open it again")
        check_batch(batch, self.card.input, self._path.name)
        try:
            (output,) = self._request(batch.shape).infer([batch], share_inputs=True).to_tuple()
        except Exception as error:  # OpenVINO's own exceptions share no base class
            raise self._failed(batch, _shorten(error)) from error
        # OpenVINO raises nothing when a run is cancelled, and gives what it has until then.
        if self._broken_off:
            raise self._failed(batch, "it was broken off")
        return to_maps(output, batch.shape[0], self._path.name)

    def break_off(self) -> None:
        """Ends the present run with an EngineError between two operators, and every later one.

        From any thread. A loop within the network is one operator: it goes on to its end.
        """
        self._broken_off = True
        for request in (self._usual, self._any):
            if request is not None:
                request.cancel()

    def close(self) -> None:
        """Frees the network. Calling it twice is harmless."""
        self._closed = True
        self._usual = self._any = None

    def _read(self) -> Any:
        try:
            return self._core.read_model(self._path)
        except Exception as error:
            raise self._unusable(error) from error

    def _compile(self, network: Any) -> Any:
        try:
            return self._core.compile_model(network, "CPU", self._settings)
        except Exception as error:
            raise self._unusable(error) from error

    def _request(self, shape: tuple[int, ...]) -> Any:
        if shape == self._usual_shape:
            return self._usual
        if self._any is None:
            self._any = self._compile(self._read()).create_infer_request()
        return self._any

    def _failed(self, batch: npt.NDArray[np.generic], reason: str) -> EngineError:
        return EngineError(
            f"{self._path.name}: OpenVINO failed on an input of {batch.shape}: {reason}",
            fix="Check 'input' in the model card against the network",
        )

    def _unusable(self, error: Exception) -> ModelError:
        return ModelError(
            f"{self._path}: OpenVINO cannot load this file",
            found=f"'{_shorten(error)}'",
            expected="a network in ONNX format, of operators that OpenVINO has",
            fix="Check that the file is complete, or take backend onnxruntime",
        )


def import_openvino() -> Any:
    """The module openvino.

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
    """Such as 2026.4.1, without the numbers of the build."""
    return str(ov.__version__).split("-")[0]


def _usual_shape(spec: InputSpec) -> tuple[int, ...]:
    """Of one picture at the card's own size."""
    size = spec.height, spec.width
    return (1, *size, 3) if spec.layout == "NHWC" else (1, 3, *size)


def _port(port: Any) -> Port:
    shape = port.get_partial_shape()
    axes = () if shape.rank.is_dynamic else tuple(shape)
    sizes = tuple(None if axis.is_dynamic else axis.get_length() for axis in axes)
    return Port(port.any_name, port.get_element_type().to_dtype().name, sizes)


def _shorten(error: Exception) -> str:
    """The words of an OpenVINO error without its places in C++: cut at 200 characters."""
    lines = [line.strip() for line in str(error).splitlines()]
    words = [line for line in lines if line and not line.startswith(_PLACES)]
    text = " ".join(words) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."
