"""Which file and engine run a model, and what the log says about it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tiny_models import constant_depth

from depth_estimation_ros.engines import EngineOptions, factory, onnxruntime, open_engine
from depth_estimation_ros.engines.factory import (
    bundled_models,
    card_of_file,
    delta1_loss,
    missing_for_tensorrt,
    resolve_model,
)
from depth_estimation_ros.errors import EngineError, ParameterError


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return constant_depth(tmp_path / "a.onnx")


@pytest.fixture
def engine_file(tmp_path: Path) -> Path:
    path = tmp_path / "a.engine"
    path.write_bytes(b"whatever TensorRT wrote")
    return path


@pytest.fixture
def _no_gpu_software(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine where neither TensorRT nor pycuda was ever installed."""
    present = factory.find_spec
    absent = (*factory._TENSORRT_MODULES, "pycuda")
    monkeypatch.setattr(factory, "find_spec", lambda n: None if n in absent else present(n))


def refusal(path: Path, error: type[Exception], **options: object) -> str:
    with pytest.raises(error) as caught:
        open_engine(path, EngineOptions(**options))  # type: ignore[arg-type]
    return str(caught.value)


@pytest.mark.usefixtures("_no_gpu_software")
def test_auto_takes_onnx_runtime_and_says_why(model: Path) -> None:
    said: list[str] = []
    engine = open_engine(model, log=said.append)
    assert " on ONNX Runtime " in engine.description
    (line,) = said
    assert line == (
        f"running on {engine.description}; not on TensorRT: tensorrt and pycuda are not installed"
    )


@pytest.mark.usefixtures("_no_gpu_software")
def test_auto_imports_nothing_of_a_gpu(model: Path) -> None:
    before = set(sys.modules)
    open_engine(model)
    new = {name.split(".")[0] for name in set(sys.modules) - before}
    assert new & {"pycuda", "cuda", "tensorrt", "tensorrt_rtx"} == set()


def test_onnxruntime_asked_for_is_onnxruntime(model: Path) -> None:
    said: list[str] = []
    engine = open_engine(model, EngineOptions(backend="onnxruntime"), said.append)
    assert said == [f"running on {engine.description}; not on TensorRT: backend is onnxruntime"]


def test_openvino_asked_for_is_openvino(model: Path) -> None:
    pytest.importorskip("openvino", reason="needs OpenVINO")
    said: list[str] = []
    engine = open_engine(model, EngineOptions(backend="openvino"), said.append)
    assert " on OpenVINO " in engine.description
    assert said == [f"running on {engine.description}; not on TensorRT: backend is openvino"]


def test_int8_of_a_float_file_is_refused(model: Path) -> None:
    for backend in ("onnxruntime", "auto"):
        said = refusal(model, ParameterError, backend=backend, precision="int8")
        assert f"precision: found int8 for {model}, which is not int8" in said


def test_float_of_an_int8_file_is_refused() -> None:
    path = resolve_model("compact").with_stem("compact_int8")
    said = refusal(path, ParameterError, precision="fp32")
    assert "found fp32 for" in said
    assert "which is int8" in said


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
@pytest.mark.parametrize(
    ("model", "precision", "file"),
    [
        ("compact", "auto", "compact_int8"),
        ("compact", "int8", "compact_int8"),
        ("compact", "fp32", "compact"),
        ("compact", "fp16", "compact"),
        ("nano", "auto", "nano"),
        ("nano", "int8", "nano_int8"),
    ],
)
def test_precision_chooses_the_bundled_file(
    backend: str, model: str, precision: str, file: str
) -> None:
    if backend == "openvino":
        pytest.importorskip("openvino", reason="needs OpenVINO")
    said: list[str] = []
    engine = open_engine(model, EngineOptions(backend, precision=precision, threads=1), said.append)
    assert engine.path.stem == file
    assert ("in fp32, as" in said[0]) == (backend == "onnxruntime" and precision == "fp16")


def test_auto_allows_a_hundredth_of_delta1() -> None:
    for name in ("compact", "nano"):
        path = resolve_model(name)
        loss = delta1_loss(card_of_file(path), card_of_file(path.with_stem(f"{name}_int8")))
        assert loss is not None
        taken = open_engine(name, EngineOptions("onnxruntime", threads=1)).path.stem
        assert taken == (f"{name}_int8" if loss <= 0.01 else name)


def test_a_path_runs_from_that_file() -> None:
    path = resolve_model("compact")
    assert open_engine(path, EngineOptions(threads=1)).path == path


def test_int8_names_work_for_one_release() -> None:
    said: list[str] = []
    engine = open_engine("compact_int8", EngineOptions("onnxruntime", threads=1), said.append)
    assert engine.path.stem == "compact_int8"
    assert said[0] == (
        "model 'compact_int8' is deprecated: use model 'compact' with precision 'int8'"
    )
    assert bundled_models() == ["compact", "compact_open", "nano"]


@pytest.mark.usefixtures("_no_gpu_software")
@pytest.mark.parametrize("name", ["model", "engine_file"])
def test_tensorrt_asked_for_is_never_replaced(request: pytest.FixtureRequest, name: str) -> None:
    path = request.getfixturevalue(name)
    said = refusal(path, EngineError, backend="tensorrt")
    assert said.startswith(
        f"{path.name} cannot run on TensorRT: tensorrt and pycuda are not installed. "
    )
    assert "pip install tensorrt-cu12 pycuda" in said
    assert "backend auto or onnxruntime" in said


@pytest.mark.usefixtures("_no_gpu_software")
def test_an_engine_file_needs_tensorrt(engine_file: Path) -> None:
    assert "cannot run on TensorRT" in refusal(engine_file, EngineError)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_an_engine_file_for_another_backend_is_refused(engine_file: Path, backend: str) -> None:
    assert refusal(engine_file, ParameterError, backend=backend) == (
        f"parameter backend: found {backend} for a.engine, which is a TensorRT engine, expected "
        "tensorrt or auto. Correct 'backend', or give the ONNX file that the engine was built from"
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"backend": "tvm"}, "'tvm', expected one of auto, tensorrt, onnxruntime, openvino"),
        ({"precision": "fp8"}, "'fp8', expected one of auto, fp32, fp16, int8"),
    ],
)
def test_unknown_options_are_refused(model: Path, options: dict[str, str], said: str) -> None:
    assert said in refusal(model, ParameterError, **options)


@pytest.mark.parametrize(
    ("present", "said"),
    [
        ((), "tensorrt and pycuda are not installed"),
        (("pycuda",), "tensorrt is not installed"),
        (("tensorrt_rtx",), "pycuda is not installed"),
        (("tensorrt", "pycuda"), ""),
        (("tensorrt_rtx_bindings", "pycuda"), ""),
    ],
)
def test_missing_modules_are_named(
    monkeypatch: pytest.MonkeyPatch, present: tuple[str, ...], said: str
) -> None:
    monkeypatch.setattr(factory, "find_spec", lambda name: name if name in present else None)
    assert missing_for_tensorrt() == said


def test_auto_falls_back_from_a_provider_that_does_not_start(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CUDA build of ONNX Runtime on a machine without a GPU names a provider it cannot start."""
    real = onnxruntime.import_onnxruntime()

    class CudaBuild:
        InferenceSession, SessionOptions = real.InferenceSession, real.SessionOptions
        RunOptions, __version__ = real.RunOptions, real.__version__

        @staticmethod
        def get_available_providers() -> list[str]:
            return ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]

    monkeypatch.setattr(onnxruntime, "import_onnxruntime", CudaBuild)
    said: list[str] = []
    engine = open_engine(model, EngineOptions("onnxruntime"), said.append)
    assert engine.description.endswith("(CPU)")
    assert f"; not on CUDAExecutionProvider: {model}: ONNX Runtime could not start" in said[0]


def test_tensorrt_provider_keeps_its_engines(tmp_path: Path) -> None:
    options = onnxruntime._provider_options("TensorrtExecutionProvider", 1, True, str(tmp_path))
    assert options["device_id"] == "1"
    assert options["trt_fp16_enable"] == options["trt_engine_cache_enable"] == "True"
    assert options["trt_timing_cache_path"] == str(tmp_path / "onnxruntime")
    assert onnxruntime._provider_options("CUDAExecutionProvider", 1, True, "") == {"device_id": "1"}
