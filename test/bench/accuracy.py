"""What is known of a network's accuracy: from an evaluation's JSON, or from its own card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "benchmarks" / "accuracy"
KEPT = ("dataset", "frames", "cap_m", "camera", "abs_rel", "delta1")


def read_accuracy(name: str, card_metrics: Any = (), folder: Path = FOLDER) -> list[dict[str, Any]]:
    """The network's own scores without alignment, one a data set; none if nobody measured any.

    Args:
        name: of the network with its precision. ``<name>.json`` in ``folder``, written by ``python
            -m training evaluate --json``, counts for more than the card.
        card_metrics: ``metrics`` of the card of this very file.
        folder: of those files.
    """
    path = folder / f"{name}.json"
    entries = json.loads(path.read_text()) if path.exists() else card_metrics
    return [
        {key: entry.get(key) for key in KEPT}
        for entry in entries
        if entry["predictor"] == "model" and entry["alignment"] == "none"
    ]
