"""ONNX Runtime: runs the network on processors, and on whatever else ORT was built for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.engines.batches import check_batch, to_maps
from depth_estimation_ros.engines.model_card import METADATA_KEY, card_of_model
from depth_estimation_ros.engines.onnx_file import read_onnx_file
from depth_estimation_ros.engines.signature import Port, check_signature
from depth_estimation_ros.errors import EngineError, ModelError

_DTYPES = {"float": "float32", "double": "float64"}  # the others have NumPy's names
_ON_NVIDIA = ("CUDAExecutionProvider", "TensorrtExecutionProvider")


class OnnxRuntimeEngine:
    """An ONNX file with a model card, run by ONNX Runtime. Keeps to `engines.Engine`.

    Args:
        path: the .onnx file; weights in side files are found beside it.
        providers: execution providers, best first.
        threads: for one run of the network; 0 = one per physical core.
        device: index of the GPU for providers that use one.

    Raises:
        ModelError: as `read_onnx_file`, no card, or a card that does not fit the network.
        EngineError: ONNX Runtime or one of the providers is not available.
    """

    def __init__(
        self,
        path: Path,
        *,
        providers: Sequence[str] = ("CPUExecutionProvider",),
        threads: int = 0,
        device: int = 0,
    ) -> None:
        ort = import_onnxruntime()
        self._path = path
        self._session: Any = _open_session(ort, path, list(providers), threads, device)
        self._run_options = ort.RunOptions()
        self._run_options.log_severity_level = 4  # as for the session
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.card = card_of_model(metadata.get(METADATA_KEY), path)
        inputs = [_port(argument) for argument in self._session.get_inputs()]
        outputs = [_port(argument) for argument in self._session.get_outputs()]
        self.max_batch: int | None = check_signature(inputs, outputs, self.card.input, path)
        self._input, self._output = inputs[0].name, outputs[0].name
        name = f"{self.card.name} {self.card.model_version}".strip()
        asked = ", ".join(provider.removesuffix("ExecutionProvider") for provider in providers)
        self.description = f"{name} on ONNX Runtime {ort.__version__} ({asked})"

    def infer(self, batch: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        """Runs the network once: see `engines.Engine.infer`."""
        if self._session is None:
            raise EngineError(f"{self._path.name}: the engine is closed", fix="Open it again")
        check_batch(batch, self.card.input, self._path.name)
        try:
            (output,) = self._session.run([self._output], {self._input: batch}, self._run_options)
        except Exception as error:  # ORT's own exceptions share no base class
            raise EngineError(
                f"{self._path.name}: ONNX Runtime failed on an input of {batch.shape}: "
                f"{_shorten(error)}",
                fix="Check 'input' in the model card against the network",
            ) from error
        return to_maps(output, batch.shape[0], self._path.name)

    def break_off(self) -> None:
        """Ends the present run with an EngineError between two operators, and every later one.

        From any thread.
        """
        self._run_options.terminate = True

    def close(self) -> None:
        """Frees the session. Calling it twice is harmless."""
        self._session = None


def import_onnxruntime() -> Any:
    """The module onnxruntime.

    Raises:
        EngineError: it is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineError(
            f"ONNX Runtime cannot be imported ({error})", fix="Run: pip install onnxruntime"
        ) from error
    return onnxruntime


def _open_session(ort: Any, path: Path, providers: list[str], threads: int, device: int) -> Any:
    available = ort.get_available_providers()
    missing = [provider for provider in providers if provider not in available]
    if missing or not providers:
        raise EngineError(
            "ONNX Runtime execution providers",
            found=", ".join(missing) or "none",
            expected=f"some of those available here: {', '.join(available)}",
            fix="Correct 'onnxruntime_providers', or install the ONNX Runtime that has them",
        )
    read_onnx_file(path)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads
    # Idle threads of ORT that spin take the processor from whatever else a robot runs: at 10 Hz
    # more than twice what the network itself takes (docs/speed.md).
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # errors come back as exceptions, and warnings help nobody here
    with_options = [
        (provider, {"device_id": str(device)} if provider in _ON_NVIDIA else {})
        for provider in providers
    ]
    try:
        session = ort.InferenceSession(str(path), sess_options=options, providers=with_options)
    except Exception as error:  # ORT's own exceptions share no base class
        raise ModelError(
            f"{path}: ONNX Runtime cannot load this file",
            found=f"'{_shorten(error)}'",
            expected="a network in ONNX format",
            fix="Check that the file is complete and was exported as .onnx",
        ) from error
    # ORT falls back to the processor silently when, say, the CUDA libraries do not load.
    idle = [provider for provider in providers if provider not in session.get_providers()]
    if idle:
        raise EngineError(
            f"{path}: ONNX Runtime could not start {', '.join(idle)}",
            found=f"running on {', '.join(session.get_providers())}",
            fix="Install that provider's libraries, or take it out of 'onnxruntime_providers'",
        )
    return session


def _port(argument: Any) -> Port:
    kind = argument.type.removeprefix("tensor(").removesuffix(")")
    return Port(argument.name, _DTYPES.get(kind, kind), tuple(argument.shape))


def _shorten(error: Exception) -> str:
    """The words of an ORT error without its codes: the first line, cut at 200 characters."""
    text = re.sub(r"^\[ONNXRuntimeError\]\s*:\s*\d+\s*:\s*\w+\s*:\s*", "", str(error).strip())
    text = re.sub(r"^Load model from .* failed:\s*", "", text)
    line = text.splitlines()[0].rstrip(" .") if text else type(error).__name__
    return line if len(line) <= 200 else line[:197] + "..."
