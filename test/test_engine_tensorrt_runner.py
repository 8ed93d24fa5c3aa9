"""An engine file on the way to TensorRT: what is compared, in which order, and what is said.

TensorRT-RTX is the real one where it is installed. The GPU is not: `NoGpu` has a name and nothing
to run on, so nothing here infers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from nvidia import has_driver
from tiny_models import constant_depth, tiny_card

from depth_estimation_ros.engines.tensorrt import open as opening
from depth_estimation_ros.engines.tensorrt.api import TensorRT, find_tensorrt
from depth_estimation_ros.engines.tensorrt.engine_file import sha256, write_engine_file
from depth_estimation_ros.engines.tensorrt.open import open_engine_file, open_from_cache
from depth_estimation_ros.engines.tensorrt.shapes import Profile
from depth_estimation_ros.engines.tensorrt.sidecar import (
    Settings,
    Sidecar,
    read_sidecar,
    sidecar_path,
)
from depth_estimation_ros.errors import EngineError

PLAN = b"ftrt? not what TensorRT wrote" * 40
SHAPE = (1, 48, 64, 3)


class NoGpu:
    """The name of a GPU, with nothing behind it; notes whether it was closed."""

    name = "NVIDIA GeForce RTX 3060"
    compute_capability = "8.6"
    cuda_version = "13.0"
    closed = 0

    @contextmanager
    def doing(self, step: str) -> Iterator[None]:
        yield

    def close(self) -> None:
        self.closed += 1


def sidecar_of(**changes: object) -> Sidecar:
    """Of `PLAN`, built for `NoGpu` by TensorRT-RTX 1.7.1.116."""
    sidecar = Sidecar(
        model="tiny.onnx",
        card=tiny_card(),
        onnx_sha256="0" * 64,
        precision="fp32",
        profile=Profile(SHAPE, SHAPE, SHAPE),
        flavour="tensorrt_rtx",
        tensorrt_version="1.7.1.116",
        gpu_name=None,
        compute_capabilities=("8.6",),
        cuda_version=None,
        settings=Settings(),
        plan_sha256=sha256(PLAN),
        plan_bytes=len(PLAN),
    )
    return dataclasses.replace(sidecar, **changes)  # type: ignore[arg-type]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> NoGpu:
    gpu = NoGpu()
    monkeypatch.setattr(opening, "Gpu", lambda index: gpu)
    return gpu


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.engine"
    write_engine_file(path, PLAN, sidecar_of())
    return path


def refusal(path: Path) -> str:
    with pytest.raises(EngineError) as caught:
        open_engine_file(path, 0)
    return str(caught.value)


def test_a_damaged_file_is_told_before_tensorrt_or_a_gpu_is_looked_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unexpected(*_: object) -> None:
        raise AssertionError("looked for too early")

    monkeypatch.setattr(opening, "find_tensorrt", unexpected)
    monkeypatch.setattr(opening, "Gpu", unexpected)
    path.write_bytes(PLAN[:100])
    assert "this engine is not the one that its sidecar describes" in refusal(path)
    sidecar_path(path).unlink()
    assert f"no sidecar {path}.json" in refusal(path)


def test_without_tensorrt_an_engine_says_what_to_install(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(names: object) -> tuple[None, str]:
        return None, "there is no module 'tensorrt_rtx'"

    monkeypatch.setattr("depth_estimation_ros.engines.tensorrt.api._import", absent)
    said = refusal(path)
    assert said.startswith("TensorRT-RTX cannot be used here.")
    assert "pip install tensorrt-rtx" in said


def test_an_engine_for_another_gpu_never_reaches_tensorrt_and_lets_go_of_the_gpu(
    path: Path, gpu: NoGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = TensorRT(None, "tensorrt_rtx", "1.7.1.116")  # no module: nothing could be loaded by it
    monkeypatch.setattr(opening, "find_tensorrt", lambda flavour: api)
    write_engine_file(path, PLAN, sidecar_of(compute_capabilities=("8.9", "12.0")))
    said = refusal(path)
    assert f"{path} does not fit: it is for compute capability 8.9, 12.0" in said
    assert "NVIDIA GeForce RTX 3060 here has 8.6" in said
    assert "--precision fp32" in said
    assert gpu.closed == 1


def test_without_an_engine_in_the_cache_the_error_has_the_command_that_makes_it(
    tmp_path: Path, gpu: NoGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = TensorRT(None, "tensorrt_rtx", "1.7.1.116")
    monkeypatch.setattr(opening, "find_tensorrt", lambda: api)
    monkeypatch.setenv("DEPTH_ESTIMATION_ENGINE_CACHE", str(tmp_path / "cache"))
    model = constant_depth(tmp_path / "tiny.onnx")
    with pytest.raises(EngineError) as caught:
        open_from_cache(model, 0, "fp16", False, print)
    said = str(caught.value)
    assert said.startswith(f"no fp16 engine of {model} for this machine in {tmp_path}/cache")
    assert f"--model {model} --precision fp16 --size 48x64" in said
    assert "'build_engine'" in said
    with pytest.raises(EngineError, match=r"an int8 engine of .* needs pictures"):
        open_from_cache(model, 0, "int8", True, print)
    assert gpu.closed == 2


def test_a_build_that_is_allowed_is_made_for_this_gpu_kept_and_found_again(
    tmp_path: Path, gpu: NoGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Built by the real TensorRT-RTX, up to the step that needs a driver: loading it."""
    pytest.importorskip("tensorrt_rtx_bindings", reason="needs TensorRT-RTX")
    if has_driver():
        pytest.skip("with a driver the engine would load: test/gpu does that")
    monkeypatch.setenv("DEPTH_ESTIMATION_ENGINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(opening, "find_tensorrt", lambda: find_tensorrt("tensorrt_rtx"))
    model = constant_depth(tmp_path / "tiny.onnx")
    said: list[str] = []
    for _ in range(2):
        with pytest.raises(EngineError, match="cannot load this engine"):
            open_from_cache(model, 0, "fp32", True, said.append)
    (engine,) = (tmp_path / "cache").glob("*.engine")
    assert read_sidecar(engine).compute_capabilities == ("8.6",)
    assert said.count(f"TensorRT engine from the cache: {engine}") == 2
    assert gpu.closed == 2


def test_what_tensorrt_rtx_says_of_a_foreign_file_is_in_the_error(path: Path, gpu: NoGpu) -> None:
    pytest.importorskip("tensorrt_rtx_bindings", reason="needs TensorRT-RTX")
    api = find_tensorrt("tensorrt_rtx")
    write_engine_file(path, PLAN, sidecar_of(tensorrt_version=api.version))
    said = refusal(path)
    assert said.startswith(f"{path}: {api.title} cannot load this engine: found 'IRuntime::")
    assert "Build it anew on this machine" in said
    assert gpu.closed == 1
