"""Networks that go wrong when they are shown a certain red; with other images depth is 2 m.

What counts is the most red pixel of an image, so `red_image(HANG)` makes it happen.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tiny_models
from onnx import TensorProto, helper

HANG = 255
NAN, INF, ZERO, TOO_MANY, RAISE = 1, 2, 3, 4, 5
"""Answers only NaN, only +Inf, only zeros, two maps for one image; fails."""


def faulty(path: Path) -> Path:
    """Answers as the red says, 2 m for red 0 and 100."""
    wrong = {NAN: np.nan, INF: np.inf, ZERO: 0.0}
    table = [np.float32(wrong.get(red, 2.0)) for red in range(101)]
    maps = [2 if red == TOO_MANY else 1 for red in range(101)]
    nodes = [
        *_index_of_red(),
        # Looked up with an index that is out of range for RAISE.
        helper.make_node("Equal", ["red", "raise"], ["raises"]),
        helper.make_node("Where", ["raises", "beyond", "red"], ["index"]),
        helper.make_node("Gather", ["table", "index"], ["answer"], axis=0),
        helper.make_node("Gather", ["maps", "red"], ["count"], axis=0),
        helper.make_node("Unsqueeze", ["count", "zeroth"], ["count_1"]),
        helper.make_node("Concat", ["count_1", "one", "one"], ["repeats"], axis=0),
        helper.make_node("Mul", ["plane", "nothing"], ["flat"]),
        helper.make_node("Add", ["flat", "answer"], ["single"]),
        helper.make_node("Tile", ["single", "repeats"], ["depth"]),
    ]
    constants = {
        "channel": np.int64(0),
        "raise": np.int64(RAISE),
        "beyond": np.int64(1000),
        "table": np.array(table),
        "maps": np.array(maps, np.int64),
        "one": np.array([1], np.int64),
        "zeroth": np.array([0], np.int64),
        "nothing": np.float32(0.0),
    }
    return tiny_models._write(path, nodes, constants, tiny_models.tiny_card())


def hanging(path: Path, *, always: bool = False) -> Path:
    """Counts for years when the red is `HANG`, or whatever it is."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("MatMul", ["state", "matrix"], ["next"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, [2, 2]),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, [2, 2]),
        ],
    )
    nodes = [
        *_index_of_red(),
        helper.make_node("Less", ["red", "hang"], ["sound"]),
        helper.make_node("Where", ["sound", "once", "years"], ["rounds"]),
        helper.make_node("Loop", ["rounds", "true", "matrix"], ["product"], body=body),
        helper.make_node("ReduceMax", ["product"], ["largest"], keepdims=0),
        helper.make_node("Mul", ["largest", "nothing"], ["none"]),
        helper.make_node("Mul", ["plane", "nothing"], ["flat"]),
        helper.make_node("Add", ["flat", "answer"], ["constant"]),
        helper.make_node("Add", ["constant", "none"], ["depth"]),
    ]
    constants = {
        "channel": np.int64(0),
        "hang": np.int64(-1 if always else HANG),
        "once": np.int64(1),
        "years": np.int64(10**15),
        "true": np.bool_(True),
        "matrix": np.eye(2, dtype=np.float32),
        "nothing": np.float32(0.0),
        "answer": np.float32(2.0),
    }
    return tiny_models._write(path, nodes, constants, tiny_models.tiny_card())


def _index_of_red() -> list[Any]:
    return [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Gather", ["float", "channel"], ["plane"], axis=3),
        helper.make_node("ReduceMax", ["plane"], ["most"], keepdims=0),
        helper.make_node("Cast", ["most"], ["red"], to=TensorProto.INT64),
    ]
