"""What a network expects and what its output means, read from the model file itself.

A card is one JSON object in the ONNX metadata (key `METADATA_KEY`), or, for a third-party
network, the same fields in YAML next to the model. Both go through the same strict reader: a field
that is missing, unknown or out of range is an error that names it.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml

from depth_estimation_ros.errors import ModelError
from depth_estimation_ros.utils.schema import Limit, NonEmptyText, Schema, read_yaml

CARD_VERSION = 1
METADATA_KEY = "depth_estimation_ros.model_card"
MAX_SIDE = 16384  # pixels; a card must not decide how much memory is taken
_FIX = "Correct the model card, or export the model again"

EXAMPLE_CARD = """\
card_version: 1
name: my-network
licence: Apache-2.0            # SPDX name of the weights' licence; `license` is read as well
made_for: any                  # indoor | outdoor | any
input:
  name: null                   # of the graph's input, where it has several
  height: 240                  # the size the network was made for
  width: 320
  multiple_of: null            # or 14, 32, ...: any height and width that are multiples of it
  color_order: rgb             # rgb | bgr
  dtype: float32               # uint8: bytes go in as they are | float32
  layout: NCHW                 # NCHW | NHWC
  mean: [0.485, 0.456, 0.406]  # of pixels in 0..1; both null for uint8
  std: [0.229, 0.224, 0.225]
output:
  name: null                   # of the graph's output, where it has several; others are ignored
  sky: null                    # or the output that is above 0.5 in the sky, which becomes +Inf
  kind: metric_depth           # metric_depth | inverse_depth | relative_depth
  unit: m                      # m | 1/m | "" in the same order
  min_depth: 0.1               # metres
  max_depth: 10.0
canonical_focal_px: null       # if set: metres = output * focal length at network size / this
"""


def _can_be_json(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (ValueError, TypeError):  # YAML has dates, sets and infinities, too
        return False
    return True


Side = Annotated[
    int,
    Limit(
        lambda side: 1 <= side <= MAX_SIDE,
        f"a whole number of at least 1 and at most {MAX_SIDE} pixels",
    ),
]
# Not for pixels in 0..255, as many sources give them.
_IN_0_1 = "three numbers for pixels in 0..1 (those for 0..255 divided by 255)"
Mean = Annotated[
    tuple[float, ...],
    Limit(lambda mean: len(mean) == 3 and min(mean) >= 0 and max(mean) <= 1, _IN_0_1),
]
Std = Annotated[
    tuple[float, ...],
    Limit(lambda std: len(std) == 3 and min(std) > 0 and max(std) <= 1, f"{_IN_0_1}, each above 0"),
]
Metrics = Annotated[
    dict[str, Any],
    Limit(_can_be_json, "a mapping of plain texts and finite numbers (quote dates)"),
]


@dataclass(frozen=True)
class InputSpec:
    """The image that a network takes.

    Attributes:
        height: nominal rows, a multiple of `multiple_of`.
        width: nominal columns, a multiple of `multiple_of`.
        color_order: order of the three channels.
        dtype: "uint8" (normalisation inside the graph) or "float32" ((x / 255 - mean) / std).
        layout: order of the axes; N is the batch, C the three colours.
        multiple_of: None: the size is fixed. Else any height and width that are multiples of it.
        mean: per channel in the card's colour order, for pixels in 0..1; None for uint8.
        std: as `mean`.
        name: of the graph's input; None: it has only one.
    """

    height: Side
    width: Side
    color_order: Literal["rgb", "bgr"]
    dtype: Literal["uint8", "float32"]
    layout: Literal["NHWC", "NCHW"]
    multiple_of: Side | None = None
    mean: Mean | None = None
    std: Std | None = None
    name: NonEmptyText | None = None


@dataclass(frozen=True)
class OutputSpec:
    """What one output pixel means. Depths run along the optical axis (Z), in metres.

    Attributes:
        kind: metric_depth, inverse_depth (1 / Z), or relative_depth (no unit, never metres).
        unit: "m" for metric_depth, "1/m" for metric inverse_depth, "" for anything without a unit.
        min_depth: nearest depth that the network tells, metres; in the camera of the card's
            canonical focal length, if it has one.
        max_depth: farthest depth that the network tells, likewise.
        name: of the graph's output; the others are ignored. None: it has only one.
        sky: name of the graph's output that is above 0.5 where the sky is, or None.
    """

    kind: Literal["metric_depth", "inverse_depth", "relative_depth"]
    unit: Literal["m", "1/m", ""]
    min_depth: Annotated[float, Limit(lambda depth: depth >= 0, "metres, 0 or more")]
    max_depth: Annotated[float, Limit(lambda depth: depth > 0, "metres above 0")]
    name: NonEmptyText | None = None
    sky: NonEmptyText | None = None


@dataclass(frozen=True)
class ModelCard:
    """Everything the runtime and its user must know of a model file.

    Attributes:
        name: of the model.
        licence: SPDX name of the weights' licence.
        input: the image it takes.
        output: what comes out.
        model_version: of the weights.
        encoder: name of the backbone.
        training_data: names of the data sets it learned from.
        made_for: the scenes that it learned from.
        source: where the weights come from: a repository, a folder, an address.
        revision: of the source: a commit, or "sha256:..." of the weights.
        canonical_focal_px: if set, metres = output * fx_at_network_size / canonical_focal_px; of a
            stretched image, fx is scaled by the geometric mean of both factors.
        metrics: what it was measured at; each entry says data set, split, crop, cap, alignment
            and the numbers.
    """

    name: NonEmptyText
    licence: NonEmptyText
    input: InputSpec
    output: OutputSpec
    model_version: str = ""
    encoder: str = ""
    training_data: tuple[str, ...] = ()
    made_for: Literal["indoor", "outdoor", "any"] = "any"
    source: str = ""
    revision: str = ""
    canonical_focal_px: (
        Annotated[float, Limit(lambda focal: focal > 0, "pixels above 0")] | None
    ) = None
    metrics: tuple[Metrics, ...] = ()

    def to_json(self) -> str:
        """Return the card as JSON, with its version, as `from_json` reads it."""
        fields = {"card_version": CARD_VERSION, **dataclasses.asdict(self)}
        return json.dumps(fields, indent=1, allow_nan=False)

    @classmethod
    def from_json(cls, text: str, source: str) -> ModelCard:
        """Read a card from JSON.

        Args:
            text: the JSON object.
            source: where the text comes from, for error messages.

        Raises:
            ModelError: not JSON, a card version this release cannot read, or a field that is
                missing, unknown or wrong.
        """
        schema = Schema(source, "the model card", ModelError, _FIX)
        return read_card(schema.parse_json(text), schema)

    @classmethod
    def from_yaml_file(cls, path: str | Path) -> ModelCard:
        """Read a card from a YAML file; the fields are those of the JSON.

        Raises:
            ModelError: as `from_json`, or the file cannot be read.
        """
        try:
            values = read_yaml(Path(path))
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(f"{path}: the model card cannot be read ({error})") from error
        except yaml.YAMLError as error:
            shown = " ".join(str(error).split())
            raise ModelError(
                f"{path}: the model card is not YAML ({shown})", fix="Fix that line"
            ) from error
        return read_card(values, Schema(str(path), "the model card", ModelError, _FIX))


def card_of_model(text: str | None, path: Path) -> ModelCard:
    """Return the card of an ONNX file: the one inside it, else the one in YAML next to it.

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


def read_card(values: Any, schema: Schema) -> ModelCard:
    """Return the card whose fields JSON or YAML gave.

    Raises:
        schema.error: a field is missing, unknown or wrong, or the card is of another version.
    """
    version_fix = (
        "Update depth_estimation_ros if the card is newer; export the model again if older"
    )
    values = schema.take_version(values, "card_version", CARD_VERSION, version_fix)
    if "licence" not in values and "license" in values:
        values["licence"] = values.pop("license")
    card: ModelCard = schema.build(ModelCard, values)
    _check_input(card.input, schema)
    _check_output(card.output, schema)
    return card


def _check_input(spec: InputSpec, schema: Schema) -> None:
    for name in ("mean", "std"):
        value = getattr(spec, name)
        if spec.dtype == "uint8" and value is not None:
            raise schema.wrong(f"input.{name}", value, "null, because dtype is uint8")
        if spec.dtype == "float32" and value is None:
            neutral = "[0, 0, 0]" if name == "mean" else "[1, 1, 1]"
            expected = f"three numbers, because dtype is float32 ({neutral} for plain 0..1)"
            raise schema.wrong(f"input.{name}", "nothing", expected)
    for name in ("height", "width"):
        value = getattr(spec, name)
        if spec.multiple_of is not None and value % spec.multiple_of != 0:
            expected = f"a multiple of input.multiple_of, {spec.multiple_of}"
            raise schema.wrong(f"input.{name}", value, expected)


def _check_output(spec: OutputSpec, schema: Schema) -> None:
    units = {"metric_depth": ("m",), "inverse_depth": ("1/m", ""), "relative_depth": ("",)}
    if spec.unit not in units[spec.kind]:
        expected = " or ".join(repr(unit) for unit in units[spec.kind])
        expected += f", because kind is {spec.kind}"
        raise schema.wrong("output.unit", repr(spec.unit), expected)
    if spec.min_depth >= spec.max_depth:
        expected = f"more than output.min_depth, {spec.min_depth}"
        raise schema.wrong("output.max_depth", spec.max_depth, expected)
