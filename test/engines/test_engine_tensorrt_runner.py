"""An engine file on the way to TensorRT: what is compared, in which order, and what is said.

TensorRT-RTX is the real one where it is installed. The GPU is not: `NoGpu` has a name and nothing
to run on, so nothing here infers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_cases import NoGpu
from tiny_models import constant_depth, tiny_card

from depth_estimation_ros.engines.tensorrt import engine as opening
from depth_estimation_ros.engines.tensorrt.api import TensorRT, find_tensorrt
from depth_estimation_ros.engines.tensorrt.cache import Wanted
from depth_estimation_ros.engines.tensorrt.engine import choose, open_engine_file, open_from_cache
from depth_estimation_ros.engines.tensorrt.engine_file import (
    Settings,
    Sidecar,
    plan_sha256,
    sidecar_path,
    write_engine_file,
)
from depth_estimation_ros.engines.tensorrt.make import ModelFile, read_model_file, wanted_engine
from depth_estimation_ros.engines.tensorrt.profile import Profile, make_profile
from depth_estimation_ros.errors import EngineError

PLAN = b"ftrt? not what TensorRT wrote" * 40
SHAPE = (1, 48, 64, 3)


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
        plan_sha256=plan_sha256(PLAN),
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


TENSORRT = TensorRT(None, "tensorrt", "10.3.0")  # no modules: nothing could be loaded by them
RTX = TensorRT(None, "tensorrt_rtx", "1.7.1.116")


def install(monkeypatch: pytest.MonkeyPatch, *apis: TensorRT) -> None:
    monkeypatch.setattr(opening, "find_tensorrt", lambda: apis[0])
    monkeypatch.setattr(opening, "each_tensorrt", lambda: iter(apis))


def test_without_an_engine_in_the_cache_the_error_has_the_command_that_makes_it(
    tmp_path: Path, gpu: NoGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, RTX)
    monkeypatch.setenv("DEPTH_ESTIMATION_ENGINE_CACHE", str(tmp_path / "cache"))
    model = constant_depth(tmp_path / "tiny.onnx")
    with pytest.raises(EngineError) as caught:
        open_from_cache(model, 0, "fp16", "", print)
    said = str(caught.value)
    assert said.startswith(f"no fp16 engine of {model} for this machine in {tmp_path}/cache")
    assert f"--model {model} --precision fp16 --size 48x64" in said
    assert "'build_engine'" in said
    with pytest.raises(EngineError, match=f"for this machine in {tmp_path}/mine: found none"):
        open_from_cache(model, 0, "fp16", str(tmp_path / "mine"), print)
    assert gpu.closed == 2


class TestWhichTensorRt:
    """The cache decides where TensorRT and TensorRT-RTX are both installed."""

    @pytest.fixture
    def model(self, tmp_path: Path) -> ModelFile:
        return read_model_file(constant_depth(tmp_path / "tiny.onnx"))

    def wanted(self, model: ModelFile) -> Wanted:
        return wanted_engine(model, "fp16", make_profile(model.card.input))

    def put(self, folder: Path, model: ModelFile, api: TensorRT) -> Path:
        """An engine for `NoGpu` in the cache, as this TensorRT would have built it."""
        ahead = api.flavour == "tensorrt_rtx"
        path = folder / f"{model.sha256[:12]}-fp16-{api.flavour}.engine"
        sidecar = sidecar_of(
            card=model.card,
            onnx_sha256=model.sha256,
            precision="fp16",
            flavour=api.flavour,
            tensorrt_version=api.version,
            gpu_name=None if ahead else NoGpu.name,
            cuda_version=None if ahead else NoGpu.cuda_version,
        )
        write_engine_file(path, PLAN, sidecar)
        return path

    @pytest.mark.parametrize(
        ("cached", "chosen"),
        [
            ((TENSORRT, RTX), TENSORRT),
            ((TENSORRT,), TENSORRT),
            ((RTX,), RTX),
            ((), TENSORRT),
        ],
    )
    def test_the_best_that_has_an_engine_else_the_best(
        self,
        tmp_path: Path,
        model: ModelFile,
        monkeypatch: pytest.MonkeyPatch,
        cached: tuple[TensorRT, ...],
        chosen: TensorRT,
    ) -> None:
        install(monkeypatch, TENSORRT, RTX)
        paths = {api.flavour: self.put(tmp_path, model, api) for api in cached}
        choice = choose(tmp_path, self.wanted(model), NoGpu())  # type: ignore[arg-type]
        assert choice.api == chosen
        assert (choice.found.path if choice.found else None) == paths.get(chosen.flavour)
        assert choice.passed_over == ((TENSORRT,) if chosen == RTX else ())

    def test_an_engine_of_an_older_release_is_none(
        self, tmp_path: Path, model: ModelFile, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        install(monkeypatch, TENSORRT, RTX)
        self.put(tmp_path, model, dataclasses.replace(TENSORRT, version="10.0.1"))
        self.put(tmp_path, model, RTX)
        choice = choose(tmp_path, self.wanted(model), NoGpu())  # type: ignore[arg-type]
        assert choice.api == RTX

    def test_the_second_is_not_even_looked_for_while_the_first_has_one(
        self, tmp_path: Path, model: ModelFile, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def one_by_one() -> Iterator[TensorRT]:
            yield TENSORRT
            raise AssertionError("imported in vain")

        monkeypatch.setattr(opening, "each_tensorrt", one_by_one)
        self.put(tmp_path, model, TENSORRT)
        choice = choose(tmp_path, self.wanted(model), NoGpu())  # type: ignore[arg-type]
        assert choice.api == TENSORRT

    def test_the_log_says_which_and_why(
        self, tmp_path: Path, gpu: NoGpu, model: ModelFile, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def loaded(*_: object) -> None:
            raise EngineError("loading is for a machine with a GPU")

        install(monkeypatch, TENSORRT, RTX)
        monkeypatch.setattr(opening, "TensorRtEngine", loaded)
        path = self.put(tmp_path, model, RTX)
        said: list[str] = []
        with pytest.raises(EngineError, match="loading is for a machine"):
            open_from_cache(model.path, 0, "fp16", str(tmp_path), said.append)
        assert said == [
            "running on TensorRT-RTX 1.7.1.116, as the cache has no engine that fits "
            "TensorRT 10.3.0",
            f"TensorRT engine from the cache: {path}",
        ]


def test_what_tensorrt_rtx_says_of_a_foreign_file_is_in_the_error(path: Path, gpu: NoGpu) -> None:
    pytest.importorskip("tensorrt_rtx_bindings", reason="needs TensorRT-RTX")
    api = find_tensorrt("tensorrt_rtx")
    write_engine_file(path, PLAN, sidecar_of(tensorrt_version=api.version))
    said = refusal(path)
    assert said.startswith(f"{path}: {api.title} cannot load this engine: found 'IRuntime::")
    assert "Build it again on this machine" in said
    assert gpu.closed == 1
