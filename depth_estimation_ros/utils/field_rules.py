"""Rules for the fields of a file, and the strict reader that applies them.

A rule takes a value as JSON or YAML gives it and returns it in its final type, or raises `Wrong`,
whose text completes the sentence "expected ...".
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from depth_estimation_ros.errors import DepthEstimationError

Rules = Mapping[str, Callable[[Any], Any]]
LARGEST_SIDE = 16384  # pixels


class Wrong(Exception):
    """A value that breaks a field's rule; the text says what the rule is."""


@dataclass(frozen=True)
class Problem:
    """How to report a wrong field.

    Attributes:
        error: the exception to raise.
        source: the file, for the message.
        fix: the next step for a field that is missing or wrong.
    """

    error: type[DepthEstimationError]
    source: str
    fix: str


def read_fields(
    cls: type, rules: Rules, fields: Mapping[str, Any], problem: Problem, prefix: str = ""
) -> dict[str, Any]:
    """Checks one object of a file against its dataclass.

    Args:
        cls: the dataclass; its fields without a default must be there.
        rules: one for each field of `cls`.
        fields: the object as JSON or YAML gives it.
        problem: how to report a wrong field.
        prefix: of field names in messages, "input." for those of an inner object.

    Returns:
        The values by name, in their final types.

    Raises:
        problem.error: a field is missing, unknown or breaks its rule.
    """
    for name in fields:
        if name not in rules:
            near = difflib.get_close_matches(str(name), rules, n=1)
            raise problem.error(
                f"{problem.source}: unknown field '{prefix}{name}'",
                found=shown(fields[name]),
                expected=f"one of {', '.join(rules)}",
                fix=f"Did you mean '{prefix}{near[0]}'?" if near else "Take the field out",
            )
    values = {}
    for field in dataclasses.fields(cls):
        required = field.default is dataclasses.MISSING
        if field.name not in fields and not required:
            continue
        try:
            values[field.name] = rules[field.name](fields.get(field.name))
            if field.name not in fields:
                raise Wrong("a value, or null")
        except Wrong as wrong:
            raise problem.error(
                f"{problem.source}: field '{prefix}{field.name}'",
                found=shown(fields[field.name]) if field.name in fields else "nothing",
                expected=str(wrong),
                fix=problem.fix,
            ) from None
    return values


def shown(value: Any) -> str:
    """The value as Python writes it; not a whole number of so many digits that Python refuses."""
    try:
        return repr(value)
    except ValueError:
        return f"{type(value).__name__} with a number of thousands of digits"


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise Wrong("a text")
    try:
        value.encode()
    except UnicodeEncodeError:  # lone surrogates, which JSON can name, and no log can write
        raise Wrong("a text of whole characters") from None
    return value


def some_text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise Wrong("a text that is not empty")
    return text(value)


def texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise Wrong("a list of texts")
    return tuple(map(text, value))


def one_of(*choices: str) -> Callable[[Any], str]:
    def rule(value: Any) -> str:
        if value not in choices:
            raise Wrong(" or ".join(repr(choice) for choice in choices))
        return value

    return rule


def whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise Wrong("a whole number of at least 1")
    return value


def side(value: Any) -> int:
    """Of a picture: a number beyond any camera's must not decide how much memory is taken."""
    if whole(value) > LARGEST_SIDE:
        raise Wrong(f"at most {LARGEST_SIDE} pixels")
    return int(value)


def number(low: float, words: str, *, above: bool = False) -> Callable[[Any], float]:
    def rule(value: Any) -> float:
        if isinstance(value, str):
            raise Wrong(f"{words}, not a text (YAML reads 1e-3 as a text: write 0.001)")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Wrong(words)
        try:
            value = float(value)
        except OverflowError:  # a whole number of 400 digits
            raise Wrong(words) from None
        if not math.isfinite(value) or value < low or (above and value == low):
            raise Wrong(words)
        return value

    return rule


def per_channel(*, above_zero: bool) -> Callable[[Any], tuple[float, ...]]:
    words = "three numbers for pixels in 0..1" + (", each above 0" if above_zero else "")
    one = number(0.0, words, above=above_zero)

    def rule(value: Any) -> tuple[float, ...]:
        if not isinstance(value, list) or len(value) != 3:
            raise Wrong(words)
        numbers = tuple(one(entry) for entry in value)
        if max(numbers) > 1.0:
            raise Wrong(f"{words} (divide by 255 if they are for pixels in 0..255)")
        return numbers

    return rule


def an_object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Wrong("an object with fields")
    return value


def objects(value: Any) -> tuple[dict[str, Any], ...]:
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise Wrong("a list of objects, each with data set, split, crop, cap and numbers")
    try:
        json.dumps(value, allow_nan=False)
    except (ValueError, TypeError):  # YAML has dates, sets and infinities, too
        raise Wrong("objects of plain texts and finite numbers (quote dates)") from None
    return tuple(value)


def or_null(rule: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def either(value: Any) -> Any:
        if value is None:
            return None
        try:
            return rule(value)
        except Wrong as wrong:
            raise Wrong(f"{wrong}, or null") from None

    return either
