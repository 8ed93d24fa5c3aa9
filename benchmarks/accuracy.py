"""What is known of a network's accuracy: from its card, and from a training beside its rivals."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "benchmarks" / "accuracy"
KEPT = ("dataset", "frames", "cap_m", "camera", "abs_rel", "delta1")


def scores_of_card(metrics: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The network's own scores without alignment, one a data set.

    Args:
        metrics: of the card inside the network's file.
    """
    return [
        {key: entry.get(key) for key in KEPT}
        for entry in metrics
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
    entries = [
        entry
        for candidate in candidates
        if candidate["name"] == network
        for entry in candidate["metrics"]
    ]
    if len({entry["path"] for entry in entries}) > 1:
        raise ValueError(f"{path} has scores on several data sets; one is expected")
    return {
        ("" if entry["predictor"] == "model" else "constant, ") + entry["alignment"]: entry[
            "delta1"
        ]
        for entry in entries
    }
