"""A sidecar, a machine that it fits, and a wish that it fulfils, for tests to spoil."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tiny_models import tiny_card

from depth_estimation_ros.engines.model_card import InputSpec
from depth_estimation_ros.engines.tensorrt.api import TensorRT
from depth_estimation_ros.engines.tensorrt.builder import build_plan
from depth_estimation_ros.engines.tensorrt.cache import Environment, Wanted
from depth_estimation_ros.engines.tensorrt.engine_file import (
    Settings,
    Sidecar,
    plan_sha256,
    write_engine_file,
)
from depth_estimation_ros.engines.tensorrt.profile import Profile, make_profile

PLAN = b"the bytes of an engine"
ONNX_SHA256 = "a" * 64
PROFILE = Profile((1, 48, 64, 3), (1, 48, 64, 3), (4, 48, 64, 3))
CARD = tiny_card()
ORIN = "Orin (nvgpu)"

SIDECAR = Sidecar(
    model="/models/tiny.onnx",
    card=CARD,
    onnx_sha256=ONNX_SHA256,
    precision="fp16",
    profile=PROFILE,
    flavour="tensorrt",
    tensorrt_version="10.3.0",
    gpu_name=ORIN,
    compute_capabilities=("8.7",),
    cuda_version="12.6",
    settings=Settings(workspace_mb=1024),
    plan_sha256=plan_sha256(PLAN),
    plan_bytes=len(PLAN),
)
HERE = Environment("tensorrt", "10.3.0", ORIN, "8.7", "12.6")
WANTED = Wanted("/models/tiny.onnx", ONNX_SHA256, CARD, "fp16", PROFILE)


class NoGpu:
    """The name of a GPU, with nothing behind it; counts how often it was closed."""

    name = "NVIDIA GeForce RTX 3060"
    compute_capability = "8.6"
    cuda_version = "13.0"
    closed = 0

    @contextmanager
    def doing(self, step: str) -> Iterator[None]:
        yield

    def close(self) -> None:
        self.closed += 1


def written(path: Path, sidecar: Sidecar = SIDECAR, plan: bytes = PLAN) -> Path:
    """An engine file, as far as anything but TensorRT can tell, and its sidecar."""
    write_engine_file(path, plan, sidecar)
    return path


def build(
    api: TensorRT,
    path: Path,
    spec: InputSpec = CARD.input,
    profile: Profile | None = None,
    **options: Any,
) -> bytes:
    """A real build, of one image of the card's size for an RTX 30 unless told otherwise."""
    options.setdefault("compute_capabilities", ["8.6"])
    return build_plan(api, path.read_bytes(), path, spec, profile or make_profile(spec), **options)
