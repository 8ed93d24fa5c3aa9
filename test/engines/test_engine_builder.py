"""Real builds by TensorRT-RTX, which needs no GPU for them. What engines compute is not tested."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from engine_cases import build
from engine_layers import convolution_types
from tiny_models import float_nchw, red_depth, tiny_card

from depth_estimation_ros.apps.build_engine.calibration_images import drawn_images, network_batch
from depth_estimation_ros.engines import resolve_model
from depth_estimation_ros.engines.precision.graph import load
from depth_estimation_ros.engines.precision.quantize import to_int8
from depth_estimation_ros.engines.tensorrt import api as api_module
from depth_estimation_ros.engines.tensorrt import builder
from depth_estimation_ros.engines.tensorrt.api import TensorRT, find_tensorrt
from depth_estimation_ros.engines.tensorrt.builder import build_plan
from depth_estimation_ros.engines.tensorrt.engine_file import Settings, load_engine_file
from depth_estimation_ros.engines.tensorrt.make import (
    ModelFile,
    in_precision,
    make_engine,
    read_model_file,
    wanted_engine,
)
from depth_estimation_ros.engines.tensorrt.profile import make_profile
from depth_estimation_ros.errors import EngineError

GPUS = ("7.5", "8.0", "8.6", "8.9", "12.0")
PROFILE = make_profile(tiny_card().input)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return red_depth(tmp_path / "tiny.onnx")


@pytest.fixture(scope="module")
def compact() -> ModelFile:
    return read_model_file(resolve_model("compact"), "compact")


class TestApi:
    def test_it_says_what_it_builds_for(self, rtx: TensorRT) -> None:
        assert rtx.title == f"TensorRT-RTX {rtx.version}"
        assert set(rtx.compute_capabilities) >= set(GPUS)
        assert not {"8.7", "9.0"} & set(rtx.compute_capabilities)
        assert not rtx.has_timing_cache

    @pytest.mark.parametrize("gpu", ["8.7", "9.0", "6.1", "nonsense"])
    def test_a_gpu_that_it_does_not_build_for_is_named(
        self, rtx: TensorRT, tiny: Path, gpu: str
    ) -> None:
        with pytest.raises(EngineError, match=f"cannot build for compute capability {gpu}: exp"):
            build(rtx, tiny, compute_capabilities=["8.6", gpu])

    def test_a_refusal_by_tensorrt_is_noticed(self, rtx: TensorRT) -> None:
        class Refusing:
            num_compute_capabilities = 0

            def set_compute_capability(self, kind: object, index: int) -> bool:
                return index == 0

        with pytest.raises(EngineError, match=r"cannot build for compute capability 8\.9, 12\.0:"):
            rtx.set_compute_capabilities(Refusing(), ["8.6", "8.9", "12.0"])

    def test_the_first_of_both_flavours_is_taken(
        self, rtx: TensorRT, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(api_module._MODULES, "tensorrt", ("tensorrt_nowhere",))
        assert find_tensorrt().flavour == "tensorrt_rtx"

    def test_one_logger_for_the_process(self, rtx: TensorRT) -> None:
        assert rtx.logger() is find_tensorrt("tensorrt_rtx").logger()


class TestNetworks:
    @pytest.mark.parametrize("gpu", GPUS)
    def test_the_bundled_network_builds_for_every_gpu(
        self, rtx: TensorRT, compact: ModelFile, gpu: str, tmp_path: Path
    ) -> None:
        out = tmp_path / "compact.engine"
        wanted = wanted_engine(compact, "fp32", make_profile(compact.card.input, (1, 1, 4)))
        onnx_bytes = in_precision(compact, wanted)
        sidecar = make_engine(
            out, wanted, onnx_bytes, compact.path, rtx, None, compute_capabilities=[gpu]
        )
        plan, read = load_engine_file(out)
        assert read == sidecar
        assert len(plan) > 10_000_000
        assert sidecar.compute_capabilities == (gpu,)
        assert (sidecar.gpu_name, sidecar.cuda_version) == (None, None)
        assert (sidecar.flavour, sidecar.tensorrt_version) == ("tensorrt_rtx", rtx.version)
        assert sidecar.card == compact.card
        assert sidecar.profile.largest == (4, 192, 256, 3)

    def test_every_layer_computes_in_the_precision_that_was_asked_for(
        self, rtx: TensorRT, compact: ModelFile, tmp_path: Path
    ) -> None:
        """The network has 61 convolutions; TensorRT may merge two that read the same."""
        spec = compact.card.input
        batches = (network_batch(rgb, spec, nominal=True) for rgb in drawn_images(spec, 2))
        profile = make_profile(spec)
        networks = {
            "fp32": in_precision(compact, wanted_engine(compact, "fp32", profile)),
            "fp16": in_precision(compact, wanted_engine(compact, "fp16", profile)),
            "int8": to_int8(load(compact.path), batches).SerializeToString(),
        }
        types = {
            precision: convolution_types(rtx, onnx, tmp_path, spec)
            for precision, onnx in networks.items()
        }
        assert types["fp32"] == {"Float": 61}
        assert types["fp16"]["Half"] >= 57
        assert types["fp16"]["Float"] == 1  # the head
        assert types["int8"] == {"Int8": 57, "Half": 3, "Float": 1}  # first three, head

    def test_int8_needs_pictures(self, compact: ModelFile) -> None:
        wanted = wanted_engine(compact, "int8", make_profile(compact.card.input))
        with pytest.raises(EngineError, match=r"--precision int8 .*--calibration FOLDER_OR_BAG"):
            in_precision(compact, wanted)

    def test_many_sizes(self, rtx: TensorRT, compact: ModelFile) -> None:
        spec = compact.card.input
        profile = make_profile(spec, (1, 2, 4), [(96, 128), (192, 256), (384, 512)])
        assert len(build(rtx, compact.path, spec, profile)) > 10_000_000

    def test_a_network_of_another_house(self, rtx: TensorRT, tmp_path: Path) -> None:
        path = float_nchw(tmp_path / "other.onnx")
        spec = dataclasses.replace(
            tiny_card(multiple_of=None).input, dtype="float32", layout="NCHW"
        )
        profile = make_profile(spec)
        assert build_plan(rtx, path.read_bytes(), path, spec, profile, compute_capabilities=["8.6"])

    def test_a_limit_of_workspace(self, rtx: TensorRT, tiny: Path) -> None:
        assert build(rtx, tiny, workspace_mb=256)


class TestTargets:
    def test_without_a_gpu_rtx_wants_to_know_for_which(
        self, rtx: TensorRT, tiny: Path, tmp_path: Path
    ) -> None:
        wanted = wanted_engine(read_model_file(tiny), "fp32", PROFILE)
        with pytest.raises(EngineError, match=r"no GPU here.*--compute-capability \(12\.0: RTX 50"):
            make_engine(tmp_path / "x.engine", wanted, tiny.read_bytes(), tiny, rtx, None)

    def test_tensorrt_builds_for_no_other_gpu(
        self, rtx: TensorRT, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What TensorRT 10 and 11 lack, as tensorrt_names.json says, is the enum alone."""
        monkeypatch.delattr(rtx.module, "ComputeCapability")
        plain = TensorRT(rtx.module, "tensorrt", "10.3.0")
        wanted = wanted_engine(read_model_file(tiny), "fp32", PROFILE)
        out = tmp_path / "x.engine"
        with pytest.raises(EngineError, match="Run build_engine on the robot itself"):
            make_engine(out, wanted, tiny.read_bytes(), tiny, plain, None)
        with pytest.raises(EngineError, match="builds only for the GPU of the machine"):
            make_engine(
                out, wanted, tiny.read_bytes(), tiny, plain, None, compute_capabilities=["8.6"]
            )
        assert not out.exists()

    def test_settings_are_noted(self, rtx: TensorRT, tiny: Path, tmp_path: Path) -> None:
        out = tmp_path / "x.engine"
        wanted = wanted_engine(read_model_file(tiny, "tiny"), "fp32", PROFILE)
        settings = Settings(workspace_mb=512)
        make_engine(
            out,
            wanted,
            tiny.read_bytes(),
            tiny,
            rtx,
            None,
            compute_capabilities=["8.6", "12.0"],
            settings=settings,
        )
        _, sidecar = load_engine_file(out)
        assert sidecar.settings == settings
        assert sidecar.model == "tiny"
        assert sidecar.compute_capabilities == ("8.6", "12.0")


def test_float32_is_not_tf32(rtx: TensorRT) -> None:
    config = rtx.module.Builder(rtx.logger()).create_builder_config()
    flag = rtx.module.BuilderFlag.TF32
    assert config.get_flag(flag)
    builder._clear_tf32(rtx, config)
    assert not config.get_flag(flag)
