"""ONNX Runtime: runs the network on processors, and on whatever else ORT was built for."""

from __future__ import annotations

import re
from collections.abc import Sequence
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
from depth_estimation_ros.engines.model_card import METADATA_KEY, card_of_model
from depth_estimation_ros.errors import EngineError, ModelError

_DTYPES = {"float": "float32", "double": "float64"}  # the others have NumPy's names
TENSORRT_PROVIDER = "TensorrtExecutionProvider"


class OnnxRuntimeEngine:
    """An ONNX file with a model card, run by ONNX Runtime. Keeps to `engines.Engine`.

    Args:
        path: the .onnx file; ONNX Runtime reads weights in side files from the same folder only.
        providers: execution providers, best first.
        threads: for one run of the network; 0 = one per physical core.
        device: index of the GPU for providers that use one.
        fp16: whether the TensorRT provider computes in float16.
        cache: folder in which it keeps its engines; empty: as `cache_directory`.
        optimize: whether the graph may be rewritten. ONNX Runtime 1.32 gets layers with float16
            scales wrong when it does.

    Raises:
        ModelError: ONNX Runtime refuses the file, or it has no card or one that does not fit.
        EngineError: ONNX Runtime or one of the providers is not available.
    """

    def __init__(
        self,
        path: Path,
        *,
        providers: Sequence[str] = ("CPUExecutionProvider",),
        threads: int = 0,
        device: int = 0,
        fp16: bool = False,
        cache: str = "",
        optimize: bool = True,
    ) -> None:
        ort = import_onnxruntime()
        self.path = path
        with_options = [
            (provider, _provider_options(provider, device, fp16, cache)) for provider in providers
        ]
        _check_available(ort, providers)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        if not optimize:
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        self._session: Any = _open_session(ort, path, options, with_options)
        _check_started(path, providers, self._session.get_providers())
        self._run_options = ort.RunOptions()
        self._run_options.log_severity_level = 4  # as for the session
        self.card = card_of_model(_metadata(self._session, path).get(METADATA_KEY), path)
        spec, output = self.card.input, self.card.output
        inputs = [_port(argument) for argument in self._session.get_inputs()]
        every_output = [_port(argument) for argument in self._session.get_outputs()]
        inputs = named_ports(inputs, spec.name, "input", path)
        outputs = named_ports(every_output, output.name, "output", path)
        self.max_batch: int | None = check_signature(inputs, outputs, spec, path)
        self._input = inputs[0].name
        self._outputs = [outputs[0].name]
        if output.sky is not None:
            self._outputs += [named_ports(every_output, output.sky, "output", path)[0].name]
        name = f"{self.card.name} {self.card.model_version}".strip()
        asked = ", ".join(provider.removesuffix("ExecutionProvider") for provider in providers)
        self.description = f"{name} on ONNX Runtime {ort.__version__} ({asked})"

    def infer(self, batch: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        """Run the network once: see `engines.Engine.infer`."""
        if self._session is None:
            raise EngineError(f"{self.path.name}: the engine is closed", fix="Open it again")
        check_batch(batch, self.card.input, self.path.name)
        try:
            outputs = self._session.run(self._outputs, {self._input: batch}, self._run_options)
        except Exception as error:  # ORT's own exceptions share no base class
            raise EngineError(
                f"{self.path.name}: ONNX Runtime failed on an input of {batch.shape}: "
                f"{_shorten(error)}",
                fix="Check 'input' in the model card against the network",
            ) from error
        depth, *sky = (to_maps(output, batch.shape[0], self.path.name) for output in outputs)
        return mark_sky(depth, sky[0], self.card.output) if sky else depth

    def break_off(self) -> None:
        """End the present run with an EngineError, and every later one. From any thread."""
        self._run_options.terminate = True

    def close(self) -> None:
        """Free the session. Calling it twice is harmless."""
        self._session = None


def import_onnxruntime() -> Any:
    """Return the module onnxruntime.

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


def read_metadata(path: Path) -> dict[str, str]:
    """Return the metadata of an ONNX file that ONNX Runtime accepts, weights included.

    ONNX Runtime refuses weights outside the model's folder and tensors that are not as large as
    their shape says, so a file that passes is safe for readers that do not.

    Raises:
        ModelError: ONNX Runtime refuses the file.
        EngineError: ONNX Runtime is not installed.
    """
    ort = import_onnxruntime()
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return _metadata(_open_session(ort, path, options, ["CPUExecutionProvider"]), path)


def _metadata(session: Any, path: Path) -> dict[str, str]:
    try:
        return dict(session.get_modelmeta().custom_metadata_map)
    except UnicodeDecodeError as error:
        raise ModelError(f"{path}: its metadata is not text ({error})") from error


def _open_session(ort: Any, path: Path, options: Any, providers: Sequence[Any]) -> Any:
    # Idle threads of ORT that spin take the processor from whatever else a robot runs: at 10 Hz
    # more than twice what the network itself takes (docs/speed.md).
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # errors come back as exceptions, and warnings help nobody here
    try:
        return ort.InferenceSession(str(path), sess_options=options, providers=providers)
    except Exception as error:  # ORT's own exceptions share no base class
        raise ModelError(
            f"{path}: ONNX Runtime cannot load this file",
            found=f"'{_shorten(error)}'",
            expected="a network in ONNX format, with all its weights in the same folder",
            fix="Check that the file is complete and was exported as .onnx",
        ) from error


def _provider_options(provider: str, device: int, fp16: bool, cache: str) -> dict[str, str]:
    """Return what a provider is started with; written from its documentation, not run on a GPU."""
    if provider not in ("CUDAExecutionProvider", TENSORRT_PROVIDER):
        return {}
    options = {"device_id": str(device)}
    if provider == TENSORRT_PROVIDER:
        from depth_estimation_ros.engines.tensorrt.cache import cache_directory

        folder = str(cache_directory(cache) / "onnxruntime")
        options |= {
            "trt_fp16_enable": str(fp16),
            "trt_engine_cache_enable": "True",
            "trt_engine_cache_path": folder,
            "trt_timing_cache_enable": "True",
            "trt_timing_cache_path": folder,
        }
    return options


def _check_available(ort: Any, providers: Sequence[str]) -> None:
    available = ort.get_available_providers()
    missing = [provider for provider in providers if provider not in available]
    if missing or not providers:
        raise EngineError(
            "ONNX Runtime execution providers",
            found=", ".join(missing) or "none",
            expected=f"some of those available here: {', '.join(available)}",
            fix="Correct 'onnxruntime_providers', or install the ONNX Runtime that has them",
        )


def _check_started(path: Path, asked: Sequence[str], running: Sequence[str]) -> None:
    """Raise EngineError if ORT fell back to the processor, which it does without a word."""
    if idle := [provider for provider in asked if provider not in running]:
        raise EngineError(
            f"{path}: ONNX Runtime could not start {', '.join(idle)}",
            found=f"running on {', '.join(running)}",
            fix="Install that provider's libraries, or remove it from 'onnxruntime_providers'",
        )


def _port(argument: Any) -> Port:
    kind = argument.type.removeprefix("tensor(").removesuffix(")")
    return Port(argument.name, _DTYPES.get(kind, kind), tuple(argument.shape))


def _shorten(error: Exception) -> str:
    """Return the first line of an ORT error without its codes, cut at 300 characters."""
    text = re.sub(r"^\[ONNXRuntimeError\]\s*:\s*\d+\s*:\s*\w+\s*:\s*", "", str(error).strip())
    text = re.sub(r"^Load model from .* failed:\s*", "", text)
    line = text.splitlines()[0].rstrip(" .") if text else type(error).__name__
    return line if len(line) <= 300 else line[:297] + "..."
