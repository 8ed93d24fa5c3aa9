"""Multiply-accumulates of an ONNX file, counted in its own layers; PyTorch is not needed."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

LAYERS = ("Conv", "ConvTranspose", "MatMul", "Gemm")


def count_macs(path: Path, batch: np.ndarray) -> int:
    """Of convolutions and products of matrices, for one run on ``batch``, as the network takes it.

    The network runs once, with what goes in and out of these layers as further outputs: shapes in
    a graph for any size are known only then.
    """
    model = onnx.load(path)
    layers = [node for node in model.graph.node if node.op_type in LAYERS]
    wanted = {name for node in layers for name in (*node.input[:2], node.output[0])}
    constants = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    known = constants.keys() | {value.name for value in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in sorted(wanted - known))
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), sess_options=settings, providers=["CPUExecutionProvider"]
    )
    values = session.run(None, {session.get_inputs()[0].name: batch})
    names = [output.name for output in session.get_outputs()]
    shapes = constants | {name: value.shape for name, value in zip(names, values, strict=True)}
    return sum(_of_layer(node, shapes) for node in layers)


def _of_layer(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> int:
    source, weights, result = (shapes[name] for name in (*node.input[:2], node.output[0]))
    if node.op_type == "Conv":
        return prod(result) * prod(weights[1:])
    if node.op_type == "ConvTranspose":
        return prod(source) * prod(weights[1:])
    transposed = any(a.name == "transA" and a.i for a in node.attribute)
    return prod(result) * source[0 if transposed else -1]
