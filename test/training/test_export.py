"""An exported file is compared with PyTorch before it gets its name."""

import logging

import cv2
import numpy as np
import onnx
import pytest
import torch
from torch import nn

from depth_estimation_ros.apps.build_engine.calibration_images import read_images
from depth_estimation_ros.engines.model_card import InputSpec, ModelCard, OutputSpec
from depth_estimation_ros.engines.onnxruntime import OnnxRuntimeEngine
from depth_estimation_ros.errors import ModelError, ParameterError
from training.export import export, round_weights
from training.networks import DepthNetwork
from training.networks.decoder import DepthHead


class Small(DepthNetwork):
    """Five convolutions."""

    encoder_name = "none"
    multiple_of = 8

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        layers = [nn.Conv2d(3, 8, 3, padding=1), nn.ReLU()]
        for _ in range(4):
            layers += [nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()]
        self.encoder = nn.Sequential(*layers)
        self.head = DepthHead(8, 0.1, 80.0, "log")
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))

    def forward(self, image):
        return self.head(self.encoder((image - self.mean) / 0.226))


class Untrue(Small):
    """Says something else while it is exported, as a wrongly traced branch would."""

    def forward(self, image):
        return super().forward(image) * (1.5 if torch.onnx.is_in_onnx_export() else 1.0)


def card_of(multiple_of=8):
    return ModelCard(
        name="small",
        licence="MIT",
        model_version="3",
        input=InputSpec(32, 48, "rgb", "uint8", "NHWC", multiple_of),
        output=OutputSpec("metric_depth", "m", 0.1, 80.0),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for index in range(20):
        spots = rng.integers(0, 256, (4, 5, 3), np.uint8)
        cv2.imwrite(str(path / f"{index}.png"), cv2.resize(spots, (96, 64)))
    return path


def test_the_file_is_pytorch_to_float32s_last_digits_and_the_log_says_so(tmp_path, caplog):
    network = Small()
    round_weights(network)
    with caplog.at_level(logging.INFO):
        parity = export(network, card_of(), tmp_path / "small.onnx")
    assert parity.images == 4
    assert parity.max_rel < 1e-5
    assert "against PyTorch on 4 images: abs_rel" in caplog.text
    assert "(limit 0.0001)" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["small.onnx"]


def test_weights_that_are_float16_values_are_stored_so_and_others_are_not(tmp_path):
    network = Small()
    export(network, card_of(), tmp_path / "exact.onnx")
    round_weights(network)
    export(network, card_of(), tmp_path / "rounded.onnx")
    kinds = {}
    for name in ("exact", "rounded"):
        tensors = onnx.load(tmp_path / f"{name}.onnx").graph.initializer
        kinds[name] = {t.name: t.data_type for t in tensors if len(t.dims) == 4}
    half = onnx.TensorProto.FLOAT16
    assert not any(kind == half for kind in kinds["exact"].values())
    weights = [name for name in kinds["rounded"] if "weight" in name]
    assert len(weights) == 6
    assert all(kinds["rounded"][name] == half for name in weights)


def test_a_file_that_says_something_else_is_not_written(tmp_path):
    path = tmp_path / "untrue.onnx"
    with pytest.raises(ModelError, match=r"untrue\.onnx: fp32 is too far.*abs_rel 0\.5.*--force"):
        export(Untrue(), card_of(), path)
    assert list(tmp_path.iterdir()) == []
    parity = export(Untrue(), card_of(), path, force=True)
    assert parity.abs_rel == pytest.approx(0.5, rel=1e-3)
    assert path.is_file()


def test_a_network_of_one_size_is_exported_for_that_size(tmp_path):
    export(Small(), card_of(multiple_of=None), tmp_path / "fixed.onnx")
    (image,) = onnx.load(tmp_path / "fixed.onnx").graph.input
    dims = image.type.tensor_type.shape.dim
    assert [dim.dim_param or dim.dim_value for dim in dims] == ["batch", 32, 48, 3]


@pytest.mark.parametrize(("precision", "worst"), [("fp16", 0.005), ("int8", 0.05)])
def test_fewer_bits_are_compared_with_pytorch_too(tmp_path, folder, precision, worst):
    images = list(read_images(folder, 20))
    path = tmp_path / "small.onnx"
    parity = export(Small(), card_of(), path, precision, images)
    assert parity.images == 4  # a fifth of them, not calibrated on
    assert 0.0 < parity.abs_rel < worst
    assert OnnxRuntimeEngine(path).card.model_version == f"3 {precision}"


def test_int8_wants_images(tmp_path):
    with pytest.raises(ParameterError, match=r"calibrated on images.*--calibration FOLDER"):
        export(Small(), card_of(), tmp_path / "small.onnx", "int8")
