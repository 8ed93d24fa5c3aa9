"""Whether an engine fits this machine and this model; every difference is told in words."""

from __future__ import annotations

import dataclasses
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from depth_estimation_ros.engines.model_card import ModelCard
from depth_estimation_ros.engines.tensorrt.api import TITLES, Flavour, TensorRT
from depth_estimation_ros.engines.tensorrt.shapes import Profile, Shape
from depth_estimation_ros.engines.tensorrt.sidecar import Sidecar
from depth_estimation_ros.errors import EngineError


@dataclass(frozen=True)
class Environment:
    """What an engine would run on.

    Attributes:
        flavour: of the TensorRT here.
        tensorrt_version: of the same.
        gpu_name: as NVIDIA calls it.
        compute_capability: "8.6".
        cuda_version: newest CUDA that the driver here runs, "13.0".
    """

    flavour: Flavour
    tensorrt_version: str
    gpu_name: str
    compute_capability: str
    cuda_version: str


@dataclass(frozen=True)
class Wanted:
    """The engine that a user of a model asks for.

    Attributes:
        model: bundled name or path of the ONNX file, for messages and commands.
        onnx_sha256: of that file.
        card: of that model.
        precision: fp32, fp16 or int8.
        profile: input shapes that the engine has to take.
    """

    model: str
    onnx_sha256: str
    card: ModelCard
    precision: str
    profile: Profile


def this_machine(
    api: TensorRT, gpu_name: str, compute_capability: str, cuda_version: str
) -> Environment:
    """What an engine would run on, given the TensorRT that would run it."""
    return Environment(api.flavour, api.version, gpu_name, compute_capability, cuda_version)


def differences(sidecar: Sidecar, here: Environment, wanted: Wanted | None = None) -> list[str]:
    """What keeps an engine from being used here, one sentence part each; empty: nothing.

    Args:
        sidecar: of the engine.
        here: where it shall run.
        wanted: what it shall be; None: whatever it is.
    """
    told = []
    if sidecar.flavour != here.flavour:
        told.append(f"it is for {TITLES[sidecar.flavour]}, and here is {TITLES[here.flavour]}")
    elif _release(sidecar.tensorrt_version) != _release(here.tensorrt_version):
        title = TITLES[here.flavour]
        told.append(
            f"it is for {title} {sidecar.tensorrt_version}, and here is {here.tensorrt_version}"
        )
    if here.compute_capability not in sidecar.compute_capabilities:
        told.append(
            f"it is for compute capability {', '.join(sidecar.compute_capabilities)}, "
            f"and the {here.gpu_name} here has {here.compute_capability}"
        )
    elif sidecar.gpu_name not in (None, here.gpu_name):
        told.append(f"it was tuned for a {sidecar.gpu_name}, and here is a {here.gpu_name}")
    if sidecar.cuda_version and _numbers(here.cuda_version) < _numbers(sidecar.cuda_version):
        told.append(
            f"it was built under CUDA {sidecar.cuda_version}, and the driver here is older: it "
            f"runs CUDA up to {here.cuda_version}"
        )
    if wanted is not None:
        told += _differences_from(sidecar, wanted)
    return told


def check_fits(
    engine: Path, sidecar: Sidecar, here: Environment, wanted: Wanted | None = None
) -> None:
    """Raises EngineError with every difference and the command that mends it, if there is one."""
    if told := differences(sidecar, here, wanted):
        raise EngineError(
            f"{engine} does not fit: {'; '.join(told)}",
            fix=f"Build it here: {build_command(sidecar, wanted, engine)}",
        )


def build_command(
    source: Sidecar | Wanted, wanted: Wanted | None, out: Path | None, cache: Path | None = None
) -> str:
    """The command line that builds an engine again.

    Args:
        source: what it was.
        wanted: what it shall be instead, if that differs.
        out: the engine file; None: into the cache.
        cache: its folder; None: where it is by default.
    """
    target = wanted or source
    profile = target.profile
    words = [_program(), "--model", target.model, "--precision", target.precision]
    batches = [shape[0] for shape in (profile.smallest, profile.best, profile.largest)]
    if batches != [1, 1, 1]:
        words += ["--batch", *map(str, batches)]
    words += ["--size", *_sizes(profile, target.card)]
    settings = source.settings if isinstance(source, Sidecar) else None
    if target.precision == "int8":
        calibration = settings.calibration if settings else None
        words += ["--calibration", calibration or "FOLDER_OR_BAG"]
    if settings and settings.workspace_mb:
        words += ["--workspace-mb", str(settings.workspace_mb)]
    if out is not None:
        words += ["--out", str(out)]
    if cache is not None:
        words += ["--engine-cache", str(cache)]
    return " ".join([words[0], *map(shlex.quote, words[1:])])


def _differences_from(sidecar: Sidecar, wanted: Wanted) -> list[str]:
    told = []
    if sidecar.onnx_sha256 != wanted.onnx_sha256:
        told.append(
            f"it was built from another ONNX file (SHA-256 {sidecar.onnx_sha256[:12]}... of "
            f"'{sidecar.model}') than '{wanted.model}' ({wanted.onnx_sha256[:12]}...)"
        )
    if sidecar.precision != wanted.precision:
        told.append(f"it computes in {sidecar.precision}, and {wanted.precision} is asked for")
    profile = sidecar.profile
    if not (profile.takes(wanted.profile.smallest) and profile.takes(wanted.profile.largest)):
        told.append(f"it takes inputs of {profile}, and {wanted.profile} are asked for")
    fields = [
        field.name
        for field in dataclasses.fields(ModelCard)
        if getattr(sidecar.card, field.name) != getattr(wanted.card, field.name)
    ]
    if fields:
        told.append(f"the model's card was changed since ({', '.join(fields)})")
    return told


def _sizes(profile: Profile, card: ModelCard) -> list[str]:
    """HxW once, or three times for an engine of many sizes."""
    rows = 1 if card.input.layout == "NHWC" else 2

    def size(shape: Shape) -> str:
        return f"{shape[rows]}x{shape[rows + 1]}"

    sizes = [size(shape) for shape in (profile.smallest, profile.best, profile.largest)]
    return sizes if len(set(sizes)) > 1 else sizes[:1]


def _release(version: str) -> tuple[str, ...]:
    """The numbers of a version; ".post1" is the same TensorRT in another wheel."""
    return tuple(part for part in version.split(".") if part.isdigit())


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _program() -> str:
    """How the command is called here: pip puts it on the PATH, colcon does not."""
    known = shutil.which("build_engine") or not shutil.which("ros2")
    return "build_engine" if known else "ros2 run depth_estimation_ros build_engine"
