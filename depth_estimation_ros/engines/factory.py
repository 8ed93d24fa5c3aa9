"""Which file runs a model, on which engine: what the user asked for, or the fastest there is.

The log says what runs the network, and why a faster engine does not.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from depth_estimation_ros.engines.base import AUTO, Engine, EngineOptions, Log
from depth_estimation_ros.engines.model_card import METADATA_KEY, ModelCard, card_of_model
from depth_estimation_ros.errors import EngineError, ModelError, ParameterError

BACKENDS = ("auto", "tensorrt", "onnxruntime", "openvino")
PRECISIONS = ("auto", "fp32", "fp16", "int8")
ENGINE_SUFFIXES = (".engine", ".plan")
MAX_DELTA1_LOSS = 0.01  # of the precision that auto takes, against float32
MODELS_DIR = Path(__file__).resolve().parent.parent / "models"
INSTALL_TENSORRT = (
    "pip install tensorrt-cu12 pycuda 'cuda-bindings<13' where `nvidia-smi` shows CUDA 12, "
    "tensorrt-cu13 pycuda cuda-bindings where it shows CUDA 13 "
    "(Jetson: sudo apt install python3-libnvinfer && pip install pycuda 'cuda-bindings<13')"
)
_TENSORRT_MODULES = ("tensorrt", "tensorrt_rtx", "tensorrt_bindings", "tensorrt_rtx_bindings")
# A name of the Hugging Face Hub, or weights of PyTorch.
_FOR_IMPORT = re.compile(
    r"[\w-][\w.-]*/[\w.-]+(?<!\.onnx)(?<!\.engine)(?<!\.plan)|.*\.(pt|pth|bin|safetensors)"
)
_INT8 = "_int8"  # ends the stem of a bundled model's int8 file
_CPU = ("CPUExecutionProvider",)


def open_engine(
    model: str | Path, options: EngineOptions | None = None, log: Log | None = None
) -> Engine:
    """Open a model with the engine that runs it fastest here, or with the one that is asked for.

    The precision decides the arithmetic, and for a bundled model the file, too:

    - TensorRT: of the engine that is looked for or built; auto is fp16.
    - ONNX Runtime: a bundled model runs from its int8 file for int8, and for auto on a processor if
      the cards say that this costs at most `MAX_DELTA1_LOSS` of delta1; else in fp32.
    - OpenVINO: as ONNX Runtime; other files compute in 16 bits where the processor has them, with
      fp32 in float32.

    A model given by its path runs from that file.

    Args:
        model: name of a bundled model, path of an .onnx file, or of a TensorRT engine.
        options: see `EngineOptions`; the default is the fastest there is.
        log: called with one line on what was chosen and why, and on the progress of a build; the
            default is this module's logger.

    Raises:
        ModelError: the file is missing, cannot be read, or does not fit its card.
        ParameterError: the options contradict each other or the file.
        EngineError: what was asked for is not available or does not start.
    """
    options = options or EngineOptions()
    log = log or logging.getLogger(__name__).info
    name = str(model)
    if name.endswith(_INT8) and name.removesuffix(_INT8) in bundled_models():
        model = name.removesuffix(_INT8)
        options = replace(options, precision="int8")
        log(f"model '{name}' is deprecated: use model '{model}' with precision 'int8'")
    path = resolve_model(model)
    check_options(path, options)
    if path.suffix in ENGINE_SUFFIXES or options.backend == "tensorrt":
        return _open_tensorrt(path, options, log)
    why_not = f"backend is {options.backend}"
    if options.backend == "auto":
        why_not = missing_for_tensorrt()
        if not why_not:
            try:
                return _open_tensorrt(path, options, log)
            except (EngineError, ModelError) as error:
                why_not = str(error)
    files = {"": path}
    int8 = path.with_stem(path.stem + _INT8)
    if str(model) in bundled_models() and int8.is_file():
        files["int8"] = int8
    opened = _open_openvino if options.backend == "openvino" else _open_onnxruntime
    engine, also = opened(files, options)
    log(f"running on {engine.description}; not on TensorRT: {why_not}{also}")
    return engine


def bundled_models() -> list[str]:
    """Return the names of the models that came with the package."""
    names = (path.stem for path in MODELS_DIR.glob("*.onnx"))
    return sorted(name for name in names if not name.endswith(_INT8))


def resolve_model(name_or_path: str | Path) -> Path:
    """Return the file of a model: a bundled one by its name ("compact"), any other by its path.

    Raises:
        ModelError: there is no such file.
    """
    name = str(name_or_path)
    if name.removesuffix(_INT8) in bundled_models():
        return MODELS_DIR / f"{name}.onnx"
    try:
        path = Path(name).expanduser()
        if name and path.is_file():
            return path
        folder = bool(name) and path.is_dir()
        found = "a folder" if folder else f"no such file (looked for {_places(name)})"
    except (OSError, RuntimeError, ValueError) as error:  # too long; ~ of nobody; a zero in it
        found = f"not a file name ({error})"
    names = ", ".join(bundled_models()) or f"none in {MODELS_DIR}"
    fix = "Correct the parameter 'model'; relative paths start at the working folder"
    if _FOR_IMPORT.fullmatch(name) or found == "a folder":
        fix = (
            f"Import a checkpoint first: python -m training import-model {name} --out model.onnx "
            "(docs/models.md); or correct the parameter 'model'"
        )
    raise ModelError(
        f"model '{name}'",
        found=found,
        expected=f"the path of an .onnx or .engine file or a bundled model: {names}",
        fix=fix,
    )


def check_options(path: Path, options: EngineOptions) -> None:
    """Raise ParameterError for options that no machine could satisfy."""
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


def card_of_file(path: Path) -> ModelCard:
    """Return the card of an ONNX file or of a TensorRT engine, without running it.

    Raises:
        ModelError: the ONNX file cannot be used.
        EngineError: the engine's sidecar cannot be used.
    """
    if path.suffix in ENGINE_SUFFIXES:
        from depth_estimation_ros.engines.tensorrt.engine_file import read_sidecar

        return read_sidecar(path).card
    from depth_estimation_ros.engines.onnxruntime import read_metadata

    return card_of_model(read_metadata(path).get(METADATA_KEY), path)


def missing_for_tensorrt() -> str:
    """Return what TensorRT lacks on this machine, in words; empty if its modules are there.

    Modules are looked for without importing them: on a robot without a GPU this costs nothing.
    """
    missing = []
    if not any(find_spec(name) for name in _TENSORRT_MODULES):
        missing.append("tensorrt")
    if not find_spec("pycuda"):
        missing.append("pycuda")
    verb = "is" if len(missing) == 1 else "are"
    return f"{' and '.join(missing)} {verb} not installed" if missing else ""


def delta1_loss(exact: ModelCard, fast: ModelCard) -> float | None:
    """Return how much delta1 of `fast` is below that of `exact`, on the worst data set of both.

    None if the cards have no measurement in common.
    """
    before, after = _delta1(exact), _delta1(fast)
    return max((before[key] - after[key] for key in before.keys() & after.keys()), default=None)


def _delta1(card: ModelCard) -> dict[tuple[object, ...], float]:
    """Return delta1 of the model by what it was measured on."""
    keys = ("dataset", "split", "crop", "cap_m", "camera", "alignment")
    return {
        tuple(str(entry.get(key)) for key in keys): float(entry["delta1"])
        for entry in card.metrics
        if entry.get("predictor") == "model" and isinstance(entry.get("delta1"), int | float)
    }


def _file_for_processor(files: dict[str, Path], precision: str) -> Path:
    """Return the file to run on a processor, of those that the model has by precision."""
    if "int8" not in files or precision in ("fp32", "fp16"):
        return files[""]
    if precision == "int8":
        return files["int8"]
    loss = delta1_loss(card_of_file(files[""]), card_of_file(files["int8"]))
    return files["int8"] if loss is not None and loss <= MAX_DELTA1_LOSS else files[""]


def _check_precision(engine: Engine, precision: str) -> None:
    """Raise ParameterError if a file is int8 and float is asked for, or the other way round."""
    is_int8 = engine.card.model_version.endswith("int8")
    if (precision == "int8") == is_int8 or precision == "auto":
        return
    engine.close()
    raise ParameterError(
        "parameter precision",
        found=f"{precision} for {engine.path}, which is {'int8' if is_int8 else 'not int8'}",
        fix="Set precision to auto, or give the model's file in that precision: "
        "`python -m training export --help`",
    )


def _open_onnxruntime(files: dict[str, Path], options: EngineOptions) -> tuple[Engine, str]:
    """Return the engine, and what to say of better providers that did not start."""
    from depth_estimation_ros.engines.onnxruntime import (
        TENSORRT_PROVIDER,
        OnnxRuntimeEngine,
        import_onnxruntime,
    )

    def open_with(providers: Sequence[str]) -> Engine:
        # Elsewhere than on a processor int8 layers are no faster, or do not run.
        on_cpu = options.precision == "int8" or tuple(providers) == _CPU
        path = _file_for_processor(files, options.precision) if on_cpu else files[""]
        engine = OnnxRuntimeEngine(
            path,
            providers=providers,
            threads=options.threads,
            device=options.device,
            fp16=options.precision == "fp16",
            cache=options.engine_cache,
        )
        _check_precision(engine, options.precision)
        return engine

    refused = ""
    if options.precision == "fp16" and TENSORRT_PROVIDER not in options.providers:
        refused = "; in fp32, as ONNX Runtime has fp16 only in its TensorRT provider"
    if tuple(options.providers) != AUTO:
        return open_with(options.providers), refused
    if "CUDAExecutionProvider" in import_onnxruntime().get_available_providers():
        try:
            return open_with(["CUDAExecutionProvider", *_CPU]), refused
        except EngineError as error:
            refused += f"; not on CUDAExecutionProvider: {error}"
    return open_with(_CPU), refused


def _open_openvino(files: dict[str, Path], options: EngineOptions) -> tuple[Engine, str]:
    from depth_estimation_ros.engines.openvino import OpenVinoEngine

    path = _file_for_processor(files, options.precision)
    engine = OpenVinoEngine(path, threads=options.threads, exact=options.precision == "fp32")
    _check_precision(engine, options.precision)
    return engine, ""


def _open_tensorrt(path: Path, options: EngineOptions, log: Log) -> Engine:
    if missing := missing_for_tensorrt():
        raise EngineError(
            f"{path.name} cannot run on TensorRT: {missing}",
            fix=f"On a machine with an NVIDIA GPU run: {INSTALL_TENSORRT}. Without a GPU give the "
            "ONNX file and backend auto or onnxruntime",
        )
    from depth_estimation_ros.engines.tensorrt.engine import open_engine_file, open_from_cache

    if path.suffix in ENGINE_SUFFIXES:
        return open_engine_file(path, options.device)
    precision = "fp16" if options.precision == "auto" else options.precision
    return open_from_cache(path, options.device, precision, options.engine_cache, log)


def _places(name: str) -> str:
    places = []
    if "/" not in name and "." not in name:
        places.append(str(MODELS_DIR / f"{name}.onnx"))
    places.append(str(Path(name).expanduser().absolute()))
    return " and ".join(places)
