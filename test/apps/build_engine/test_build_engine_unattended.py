"""A model opened by a node that may build: when it builds, what it builds, and what it says.

TensorRT-RTX is the real one and really builds; the GPU is only a name, so nothing is run.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from engine_cases import NoGpu
from nvidia_driver import has_driver
from tiny_models import constant_depth

from depth_estimation_ros.apps.build_engine import missing, unattended
from depth_estimation_ros.apps.build_engine.parity import Parity
from depth_estimation_ros.apps.build_engine.unattended import open_or_build
from depth_estimation_ros.engines import EngineOptions
from depth_estimation_ros.engines import factory as choice
from depth_estimation_ros.engines.tensorrt import engine as opening
from depth_estimation_ros.engines.tensorrt.engine_file import read_sidecar
from depth_estimation_ros.errors import EngineError, ModelError, ParameterError


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return constant_depth(tmp_path / "tiny.onnx")


@pytest.fixture
def gpu(rtx: object, monkeypatch: pytest.MonkeyPatch) -> NoGpu:
    """A machine with TensorRT-RTX, pycuda and a GPU, as far as can be without one."""
    if has_driver():
        pytest.skip("with a driver the engine would load: test/gpu does that")
    gpu = NoGpu()
    for module in (opening, missing):
        monkeypatch.setattr(module, "Gpu", lambda index: gpu)
        monkeypatch.setattr(module, "find_tensorrt", lambda: rtx)
    monkeypatch.setattr(opening, "each_tensorrt", lambda: iter([rtx]))
    for module in (choice, unattended):
        monkeypatch.setattr(module, "missing_for_tensorrt", lambda: "")
    monkeypatch.setattr(missing, "compare_built", lambda *_: Parity(4, 0.0, 1.0, 0.0, 0.0))
    return gpu


def options(folder: Path, **changes: object) -> EngineOptions:
    values = {"backend": "tensorrt", "precision": "fp32", "build_engine": True, **changes}
    return EngineOptions(engine_cache=str(folder / "cache"), **values)  # type: ignore[arg-type]


def test_an_engine_is_built_for_this_gpu_kept_in_the_folder_and_found_again(
    tmp_path: Path, model: Path, gpu: NoGpu
) -> None:
    said: list[str] = []
    for _ in range(2):
        with pytest.raises(EngineError, match="cannot load this engine"):
            open_or_build(model, options(tmp_path), said.append)
    (engine,) = (tmp_path / "cache").glob("*.engine")
    assert read_sidecar(engine).compute_capabilities == ("8.6",)
    assert said.count(f"TensorRT engine from the cache: {engine}") == 2
    assert gpu.closed == 4  # to build or look, and to run, twice


def test_an_engine_that_computes_something_else_is_not_kept(
    tmp_path: Path, model: Path, gpu: NoGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(missing, "compare_built", lambda *_: Parity(4, 0.3, 0.5, 2.0, 0.0))
    said: list[str] = []
    message = r"the engine built of .*: fp32 is too far from float32.*'backend' to onnxruntime"
    with pytest.raises(ModelError, match=message):
        open_or_build(model, options(tmp_path), said.append)
    assert list((tmp_path / "cache").glob("*.engine")) == []


def test_nothing_is_built_unless_it_is_asked_for(tmp_path: Path, model: Path, gpu: NoGpu) -> None:
    with pytest.raises(EngineError, match=r"no fp32 engine of .*'build_engine'"):
        open_or_build(model, options(tmp_path, build_engine=False))
    assert not (tmp_path / "cache").exists()


def test_int8_without_calibration_images_says_what_both_backends_need(
    tmp_path: Path, model: Path, gpu: NoGpu
) -> None:
    said: list[str] = []
    with pytest.raises(ParameterError, match=r"which is not int8\. Set precision to auto"):
        open_or_build(model, options(tmp_path, backend="auto", precision="int8"), said.append)
    assert said[0].startswith("no TensorRT engine was built: an int8 engine of")
    assert "needs images" in said[0]
    with pytest.raises(EngineError, match="needs images"):
        open_or_build(model, options(tmp_path, precision="int8"))


def test_where_tensorrt_is_missing_that_is_what_is_said(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (choice, unattended):
        monkeypatch.setattr(module, "missing_for_tensorrt", lambda: "pycuda is not installed")
    said: list[str] = []
    engine = open_or_build(model, options(tmp_path, backend="auto"), said.append)
    assert said == [f"running on {engine.description}; not on TensorRT: pycuda is not installed"]


def test_an_unknown_precision_is_refused_before_a_gpu_is_looked_for(
    tmp_path: Path, model: Path
) -> None:
    with pytest.raises(ParameterError, match="'fp8', expected one of auto, fp32, fp16, int8"):
        open_or_build(model, options(tmp_path, precision="fp8"))


def test_a_node_that_does_not_build_imports_nothing_of_the_builder(model: Path) -> None:
    code = (
        "import sys\n"
        "from depth_estimation_ros.apps.build_engine.unattended import open_or_build\n"
        f"open_or_build({str(model)!r})\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('onnx', 'rosbags') "
        "or m.endswith(('.conversion', '.builder'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
