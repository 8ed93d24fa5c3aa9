"""The paper's network, exported, is built by TensorRT-RTX in every precision."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from engine_layers import convolution_types

from depth_estimation_ros.apps.build_engine.calibration_images import drawn_images, network_batch
from depth_estimation_ros.engines.model_card import InputSpec, ModelCard, OutputSpec
from depth_estimation_ros.engines.precision.graph import load
from depth_estimation_ros.engines.precision.quantize import to_int8
from depth_estimation_ros.engines.tensorrt.api import TensorRT
from depth_estimation_ros.engines.tensorrt.make import (
    ModelFile,
    in_precision,
    read_model_file,
    wanted_engine,
)
from depth_estimation_ros.engines.tensorrt.profile import make_profile
from training.export import export
from training.networks import build_network


@pytest.fixture(scope="module")
def irv2(rtx: TensorRT, tmp_path_factory: pytest.TempPathFactory) -> ModelFile:
    """With random weights; exported at a small size, which is quicker and changes no layer."""
    torch.manual_seed(0)
    network = build_network("enc_dec_irv2", pretrained=False)
    card = ModelCard(
        name="enc_dec_irv2",
        licence="MIT",
        input=InputSpec(96, 128, "rgb", "uint8", "NHWC", network.multiple_of),
        output=OutputSpec("metric_depth", "m", 0.1, 10.0),
    )
    path = tmp_path_factory.mktemp("irv2") / "irv2.onnx"
    export(network, card, path)
    return read_model_file(path)


def float32(model: ModelFile) -> bytes:
    return in_precision(model, wanted_engine(model, "fp32", make_profile(model.card.input)))


def float16(model: ModelFile) -> bytes:
    return in_precision(model, wanted_engine(model, "fp16", make_profile(model.card.input)))


def int8(model: ModelFile) -> bytes:
    spec = model.card.input
    batches = (network_batch(rgb, spec, nominal=True) for rgb in drawn_images(spec, 1))
    return to_int8(load(model.path), batches).SerializeToString()


@pytest.mark.parametrize(
    ("convert", "gpu", "kind", "float_layers"),
    [(float32, "8.0", "Float", 201), (float16, "8.6", "Half", 1), (int8, "12.0", "Int8", 1)],
)
def test_it_is_built_and_computes_in_the_precision_asked_for(
    irv2: ModelFile,
    rtx: TensorRT,
    tmp_path: Path,
    convert: Callable[[ModelFile], bytes],
    gpu: str,
    kind: str,
    float_layers: int,
) -> None:
    types = convolution_types(rtx, convert(irv2), tmp_path, irv2.card.input, gpu)
    assert types["Float"] == float_layers
    assert types[kind] > 170
