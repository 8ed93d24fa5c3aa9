"""A network of PyTorch as an ONNX graph that takes the bytes of an image."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

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
    """Return ``network`` (on the CPU) as ONNX with ``card`` in its metadata.

    ``image`` (N, H, W, 3) uint8 RGB gives ``depth`` (N, H, W) float32. N is free, and H and W are
    where the card names a multiple for them. Weights that float16 holds exactly, as those of
    :func:`training.export.round_weights`, are stored so.

    Raises:
        ModelError: if the graph is not valid ONNX.
    """
    axes = {0: "batch"}
    if card.input.multiple_of is not None:
        axes |= {1: "height", 2: "width"}
    # Batch normalisation stays apart, as both runtimes fold it themselves; folded here, the weights
    # would no longer be those that `round_weights` rounded.
    model = trace(FromBytes(network.eval().float()), card, axes, fold=False)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelError(f"the export of {card.name} is not valid ONNX: {error}") from error
    return model


def trace(
    network: nn.Module, card: ModelCard, axes: dict[int, str], *, fold: bool
) -> onnx.ModelProto:
    """Return ``network``, which takes bytes of the card's size, as ONNX with ``card`` inside.

    It is PyTorch's older exporter, by tracing. The newer one (``dynamo=True``) gives the same
    layers for these networks, but as opset 18 (Inception-ResNet's paddings cannot be turned back
    to 17, which robots with TensorRT 8 need), with batch normalisation already in the weights, so
    that they are no longer float16 values; it wants the package onnxscript, and takes a minute
    instead of a second.

    Args:
        network: in evaluation mode, on the CPU.
        card: gives the size.
        axes: the free axes of input and output, by their place.
        fold: compute what does not depend on the image now.
    """
    image = torch.zeros(1, card.input.height, card.input.width, 3, dtype=torch.uint8)
    mode = torch.onnx.TrainingMode
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # That it is the older exporter, and that shapes are constants where they are.
        warnings.simplefilter("ignore")
        # A file, not bytes: weights above 2 GB go into files of their own.
        file = str(Path(folder) / "model.onnx")
        torch.onnx.export(
            network,
            (image,),
            file,
            input_names=["image"],
            output_names=["depth"],
            dynamic_axes={"image": axes, "depth": axes},
            opset_version=OPSET,
            dynamo=False,
            training=mode.EVAL if fold else mode.PRESERVE,
            do_constant_folding=fold,
        )
        model = onnx.load(file)
    _store_as_half(model)
    del model.metadata_props[:]
    helper.set_model_props(model, {METADATA_KEY: card.to_json()})
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
