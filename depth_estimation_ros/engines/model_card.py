"""What a network expects and what its output means, read from the model file itself.

A card is one JSON object in the ONNX metadata (key `METADATA_KEY`), or, for a network of another
house, the same fields in YAML beside the model. Both go through the same strict reader: a field
that is missing, unknown or out of range is an error that names it.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from depth_estimation_ros.errors import ModelError
from depth_estimation_ros.utils import field_rules as rules
from depth_estimation_ros.utils.yaml_file import read_yaml

CARD_VERSION = 1
METADATA_KEY = "depth_estimation_ros.model_card"

EXAMPLE_CARD = """\
card_version: 1
name: my-network
licence: Apache-2.0            # SPDX name of the weights' licence
input:
  height: 240                  # the size the network was made for
  width: 320
  multiple_of: null            # or 14, 32, ...: any height and width that are multiples of it
  color_order: rgb             # rgb | bgr
  dtype: float32               # uint8: bytes go in as they are | float32
  layout: NCHW                 # NCHW | NHWC
  mean: [0.485, 0.456, 0.406]  # of pixels in 0..1; both null for uint8
  std: [0.229, 0.224, 0.225]
output:
  kind: metric_depth           # metric_depth | inverse_depth | relative_depth
  unit: m                      # m | 1/m | "" in the same order
  min_depth: 0.1               # metres
  max_depth: 10.0
canonical_focal_px: null       # if set: metres = output * fx at network size / this
"""


@dataclass(frozen=True)
class InputSpec:
    """The picture a network takes.

    Attributes:
        height: nominal rows, a multiple of `multiple_of`.
        width: nominal columns, a multiple of `multiple_of`.
        color_order: order of the three channels.
        dtype: "uint8" (normalisation inside the graph) or "float32" ((x / 255 - mean) / std).
        layout: order of the axes; N is the batch, C the three colours.
        multiple_of: None: the size is fixed. Else any height and width that are multiples of it.
        mean: per channel in the card's colour order, for pixels in 0..1; None for uint8.
        std: as `mean`.
    """

    height: int
    width: int
    color_order: Literal["rgb", "bgr"]
    dtype: Literal["uint8", "float32"]
    layout: Literal["NHWC", "NCHW"]
    multiple_of: int | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class OutputSpec:
    """What one output pixel means. Depths run along the optical axis (Z), in metres.

    Attributes:
        kind: metric_depth, inverse_depth (1 / Z), or relative_depth (no unit, never metres).
        unit: "m" for metric_depth, "1/m" for metric inverse_depth, "" for anything without a unit.
        min_depth: nearest depth that the network tells, metres; in the camera of the card's
            canonical focal length, if it has one.
        max_depth: farthest depth that the network tells, likewise.
    """

    kind: Literal["metric_depth", "inverse_depth", "relative_depth"]
    unit: Literal["m", "1/m", ""]
    min_depth: float
    max_depth: float


@dataclass(frozen=True)
class ModelCard:
    """Everything the runtime and its user must know of a model file.

    Attributes:
        name: of the model.
        licence: SPDX name of the weights' licence.
        input: the picture it takes.
        output: what comes out.
        model_version: of the weights.
        encoder: name of the backbone.
        training_data: names of the data sets it learned from.
        canonical_focal_px: if set, metres = output * fx_at_network_size / canonical_focal_px.
        metrics: what it was measured at; each entry says data set, split, crop, cap, alignment
            and the numbers.
    """

    name: str
    licence: str
    input: InputSpec
    output: OutputSpec
    model_version: str = ""
    encoder: str = ""
    training_data: tuple[str, ...] = ()
    canonical_focal_px: float | None = None
    metrics: tuple[dict[str, Any], ...] = ()

    def to_json(self) -> str:
        """The card as JSON text, with its version, as `from_json` reads it."""
        fields = {"card_version": CARD_VERSION, **dataclasses.asdict(self)}
        return json.dumps(fields, indent=1, allow_nan=False)

    @classmethod
    def from_json(cls, text: str, source: str) -> ModelCard:
        """Reads a card from JSON.

        Args:
            text: the JSON object.
            source: where the text comes from, for error messages.

        Raises:
            ModelError: not JSON, a card version this release cannot read, or a field that is
                missing, unknown or wrong.
        """
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ModelError(
                f"{source}: the model card is not JSON ({error})",
                fix="Export the model again, or write its card in YAML beside the model",
            ) from error
        return _read_card(fields, source)

    @classmethod
    def from_yaml_file(cls, path: str | Path) -> ModelCard:
        """Reads a card from a YAML file; the fields are those of the JSON.

        Raises:
            ModelError: as `from_json`, or the file cannot be read.
        """
        try:
            fields = read_yaml(Path(path))
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(f"{path}: the model card cannot be read ({error})") from error
        except yaml.YAMLError as error:
            shown = " ".join(str(error).split())
            raise ModelError(
                f"{path}: the model card is not YAML ({shown})", fix="Mend that line"
            ) from error
        return _read_card(fields, str(path))


def card_of_model(text: str | None, path: Path) -> ModelCard:
    """The card of an ONNX file: the one inside it, else the one in YAML beside it.

    Args:
        text: what the file's metadata has for `METADATA_KEY`, if anything.
        path: of the ONNX file.

    Raises:
        ModelError: there is no card, or it cannot be used.
    """
    if text is not None:
        return ModelCard.from_json(text, str(path))
    beside = path.with_suffix(".card.yaml")
    if beside.is_file():
        return ModelCard.from_yaml_file(beside)
    raise ModelError(
        f"{path}: the model has no card, so what its numbers mean is unknown",
        found=f"no metadata '{METADATA_KEY}' and no file {beside}",
        expected="one of the two",
        fix=f"Write {beside} like this one, with this network's values:\n{EXAMPLE_CARD}",
    )


_INPUT_RULES: rules.Rules = {
    "height": rules.side,
    "width": rules.side,
    "color_order": rules.one_of("rgb", "bgr"),
    "dtype": rules.one_of("uint8", "float32"),
    "layout": rules.one_of("NHWC", "NCHW"),
    "multiple_of": rules.or_null(rules.side),
    "mean": rules.or_null(rules.per_channel(above_zero=False)),
    "std": rules.or_null(rules.per_channel(above_zero=True)),
}
_OUTPUT_RULES: rules.Rules = {
    "kind": rules.one_of("metric_depth", "inverse_depth", "relative_depth"),
    "unit": rules.one_of("m", "1/m", ""),
    "min_depth": rules.number(0.0, "metres, 0 or more"),
    "max_depth": rules.number(0.0, "metres above 0", above=True),
}
_CARD_RULES: rules.Rules = {
    "name": rules.some_text,
    "licence": rules.some_text,
    "input": rules.an_object,
    "output": rules.an_object,
    "model_version": rules.text,
    "encoder": rules.text,
    "training_data": rules.texts,
    "canonical_focal_px": rules.or_null(rules.number(0.0, "pixels above 0", above=True)),
    "metrics": rules.objects,
}


def _read_card(fields: Any, source: str) -> ModelCard:
    if not isinstance(fields, dict):
        raise ModelError(
            f"{source}: the model card is not an object with fields",
            found=type(fields).__name__,
            fix="Export the model again, or write the card anew",
        )
    version = fields.get("card_version")
    if version != CARD_VERSION or isinstance(version, bool):
        raise ModelError(
            f"{source}: field 'card_version'",
            found="nothing" if version is None else rules.shown(version),
            expected=f"{CARD_VERSION}, the only version this release reads",
            fix="Update depth_estimation_ros if the card is newer; export the model again if older",
        )
    fields = {key: value for key, value in fields.items() if key != "card_version"}
    problem = rules.Problem(ModelError, source, "Mend that field of the model card")
    values = rules.read_fields(ModelCard, _CARD_RULES, fields, problem)
    values["input"] = InputSpec(
        **rules.read_fields(InputSpec, _INPUT_RULES, values["input"], problem, "input.")
    )
    values["output"] = OutputSpec(
        **rules.read_fields(OutputSpec, _OUTPUT_RULES, values["output"], problem, "output.")
    )
    card = ModelCard(**values)
    _check_input(card.input, source)
    _check_output(card.output, source)
    return card


def _check_input(spec: InputSpec, source: str) -> None:
    for name in ("mean", "std"):
        value = getattr(spec, name)
        if spec.dtype == "uint8" and value is not None:
            raise _field_error(source, f"input.{name}", value, "null, because dtype is uint8")
        if spec.dtype == "float32" and value is None:
            neutral = "[0, 0, 0]" if name == "mean" else "[1, 1, 1]"
            expected = f"three numbers, because dtype is float32 ({neutral} for plain 0..1)"
            raise _field_error(source, f"input.{name}", "nothing", expected)
    for name in ("height", "width"):
        value = getattr(spec, name)
        if spec.multiple_of is not None and value % spec.multiple_of != 0:
            expected = f"a multiple of input.multiple_of, {spec.multiple_of}"
            raise _field_error(source, f"input.{name}", value, expected)


def _check_output(spec: OutputSpec, source: str) -> None:
    units = {"metric_depth": ("m",), "inverse_depth": ("1/m", ""), "relative_depth": ("",)}
    if spec.unit not in units[spec.kind]:
        expected = " or ".join(repr(unit) for unit in units[spec.kind])
        expected += f", because kind is {spec.kind}"
        raise _field_error(source, "output.unit", repr(spec.unit), expected)
    if spec.min_depth >= spec.max_depth:
        expected = f"more than output.min_depth, {spec.min_depth}"
        raise _field_error(source, "output.max_depth", spec.max_depth, expected)


def _field_error(source: str, field: str, found: object, expected: str) -> ModelError:
    return ModelError(
        f"{source}: field '{field}'",
        found=found,
        expected=expected,
        fix="Mend that field of the model card",
    )
