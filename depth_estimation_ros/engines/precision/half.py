"""float16 arithmetic: half the weights, half the traffic, and the tensor cores of a GPU."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from depth_estimation_ros.engines.precision.graph import (
    LAYERS,
    attributes,
    check,
    entrance,
    fold,
    head,
    import_onnx,
    note_precision,
)
from depth_estimation_ros.errors import ModelError

if TYPE_CHECKING:
    import onnx

# What is sound in float16. All else stays float32: powers, sums over many values, logarithms and
# exponentials leave the range of float16 (65504) or lose its 11 bits.
HALF_OPS = frozenset(
    (
        *LAYERS,
        *("Relu", "LeakyRelu", "PRelu", "Clip", "Elu", "Selu", "Gelu", "Erf", "HardSigmoid"),
        *("HardSwish", "Sigmoid", "Tanh", "Softmax", "BatchNormalization", "Resize"),
        *("Add", "Sub", "Mul", "Div", "Neg", "Abs", "Min", "Max", "Where"),
        *("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"),
        *("Concat", "Split", "Slice", "Gather", "Pad", "Expand", "Tile", "Identity"),
        *("Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze"),
        *("DepthToSpace", "SpaceToDepth", "DequantizeLinear"),
    )
)
# Inputs that the standard defines as float32 whatever the type of the data (roi is like the data).
_ALWAYS_FLOAT = {"Resize": (2,)}
# These read a tensor of any type and give no float of it.
_ANY_TYPE = ("Shape", "Size", "IsNaN", "IsInf")


def to_half(model: onnx.ModelProto, keep_fp32: Collection[str] = ()) -> onnx.ModelProto:
    """The same network with float16 arithmetic; its input and output keep their types.

    float32 stay: what sees only the image (cast, normalisation), the head from its last layer on
    (its exponential turns a rounding error of log depth into a relative error of depth), and
    operators outside `HALF_OPS`. Between two of these nothing is rounded, unlike in the converter
    of ONNX Runtime's tools, where a square of 300 between two float32 nodes overflows. Resize in
    float16 costs nothing (abs_rel of the bundled model 0.0014 with and without). Batch
    normalisation goes into the weights: a strongly typed TensorRT would round between the two, and
    run a kernel for each. Numbers beyond float16's range, as masks use them, become its largest
    ones.

    Args:
        model: float32, any input size; not changed.
        keep_fp32: names of nodes, or types of operators, to leave in float32 as well.

    Raises:
        ModelError: ONNX Runtime cannot load the network, it has branches or loops, or the result
            is not valid ONNX.
        EngineError: the package `onnx` is missing.
    """
    model = fold(model)
    halve(model, entrance(model.graph) | head(model.graph) | set(keep_fp32))
    note_precision(model, "fp16")
    check(model, "fp16")
    return model


def halve(model: onnx.ModelProto, kept: Collection[str]) -> None:
    """Turn a folded network's arithmetic into float16, in place.

    Args:
        model: its operator set is 19 or newer if it has QuantizeLinear: older ones have no float16
            scales.
        kept: names of nodes, or types of operators, to leave in float32.

    Raises:
        ModelError: the network has branches or loops.
    """
    _Converter(model, set(kept)).convert()


class _Converter:
    """Walks the graph once, in order; a tensor is float16 if the node that makes it is."""

    def __init__(self, model: onnx.ModelProto, kept: set[str]) -> None:
        self.onnx = import_onnx()
        self.graph = model.graph
        self.kept = kept
        self.weights = {tensor.name: tensor for tensor in model.graph.initializer}
        typed = self.onnx.shape_inference.infer_shapes(model).graph
        values = (*typed.input, *typed.value_info, *typed.output)
        self.floats = {
            value.name
            for value in values
            if value.type.tensor_type.elem_type == self.onnx.TensorProto.FLOAT
        }
        self.half: set[str] = set()
        self.nodes: list[onnx.NodeProto] = []
        self.made: dict[str, str] = {}

    def convert(self) -> None:
        outputs = {value.name for value in self.graph.output}
        for node in self.graph.node:
            self._refuse_branches(node)
            is_half = self._is_half(node)
            if node.op_type not in _ANY_TYPE:
                for index, name in enumerate(node.input):
                    as_half = is_half and index not in _ALWAYS_FLOAT.get(node.op_type, ())
                    node.input[index] = self._as_half(name) if as_half else self._as_float(name)
            self.nodes.append(node)
            if not is_half:
                continue
            for index, name in enumerate(node.output):
                if name in outputs:  # a network without a head: its output stays float32
                    node.output[index] = f"{name}_fp16"
                    self._cast(node.output[index], name, self.onnx.TensorProto.FLOAT)
                self.half.add(node.output[index])
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)
        del self.graph.value_info[:]
        self._drop_unread_weights()

    def _is_half(self, node: onnx.NodeProto) -> bool:
        if node.op_type == "QuantizeLinear":  # its scale has the type of what it quantises
            return node.input[0] in self.half
        return (
            node.op_type in HALF_OPS
            and not {node.name, node.op_type} & self.kept
            and any(name in self.floats for name in node.output)
        )

    def _as_half(self, name: str) -> str:
        """The name of the float16 form of a float32 tensor; other tensors are as they are."""
        if name in self.weights:
            return self._half_weight(name)
        if name in self.half or name not in self.floats:
            return name
        return self._cast_once(name, f"{name}_fp16", self.onnx.TensorProto.FLOAT16)

    def _as_float(self, name: str) -> str:
        if name not in self.half:
            return name
        return self._cast_once(name, f"{name}_fp32", self.onnx.TensorProto.FLOAT)

    def _half_weight(self, name: str) -> str:
        tensor = self.weights[name]
        if tensor.data_type != self.onnx.TensorProto.FLOAT:
            return name
        if name not in self.made:
            limit = float(np.finfo(np.float16).max)
            values = self.onnx.numpy_helper.to_array(tensor).clip(-limit, limit)
            self.made[name] = f"{name}_fp16"
            stored = self.onnx.numpy_helper.from_array(values.astype(np.float16), self.made[name])
            self.graph.initializer.append(stored)
        return self.made[name]

    def _cast_once(self, name: str, result: str, kind: int) -> str:
        if name not in self.made:
            self._cast(name, result, kind)
            self.made[name] = result
        return self.made[name]

    def _cast(self, name: str, result: str, kind: int) -> None:
        node = self.onnx.helper.make_node("Cast", [name], [result], name=f"to_{result}", to=kind)
        self.nodes.append(node)

    def _refuse_branches(self, node: onnx.NodeProto) -> None:
        graphs = (self.onnx.GraphProto,)
        if any(isinstance(value, graphs) for value in attributes(node).values()):
            raise ModelError(
                f"the network has a {node.op_type} ('{node.name}'), which is not converted to "
                "float16",
                fix="Export the network for a fixed size, without branches and loops",
            )

    def _drop_unread_weights(self) -> None:
        read = {name for node in self.graph.node for name in node.input}
        kept = [tensor for tensor in self.graph.initializer if tensor.name in read]
        del self.graph.initializer[:]
        self.graph.initializer.extend(kept)
