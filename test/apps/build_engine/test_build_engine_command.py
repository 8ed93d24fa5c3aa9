"""The command build_engine as a user meets it; builds are real, by TensorRT-RTX."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from engine_cases import HERE, WANTED, NoGpu, written
from tiny_models import constant_depth, red_depth

from depth_estimation_ros.apps.build_engine import command, conversion
from depth_estimation_ros.apps.build_engine.parity import Parity
from depth_estimation_ros.engines import resolve_model
from depth_estimation_ros.engines.onnxruntime import OnnxRuntimeEngine
from depth_estimation_ros.engines.tensorrt.api import TensorRT
from depth_estimation_ros.engines.tensorrt.cache import DIRECTORY_VARIABLE, Wanted, cached_path
from depth_estimation_ros.engines.tensorrt.engine_file import (
    Sidecar,
    load_engine_file,
    plan_sha256,
    sidecar_path,
)
from depth_estimation_ros.engines.tensorrt.make import ModelFile, read_model_file, wanted_engine
from depth_estimation_ros.engines.tensorrt.profile import make_profile
from depth_estimation_ros.errors import EngineError, ModelError

FAR = Parity(images=4, abs_rel=0.3, delta1=0.5, max_rel=2.0, unknown=0.0)
FOR_RTX_30 = ["--compute-capability", "86"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "cache"
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(directory))
    return directory


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return red_depth(tmp_path / "tiny.onnx")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    import cv2

    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(8):
        spots = rng.integers(0, 256, (6, 8, 3), np.uint8)
        cv2.imwrite(str(folder / f"{index}.png"), cv2.resize(spots, (256, 192)))
    return folder


def run(*arguments: object) -> int:
    return command.main([str(argument) for argument in arguments])


class TestUnattended:
    """As the node converts when it builds by itself."""

    def wanted(self, precision: str) -> tuple[ModelFile, Wanted]:
        model = read_model_file(resolve_model("compact"), "compact")
        return model, wanted_engine(model, precision, make_profile(model.card.input))

    def test_float16_is_compared_and_told(self) -> None:
        said: list[str] = []
        onnx = conversion.convert_unattended(*self.wanted("fp16"), said.append).onnx
        assert len(onnx) > 5_000_000
        assert len(said) == 1
        assert said[0].startswith("fp16 against fp32 on 4 drawn images: abs_rel 0.00")

    def test_float16_too_far_from_float32_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(conversion, "compare", lambda *_: FAR)
        message = r"fp16 is too far.*Set 'precision' to fp32.*--model compact .* --force"
        with pytest.raises(ModelError, match=message):
            conversion.convert_unattended(*self.wanted("fp16"), print)

    def test_float32_is_the_file_itself(self) -> None:
        model, wanted = self.wanted("fp32")
        said: list[str] = []
        onnx = conversion.convert_unattended(model, wanted, said.append).onnx
        assert onnx == model.path.read_bytes()
        assert said == []

    def test_int8_is_for_the_command(self) -> None:
        with pytest.raises(EngineError, match=r"build_engine .*--calibration FOLDER_OR_BAG"):
            conversion.convert_unattended(*self.wanted("int8"), print)


@pytest.mark.usefixtures("rtx")
class TestBuild:
    def test_the_bundled_model_in_float16(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = tmp_path / "folder" / "compact.engine"
        assert run("--model", "compact", "--out", out, "--batch", 1, 1, 4, *FOR_RTX_30) == 0
        plan, sidecar = load_engine_file(out)
        assert 5_000_000 < len(plan) < 15_000_000
        assert sidecar.model == "compact"
        assert sidecar.precision == "fp16"
        assert sidecar.profile.largest == (4, 192, 256, 3)
        assert sidecar.compute_capabilities == ("8.6",)
        shown = " ".join(capsys.readouterr().out.split())
        assert "Depth against float32" in shown
        assert "Compared on drawn images; give --calibration" in shown
        assert f"-p model:={out} -p backend:=tensorrt" in shown
        assert sorted(path.name for path in out.parent.iterdir()) == [
            "compact.engine",
            "compact.engine.json",
        ]

    def test_without_out_it_goes_where_the_node_looks(
        self, tiny: Path, cache: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("--model", tiny, "--precision", "fp32", *FOR_RTX_30) == 0
        (engine,) = cache.glob("*-fp32-*.engine")
        assert load_engine_file(engine)[1].model == str(tiny)
        assert f"-p model:={tiny} -p backend:=tensorrt -p precision:=fp32" in " ".join(
            capsys.readouterr().out.split()
        )

    def test_without_fcntl_it_is_built_too(self, tiny: Path, cache: Path) -> None:
        windows = (
            "import os, sys\n"
            "sys.modules['fcntl'] = None\n"
            "del os.posix_fallocate\n"
            "from depth_estimation_ros.apps.build_engine.command import main\n"
            "sys.exit(main(sys.argv[1:]))\n"
        )
        command = ["--model", str(tiny), "--precision", "fp32", *FOR_RTX_30]
        subprocess.run([sys.executable, "-c", windows, *command], check=True)
        (engine,) = cache.glob("*-fp32-*.engine")
        assert load_engine_file(engine)[1].precision == "fp32"

    def test_an_engine_of_another_size_is_named_by_its_file(
        self, tiny: Path, cache: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("--model", tiny, "--precision", "fp32", "--size", "64x96", *FOR_RTX_30) == 0
        (engine,) = cache.glob("*-fp32-*.engine")
        said = "".join(capsys.readouterr().out.split())
        assert f"model:={engine}-pbackend:=tensorrt" in said
        assert "precision:=" not in said

    def test_with_a_cache_of_its_own_the_node_is_told_of_it(
        self, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        own = tmp_path / "own"
        arguments = ["--precision", "fp32", "--engine-cache", own]
        assert run("--model", tiny, *arguments, *FOR_RTX_30) == 0
        assert len(list(own.glob("*-fp32-*.engine"))) == 1
        assert f"-p precision:=fp32 -p engine_cache:={own}" in " ".join(
            capsys.readouterr().out.split()
        )
        assert run("--list", "--engine-cache", own) == 0
        assert str(own) in capsys.readouterr().out

    def test_int8_is_calibrated_on_some_pictures_and_compared_on_others(
        self, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = tmp_path / "compact.engine"
        arguments = ["--model", "compact", "--precision", "int8", "--calibration", images]
        assert run(*arguments, "--out", out, *FOR_RTX_30, "--force") == 0
        shown = " ".join(capsys.readouterr().out.split())
        assert f"Compared on 2 images of {images}" in shown
        assert load_engine_file(out)[1].settings.calibration == str(images)

    def test_too_far_from_float32_is_refused_unless_forced(
        self,
        tiny: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setattr(conversion, "compare", lambda *_: FAR)
        out = tmp_path / "tiny.engine"
        assert run("--model", tiny, "--out", out, *FOR_RTX_30) == 1
        shown = " ".join(capsys.readouterr().out.split())
        assert "fp16 is too far from float32: found abs_rel 0.3, delta1 0.5000" in shown
        assert "--force" in shown
        assert not out.exists()
        assert run("--model", tiny, "--out", out, *FOR_RTX_30, "--force") == 0
        assert "built all the same" in capsys.readouterr().out
        assert out.exists()

    def test_what_was_built_is_compared_before_it_has_its_name(
        self,
        tiny: Path,
        cache: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Built for the GPU of this machine, of which there is but the name."""

        class OnOnnxRuntime(OnnxRuntimeEngine):
            def __init__(
                self, path: Path, plan: bytes, sidecar: Sidecar, api: object, gpu: NoGpu
            ) -> None:
                assert plan_sha256(plan) == sidecar.plan_sha256
                assert sidecar.profile.smallest[0] == 2
                super().__init__(source)
                self._gpu = gpu

            def infer(self, batch: np.ndarray) -> np.ndarray:
                assert batch.shape[0] == 2
                return super().infer(batch)

            def close(self) -> None:
                super().close()
                self._gpu.close()

        gpu = NoGpu()
        for module in (command, conversion):
            monkeypatch.setattr(module, "Gpu", lambda index: gpu)
        monkeypatch.setattr(conversion, "TensorRtEngine", OnOnnxRuntime)
        line = ["--model", tiny, "--precision", "fp32", "--batch", 2, 2, 2]

        source = constant_depth(cache.parent / "wrong.onnx", 2.0)
        assert run(*line) == 1
        assert "on this GPU: fp32 is too far from float32" in " ".join(
            capsys.readouterr().out.split()
        )
        assert list(cache.glob("*.engine")) == []
        assert gpu.closed == 2

        assert run(*line, "--force") == 0
        source = tiny
        assert run(*line) == 0
        assert "0 (0.0001) │ 1.00000 (0.9999)" in " ".join(capsys.readouterr().out.split())
        assert len(list(cache.glob("*.engine"))) == 1

    def test_an_older_engine_is_replaced(self, tiny: Path, tmp_path: Path) -> None:
        out = written(tmp_path / "tiny.engine")
        assert run("--model", tiny, "--out", out, "--precision", "fp32", *FOR_RTX_30) == 0
        assert load_engine_file(out)[1].precision == "fp32"

    def test_a_place_that_cannot_be_written_to_is_known_before_the_build(
        self,
        tiny: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        def never(*_: object, **__: object) -> None:
            raise AssertionError("built for nothing")

        monkeypatch.setattr(command, "make_engine", never)
        (tmp_path / "file").write_text("")
        assert run("--model", tiny, "--out", tmp_path / "file" / "x.engine", *FOR_RTX_30) == 1
        assert "cannot be written" in capsys.readouterr().out

    def test_ctrl_c_during_the_build(self, tmp_path: Path) -> None:
        # In a process of its own, as at a terminal; TensorRT-RTX stops with a C++ exception.
        out = tmp_path / "compact.engine"
        arguments = ["--model", "compact", "--out", str(out), "--precision", "fp32", *FOR_RTX_30]
        code = (
            "import os, signal, sys\n"
            "from depth_estimation_ros.apps.build_engine import command\n"
            "class Bars(command.BarProgress):\n"
            "    def start(self, phase, parent, steps):\n"
            "        os.kill(os.getpid(), signal.SIGINT)\n"
            "command.BarProgress = Bars\n"
            f"code = command.main({arguments})\n"
            "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
            "sys.exit(code)\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 130, done.stderr
        assert "interrupted; nothing was written" in done.stdout
        assert not out.exists()


class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--model", "none"], "model 'none': found no such file"),
            (["--model", "compact", "--precision", "int8"], "--precision int8: found no --cal"),
            (
                ["--model", "compact", "--size", "190x250"],
                "found 190x250, expected multiples of 32",
            ),
            (["--model", "compact", "--batch", "2", "1"], "--batch: found 2 values"),
        ],
    )
    def test_what_cannot_be_asked_for(
        self, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(*arguments, *FOR_RTX_30) == 1
        assert message in " ".join(capsys.readouterr().out.split())

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--model", "compact", "--out", "x.onnx"], "does not end in .engine or .plan"),
            (["--model", "compact", "--size", "192"], "is not rows x columns"),
            (["--model", "compact", "--compute-capability", "RTX"], "is not a compute capability"),
            (["--model", "compact", "--workspace-mb", "0"], "is not a whole number"),
            (["--model", "compact", "--list"], "not allowed with argument"),
            ([], "one of the arguments --model --list is required"),
        ],
    )
    def test_what_is_no_command_line(
        self, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as end:
            run(*arguments)
        assert end.value.code == 1
        first, second = capsys.readouterr().err.splitlines()
        assert message in first
        assert second == "build_engine --help shows all arguments and examples"

    def test_a_gpu_that_rtx_does_not_build_for(
        self, rtx: TensorRT, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("--model", "compact", "--compute-capability", "8.6", "sm_90") == 1
        shown = " ".join(capsys.readouterr().out.split())
        assert "cannot build for compute capability 9.0: expected some of 7.5" in shown

    def test_without_a_gpu_it_says_what_else_to_do(
        self, rtx: TensorRT, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def no_gpu(index: int) -> None:
            raise EngineError("NVIDIA's driver is missing", fix="Install it")

        monkeypatch.setattr(command, "Gpu", no_gpu)
        assert run("--model", "compact") == 1
        shown = " ".join(capsys.readouterr().out.split())
        assert "driver is missing. Install it. Or build for other machines with --compute" in shown

    def test_without_tensorrt_it_says_what_to_install(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for name in ("tensorrt", "tensorrt_bindings", "tensorrt_rtx", "tensorrt_rtx_bindings"):
            monkeypatch.setitem(sys.modules, name, None)
        assert run("--model", "compact", *FOR_RTX_30) == 1
        shown = " ".join(capsys.readouterr().out.split())
        assert "TensorRT cannot be used here" in shown
        assert "pip install tensorrt-cu12 where `nvidia-smi` shows CUDA 12, tensorrt-cu13" in shown
        assert "tensorrt-rtx-cu13-bindings" in shown


class TestList:
    class NoGpu:
        def __init__(self, index: int) -> None:
            raise EngineError("NVIDIA's driver is missing")

    class Orin:
        name, compute_capability, cuda_version = HERE.gpu_name, "8.7", "12.6"

        def __init__(self, index: int) -> None:
            self.closed = False

        def close(self) -> None:
            self.closed = True

    def test_an_empty_cache(
        self, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(command, "Gpu", self.NoGpu)
        monkeypatch.setattr(command, "find_tensorrt", lambda: None)
        assert run("--list") == 0
        shown = capsys.readouterr().out
        assert f"0 engines in {cache}" in shown
        assert "whether they fit is unknown: NVIDIA's driver is missing" in shown

    def test_what_fits_what_does_not_and_what_is_damaged(
        self, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(command, "Gpu", self.Orin)
        monkeypatch.setattr(
            command, "find_tensorrt", lambda: TensorRT(None, "tensorrt", HERE.tensorrt_version)
        )
        monkeypatch.setattr(command.console, "_width", 300)
        written(cached_path(cache, WANTED, HERE))
        sidecar_path(written(cache / "damaged.engine")).write_text("{")
        assert run("--list") == 0
        shown = capsys.readouterr().out
        assert "2 engines" in shown
        assert "fits" in shown
        assert "the sidecar is not JSON" in shown


def test_help_teaches() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "depth_estimation_ros.apps.build_engine", "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).resolve().parents[3],
    )
    assert "build_engine --model compact --batch 1 1 4" in done.stdout
    assert "(default: fp16)" in done.stdout
    assert "abs_rel 0.02" in done.stdout
