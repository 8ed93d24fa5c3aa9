"""An engine file and its sidecar, read and written as a pair."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from depth_estimation_ros.engines.tensorrt.sidecar import Sidecar, read_sidecar, sidecar_path
from depth_estimation_ros.errors import EngineError


def load_engine_file(path: Path) -> tuple[bytes, Sidecar]:
    """Reads an engine, whole and as it was written.

    Returns:
        The plan for TensorRT, and what it is. Whether it fits this machine is not looked at: see
        `differences.check_fits`.

    Raises:
        EngineError: the file or its sidecar is missing, cut off, changed, or of something else.
    """
    sidecar = read_sidecar(path)
    try:
        size = path.stat().st_size
        plan = path.read_bytes() if size == sidecar.plan_bytes else b""
    except OSError as error:
        raise EngineError(
            f"{path}: the engine cannot be read ({error.strerror or error})",
            fix="Correct the path, or build it: build_engine --help",
        ) from error
    if size != sidecar.plan_bytes:
        raise _damaged(path, f"{size} bytes", f"{sidecar.plan_bytes}, as its sidecar says")
    if sha256(plan) != sidecar.plan_sha256:
        raise _damaged(path, "other contents", "those that its sidecar was written for")
    return plan, sidecar


def write_engine_file(path: Path, plan: bytes, sidecar: Sidecar) -> None:
    """Writes an engine and its sidecar; a reader sees the old pair or the new one.

    Between the two renames the pair does not match, which `load_engine_file` notices.

    Raises:
        EngineError: the disk is full or the folder cannot be written to; the old pair stays.
    """
    beside = sidecar_path(path)
    with _on_disk(path, plan) as engine, _on_disk(beside, sidecar.to_json().encode()) as text:
        text.rename(beside)
        engine.rename(path)


def replace_file(path: Path, contents: bytes) -> None:
    """Writes a file under a temporary name and renames it.

    Raises:
        EngineError: the disk is full or the folder cannot be written to.
    """
    with _on_disk(path, contents) as temporary:
        temporary.rename(path)


@contextmanager
def _on_disk(path: Path, contents: bytes) -> Iterator[Path]:
    """A file of these contents beside `path`, to be renamed; it is gone at the end if it was not.

    Raises:
        EngineError: it cannot be written, or renamed.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}-", delete=False
        ) as file:
            temporary = Path(file.name)
            file.write(contents)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        yield temporary
    except OSError as error:
        raise _cannot_write(path, error, len(contents)) from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()


def check_writable(path: Path) -> None:
    """Finds out before a long build whether its result can be written.

    Raises:
        EngineError: the disk is full or the folder cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent) as file:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _cannot_write(path, error) from error


def _cannot_write(path: Path, error: OSError, nbytes: int | None = None) -> EngineError:
    """The error for a file that cannot be written, with what to do."""
    size = f" of {nbytes / 1e6:.0f} MB" if nbytes else ""
    return EngineError(
        f"{path}{size} cannot be written ({error.strerror or error})",
        fix="Free some space, or correct who may write there; another place: --out FILE, or for "
        "the cache the variable DEPTH_ESTIMATION_ENGINE_CACHE",
    )


def sha256(contents: bytes) -> str:
    """As a sidecar has it: 64 hexadecimal digits."""
    return hashlib.sha256(contents).hexdigest()


def _damaged(path: Path, found: str, expected: str) -> EngineError:
    return EngineError(
        f"{path}: this engine is not the one that its sidecar describes",
        found=found,
        expected=expected,
        fix="Copy both files again, or build it: build_engine --help",
    )
