"""docs/quickstart.ipynb: its code runs from top to bottom."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "quickstart.ipynb"


def test_notebook_gives_metres_and_a_cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib").use("agg")
    monkeypatch.chdir(tmp_path)
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    names: dict = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []  # the file stays small
            exec("".join(cell["source"]), names)
    depth = names["depth"]
    assert depth.shape == names["rgb"].shape[:2]
    assert np.nanmedian(depth) == pytest.approx(3.33, rel=0.35)  # the ground truth of that frame
    assert names["count"] > 0.9 * depth.size
    assert Path("cloud.ply").stat().st_size > 15 * names["count"]
