"""The sidecar: a JSON file beside an engine that says what it was built from, by what, for what.

An engine file itself says none of that: TensorRT would only refuse it, or crash. So the sidecar is
compared first, and a difference is told in words.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from depth_estimation_ros import __version__
from depth_estimation_ros.engines.model_card import ModelCard
from depth_estimation_ros.engines.tensorrt.api import FLAVOURS, Flavour
from depth_estimation_ros.engines.tensorrt.shapes import Profile
from depth_estimation_ros.errors import EngineError, ModelError
from depth_estimation_ros.utils import field_rules as rules

SIDECAR_VERSION = 1
LARGEST = 1 << 20  # bytes; a sidecar has about 2000
PRECISIONS = ("fp32", "fp16", "int8")
_BUILD_AGAIN = "Build the engine again: build_engine --help"


@dataclass(frozen=True)
class Settings:
    """What was asked of the builder beside precision and shapes.

    Attributes:
        workspace_mb: most memory that one layer may use on the GPU, MiB; None: no limit of ours.
        calibration: the folder or bag whose pictures set the ranges of int8; None: not int8.
    """

    workspace_mb: int | None = None
    calibration: str | None = None


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

    model: str
    card: ModelCard
    onnx_sha256: str
    precision: str
    profile: Profile
    flavour: Flavour
    tensorrt_version: str
    gpu_name: str | None
    compute_capabilities: tuple[str, ...]
    cuda_version: str | None
    settings: Settings
    plan_sha256: str
    plan_bytes: int
    built_by: str = f"depth_estimation_ros {__version__}"

    def to_json(self) -> str:
        """As `from_json` reads it."""
        fields = dataclasses.asdict(self) | {"card": json.loads(self.card.to_json())}
        return json.dumps({"sidecar_version": SIDECAR_VERSION, **fields}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str) -> Sidecar:
        """Reads a sidecar.

        Args:
            text: a JSON object.
            source: where it comes from, for messages.

        Raises:
            EngineError: not JSON, of another version, or a field is missing, unknown or wrong.
        """
        fields = _read_object(text, source)
        problem = rules.Problem(EngineError, source, _BUILD_AGAIN)
        values = rules.read_fields(cls, _SIDECAR_RULES, fields, problem)
        try:
            values["card"] = ModelCard.from_json(json.dumps(values["card"]), source)
        except ModelError as error:
            raise EngineError(
                f"{source}: the model card in the sidecar cannot be used ({error})",
                fix=_BUILD_AGAIN,
            ) from error
        for name, kind, known in (
            ("profile", Profile, _PROFILE_RULES),
            ("settings", Settings, _SETTINGS_RULES),
        ):
            values[name] = kind(**rules.read_fields(kind, known, values[name], problem, f"{name}."))
        sidecar = cls(**values)
        _check_profile(sidecar.profile, source)
        return sidecar


def sidecar_path(engine: Path) -> Path:
    """X.engine -> X.engine.json."""
    return engine.with_name(engine.name + ".json")


def read_sidecar(engine: Path) -> Sidecar:
    """The sidecar of an engine file, without a look at the file itself.

    Raises:
        EngineError: there is none, or it cannot be used.
    """
    path = sidecar_path(engine)
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST + 1).decode()
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
    if len(text) > LARGEST:
        raise EngineError(f"{path}: the sidecar has more than {LARGEST} bytes", fix=_BUILD_AGAIN)
    return Sidecar.from_json(text, str(path))


def _read_object(text: str, source: str) -> dict[str, Any]:
    """The JSON object, if it is of the version that is read here, without that version."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise EngineError(
            f"{source}: the sidecar is not JSON ({error})", fix=_BUILD_AGAIN
        ) from error
    if not isinstance(fields, dict):
        raise EngineError(
            f"{source}: the sidecar is not an object with fields",
            found=type(fields).__name__,
            fix=_BUILD_AGAIN,
        )
    version = fields.pop("sidecar_version", None)
    if version != SIDECAR_VERSION or isinstance(version, bool | float):
        raise EngineError(
            f"{source}: field 'sidecar_version'",
            found="nothing" if version is None else repr(version),
            expected=f"{SIDECAR_VERSION}, the only version this release reads",
            fix="Update depth_estimation_ros if the engine is newer, or build it again: "
            "build_engine --help",
        )
    return fields


def _like(pattern: str, words: str) -> Callable[[Any], str]:
    def rule(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise rules.Wrong(words)
        return value

    return rule


def _list_of(rule: Callable[[Any], Any], words: str) -> Callable[[Any], tuple[Any, ...]]:
    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or not value:
            raise rules.Wrong(words)
        return tuple(map(rule, value))

    return read


def _shape(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) != 4:
        raise rules.Wrong("four whole numbers")
    return tuple(map(rules.side, value))


def _check_profile(profile: Profile, source: str) -> None:
    if not (profile.takes(profile.smallest) and profile.takes(profile.best)):
        raise EngineError(
            f"{source}: field 'profile'",
            found=f"{profile.smallest}, {profile.best}, {profile.largest}",
            expected="three shapes that nowhere get smaller",
            fix=_BUILD_AGAIN,
        )


_sha256 = _like("[0-9a-f]{64}", "a SHA-256 of 64 hexadecimal digits")
_two_numbers = _like(r"[0-9]{1,4}\.[0-9]{1,4}", 'a text like "8.6"')
_SIDECAR_RULES: rules.Rules = {
    "model": rules.some_text,
    "card": rules.an_object,
    "onnx_sha256": _sha256,
    "precision": rules.one_of(*PRECISIONS),
    "profile": rules.an_object,
    "flavour": rules.one_of(*FLAVOURS),
    "tensorrt_version": _like(r"[0-9]{1,4}(\.\w{1,20}){1,8}", 'a text like "10.16.1.11"'),
    "gpu_name": rules.or_null(rules.some_text),
    "compute_capabilities": _list_of(_two_numbers, 'a list of texts like "8.6"'),
    "cuda_version": rules.or_null(_two_numbers),
    "settings": rules.an_object,
    "plan_sha256": _sha256,
    "plan_bytes": rules.whole,
    "built_by": rules.text,
}
_PROFILE_RULES: rules.Rules = {"smallest": _shape, "best": _shape, "largest": _shape}
_SETTINGS_RULES: rules.Rules = {
    "workspace_mb": rules.or_null(rules.whole),
    "calibration": rules.or_null(rules.some_text),
}
