"""Float networks of a few nodes with known answers, for the tests of precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from depth_estimation_ros.engines.model_card import METADATA_KEY, ModelCard


def network(
    nodes: list[tuple[Any, ...]],
    weights: dict[str, np.ndarray],
    *,
    dtype: int = TensorProto.FLOAT,
    shape: tuple[Any, ...] = ("n", 3, "h", "w"),
    output: tuple[Any, ...] = ("n", 1, "h", "w"),
    card: ModelCard | None = None,
) -> onnx.ModelProto:
    """From "image" to "depth"; a node is (operator, inputs, output, attributes)."""
    graph = helper.make_graph(
        [helper.make_node(op, ins, [out], name=out, **more) for op, ins, out, more in nodes],
        "net",
        [helper.make_tensor_value_info("image", dtype, shape)],
        [helper.make_tensor_value_info("depth", TensorProto.FLOAT, output)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if card is not None:
        helper.set_model_props(model, {METADATA_KEY: card.to_json()})
    onnx.checker.check_model(model, full_check=True)
    return model


def two_layers(seed: int = 0) -> onnx.ModelProto:
    """convolution, relu, convolution of ones, exponential; float (N, 3, H, W) to (N, 1, H, W)."""
    rng = np.random.default_rng(seed)
    return network(
        [
            ("Conv", ["image", "w1", "b1"], "inner", {"pads": [1, 1, 1, 1]}),
            ("Relu", ["inner"], "relu", {}),
            ("Conv", ["relu", "w2"], "last", {}),
            ("Exp", ["last"], "depth", {}),
        ],
        {
            "w1": rng.normal(0, 0.2, (8, 3, 3, 3)).astype(np.float32),
            "b1": rng.normal(0, 0.1, 8).astype(np.float32),
            "w2": np.full((1, 8, 1, 1), 0.1, np.float32),
        },
    )


def run(model: onnx.ModelProto, image: np.ndarray) -> np.ndarray:
    """The answer of ONNX Runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"image": image})[0]


def types(model: onnx.ModelProto) -> dict[str, int]:
    """Element type by tensor name, inferred."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    values = (*graph.input, *graph.value_info, *graph.output)
    return {value.name: value.type.tensor_type.elem_type for value in values}
