"""Dataclasses filled from a mapping, with errors that name the key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from depth_estimation_ros.errors import ParameterError

Special = Mapping[Any, Callable[[Any, str], Any]]


def build(kind: Any, value: Any, where: str, special: Special | None = None) -> Any:
    """``value`` checked against ``kind``.

    Args:
        kind: a dataclass, a tuple of one kind, a Literal of texts, a plain type, or a union of
            plain types.
        value: as YAML or JSON gives it.
        where: names the value in errors.
        special: kinds that are written otherwise in the file, and what reads them.

    Raises:
        ParameterError: a key that is missing or unknown, or a value of another kind.
    """
    special = special or {}
    if kind in special:
        return special[kind](value, where)
    if isinstance(kind, type) and is_dataclass(kind):
        return _build_dataclass(kind, value, where, special)
    if get_origin(kind) is tuple:
        if not isinstance(value, (list, tuple)):
            raise ParameterError(f"{where} is not a list", found=value)
        return tuple(build(get_args(kind)[0], item, where, special) for item in value)
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise ParameterError(where, found=repr(value), expected=" or ".join(get_args(kind)))
        return value
    accepted = get_args(kind) or (kind,)  # of a union, its members
    if float in accepted:
        accepted = (*accepted, int)
    # To Python a bool is an int, to the reader of a file it is not.
    if isinstance(value, bool) != (kind is bool) or not isinstance(value, accepted):
        expected = " or ".join(sorted(member.__name__ for member in accepted))
        raise ParameterError(f"{where} has a wrong type", found=repr(value), expected=expected)
    return value


def _build_dataclass(kind: Any, value: Any, where: str, special: Special) -> Any:
    if not isinstance(value, Mapping):
        raise ParameterError(f"{where} is not a mapping", found=value)
    names = [field.name for field in fields(kind)]
    required = [field.name for field in fields(kind) if field.default is MISSING]
    unknown, missing = set(value) - set(names), set(required) - set(value)
    if unknown or missing:
        problem = f"unknown {sorted(unknown)}" if unknown else f"missing {sorted(missing)}"
        raise ParameterError(f"{where}: {problem}", expected=", ".join(names))
    hints = get_type_hints(kind)
    given = [name for name in names if name in value]
    return kind(
        **{name: build(hints[name], value[name], f"{where}: {name}", special) for name in given}
    )
