"""What a model card says, and what each mistake in one is called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny_models import tiny_card

from depth_estimation_ros.engines.model_card import EXAMPLE_CARD, InputSpec, ModelCard, OutputSpec
from depth_estimation_ros.errors import ModelError


def card_with(path: str, value: Any) -> str:
    """The JSON of a good card with one field, such as "input.mean", set to `value`."""
    fields = json.loads(tiny_card().to_json())
    *outer, name = path.split(".")
    place = fields
    for key in outer:
        place = place[key]
    place[name] = value
    return json.dumps(fields)


def card_without(path: str) -> str:
    fields = json.loads(card_with(path, None))
    *outer, name = path.split(".")
    place = fields
    for key in outer:
        place = place[key]
    del place[name]
    return json.dumps(fields)


def message_of(text: str) -> str:
    with pytest.raises(ModelError) as caught:
        ModelCard.from_json(text, "a.onnx")
    return str(caught.value)


def test_json_brings_back_the_same_card() -> None:
    card = ModelCard(
        name="compact",
        model_version="0.1.0",
        encoder="tf_efficientnet_lite0",
        licence="MIT",
        training_data=("synthetic", "tum_fr1_rpy"),
        input=InputSpec(240, 320, "rgb", "uint8", "NHWC", 16),
        output=OutputSpec("metric_depth", "m", 0.1, 10.0),
        canonical_focal_px=277.5,
        metrics=({"data": "synthetic", "split": "val", "abs_rel": 0.1},),
    )
    text = card.to_json()
    assert json.loads(text)["card_version"] == 1
    assert ModelCard.from_json(text, "a.onnx") == card


def test_json_brings_back_the_same_float_card() -> None:
    spec = InputSpec(
        518, 518, "bgr", "float32", "NCHW", 14, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    )
    card = ModelCard("other", "Apache-2.0", spec, OutputSpec("inverse_depth", "1/m", 0.5, 80.0))
    assert ModelCard.from_json(card.to_json(), "a.onnx") == card


def test_example_card_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "network.card.yaml"
    path.write_text(EXAMPLE_CARD)
    card = ModelCard.from_yaml_file(path)
    assert card.input.mean == (0.485, 0.456, 0.406)
    assert (card.output.min_depth, card.output.max_depth) == (0.1, 10.0)


def test_yaml_and_json_give_the_same_card(tmp_path: Path) -> None:
    path = tmp_path / "tiny.card.yaml"
    path.write_text(yaml.safe_dump(json.loads(tiny_card().to_json())))
    assert ModelCard.from_yaml_file(path) == tiny_card()


@pytest.mark.parametrize("version", [0, 2, 99, "1", True, None])
def test_another_card_version_is_refused(version: object) -> None:
    message = message_of(card_with("card_version", version))
    assert message.startswith("a.onnx: field 'card_version': found ")
    assert "expected 1, the only version this release reads" in message
    assert "Update depth_estimation_ros" in message


def test_a_card_without_version_is_refused() -> None:
    assert "'card_version': found nothing, expected 1" in message_of(card_without("card_version"))


@pytest.mark.parametrize(
    "field",
    ["name", "licence", "input", "output", "input.height", "input.dtype", "output.max_depth"],
)
def test_a_missing_field_is_named(field: str) -> None:
    assert f"a.onnx: field '{field}': found nothing, expected " in message_of(card_without(field))


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "", "found '', expected a text that is not empty"),
        ("licence", 3, "found 3, expected a text that is not empty"),
        ("training_data", "nyu", "found 'nyu', expected a list, each entry a text"),
        ("input", 3, "found 3, expected a mapping of fields"),
        ("input.height", 0, "found 0, expected a whole number of at least 1"),
        ("input.height", 240.5, "found 240.5, expected a whole number of at least 1"),
        ("input.width", True, "found True, expected a whole number of at least 1"),
        ("input.width", 65, "found 65, expected a multiple of input.multiple_of, 8"),
        ("input.color_order", "RGB", "found 'RGB', expected 'rgb' or 'bgr'"),
        ("input.dtype", "float16", "found 'float16', expected 'uint8' or 'float32'"),
        ("input.dtype", ["uint8"], "found ['uint8'], expected 'uint8' or 'float32'"),
        ("input.layout", "HWC", "found 'HWC', expected 'NHWC' or 'NCHW'"),
        (
            "input.multiple_of",
            0,
            "expected a whole number of at least 1 and at most 16384 pixels, or null",
        ),
        ("input.mean", [0.5, 0.5, 0.5], "expected null, because dtype is uint8"),
        ("input.mean", [0.5], "expected three numbers for pixels in 0..1"),
        ("input.mean", [124, 116, 104], "(those for 0..255 divided by 255), or null"),
        ("input.std", [0.2, 0.2, 0], "divided by 255), each above 0, or null"),
        ("output.kind", "depth", "expected 'metric_depth' or 'inverse_depth' or 'relative_depth'"),
        ("output.unit", "mm", "found 'mm', expected 'm' or '1/m' or ''"),
        ("output.unit", "1/m", "found '1/m', expected 'm', because kind is metric_depth"),
        ("output.min_depth", -0.1, "found -0.1, expected metres, 0 or more"),
        ("output.min_depth", 10.0, "'output.max_depth': found 10.0, expected more than"),
        ("output.max_depth", 0, "found 0, expected metres above 0"),
        ("output.max_depth", "1e1", "not a text (YAML reads 1e-3 as a text: write 0.001)"),
        ("output.max_depth", float("inf"), "found inf, expected metres above 0"),
        ("output.max_depth", float("nan"), "found nan, expected metres above 0"),
        ("canonical_focal_px", 0, "found 0, expected pixels above 0, or null"),
        ("metrics", [1], "found [1], expected a list, each entry a mapping"),
    ],
)
def test_a_wrong_value_is_named(field: str, value: object, said: str) -> None:
    message = message_of(card_with(field, value))
    assert message.startswith("a.onnx: field '")
    assert said in message


@pytest.mark.parametrize("field", ["mean", "std"])
def test_a_float_network_must_say_its_normalisation(field: str) -> None:
    fields = yaml.safe_load(EXAMPLE_CARD)
    fields["input"][field] = None
    message = message_of(json.dumps(fields))
    assert f"field 'input.{field}': found nothing, expected three numbers" in message


def test_an_unknown_field_names_the_nearest_one() -> None:
    message = message_of(card_with("input.colour_order", "rgb"))
    assert "a.onnx: unknown field 'input.colour_order': found 'rgb'" in message
    assert message.endswith("Did you mean 'input.color_order'?")
    assert message_of(card_with("zzz", 1)).endswith("Remove the field")


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "is not JSON"), ("{", "is not JSON"), ("[]", "not an object"), ("null", "not an object")],
)
def test_text_without_a_card_is_refused(text: str, said: str) -> None:
    message = message_of(text)
    assert message.startswith("a.onnx: the model card ")
    assert said in message


def test_a_yaml_file_that_cannot_be_parsed_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.card.yaml"
    path.write_text("card_version: 1\nname: [\n")
    with pytest.raises(ModelError, match=r"bad\.card\.yaml: the model card is not YAML .*line 3"):
        ModelCard.from_yaml_file(path)


def test_a_yaml_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.card\.yaml: the model card cannot be read"):
        ModelCard.from_yaml_file(tmp_path / "none.card.yaml")


@pytest.mark.parametrize("field", ["height", "width", "multiple_of"])
def test_a_card_with_a_huge_input_is_refused(field: str) -> None:
    fields = json.loads(tiny_card().to_json())
    fields["input"][field] = 1 << 20
    with pytest.raises(ModelError, match=rf"input\.{field}'.*at most 16384"):
        ModelCard.from_json(json.dumps(fields), "tiny.onnx")


def read_yaml(folder: Path, was: str, becomes: str) -> ModelCard:
    assert was in EXAMPLE_CARD
    path = folder / "x.card.yaml"
    path.write_text(EXAMPLE_CARD.replace(was, becomes))
    return ModelCard.from_yaml_file(path)


def test_a_whole_number_beyond_floats_is_refused() -> None:
    text = tiny_card().to_json().replace('"max_depth": 10.0', f'"max_depth": 1{"0" * 400}')
    with pytest.raises(ModelError, match=r"'output.max_depth'.*metres above 0"):
        ModelCard.from_json(text, "card")


def test_half_a_character_is_refused() -> None:
    text = tiny_card().to_json().replace('"tiny"', '"\\ud800"')
    with pytest.raises(ModelError, match=r"'name'.*a text that is not empty of whole characters"):
        ModelCard.from_json(text, "card")


@pytest.mark.parametrize("value", ["2026-99-99", "9" * 5000])
def test_yaml_with_impossible_values_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(ModelError, match="a value that cannot be"):
        read_yaml(tmp_path, "max_depth: 10.0", f"max_depth: {value}")


def test_a_number_of_thousands_of_digits_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="found int with a number of thousands of digits"):
        read_yaml(tmp_path, "max_depth: 10.0", f"max_depth: 0x{'f' * 5000}")


@pytest.mark.parametrize("value", ["2026-01-01", ".inf", "!!set {a}"])
def test_metrics_that_json_cannot_hold_are_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(ModelError, match=r"'metrics'.*plain texts and finite numbers"):
        read_yaml(tmp_path, "canonical_focal_px: null", f"metrics: [{{rmse: {value}}}]\nencoder: x")


def test_license_and_origin_are_read_from_yaml(tmp_path: Path) -> None:
    path = tmp_path / "a.card.yaml"
    more = "source: org/name\nrevision: 1a2b\n"
    path.write_text(EXAMPLE_CARD.replace("licence: Apache", "license: Apache") + more)
    card = ModelCard.from_yaml_file(path)
    assert (card.licence, card.made_for) == ("Apache-2.0", "any")
    assert (card.source, card.revision) == ("org/name", "1a2b")


def test_license_twice_is_refused() -> None:
    fields = {**json.loads(tiny_card().to_json()), "license": "MIT"}
    assert "unknown field 'license'" in message_of(json.dumps(fields))
