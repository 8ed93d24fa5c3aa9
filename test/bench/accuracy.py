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


def read_equal_budget(network: str, folder: Path = FOLDER) -> dict[str, float]:
    """delta1 of a network that was trained on the same scenes, for as many steps, as its rivals.

    Args:
        network: name of its configuration in ``config/training/ablation``.
        folder: where ``equal_budget.json`` is, the ``ablation.json`` of ``python -m training
            ablation``.

    Returns:
        delta1 by alignment (none, median), with those of a constant as "constant, none" and
        "constant, median"; empty where nobody trained this network so.
    """
    path = folder / "equal_budget.json"
    candidates = json.loads(path.read_text())["candidates"] if path.exists() else []
    return {
        ("" if entry["predictor"] == "model" else "constant, ") + entry["alignment"]: entry[
            "delta1"
        ]
        for candidate in candidates
        if candidate["name"] == network
        for entry in candidate["metrics"]
    }
