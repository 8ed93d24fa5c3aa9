"""Where engines are kept between starts, and how one is found, or built once.

Each engine lies under a name made of its model, precision and a hash of all that it depends on.
What counts when one is looked for is its sidecar; a name is only a place.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import NamedTuple

from depth_estimation_ros.engines.tensorrt.differences import (
    Environment,
    Wanted,
    build_command,
    differences,
)
from depth_estimation_ros.engines.tensorrt.engine_file import check_writable, load_engine_file
from depth_estimation_ros.engines.tensorrt.sidecar import Sidecar, read_sidecar
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
    if wanted.precision != "int8":  # that one needs pictures
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
