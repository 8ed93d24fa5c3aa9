"""One engine, from a model file to engine and sidecar on the disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from depth_estimation_ros.engines.model_card import METADATA_KEY, ModelCard, card_of_model
from depth_estimation_ros.engines.onnxruntime import read_metadata
from depth_estimation_ros.engines.precision.graph import side_files
from depth_estimation_ros.engines.tensorrt.api import TensorRT
from depth_estimation_ros.engines.tensorrt.builder import Progress, build_plan
from depth_estimation_ros.engines.tensorrt.cache import Wanted, build_command
from depth_estimation_ros.engines.tensorrt.cuda import Gpu
from depth_estimation_ros.engines.tensorrt.engine_file import (
    Settings,
    Sidecar,
    plan_sha256,
    write_engine_file,
)
from depth_estimation_ros.engines.tensorrt.profile import Profile
from depth_estimation_ros.errors import EngineError, ModelError
from depth_estimation_ros.utils.files import sha256

if TYPE_CHECKING:
    import onnx


def wanted_engine(model: ModelFile, precision: str, profile: Profile) -> Wanted:
    """The engine of a model in a precision for input shapes."""
    return Wanted(model.name, model.sha256, model.card, precision, profile)


def in_precision(model: ModelFile, wanted: Wanted) -> bytes:
    """The ONNX network of a model in float32 or float16.

    Raises:
        EngineError: int8, which needs images; or the package onnx is missing.
        ModelError: the network cannot be converted.
    """
    if wanted.precision == "int8":
        raise EngineError(
            f"an int8 engine of {model.name} needs images of the robot's camera to be made with",
            fix=f"Run: {build_command(wanted, None, None)}",
        )
    if wanted.precision == "fp16":
        from depth_estimation_ros.engines.precision.half import to_half

        return to_half(network_of(model)).SerializeToString()
    output = model.card.output
    if output.name is None and output.sky is None:
        return model.path.read_bytes()
    return network_of(model).SerializeToString()


def network_of(model: ModelFile) -> onnx.ModelProto:
    """Read the network of a model, with depth as its one output.

    Raises:
        EngineError: the package onnx is missing.
        ModelError: the file cannot be read, or its card names outputs that it lacks.
    """
    from depth_estimation_ros.engines.precision.graph import depth_only, load

    return depth_only(load(model.path), model.card.output)


def check_target(
    api: TensorRT, gpu: Gpu | None, compute_capabilities: Sequence[str] = ()
) -> tuple[str, ...]:
    """The compute capabilities that an engine is to be built for.

    Args:
        api: the TensorRT to build with.
        gpu: the GPU of this machine, if any.
        compute_capabilities: asked for instead of it.

    Raises:
        EngineError: this TensorRT cannot build for them, or none is known.
    """
    if compute_capabilities:
        api.check_compute_capabilities(compute_capabilities)
        return tuple(compute_capabilities)
    if gpu is None:
        raise _no_gpu(api)
    if api.compute_capabilities:
        api.check_compute_capabilities([gpu.compute_capability])
    return (gpu.compute_capability,)


def make_engine(
    out: Path,
    wanted: Wanted,
    onnx: bytes,
    source: Path,
    api: TensorRT,
    gpu: Gpu | None,
    *,
    compute_capabilities: Sequence[str] = (),
    settings: Settings | None = None,
    timing_cache: Path | None = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    check: Callable[[bytes, Sidecar], object] | None = None,
) -> Sidecar:
    """Builds an engine and writes it with its sidecar.

    TensorRT builds for `gpu`, in whose thread this is called. TensorRT-RTX builds for any GPU of
    the given compute capabilities, or of that of `gpu`, and needs no GPU for it.

    Args:
        out: the engine file.
        wanted: what it shall be.
        onnx: the network in the wanted precision.
        source: the ONNX file that it came from.
        api: the TensorRT to build with.
        gpu: the GPU of this machine, if any.
        compute_capabilities: for TensorRT-RTX: "8.6" and so on.
        settings: of the builder.
        timing_cache: see `build_plan`.
        progress: see `build_plan`.
        cancelled: see `build_plan`.
        check: given the plan and its sidecar before they get their names; what it raises leaves
            no engine behind.

    Raises:
        EngineError: as `build_plan`, there is no GPU to build for, or the file cannot be written.
        ModelError: as `build_plan`.
    """
    settings = settings or Settings()
    targets = check_target(api, gpu, compute_capabilities)
    ahead = bool(api.compute_capabilities)
    with nullcontext() if ahead or gpu is None else gpu.doing("building an engine"):
        plan = build_plan(
            api,
            onnx,
            source,
            wanted.card.input,
            wanted.profile,
            compute_capabilities=targets if ahead else (),
            workspace_mb=settings.workspace_mb,
            timing_cache=timing_cache,
            progress=progress,
            cancelled=cancelled,
        )
    sidecar = Sidecar(
        model=wanted.model,
        card=wanted.card,
        onnx_sha256=wanted.onnx_sha256,
        precision=wanted.precision,
        profile=wanted.profile,
        flavour=api.flavour,
        tensorrt_version=api.version,
        gpu_name=None if ahead or gpu is None else gpu.name,
        compute_capabilities=targets,
        cuda_version=None if ahead or gpu is None else gpu.cuda_version,
        settings=settings,
        plan_sha256=plan_sha256(plan),
        plan_bytes=len(plan),
    )
    if check is not None:
        check(plan, sidecar)
    write_engine_file(out, plan, sidecar)
    return sidecar


def _no_gpu(api: TensorRT) -> EngineError:
    if api.compute_capabilities:
        return EngineError(
            f"{api.title} has to know for which GPU it builds",
            found="no GPU here, and no compute capability given",
            expected=f"some of {', '.join(api.compute_capabilities)}",
            fix="Give it with --compute-capability (12.0: RTX 50; 8.9: RTX 40; 8.6: RTX 30; "
            "8.0: A100; 7.5: RTX 20)",
        )
    return EngineError(
        f"{api.title} builds on the GPU that the engine is for, and there is none here",
        fix="Run build_engine on the robot itself",
    )


@dataclass(frozen=True)
class ModelFile:
    """What is to be known of a model before an engine of it is looked for.

    Attributes:
        name: as the user gave it: a bundled name or a path.
        path: of the ONNX file.
        card: from its metadata, or from the YAML file beside it.
        sha256: of the file, and of the files beside it that hold its weights.
    """

    name: str
    path: Path
    card: ModelCard
    sha256: str


def read_model_file(path: Path, name: str | None = None) -> ModelFile:
    """Read card and hash of an ONNX file.

    Args:
        path: of the file.
        name: what the user calls it; default: the path.

    Raises:
        ModelError: as `read_metadata`, or the file has no sound card.
        EngineError: the package `onnx` is missing.
    """
    card = card_of_model(read_metadata(path).get(METADATA_KEY), path)
    try:
        return ModelFile(name or str(path), path, card, sha256(path, *side_files(path)))
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror or error})") from error
