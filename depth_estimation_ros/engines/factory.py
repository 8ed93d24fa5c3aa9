"""Which engine runs a model: what the user asked for, or the best one that is there.

Nothing is chosen in silence: the log says what runs the network, and why what is faster does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from depth_estimation_ros.errors import EngineError, ModelError, ParameterError

if TYPE_CHECKING:
    from depth_estimation_ros.engines import Engine

BACKENDS = ("auto", "tensorrt", "onnxruntime", "openvino")
PRECISIONS = ("fp32", "fp16", "int8")
ENGINE_SUFFIXES = (".engine", ".plan")
AUTO = ("auto",)
TENSORRT_MODULES = ("tensorrt", "tensorrt_rtx", "tensorrt_bindings", "tensorrt_rtx_bindings")
Log = Callable[[str], object]


@dataclass(frozen=True)
class EngineOptions:
    """How a model is to be run.

    Attributes:
        backend: tensorrt, onnxruntime, openvino, or auto: TensorRT where it is installed and has an
            engine of this model, else ONNX Runtime. An engine file (.engine, .plan) is TensorRT's.
        device: index of the GPU.
        build_engine: whether `build_engine.unattended` builds an engine where none fits, for
            minutes; `open_engine` itself never builds.
        precision: of the TensorRT engine to look for or to build: fp32, fp16 or int8. Of OpenVINO:
            fp32, or fp16 for 16 bits of whatever kind the processor has.
        engine_cache: folder of the TensorRT engines; empty: the variable
            DEPTH_ESTIMATION_ENGINE_CACHE, else ~/.cache/depth_estimation_ros/engines.
        providers: execution providers of ONNX Runtime, best first; ("auto",) is CUDA where it
            starts, else the processor.
        threads: of one run on the processor; 0 = one per physical core.
    """

    backend: str = "auto"
    device: int = 0
    build_engine: bool = False
    precision: str = "fp16"
    engine_cache: str = ""
    providers: Sequence[str] = AUTO
    threads: int = 0


def open_chosen(path: Path, options: EngineOptions, log: Log) -> Engine:
    """Opens a model with the engine that the options and this machine lead to.

    Args:
        path: an .onnx file, or an engine file with its sidecar.
        options: see `EngineOptions`.
        log: told in one line what was chosen and why.

    Raises:
        ParameterError: the options contradict each other or the file.
        ModelError: the file cannot be used.
        EngineError: what was asked for is not there, or does not start.
    """
    check_options(path, options)
    if path.suffix in ENGINE_SUFFIXES or options.backend == "tensorrt":
        return _open_tensorrt(path, options, log)
    if options.backend == "openvino":
        engine = _open_openvino(path, options)
        log(f"running on {engine.description}: backend is openvino")
        return engine
    why_not = "backend is onnxruntime"
    if options.backend == "auto":
        why_not = missing_for_tensorrt()
        if not why_not:
            try:
                return _open_tensorrt(path, options, log)
            except (EngineError, ModelError) as error:
                why_not = str(error)
    engine, also = _open_onnxruntime(path, options)
    log(f"running on {engine.description}; not on TensorRT: {why_not}{also}")
    return engine


def check_options(path: Path, options: EngineOptions) -> None:
    """Raises ParameterError for options that no machine could satisfy."""
    for name, value, known in (
        ("backend", options.backend, BACKENDS),
        ("precision", options.precision, PRECISIONS),
    ):
        if value not in known:
            raise ParameterError(
                f"parameter {name}", found=repr(value), expected=f"one of {', '.join(known)}"
            )
    if path.suffix in ENGINE_SUFFIXES and options.backend in ("onnxruntime", "openvino"):
        raise ParameterError(
            "parameter backend",
            found=f"{options.backend} for {path.name}, which is a TensorRT engine",
            expected="tensorrt or auto",
            fix="Correct 'backend', or give the ONNX file that the engine was built from",
        )
    if options.backend == "openvino" and options.precision == "int8":
        raise ParameterError(
            "parameter precision",
            found="int8 with backend openvino",
            expected="fp32 or fp16",
            fix="OpenVINO runs in int8 what is int8 in the file: give one that `python -m training "
            "export --precision int8` wrote",
        )


def missing_for_tensorrt() -> str:
    """What TensorRT lacks on this machine, in words; empty if its modules are there.

    Looks for modules without importing them: on a robot without a GPU this costs nothing.
    """
    missing = []
    if not any(find_spec(name) for name in TENSORRT_MODULES):
        missing.append("tensorrt")
    if not find_spec("pycuda"):
        missing.append("pycuda")
    verb = "is" if len(missing) == 1 else "are"
    return f"{' and '.join(missing)} {verb} not installed" if missing else ""


def provider_choices(available: Sequence[str]) -> list[list[str]]:
    """The lists of providers to try one after the other for "auto", the fastest first.

    ONNX Runtime's TensorRT provider is not among them: it builds an engine at every start unless
    it is told where to keep it, which is what backend tensorrt is for. It runs when asked for.
    """
    choices = [["CPUExecutionProvider"]]
    if "CUDAExecutionProvider" in available:
        choices.insert(0, ["CUDAExecutionProvider", "CPUExecutionProvider"])
    return choices


def _open_onnxruntime(path: Path, options: EngineOptions) -> tuple[Engine, str]:
    """The engine, and what is to be said of better providers that did not start."""
    from depth_estimation_ros.engines.onnxruntime import OnnxRuntimeEngine, import_onnxruntime

    def open_with(providers: Sequence[str]) -> Engine:
        return OnnxRuntimeEngine(
            path, providers=providers, threads=options.threads, device=options.device
        )

    if tuple(options.providers) != AUTO:
        return open_with(options.providers), ""
    *better, last = provider_choices(import_onnxruntime().get_available_providers())
    refused = ""
    for providers in better:
        try:
            return open_with(providers), refused
        except EngineError as error:
            refused += f"; not on {providers[0]}: {error}"
    return open_with(last), refused


def _open_openvino(path: Path, options: EngineOptions) -> Engine:
    from depth_estimation_ros.engines.openvino import OpenVinoEngine

    return OpenVinoEngine(path, threads=options.threads, exact=options.precision == "fp32")


def _open_tensorrt(path: Path, options: EngineOptions, log: Log) -> Engine:
    if missing := missing_for_tensorrt():
        raise EngineError(
            f"{path.name} cannot run on TensorRT: {missing}",
            fix="On a machine with an NVIDIA GPU run: pip install tensorrt pycuda cuda-bindings "
            "(Jetson: sudo apt install python3-libnvinfer && pip install pycuda). Without a GPU "
            "give the ONNX file and backend auto or onnxruntime",
        )
    from depth_estimation_ros.engines.tensorrt.open import open_engine_file, open_from_cache

    if path.suffix in ENGINE_SUFFIXES:
        return open_engine_file(path, options.device)
    return open_from_cache(path, options.device, options.precision, options.engine_cache, log)
