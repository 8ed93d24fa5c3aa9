"""Typed files never take memory or time beyond a bound, whatever their text says."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest
from engine_cases import SIDECAR

from depth_estimation_ros.engines.model_card import ModelCard
from depth_estimation_ros.engines.tensorrt.engine_file import Sidecar, read_sidecar, sidecar_path
from depth_estimation_ros.errors import CalibrationError, EngineError, ModelError
from depth_estimation_ros.geometry.calibration_file import read_calibration

# Nine values, each of nine times the one before: 10^9 in a text of 300 bytes.
LAUGHS = "a0: &a0 [lol, lol, lol]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)
DEEP = "[" * 20_000
HUGE = "name: x\n" * (1 << 14)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (LAUGHS, "has aliases"),
        (f"metrics: {DEEP}", "more than 20 lists"),
        (HUGE, "more than 65536 bytes"),
        ("!!python/object/apply:os.system ['touch /tmp/owned']", "could not determine a const"),
    ],
    ids=["aliases", "deep", "huge", "python"],
)
def test_yaml_that_grows_or_acts_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "tiny.card.yaml"
    path.write_text(text)
    tracemalloc.start()
    with pytest.raises(ModelError, match=reason):
        ModelCard.from_yaml_file(path)
    with pytest.raises(CalibrationError, match=reason):
        read_calibration(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6


def test_json_without_end_is_refused() -> None:
    with pytest.raises(ModelError, match="not JSON"):
        ModelCard.from_json(DEEP, "tiny.onnx")
    with pytest.raises(EngineError, match="not JSON"):
        Sidecar.from_json(DEEP, "tiny.engine.json")


def test_a_huge_sidecar_is_refused_unread(tmp_path: Path) -> None:
    engine = tmp_path / "tiny.engine"
    with sidecar_path(engine).open("wb") as file:
        file.truncate(1 << 40)  # a hole: no disk is used
    with pytest.raises(EngineError, match="more than 1048576 bytes"):
        read_sidecar(engine)


def test_a_sidecar_with_a_huge_input_is_refused() -> None:
    fields = json.loads(SIDECAR.to_json())
    fields["profile"]["largest"][1] = 1 << 20
    with pytest.raises(EngineError, match=r"profile\.largest'.*at most 16384"):
        Sidecar.from_json(json.dumps(fields), "tiny.engine.json")
