"""A network of PyTorch as an ONNX graph that takes camera bytes."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from depth_estimation_ros.engines.model_card import METADATA_KEY, ModelCard
from depth_estimation_ros.errors import ModelError
from training.networks import DepthNetwork

# What TensorRT 8.6 to 11, TensorRT-RTX and ONNX Runtime from 1.12 on all read.
OPSET = 17


class FromBytes(nn.Module):
    """A network that takes (N, H, W, 3) uint8."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        # Cast first: TensorRT cannot transpose bytes.
        return self.network(image.float().permute(0, 3, 1, 2) / 255.0)


def to_onnx(network: DepthNetwork, card: ModelCard) -> onnx.ModelProto:
    """``network`` (on the CPU) as ONNX with ``card`` in its metadata.

    ``image`` (N, H, W, 3) uint8 RGB gives ``depth`` (N, H, W) float32. N is free, and H and W are
    where the card names a multiple for them. Weights that float16 holds exactly, as those of
    :func:`training.export.round_weights`, are stored so.

    It is PyTorch's older exporter, by tracing. The newer one (``dynamo=True``) gives the same
    layers for these networks, but as opset 18 (Inception-ResNet's paddings cannot be turned back
    to 17, which robots with TensorRT 8 need), with batch normalisation already in the weights, so
    that they are no longer float16 values; it wants the package onnxscript, and takes a minute
    instead of a second.

    Raises:
        ModelError: if the graph is not valid ONNX.
    """
    network = network.eval().float()
    image = torch.zeros(1, card.input.height, card.input.width, 3, dtype=torch.uint8)
    axes = {0: "batch"}
    if card.input.multiple_of is not None:
        axes |= {1: "height", 2: "width"}
    file: Any = io.BytesIO()  # PyTorch's annotation knows paths only
    with warnings.catch_warnings():
        # That it is the older exporter, and that shapes are constants where they are.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            FromBytes(network),
            (image,),
            file,
            input_names=["image"],
            output_names=["depth"],
            dynamic_axes={"image": axes, "depth": axes},
            opset_version=OPSET,
            dynamo=False,
            # Keeps batch normalisation apart, as both runtimes fold it themselves; folded here,
            # the weights would no longer be those that `round_weights` rounded.
            training=torch.onnx.TrainingMode.PRESERVE,
            do_constant_folding=False,
        )
    model = onnx.load_from_string(file.getvalue())
    _store_as_half(model)
    del model.metadata_props[:]
    helper.set_model_props(model, {METADATA_KEY: card.to_json()})
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelError(f"the export of {card.name} is not valid ONNX: {error}") from error
    return model


def _store_as_half(model: onnx.ModelProto) -> None:
    """Move float32 weights that float16 holds exactly, in place, behind a Cast."""
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or len(tensor.dims) < 2:
            continue
        values = numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), values):
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}_half"))
        casts.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
    for index, cast in enumerate(casts):
        model.graph.node.insert(index, cast)
