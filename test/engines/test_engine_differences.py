"""An engine is compared with machine and model field by field before TensorRT sees it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from engine_cases import CARD, HERE, ORIN, PROFILE, SIDECAR, WANTED

from depth_estimation_ros.engines.model_card import ModelCard
from depth_estimation_ros.engines.tensorrt import cache as module
from depth_estimation_ros.engines.tensorrt.cache import (
    Environment,
    Wanted,
    build_command,
    check_fits,
    differences,
)
from depth_estimation_ros.engines.tensorrt.engine_file import Settings, Sidecar
from depth_estimation_ros.engines.tensorrt.profile import Profile
from depth_estimation_ros.errors import EngineError

# What differs, and all that is said of it.
HERE_DIFFERS: dict[str, list[tuple[Any, list[str]]]] = {
    "flavour": [("tensorrt_rtx", ["it is for TensorRT, and here is TensorRT-RTX"])],
    "tensorrt_version": [
        ("10.3.1", ["it is for TensorRT 10.3.0, and here is 10.3.1"]),
        ("11.4.0.106", ["it is for TensorRT 10.3.0, and here is 11.4.0.106"]),
        ("10.3.0.post1", []),  # the same TensorRT in another wheel
    ],
    "gpu_name": [("AGX Orin", [f"it was tuned for a {ORIN}, and here is a AGX Orin"])],
    "compute_capability": [
        ("8.6", [f"it is for compute capability 8.7, and the {ORIN} here has 8.6"])
    ],
    "cuda_version": [
        (
            "12.4",
            ["it was built under CUDA 12.6, and the driver here is older: it runs CUDA up to 12.4"],
        ),
        ("12.10", []),  # ten is more than six
        ("13.0", []),
    ],
}
OTHER_CARD = dataclasses.replace(CARD, licence="GPL-3.0", canonical_focal_px=300.0)
WANTED_DIFFERS: dict[str, list[tuple[Any, list[str]]]] = {
    "model": [("tiny", [])],  # another name of the same contents
    "onnx_sha256": [
        (
            "b" * 64,
            [
                "it was built from another ONNX file (SHA-256 aaaaaaaaaaaa... of "
                "'/models/tiny.onnx') than '/models/tiny.onnx' (bbbbbbbbbbbb...)"
            ],
        )
    ],
    "card": [(OTHER_CARD, ["the model's card was changed since (licence, canonical_focal_px)"])],
    "precision": [("fp32", ["it computes in fp16, and fp32 is asked for"])],
    "profile": [
        (
            Profile((1, 48, 64, 3), (1, 48, 64, 3), (8, 48, 64, 3)),
            ["it takes inputs of (1...4, 48, 64, 3), and (1...8, 48, 64, 3) are asked for"],
        ),
        (
            Profile((1, 96, 64, 3), (1, 96, 64, 3), (1, 96, 64, 3)),
            ["it takes inputs of (1...4, 48, 64, 3), and (1, 96, 64, 3) are asked for"],
        ),
        (Profile((2, 48, 64, 3), (2, 48, 64, 3), (3, 48, 64, 3)), []),
    ],
}


def cases(table: dict[str, list[tuple[Any, list[str]]]]) -> list[tuple[str, Any, list[str]]]:
    return [(name, value, told) for name, entries in table.items() for value, told in entries]


def test_an_engine_fits_where_it_was_built_for_what_it_was_built() -> None:
    assert differences(SIDECAR, HERE) == []
    assert differences(SIDECAR, HERE, WANTED) == []
    check_fits(Path("tiny.engine"), SIDECAR, HERE, WANTED)


def test_every_field_has_a_case() -> None:
    assert set(HERE_DIFFERS) == {field.name for field in dataclasses.fields(Environment)}
    assert set(WANTED_DIFFERS) == {field.name for field in dataclasses.fields(Wanted)}


@pytest.mark.parametrize(("name", "value", "told"), cases(HERE_DIFFERS))
def test_each_field_of_the_machine(name: str, value: Any, told: list[str]) -> None:
    assert differences(SIDECAR, dataclasses.replace(HERE, **{name: value})) == told


@pytest.mark.parametrize(("name", "value", "told"), cases(WANTED_DIFFERS))
def test_each_field_of_the_wish(name: str, value: Any, told: list[str]) -> None:
    assert differences(SIDECAR, HERE, dataclasses.replace(WANTED, **{name: value})) == told


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(ModelCard)])
def test_each_field_of_the_card(name: str) -> None:
    card = dataclasses.replace(CARD, **{name: object()})
    wanted = dataclasses.replace(WANTED, card=card)
    assert differences(SIDECAR, HERE, wanted) == [f"the model's card was changed since ({name})"]


def test_all_differences_are_told_at_once() -> None:
    here = Environment("tensorrt_rtx", "1.7.1.116", "RTX 3060", "8.6", "11.8")
    wanted = Wanted("x", "b" * 64, OTHER_CARD, "int8", Profile(*[(9, 9, 9, 3)] * 3))
    assert len(differences(SIDECAR, here, wanted)) == 3 + 4


AHEAD = dataclasses.replace(
    SIDECAR,
    flavour="tensorrt_rtx",
    tensorrt_version="1.7.1.116",
    gpu_name=None,
    cuda_version=None,
    compute_capabilities=("8.6", "12.0"),
)


@pytest.mark.parametrize("gpu", ["NVIDIA GeForce RTX 3060", "NVIDIA A10"])
def test_an_engine_built_ahead_of_time_fits_any_gpu_of_its_kind(gpu: str) -> None:
    assert differences(AHEAD, Environment("tensorrt_rtx", "1.7.1.116", gpu, "8.6", "12.0")) == []
    here = Environment("tensorrt_rtx", "1.7.1.116", gpu, "8.9", "13.0")
    assert differences(AHEAD, here) == [
        f"it is for compute capability 8.6, 12.0, and the {gpu} here has 8.9"
    ]


class TestCommand:
    @pytest.fixture(autouse=True)
    def _on_path(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module.shutil, "which", lambda name: f"/usr/bin/{name}")

    def test_it_builds_what_is_wanted_in_the_same_place(self) -> None:
        wanted = dataclasses.replace(WANTED, precision="fp32")
        with pytest.raises(EngineError) as error:
            check_fits(Path("/robot/tiny.engine"), SIDECAR, HERE, wanted)
        assert str(error.value) == (
            "/robot/tiny.engine does not fit: it computes in fp16, and fp32 is asked for. Build "
            "it here: build_engine --model /models/tiny.onnx --precision fp32 --batch 1 1 4 "
            "--size 48x64 --workspace-mb 1024 --out /robot/tiny.engine"
        )

    def test_an_engine_of_many_sizes_and_a_name_with_spaces(self) -> None:
        profile = Profile((1, 3, 48, 64), (1, 3, 96, 128), (1, 3, 192, 256))
        nchw = dataclasses.replace(CARD, input=dataclasses.replace(CARD.input, layout="NCHW"))
        wanted = Wanted("my model.onnx", "b" * 64, nchw, "fp16", profile)
        assert build_command(wanted, None, None) == (
            "build_engine --model 'my model.onnx' --precision fp16 --batch 1 1 1 "
            "--size 48x64 96x128 192x256"
        ).replace(" --batch 1 1 1", "")

    def test_int8_names_its_pictures(self) -> None:
        settings = Settings(calibration="/bags/run 1")
        sidecar = dataclasses.replace(SIDECAR, precision="int8", settings=settings)
        assert "--calibration '/bags/run 1'" in build_command(sidecar, None, None)
        wanted = dataclasses.replace(WANTED, precision="int8")
        assert "--calibration FOLDER_OR_BAG" in build_command(wanted, None, None)

    @pytest.mark.parametrize(
        ("there", "program"),
        [
            (("build_engine", "ros2"), "build_engine "),
            (("ros2",), "ros2 run depth_estimation_ros build_engine "),
            ((), "build_engine "),
        ],
    )
    def test_the_program_is_named_as_it_is_found_here(
        self, there: tuple[str, ...], program: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module.shutil, "which", lambda name: name if name in there else None)
        assert build_command(SIDECAR, None, None).startswith(program)


def test_a_sidecar_names_every_field_of_the_machine() -> None:
    sidecar = {field.name for field in dataclasses.fields(Sidecar)}
    machine = {field.name for field in dataclasses.fields(Environment)}
    assert machine - {"compute_capability"} < sidecar
    assert {"compute_capabilities", "onnx_sha256", "precision", "profile", "card"} < sidecar
    assert PROFILE.takes(PROFILE.best)
