"""Cards that noise found: values that Python, JSON or a log cannot hold are the card's fault."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_models import tiny_card

from depth_estimation_ros.engines.model_card import EXAMPLE_CARD, ModelCard
from depth_estimation_ros.errors import ModelError


def read_yaml(folder: Path, was: str, becomes: str) -> ModelCard:
    assert was in EXAMPLE_CARD
    path = folder / "x.card.yaml"
    path.write_text(EXAMPLE_CARD.replace(was, becomes))
    return ModelCard.from_yaml_file(path)


def test_a_whole_number_beyond_floats_is_no_depth() -> None:
    text = tiny_card().to_json().replace('"max_depth": 10.0', f'"max_depth": 1{"0" * 400}')
    with pytest.raises(ModelError, match=r"'output.max_depth'.*metres above 0"):
        ModelCard.from_json(text, "card")


def test_half_a_character_is_no_name() -> None:
    text = tiny_card().to_json().replace('"tiny"', '"\\ud800"')
    with pytest.raises(ModelError, match=r"'name'.*a text of whole characters"):
        ModelCard.from_json(text, "card")


@pytest.mark.parametrize("value", ["2026-99-99", "9" * 5000])
def test_yaml_that_names_what_cannot_be(tmp_path: Path, value: str) -> None:
    with pytest.raises(ModelError, match="a value that cannot be"):
        read_yaml(tmp_path, "max_depth: 10.0", f"max_depth: {value}")


def test_a_number_of_thousands_of_digits_can_be_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="found int with a number of thousands of digits"):
        read_yaml(tmp_path, "max_depth: 10.0", f"max_depth: 0x{'f' * 5000}")


@pytest.mark.parametrize("value", ["2026-01-01", ".inf", "!!set {a}"])
def test_metrics_that_json_cannot_hold_are_refused_as_an_engine_carries_them(
    tmp_path: Path, value: str
) -> None:
    with pytest.raises(ModelError, match=r"'metrics'.*plain texts and finite numbers"):
        read_yaml(tmp_path, "canonical_focal_px: null", f"metrics: [{{rmse: {value}}}]\nencoder: x")
