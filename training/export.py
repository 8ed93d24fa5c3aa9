"""`python -m training export`: a checkpoint becomes one ONNX file that explains itself.

The graph takes camera bytes, ``image`` (N, H, W, 3) uint8 RGB, and gives ``depth`` (N, H, W)
float32; normalisation is inside. Weights are stored in half precision behind a Cast, which
ONNX Runtime and TensorRT fold when they load the file: half the size, float32 arithmetic.
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from depth_estimation_ros.errors import ModelError, ParameterError
from depth_estimation_ros.model_card import METADATA_KEY, ModelCard
from training.card import make_card
from training.checkpoint import load_checkpoint
from training.networks import DepthNetwork

OPSET = 17
logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of the command."""
    parser.add_argument("--checkpoint", type=Path, required=True, help="a .ckpt written by train")
    parser.add_argument("--out", type=Path, required=True, help="the .onnx file to write")
    parser.add_argument("--name", help="the model's name on its card; default: the config's")
    parser.add_argument("--model-version", default="1", help="the card's model_version")
    parser.add_argument("--licence", default="MIT", help="SPDX name for the weights")
    parser.add_argument(
        "--output-max-depth",
        type=float,
        default=80.0,
        help="metres in the canonical camera beyond which the output means 'out of range'",
    )
    parser.add_argument(
        "--training-data", nargs="*", help="names for the card; default: the config's data sets"
    )
    parser.add_argument(
        "--metrics", type=Path, nargs="*", default=[], help="files written by evaluate --json"
    )


def run(args: argparse.Namespace) -> int:
    """Writes the file; returns the exit code."""
    config, network = load_checkpoint(args.checkpoint)
    card = make_card(
        config,
        network,
        name=args.name,
        model_version=args.model_version,
        licence=args.licence,
        output_max_depth=args.output_max_depth,
        training_data=args.training_data,
        metrics=[entry for path in args.metrics for entry in _read_metrics(path)],
    )
    round_weights(network)
    export(network, card, args.out)
    size = args.out.stat().st_size / 1e6
    logger.info(
        "wrote %s (%.1f MB); next: python -m training evaluate --model %s --data FOLDER",
        args.out,
        size,
        args.out,
    )
    return 0


def _read_metrics(path: Path) -> list[dict[str, Any]]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ParameterError(
            f"--metrics {path} cannot be read ({error})",
            fix="Write it with: python -m training evaluate --json FILE.",
        ) from error


class _FromBytes(nn.Module):
    """A network that takes (N, H, W, 3) uint8."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        # Cast first: TensorRT cannot transpose bytes.
        return self.network(image.float().permute(0, 3, 1, 2) / 255.0)


def round_weights(network: nn.Module) -> None:
    """Rounds, in place, the tensors that :func:`export` stores as float16, to float16 values.

    So the network in hand and the file say the same, and a comparison of the two is exact.
    """
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.copy_(parameter.half().float())


def export(network: DepthNetwork, card: ModelCard, path: Path) -> None:
    """Writes ``network`` (on the CPU) as ONNX with ``card`` in its metadata, atomically.

    Any batch size, and any height and width that are multiples of ``card.input.multiple_of``.

    Raises:
        ModelError: if the exported graph is not valid ONNX.
    """
    network = network.eval().float()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    image = torch.zeros(1, card.input.height, card.input.width, 3, dtype=torch.uint8)
    axes = {0: "batch", 1: "height", 2: "width"}
    torch.onnx.export(
        _FromBytes(network),
        (image,),
        str(partial),
        input_names=["image"],
        output_names=["depth"],
        dynamic_axes={"image": axes, "depth": axes},
        opset_version=OPSET,
        dynamo=False,
        # Keeps batch normalisation apart, as both runtimes fold it themselves; folded here, the
        # weights would no longer be those that `round_weights` rounded.
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
    )
    model = onnx.load(partial)
    store_weights_as_half(model)
    del model.metadata_props[:]
    helper.set_model_props(model, {METADATA_KEY: card.to_json()})
    try:
        onnx.checker.check_model(model, full_check=True)
    except onnx.checker.ValidationError as error:
        partial.unlink()
        raise ModelError(f"the export of {card.name} is not valid ONNX: {error}") from error
    onnx.save(model, partial)
    partial.replace(path)


def store_weights_as_half(model: onnx.ModelProto) -> None:
    """Moves float32 convolution weights, in place, to float16 initializers behind a Cast."""
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or len(tensor.dims) < 2:
            continue
        name = tensor.name
        half = numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}_half"))
        casts.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
    for index, cast in enumerate(casts):
        graph.node.insert(index, cast)
