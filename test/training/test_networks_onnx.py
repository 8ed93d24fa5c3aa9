"""Each network as ONNX, at the size of its card and at another, says what PyTorch says."""

import numpy as np
import onnxruntime
import pytest
import torch

from depth_estimation_ros.engines.model_card import InputSpec, ModelCard, OutputSpec
from training.export import export, round_weights
from training.networks import build_network

SIZES = {
    "basic": ((32, 48), (48, 16)),
    "enc_dec_irv2": ((96, 112), (112, 80)),
    "enc_dec_irv2_attention": ((96, 112), (112, 80)),
    "dinov2_dpt": ((42, 56), (70, 28)),
}


def card_of(name, network, size):
    height, width = size
    return ModelCard(
        name=name,
        licence="MIT",
        input=InputSpec(height, width, "rgb", "uint8", "NHWC", multiple_of=network.multiple_of),
        output=OutputSpec("metric_depth", "m", 0.1, 80.0),
    )


@torch.no_grad()
@pytest.mark.parametrize("name", SIZES)
def test_onnx_equals_torch_at_any_size_and_batch(name, tmp_path):
    torch.manual_seed(0)
    options = {"image_size": (98, 126)} if name == "dinov2_dpt" else {}
    network = build_network(
        name, pretrained=False, min_depth=0.1, max_depth=100.0, scale="log", **options
    )
    round_weights(network.eval())
    file = tmp_path / "network.onnx"
    export(network, card_of(name, network, SIZES[name][0]), file)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for count, size in zip((1, 2), SIZES[name], strict=True):
        image = np.random.default_rng(0).integers(0, 256, (count, *size, 3), np.uint8)
        (depth,) = session.run(None, {"image": image})
        expected = network(torch.from_numpy(image).permute(0, 3, 1, 2) / 255.0).numpy()
        assert depth.shape == (count, *size)
        np.testing.assert_allclose(depth, expected, rtol=1e-5)
