"""int8 arithmetic, with the ranges of every layer's input measured on the user's own images."""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

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
from depth_estimation_ros.engines.precision.half import halve
from depth_estimation_ros.errors import DepthEstimationError, EngineError, ParameterError

if TYPE_CHECKING:
    import onnx

Batch = npt.NDArray[np.generic]

# Layers next to the image see its full contrast and pass every error on. For the bundled model,
# on 40 frames outside calibration, abs_rel to float32 is 0.025 without this and 0.019 with it.
FIRST_LAYERS = 3
# ConvTranspose stays as it is: its output channels are its weights' second axis, which ONNX
# Runtime's quantiser does not know, and it is a small part of any network here.
_QUANTIZED = ("Conv", "MatMul", "Gemm")
# What lies between layers, for ONNX Runtime: one that stays float32 costs two roundings and a copy.
_BETWEEN = ("Clip", "Relu", "LeakyRelu", "Add", "Concat")
Runtime = Literal["tensorrt", "onnxruntime"]
HALF_SCALES_OPSET, HALF_SCALES_IR = 19, 9  # the oldest with float16 scales


def to_int8(
    model: onnx.ModelProto,
    batches: Iterable[Batch],
    keep_fp32: Collection[str] = (),
    runtime: Runtime = "tensorrt",
) -> onnx.ModelProto:
    """The same network with convolutions and products of matrices in int8.

    Written as QuantizeLinear/DequantizeLinear, weights symmetric a channel, activations a tensor.
    The first `FIRST_LAYERS`, the head, and products of two activations are not quantised. The file
    is about half of float16's. What else is fused into int8 differs:

    - TensorRT wants them around the input and the weights of each layer, int8 with zero point 0,
      and biases as floats. Everything else is float16, as by `to_half`, so that it is no slower
      than a float16 network; a residual or skip that reads a layer's input reads the rounded one.
      ONNX Runtime computes such a layer in float32.
    - ONNX Runtime wants them around outputs too, activations as uint8 with any zero point, and
      biases in int32; sums and the like between the layers follow. TensorRT has no uint8 for that.

    The range of an activation is from the smallest to the largest value in calibration. ONNX
    Runtime's entropy and percentile calibrations hold every tensor of all images at once; for
    the bundled model abs_rel to float32 is 0.018 and 0.014 with them, and 0.019 without.

    Args:
        model: float32, not changed.
        batches: calibration images as the network takes them, about 50 to 100 that look like
            what the robot will see; see `images.network_batch`. Read once, one at a time.
        keep_fp32: names of nodes, or types of operators, to leave in float32 as well.
        runtime: that shall run the network fast; ONNX Runtime reads both.

    Raises:
        ModelError: ONNX Runtime cannot load the network, or the result is not valid ONNX.
        ParameterError: there is no batch.
        EngineError: the package `onnx` is missing, or the network fails on a batch.
    """
    onnx = import_onnx()
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    model = fold(model)
    reader = _Reader(model.graph.input[0].name, batches)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "int8.onnx"
        try:
            quantize_static(
                model,
                path,
                reader,
                quant_format=QuantFormat.QDQ,
                weight_type=QuantType.QInt8,
                per_channel=True,
                nodes_to_exclude=sorted(_kept(model.graph, keep_fp32)),
                **_as_read_by(runtime),
            )
        except Exception as error:  # ORT's own exceptions share no base class
            if isinstance(error, DepthEstimationError):
                raise
            if reader.count == 0:
                raise ParameterError(
                    "calibration for int8",
                    found="no image",
                    expected="50 to 100 that look like what the robot will see",
                ) from error
            raise EngineError(f"calibration for int8 failed ({error})") from error
        quantized = onnx.load(path)
    # What the quantiser noted for itself.
    kept = [entry for entry in quantized.metadata_props if not entry.key.startswith("onnx.")]
    del quantized.metadata_props[:]
    quantized.metadata_props.extend(kept)
    del quantized.graph.value_info[:]
    if runtime == "tensorrt":
        quantized = _with_half_scales(quantized)
        halve(quantized, entrance(model.graph) | head(model.graph) | set(keep_fp32))
    note_precision(quantized, "int8")
    check(quantized, "int8")
    return quantized


def _as_read_by(runtime: Runtime) -> dict[str, Any]:
    """Arguments of ONNX Runtime's quantiser."""
    from onnxruntime.quantization import QuantType

    by_column = {"WeightSymmetric": True, "QDQOpTypePerChannelSupportToAxis": {"MatMul": 1}}
    if runtime == "onnxruntime":
        return {
            "activation_type": QuantType.QUInt8,
            "op_types_to_quantize": [*_QUANTIZED, *_BETWEEN],
            "extra_options": by_column,
        }
    return {
        "activation_type": QuantType.QInt8,
        "op_types_to_quantize": list(_QUANTIZED),
        "extra_options": {
            **by_column,
            "ActivationSymmetric": True,
            # TensorRT has no int32 bias.
            "QuantizeBias": False,
            # A layer's output is what the next layer's input is, after the activation.
            "OpTypesToExcludeOutputQuantization": list(_QUANTIZED),
        },
    }


def _with_half_scales(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network in an operator set with float16 scales, none of them too small for it."""
    onnx = import_onnx()
    if max(entry.version for entry in model.opset_import if not entry.domain) < HALF_SCALES_OPSET:
        model = onnx.version_converter.convert_version(model, HALF_SCALES_OPSET)
        model.ir_version = max(model.ir_version, HALF_SCALES_IR)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear":
            _raise_scale(weights, node)
    return model


def _raise_scale(weights: dict[str, onnx.TensorProto], node: onnx.NodeProto) -> None:
    """Raise the scale of one DequantizeLinear to float16's smallest normal number, in place.

    Weights are rounded again for it. An activation's QuantizeLinear reads the same scale.
    """
    helper = import_onnx().numpy_helper
    name = node.input[1]
    scale = helper.to_array(weights[name])
    raised = np.maximum(scale, np.float32(np.finfo(np.float16).smallest_normal))
    if np.array_equal(raised, scale):
        return
    weights[name].CopyFrom(helper.from_array(raised, name))
    if (stored := weights.get(node.input[0])) is not None:
        values = helper.to_array(stored)
        shape = [1] * values.ndim
        if scale.size > 1:
            shape[attributes(node).get("axis", 1)] = -1
        rounded = np.rint(values * (scale / raised).reshape(shape)).astype(values.dtype)
        stored.CopyFrom(helper.from_array(rounded, stored.name))


class _Reader:
    """What ONNX Runtime's calibration pulls batches from."""

    def __init__(self, name: str, batches: Iterable[Batch]) -> None:
        self._name = name
        self._batches = iter(batches)
        self.count = 0

    def get_next(self) -> dict[str, Batch] | None:
        batch = next(self._batches, None)
        self.count += batch is not None
        return None if batch is None else {self._name: batch}


def _kept(graph: onnx.GraphProto, keep_fp32: Collection[str]) -> set[str]:
    layers = [node.name for node in graph.node if node.op_type in LAYERS]
    # Attention's products of two activations: the softmax's small numbers matter there.
    weights = {tensor.name for tensor in graph.initializer}
    without = {
        node.name
        for node in graph.node
        if node.op_type in _QUANTIZED and node.input[1] not in weights
    }
    asked = {node.name for node in graph.node if {node.name, node.op_type} & set(keep_fp32)}
    return head(graph) | set(layers[:FIRST_LAYERS]) | without | asked


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the quantiser's advice on the root logger to prepare the network, which was done."""
    root, level = logging.getLogger(), logging.getLogger().level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
