"""Which engine runs a model, and what is said about it. TensorRT is really absent here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tiny_models import constant_depth

from depth_estimation_ros.engines import EngineOptions, open_engine
from depth_estimation_ros.engines import factory as choice
from depth_estimation_ros.engines.factory import missing_for_tensorrt, provider_choices
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
    present = choice.find_spec
    absent = (*choice.TENSORRT_MODULES, "pycuda")
    monkeypatch.setattr(choice, "find_spec", lambda n: None if n in absent else present(n))


def refusal(path: Path, error: type[Exception], **options: object) -> str:
    with pytest.raises(error) as caught:
        open_engine(path, EngineOptions(**options))  # type: ignore[arg-type]
    return str(caught.value)


@pytest.mark.usefixtures("_no_gpu_software")
def test_auto_takes_onnx_runtime_and_says_once_why_not_tensorrt(model: Path) -> None:
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
    assert said == [f"running on {engine.description}: backend is openvino"]


def test_openvino_has_no_int8_of_its_own(model: Path) -> None:
    said = refusal(model, ParameterError, backend="openvino", precision="int8")
    assert "found int8 with backend openvino, expected fp32 or fp16" in said
    assert "export --precision int8" in said


@pytest.mark.usefixtures("_no_gpu_software")
@pytest.mark.parametrize("name", ["model", "engine_file"])
def test_tensorrt_asked_for_is_never_replaced_in_silence(
    request: pytest.FixtureRequest, name: str
) -> None:
    path = request.getfixturevalue(name)
    said = refusal(path, EngineError, backend="tensorrt")
    assert said.startswith(
        f"{path.name} cannot run on TensorRT: tensorrt and pycuda are not installed. "
    )
    assert "pip install tensorrt pycuda" in said
    assert "backend auto or onnxruntime" in said


@pytest.mark.usefixtures("_no_gpu_software")
def test_an_engine_file_is_tensorrts_even_with_auto(engine_file: Path) -> None:
    assert "cannot run on TensorRT" in refusal(engine_file, EngineError)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_an_engine_file_for_another_library_is_a_contradiction(
    engine_file: Path, backend: str
) -> None:
    assert refusal(engine_file, ParameterError, backend=backend) == (
        f"parameter backend: found {backend} for a.engine, which is a TensorRT engine, expected "
        "tensorrt or auto. Correct 'backend', or give the ONNX file that the engine was built from"
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"backend": "tvm"}, "'tvm', expected one of auto, tensorrt, onnxruntime, openvino"),
        ({"precision": "fp8"}, "'fp8', expected one of fp32, fp16, int8"),
    ],
)
def test_an_unknown_word_is_answered_with_the_known_ones(
    model: Path, options: dict[str, str], said: str
) -> None:
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
def test_what_tensorrt_lacks_is_told_in_words(
    monkeypatch: pytest.MonkeyPatch, present: tuple[str, ...], said: str
) -> None:
    monkeypatch.setattr(choice, "find_spec", lambda name: name if name in present else None)
    assert missing_for_tensorrt() == said


def test_cuda_comes_before_the_processor_and_tensorrts_provider_only_when_asked_for() -> None:
    cuda = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    assert provider_choices(["CPUExecutionProvider"]) == [["CPUExecutionProvider"]]
    assert provider_choices(["TensorrtExecutionProvider", *cuda]) == [cuda, cuda[1:]]


def test_auto_falls_back_from_a_provider_that_does_not_start_and_says_so(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CUDA build of ONNX Runtime on a machine without a GPU names a provider it cannot start."""
    tried = [["CUDAExecutionProvider", "CPUExecutionProvider"], ["CPUExecutionProvider"]]
    monkeypatch.setattr(choice, "provider_choices", lambda available: tried)
    said: list[str] = []
    engine = open_engine(model, EngineOptions(backend="onnxruntime"), said.append)
    assert engine.description.endswith("(CPU)")
    assert "; not on CUDAExecutionProvider: ONNX Runtime execution providers" in said[0]
