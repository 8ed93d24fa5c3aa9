"""Typed files: YAML and JSON of bounded size, checked against the type hints of a dataclass."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import yaml

from depth_estimation_ros.errors import DepthEstimationError, ParameterError

MAX_BYTES = 1 << 16  # of YAML; a model card has about 1000, a calibration 600
MAX_DEPTH = 20  # values within values; a model card has 3
_OPENING = (
    yaml.BlockMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.FlowSequenceStartToken,
)
_CLOSING = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)
_WORDS = {
    str: "a text",
    int: "a whole number",
    float: "a finite number",
    bool: "true or false",
    dict: "a mapping of fields",
    NoneType: "null",
}


@dataclass(frozen=True)
class Limit:
    """What a value must be beyond its type; stands in `typing.Annotated[type, Limit(...)]`.

    Attributes:
        holds: returns whether a value of the type is accepted.
        words: completes "expected ..." in errors, type included.
    """

    holds: Callable[[Any], object]
    words: str


NonEmptyText = Annotated[str, Limit(str.strip, "a text that is not empty")]
PositiveInt = Annotated[int, Limit(lambda value: value >= 1, "a whole number of at least 1")]


@dataclass(frozen=True)
class Schema:
    """How values are read, and how a wrong one is reported.

    Attributes:
        source: the file, for messages.
        what: the kind of file: "the model card".
        error: the exception to raise.
        fix: the next step for a field that is missing or wrong.
        special: types that the file writes in another form, and the functions (value, where) that
            read them.
    """

    source: str
    what: str = "the file"
    error: type[DepthEstimationError] = ParameterError
    fix: str | None = None
    special: Mapping[Any, Callable[[Any, str], Any]] | None = None

    def build(self, kind: Any, value: Any, name: str = "") -> Any:
        """Return `value` checked against `kind`, in its final type.

        Args:
            kind: a dataclass, str, int, float, bool, dict, Any, a tuple, a Literal of texts, one
                of these or None, or one of these with a `Limit`. A float may be a whole number.
            value: as YAML or JSON gives it.
            name: of the field, "input.height".

        Raises:
            error: a field is missing, unknown, or of another type or beyond its limit.
        """
        if self.special and kind in self.special:
            return self.special[kind](value, f"{self.source}: field '{name}'")
        if is_dataclass(kind):
            return self._build_dataclass(kind, value, name)
        entry = get_args(kind)[0] if get_origin(kind) is tuple else None
        nested = is_dataclass(entry) or (self.special and entry in self.special)
        if nested and isinstance(value, list | tuple):
            return tuple(
                self.build(entry, item, f"{name}[{index}]") for index, item in enumerate(value)
            )
        try:
            return _convert(kind, value)
        except _WrongValueError as hint:
            raise self.wrong(name, shown(value), f"{_words(kind)}{hint}") from None

    def wrong(self, name: str, found: object, expected: str) -> DepthEstimationError:
        """Return the error for a field."""
        what = f"{self.source}: field '{name}'" if name else self.source
        return self.error(what, found=found, expected=expected, fix=self.fix)

    def take_version(self, values: Any, key: str, version: int, fix: str) -> dict[str, Any]:
        """Return the fields of a file without its version.

        Raises:
            error: the values are not a mapping, or of another version.
        """
        if not isinstance(values, dict):
            raise self.error(
                f"{self.source}: {self.what} is not an object with fields",
                found=type(values).__name__,
                fix=self.fix,
            )
        found = values.get(key)
        if found != version or type(found) is not int:
            raise self.error(
                f"{self.source}: field '{key}'",
                found="nothing" if found is None else shown(found),
                expected=f"{version}, the only version this release reads",
                fix=fix,
            )
        return {name: value for name, value in values.items() if name != key}

    def parse_json(self, text: str) -> Any:
        """Return the values of a JSON text.

        Raises:
            error: it is not JSON.
        """
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self.error(
                f"{self.source}: {self.what} is not JSON ({error})", fix=self.fix
            ) from error

    def _build_dataclass(self, kind: Any, values: Any, name: str) -> Any:
        if not isinstance(values, Mapping):
            raise self.wrong(name, shown(values), _WORDS[dict])
        prefix = f"{name}." if name else ""
        known = [field.name for field in fields(kind)]
        for key in values:
            if key not in known:
                near = difflib.get_close_matches(str(key), known, n=1)
                raise self.error(
                    f"{self.source}: unknown field '{prefix}{key}'",
                    found=shown(values[key]),
                    expected=f"one of {', '.join(known)}",
                    fix=f"Did you mean '{prefix}{near[0]}'?" if near else "Remove the field",
                )
        hints = get_type_hints(kind, include_extras=True)
        for field in fields(kind):
            required = field.default is MISSING and field.default_factory is MISSING
            if required and field.name not in values:
                raise self.wrong(prefix + field.name, "nothing", _words(hints[field.name]))
        return kind(
            **{key: self.build(hints[key], value, prefix + key) for key, value in values.items()}
        )


def read_yaml(path: Path) -> Any:
    """Return the plain values of a YAML file.

    Aliases are refused: a few of them, each of several others, stand for more values than memory
    holds.

    Raises:
        OSError: the file cannot be read.
        UnicodeDecodeError: it is not text.
        yaml.YAMLError: it is not YAML, larger than `MAX_BYTES`, has aliases, or is nested deeper
            than `MAX_DEPTH`.
    """
    with path.open("rb") as file:
        text = file.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        raise yaml.YAMLError(f"more than {MAX_BYTES} bytes")
    depth = 0
    for token in yaml.scan(text.decode(), Loader=yaml.SafeLoader):
        depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
        if depth > MAX_DEPTH:  # the time to read grows with the square of the depth
            raise yaml.YAMLError(f"more than {MAX_DEPTH} lists within lists")
        if isinstance(token, yaml.AliasToken):
            raise yaml.YAMLError("it has aliases (*name): write their values out")
    try:
        return yaml.safe_load(text)
    except ValueError as error:  # a date like 2026-99-99, a number of 5000 digits
        raise yaml.YAMLError(f"a value that cannot be ({error})") from error


def shown(value: Any) -> str:
    """Return the value as Python writes it; Python refuses whole numbers of 4300 digits."""
    try:
        return repr(value)
    except ValueError:
        return f"{type(value).__name__} with a number of thousands of digits"


class _WrongValueError(Exception):
    """A value that its type does not accept; the text may add to the words of the type."""


def _convert(kind: Any, value: Any) -> Any:
    arguments, origin = get_args(kind), get_origin(kind) or kind
    if origin is Any or (value is None and NoneType in arguments):
        return value
    if NoneType in arguments:
        return _convert(arguments[0], value)
    if origin is Annotated:
        value = _convert(arguments[0], value)
        if arguments[1].holds(value):
            return value
    elif origin is Literal:
        if isinstance(value, str) and value in arguments:
            return value
    elif origin is tuple:
        if isinstance(value, list | tuple):
            return tuple(_convert(arguments[0], item) for item in value)
    elif origin is float:
        return _convert_float(value)
    # To Python a bool is an int, to the reader of a file it is not.
    elif isinstance(value, origin) and isinstance(value, bool) == (origin is bool):
        if origin is str and value != value.encode(errors="replace").decode():
            raise _WrongValueError(" of whole characters")  # JSON can name lone surrogates
        return value
    raise _WrongValueError


def _convert_float(value: Any) -> float:
    if isinstance(value, str):
        raise _WrongValueError(", not a text (YAML reads 1e-3 as a text: write 0.001)")
    try:
        if not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    except (TypeError, OverflowError):  # not a number; a whole number of 400 digits
        pass
    raise _WrongValueError


def _words(kind: Any) -> str:
    """Return what completes "expected ..." for a type."""
    arguments, origin = get_args(kind), get_origin(kind) or kind
    if origin is Annotated:
        return arguments[1].words
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if origin is tuple:
        return f"a list, each entry {_words(arguments[0])}"
    if NoneType in arguments:
        return f"{_words(arguments[0])}, or null"
    return _WORDS.get(origin, _WORDS[dict])
