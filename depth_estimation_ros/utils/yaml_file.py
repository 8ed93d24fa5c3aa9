"""YAML files as data: of a stated size, and no larger in memory than on the disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

LARGEST = 1 << 16  # bytes; a model card has about 1000, a calibration 600; read in under a second
DEEPEST = 20  # values within values; a model card has 3
_OPENING = (
    yaml.BlockMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.FlowSequenceStartToken,
)
_CLOSING = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)


def read_yaml(path: Path) -> Any:
    """What a YAML file holds, as plain values.

    An alias makes one value appear in many places, and a few of them, each of several others, more
    values than any memory holds as soon as somebody copies or prints them.

    Raises:
        OSError: the file cannot be read.
        UnicodeDecodeError: it is not text.
        yaml.YAMLError: it is not YAML, larger than `LARGEST`, has aliases, or values within
            values deeper than `DEEPEST`.
    """
    with path.open("rb") as file:
        text = file.read(LARGEST + 1)
    if len(text) > LARGEST:
        raise yaml.YAMLError(f"more than {LARGEST} bytes")
    _check_tokens(text.decode())
    try:
        return yaml.safe_load(text)
    except ValueError as error:  # a date like 2026-99-99, a number of 5000 digits
        raise yaml.YAMLError(f"a value that cannot be ({error})") from error


def _check_tokens(text: str) -> None:
    depth = 0
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
        if depth > DEEPEST:  # the time for deeper ones grows with the square of their depth
            raise yaml.YAMLError(f"more than {DEEPEST} lists within lists")
        if isinstance(token, yaml.AliasToken):
            raise yaml.YAMLError("it has aliases (*name): write their values out")
