"""Writes networks of a few hundred bytes whose answers are known by heart.

Every function writes one ONNX file and returns its path. Inputs are named "image", outputs "depth".
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

from depth_estimation_ros.engines.model_card import (
    EXAMPLE_CARD,
    METADATA_KEY,
    InputSpec,
    ModelCard,
    OutputSpec,
)

RED_SCALE = 8.0 / 255.0  # red_depth(): red 0 -> 1 m, red 255 -> 9 m
RED_OFFSET = 1.0


def tiny_card(
    *,
    height: int = 48,
    width: int = 64,
    multiple_of: int | None = 8,
    min_depth: float = 0.1,
    max_depth: float = 10.0,
    canonical_focal_px: float | None = None,
    kind: str = "metric_depth",
    unit: str = "m",
) -> ModelCard:
    """The card of a uint8 RGB NHWC network, as the exporter of this project writes them."""
    return ModelCard(
        name="tiny",
        model_version="1",
        encoder="none",
        licence="MIT",
        training_data=("nothing",),
        input=InputSpec(height, width, "rgb", "uint8", "NHWC", multiple_of),
        output=OutputSpec(kind, unit, min_depth, max_depth),  # type: ignore[arg-type]
        canonical_focal_px=canonical_focal_px,
    )


def constant_depth(path: Path, depth: float = 2.0, card: ModelCard | None = None) -> Path:
    """Every pixel has the same output."""
    return affine_of_channel(path, 0.0, depth, 0, card)


def red_depth(path: Path, card: ModelCard | None = None) -> Path:
    """output = 1 + 8 * red / 255: depth that is read off the image pixel by pixel."""
    return affine_of_channel(path, RED_SCALE, RED_OFFSET, 0, card)


def affine_of_channel(
    path: Path, scale: float, offset: float, channel: int = 0, card: ModelCard | None = None
) -> Path:
    """output = offset + scale * image[..., channel], from (N, H, W, 3) uint8 to (N, H, W)."""
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Gather", ["float", "channel"], ["plane"], axis=3),
        helper.make_node("Mul", ["plane", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offset"], ["depth"]),
    ]
    constants = {
        "channel": np.int64(channel),
        "scale": np.float32(scale),
        "offset": np.float32(offset),
    }
    return _write(path, nodes, constants, card or tiny_card())


def slow_depth(
    path: Path, milliseconds: float, depth: float = 2.0, card: ModelCard | None = None
) -> Path:
    """`constant_depth` that takes about so long on one thread of this machine.

    A loop of matrix products whose result, times zero, is added to the answer. The count is
    calibrated here; a busy machine makes it slower, never much faster.
    """
    card = card or tiny_card()
    probe = 400
    _write_loop(path, probe, depth, card)
    rounds = max(1, round(probe * milliseconds / _milliseconds_of(path, card.input)))
    return _write_loop(path, rounds, depth, card)


def float_nchw(path: Path, channel: int = 0, *, height: int = 48, width: int = 64) -> Path:
    """A network of another house: float32 (N, 3, H, W) in, (N, 1, H, W) out, and no card inside.

    output = 5 + the normalised input channel, so mean, std and colour order show in the answer.
    """
    nodes = [
        helper.make_node("Gather", ["image", "channel"], ["plane"], axis=1),
        helper.make_node("Add", ["plane", "offset"], ["depth"]),
    ]
    constants = {"channel": np.array([channel], np.int64), "offset": np.float32(5.0)}
    return _write(
        path,
        nodes,
        constants,
        None,
        image=(TensorProto.FLOAT, ["n", 3, height, width]),
        depth=(TensorProto.FLOAT, ["n", 1, height, width]),
    )


def float_card(**changes: object) -> str:
    """YAML of a card for `float_nchw`, with other values of its input."""
    fields = yaml.safe_load(EXAMPLE_CARD)
    fields["input"] |= {"height": 48, "width": 64} | changes
    return yaml.safe_dump(fields)


def resave(path: Path, change: Callable[[onnx.ModelProto], None]) -> Path:
    """Applies `change` to the model of a file."""
    model = onnx.load(str(path))
    change(model)
    onnx.save(model, str(path))
    return path


def without_card(path: Path) -> Path:
    """A sound network that does not say what its numbers mean."""
    return _with_metadata(constant_depth(path), None)


def with_card_text(path: Path, text: str) -> Path:
    """A sound network whose card is this text."""
    return _with_metadata(constant_depth(path), text)


def with_card_version(path: Path, version: int = 99) -> Path:
    """A network whose card says that it is of another version."""
    text = tiny_card().to_json().replace('"card_version": 1', f'"card_version": {version}')
    return with_card_text(path, text)


def with_size(card: ModelCard, height: int, width: int, multiple_of: int | None) -> ModelCard:
    """The same card for another input size."""
    size = {"height": height, "width": width, "multiple_of": multiple_of}
    return dataclasses.replace(card, input=dataclasses.replace(card.input, **size))


def _write_loop(path: Path, rounds: int, depth: float, card: ModelCard) -> Path:
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("MatMul", ["state", "matrix"], ["next"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, [64, 64]),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, [64, 64]),
        ],
    )
    nodes = [
        helper.make_node("Loop", ["rounds", "true", "matrix"], ["product"], body=body),
        helper.make_node("ReduceMax", ["product"], ["largest"], keepdims=0),
        helper.make_node("Mul", ["largest", "zero"], ["nothing"]),
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Gather", ["float", "channel"], ["plane"], axis=3),
        helper.make_node("Mul", ["plane", "zero"], ["flat"]),
        helper.make_node("Add", ["flat", "offset"], ["constant"]),
        helper.make_node("Add", ["constant", "nothing"], ["depth"]),
    ]
    constants = {
        "rounds": np.int64(rounds),
        "true": np.bool_(True),
        "matrix": np.eye(64, dtype=np.float32),
        "zero": np.float32(0.0),
        "channel": np.int64(0),
        "offset": np.float32(depth),
    }
    return _write(path, nodes, constants, card)


def _milliseconds_of(path: Path, spec: InputSpec) -> float:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    feed = {"image": np.zeros((1, spec.height, spec.width, 3), np.uint8)}
    times = []
    for _ in range(4):
        start = time.perf_counter()
        session.run(None, feed)
        times.append(1e3 * (time.perf_counter() - start))
    return min(times)


def _write(
    path: Path,
    nodes: list[Any],
    constants: dict[str, Any],
    card: ModelCard | None,
    image: tuple[int, list[Any]] = (TensorProto.UINT8, ["n", "h", "w", 3]),
    depth: tuple[int, list[Any]] = (TensorProto.FLOAT, ["n", "h", "w"]),
) -> Path:
    if card is not None and card.input.multiple_of is None:
        image = (image[0], ["n", card.input.height, card.input.width, 3])
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", *image)],
        [helper.make_tensor_value_info("depth", *depth)],
        [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return _with_metadata(path, None if card is None else card.to_json())


def _with_metadata(path: Path, text: str | None) -> Path:
    model = onnx.load(str(path))
    helper.set_model_props(model, {} if text is None else {METADATA_KEY: text})
    onnx.save(model, str(path))
    return path
