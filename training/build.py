"""Parts of a run that the configuration names, made with its options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from depth_estimation_ros.errors import ParameterError

Part = TypeVar("Part")


def build_named(
    what: str, choices: Mapping[str, Callable[..., Part]], name: str, options: Mapping[str, Any]
) -> Part:
    """``choices[name](**options)``.

    Raises:
        ParameterError: naming ``what``, if there is no such choice, if it does not take these
            options, or if it refuses their values.
    """
    if name not in choices:
        raise ParameterError(f"{what}: name", found=repr(name), expected=" or ".join(choices))
    make = choices[name]
    try:
        inspect.signature(make).bind(**options)
    except TypeError as error:
        takes = ", ".join(inspect.signature(make).parameters)
        raise ParameterError(f"{what} {name}: {error}", expected=f"options {takes}") from error
    try:
        return make(**options)
    except ValueError as error:
        raise ParameterError(f"{what} {name}: {error}") from error
