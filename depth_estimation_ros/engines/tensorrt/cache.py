"""Where engines are kept between starts, and how one is found, or built once.

Each engine lies under a name made of its model, precision and a hash of all that it depends on.
What counts when one is looked for is its sidecar; a name is only a place.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import re
import shlex
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import NamedTuple

from depth_estimation_ros.engines.model_card import ModelCard
from depth_estimation_ros.engines.tensorrt.api import TITLES, Flavour, TensorRT
from depth_estimation_ros.engines.tensorrt.engine_file import (
    Sidecar,
    check_writable,
    load_engine_file,
    read_sidecar,
)
from depth_estimation_ros.engines.tensorrt.profile import Profile, Shape
from depth_estimation_ros.errors import EngineError

DIRECTORY_VARIABLE = "DEPTH_ESTIMATION_ENGINE_CACHE"
_POLL_S = 0.5
logger = logging.getLogger(__name__)


class CachedEngine(NamedTuple):
    """An engine that was found: its file, its bytes, and what it is."""

    path: Path
    plan: bytes
    sidecar: Sidecar


def cache_directory(directory: str | Path | None = None) -> Path:
    """Where engines are kept.

    Args:
        directory: if given and not empty, that one. Else the variable
            DEPTH_ESTIMATION_ENGINE_CACHE, else $XDG_CACHE_HOME/depth_estimation_ros/engines, else
            ~/.cache/depth_estimation_ros/engines.

    Raises:
        EngineError: none is given, and there is no home directory.
    """
    chosen = str(directory or "") or os.environ.get(DIRECTORY_VARIABLE, "")
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        if chosen:
            return Path(chosen).expanduser().absolute()
        # The XDG specification has relative paths ignored.
        root = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
    except RuntimeError as error:
        raise EngineError(
            f"there is no place to keep engines in ({error})",
            fix=f"Set the variable {DIRECTORY_VARIABLE} to a folder",
        ) from error
    return root / "depth_estimation_ros" / "engines"


def cached_path(directory: Path, wanted: Wanted, built_for: Environment | None = None) -> Path:
    """Where an engine is put.

    Args:
        directory: of the cache.
        wanted: what it is.
        built_for: where it runs; None: built ahead of time.
    """
    facts = json.dumps(
        [
            wanted.onnx_sha256,
            wanted.card.to_json(),
            wanted.precision,
            astuple(wanted.profile),
            astuple(built_for) if built_for else None,
        ]
    )
    key = hashlib.sha256(facts.encode()).hexdigest()[:16]
    return directory / f"{_stem(wanted)}-{key}.engine"


def find_engine(directory: Path, wanted: Wanted, here: Environment) -> CachedEngine | None:
    """An engine in the cache that is what is wanted and fits this machine, the newest if several.

    Damaged files are passed over, with a line in the log.
    """
    for path in _candidates(directory, wanted):
        try:
            if differences(read_sidecar(path), here, wanted):
                continue
            return CachedEngine(path, *load_engine_file(path))
        except EngineError as error:
            logger.warning("passed over in the cache: %s", error)
    return None


def find_or_build(
    directory: Path,
    wanted: Wanted,
    here: Environment,
    build: Callable[[Path], object],
    *,
    say: Callable[[str], object] = logger.info,
    cancelled: Callable[[], bool] = lambda: False,
) -> CachedEngine:
    """An engine from the cache; if none fits, it is built, by one process at a time.

    Args:
        directory: of the cache.
        wanted: what the engine shall be.
        here: where it shall run.
        build: writes the engine to the path that it is given.
        say: told what takes long.
        cancelled: asked now and then, while another process builds, whether to give up.

    Raises:
        EngineError: building fails, or the engine cannot be written.
    """
    found = find_engine(directory, wanted, here)
    if found is not None:
        return found
    path = cached_path(directory, wanted, here)
    with building(path, say, cancelled):
        found = find_engine(directory, wanted, here)  # another process may have built it meanwhile
        if found is None:
            build(path)
            found = CachedEngine(path, *load_engine_file(path))
    return found


def not_there(directory: Path, wanted: Wanted, here: Environment) -> EngineError:
    """The error for an engine that the cache lacks.

    Says what is there instead, because a robot that was updated has engines of yesterday.
    """
    near = "none of this model and precision"
    for path in _candidates(directory, wanted):
        try:
            near = f"{path.name}, but {'; '.join(differences(read_sidecar(path), here, wanted))}"
            break
        except EngineError:
            continue
    fix = f"Build it: {build_command(wanted, None, None, _if_not_default(directory))}"
    if wanted.precision != "int8":  # that one needs images
        fix += " (or set the parameter 'build_engine')"
    return EngineError(
        f"no {wanted.precision} engine of {wanted.model} for this machine in {directory}",
        found=near,
        fix=fix,
    )


@contextmanager
def building(
    path: Path,
    say: Callable[[str], object] = logger.info,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[None]:
    """Keeps other processes from building the same engine, and finds out early if it has no place.

    The lock ends with this process, however it ends; its empty file stays.

    Args:
        path: of the engine to be.
        say: told if another process is building it, which is waited for.
        cancelled: asked now and then, while waiting, whether to give up.

    Raises:
        EngineError: the directory cannot be written to, its disk is full, or `cancelled` said so.
    """
    check_writable(path)
    with path.with_name(path.name + ".lock").open("wb") as file:
        waiting = False
        while not _lock(file.fileno()):
            if not waiting:
                say(f"another process is building {path.name}: waiting for it")
                waiting = True
            if cancelled():
                raise EngineError(f"waiting for {path.name} was cancelled")
            time.sleep(_POLL_S)
        yield


def timing_cache_path(directory: Path, here: Environment) -> Path:
    """Where the measurements of layers on this GPU by this TensorRT are kept."""
    gpu = re.sub(r"\W+", "-", here.gpu_name).strip("-")
    name = f"timing-{here.flavour}-{here.tensorrt_version}-{gpu}-{here.compute_capability}.cache"
    return directory / name


def _lock(descriptor: int) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows: two processes that build the same engine do the work twice
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _candidates(directory: Path, wanted: Wanted) -> list[Path]:
    """Engines of this model and precision, the newest first."""
    found = []
    for path in directory.glob(f"{_stem(wanted)}-*.engine"):
        try:
            found.append((path.stat().st_mtime_ns, path))
        except OSError:  # gone since
            continue
    return [path for _, path in sorted(found, reverse=True)]


def _if_not_default(directory: Path) -> Path | None:
    try:
        return None if directory == cache_directory() else directory
    except EngineError:
        return directory


def _stem(wanted: Wanted) -> str:
    return f"{wanted.onnx_sha256[:12]}-{wanted.precision}"


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
    """Raises EngineError with every difference and the command that fixes it, if there is one."""
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
