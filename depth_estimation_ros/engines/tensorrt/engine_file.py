"""An engine file and its sidecar, read and written as a pair."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from depth_estimation_ros import __version__
from depth_estimation_ros.engines.model_card import ModelCard, read_card
from depth_estimation_ros.engines.tensorrt.api import Flavour
from depth_estimation_ros.engines.tensorrt.profile import Profile
from depth_estimation_ros.errors import EngineError
from depth_estimation_ros.utils.schema import Limit, NonEmptyText, PositiveInt, Schema


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
    if plan_sha256(plan) != sidecar.plan_sha256:
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


def plan_sha256(contents: bytes) -> str:
    """As a sidecar has it: 64 hexadecimal digits."""
    return hashlib.sha256(contents).hexdigest()


def _damaged(path: Path, found: str, expected: str) -> EngineError:
    return EngineError(
        f"{path}: this engine is not the one that its sidecar describes",
        found=found,
        expected=expected,
        fix="Copy both files again, or build it: build_engine --help",
    )


SIDECAR_VERSION = 1
MAX_BYTES = 1 << 20  # a sidecar has about 2000
PRECISIONS = ("fp32", "fp16", "int8")
_BUILD_AGAIN = "Build the engine again: build_engine --help"
_OTHER_VERSION = (
    "Update depth_estimation_ros if the engine is newer, or build it again: build_engine --help"
)


def _like(pattern: str, words: str) -> Limit:
    return Limit(lambda text: re.fullmatch(pattern, text, re.ASCII), words)


Sha256 = Annotated[str, _like("[0-9a-f]{64}", "a SHA-256 of 64 hexadecimal digits")]
TwoNumbers = Annotated[str, _like(r"\d{1,4}\.\d{1,4}", 'a text like "8.6"')]
Version = Annotated[str, _like(r"\d{1,4}(\.\w{1,20}){1,8}", 'a text like "10.16.1.11"')]


@dataclass(frozen=True)
class Settings:
    """What was asked of the builder besides precision and shapes.

    Attributes:
        workspace_mb: most memory that one layer may use on the GPU, MiB; None: no limit of ours.
        calibration: the folder or bag whose images set the ranges of int8; None: not int8.
    """

    workspace_mb: PositiveInt | None = None
    calibration: NonEmptyText | None = None


@dataclass(frozen=True)
class Sidecar:
    """What an engine file is.

    Attributes:
        model: the bundled name or the path of the ONNX file, as it was given.
        card: of that model.
        onnx_sha256: of that file, before any conversion.
        precision: fp32, fp16 or int8.
        profile: the input shapes that it takes.
        flavour: of the TensorRT that built it.
        tensorrt_version: of the same.
        gpu_name: the GPU that it was measured on; None: built ahead of time, for any GPU of
            `compute_capabilities`.
        compute_capabilities: "8.6" and so on; one, or several if built ahead of time.
        cuda_version: newest CUDA that the driver there ran, "13.0"; None: built without a driver.
        settings: of the builder.
        plan_sha256: of the engine file.
        plan_bytes: size of the engine file.
        built_by: this package and its version.
    """

    model: NonEmptyText
    card: ModelCard
    onnx_sha256: Sha256
    precision: Annotated[str, Limit(PRECISIONS.__contains__, " or ".join(PRECISIONS))]
    profile: Profile
    flavour: Flavour
    tensorrt_version: Version
    gpu_name: NonEmptyText | None
    compute_capabilities: Annotated[
        tuple[TwoNumbers, ...], Limit(bool, 'a list of texts like "8.6"')
    ]
    cuda_version: TwoNumbers | None
    settings: Settings
    plan_sha256: Sha256
    plan_bytes: PositiveInt
    built_by: str = f"depth_estimation_ros {__version__}"

    def to_json(self) -> str:
        """Return the sidecar as `from_json` reads it."""
        fields = dataclasses.asdict(self) | {"card": json.loads(self.card.to_json())}
        return json.dumps({"sidecar_version": SIDECAR_VERSION, **fields}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str) -> Sidecar:
        """Read a sidecar.

        Args:
            text: a JSON object.
            source: where it comes from, for messages.

        Raises:
            EngineError: not JSON, of another version, or a field is missing, unknown or wrong.
        """
        schema = Schema(source, "the sidecar", EngineError, _BUILD_AGAIN, {ModelCard: _card})
        values = schema.take_version(
            schema.parse_json(text), "sidecar_version", SIDECAR_VERSION, _OTHER_VERSION
        )
        sidecar: Sidecar = schema.build(Sidecar, values)
        profile = sidecar.profile
        if not (profile.takes(profile.smallest) and profile.takes(profile.best)):
            found = f"{profile.smallest}, {profile.best}, {profile.largest}"
            raise schema.wrong("profile", found, "three shapes that nowhere get smaller")
        return sidecar


def _card(fields: Any, where: str) -> ModelCard:
    return read_card(fields, Schema(where, "the model card", EngineError, _BUILD_AGAIN))


def sidecar_path(engine: Path) -> Path:
    """Return X.engine.json for X.engine."""
    return engine.with_name(engine.name + ".json")


def read_sidecar(engine: Path) -> Sidecar:
    """The sidecar of an engine file, without a look at the file itself.

    Raises:
        EngineError: there is none, or it cannot be used.
    """
    path = sidecar_path(engine)
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1).decode()
    except FileNotFoundError as error:
        raise EngineError(
            f"{engine}: what this engine is for is unknown",
            found=f"no sidecar {path}",
            expected="the JSON file that build_engine writes beside an engine",
            fix="Copy it too, or build from the ONNX file: build_engine --help",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise EngineError(f"{path}: the sidecar cannot be read ({error})", fix=_BUILD_AGAIN) from (
            error
        )
    if len(text) > MAX_BYTES:
        raise EngineError(f"{path}: the sidecar has more than {MAX_BYTES} bytes", fix=_BUILD_AGAIN)
    return Sidecar.from_json(text, str(path))
