"""The networks that are compared, with random weights: time does not depend on them."""

from __future__ import annotations

from pathlib import Path

import torch

from depth_estimation_ros.engines.model_card import InputSpec, ModelCard, OutputSpec
from training.export import export, round_weights
from training.networks import DepthNetwork, build_network

COMPACT = {"encoder": "efficientnet_lite0", "widths": (128, 64, 32, 24), "pretrained": False}
OPTIONS = {
    "enc_dec_irv2": ("enc_dec_irv2", {"pretrained": False}),
    "compact": ("timm_unet", COMPACT),
    "dinov2_dpt": ("dinov2_dpt", {"pretrained": False}),
}


def random_network(name: str) -> DepthNetwork:
    """One of `OPTIONS`, the same weights each time."""
    kind, options = OPTIONS[name]
    torch.manual_seed(0)
    return build_network(kind, **options).eval()


def size_for(name: str, height: int, width: int) -> tuple[int, int]:
    """The nearest size that the network takes."""
    step = 14 if name == "dinov2_dpt" else 32
    return max(1, round(height / step)) * step, max(1, round(width / step)) * step


def export_random(name: str, height: int, width: int, folder: Path) -> Path:
    """The ONNX file of a network, as `python -m training export` writes it."""
    network = random_network(name)
    card = ModelCard(
        name=name,
        licence="MIT",
        input=InputSpec(height, width, "rgb", "uint8", "NHWC", network.multiple_of),
        output=OutputSpec("metric_depth", "m", network.head.min_depth, network.head.max_depth),
        encoder=network.encoder_name,
    )
    path = folder / f"{name}.onnx"
    round_weights(network)
    export(network, card, path)
    return path
