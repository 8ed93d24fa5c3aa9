"""The result of a soak as JSON."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any


def write(result: dict[str, Any], path: Path) -> None:
    """Write the result; a number that is not finite (a way back that never ended) is null."""
    path.write_text(json.dumps(_finite(result), indent=1, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
