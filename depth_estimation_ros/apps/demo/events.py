"""How the processes of the demo report: one JSON object a line on standard output."""

from __future__ import annotations

import json
from typing import Any


def emit(event: str, **values: Any) -> None:
    """Say that something happened; the session reads it in the order it was said."""
    print(json.dumps({"event": event, **values}), flush=True)


def parse(line: str) -> dict[str, Any] | None:
    """The event in a line; None for any other text that found its way to standard output."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None
