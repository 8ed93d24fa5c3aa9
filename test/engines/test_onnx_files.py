"""ONNX files: card, hash, and the attacks that ONNX Runtime 1.32 and onnx 1.23 refuse."""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from tiny_models import float_nchw, red_depth, tiny_card, with_card_text, without_card

from depth_estimation_ros.engines import MODELS_DIR, open_engine
from depth_estimation_ros.engines.model_card import METADATA_KEY, ModelCard
from depth_estimation_ros.engines.onnxruntime import OnnxRuntimeEngine, read_metadata
from depth_estimation_ros.engines.openvino import OpenVinoEngine
from depth_estimation_ros.engines.precision.graph import load
from depth_estimation_ros.engines.tensorrt.make import read_model_file
from depth_estimation_ros.errors import ModelError

READERS: list[Callable[[Path], object]] = [
    *(read_metadata, read_model_file, load, OnnxRuntimeEngine),
    *([OpenVinoEngine] if find_spec("openvino") else []),
]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A network in a folder of its own, with a file outside of it that no model may read."""
    folder = tmp_path / "models"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(64))
    return red_depth(folder / "tiny.onnx")


def offset_of(model: onnx.ModelProto) -> TensorProto:
    return next(tensor for tensor in model.graph.initializer if tensor.name == "offset")


def point_to(path: Path, location: str, **more: str) -> None:
    """Move the four bytes of one weight into a file of this name, so the model says."""
    model = onnx.load(path)
    tensor = offset_of(model)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
@pytest.mark.parametrize(
    "location",
    [
        "../secret.bin",
        "here/../../secret.bin",
        "../../../../../../../../etc/passwd",
        "/etc/passwd",
        "/dev/zero",
        "link.bin",
        "",
        "*/_ORT_MEM_ADDR_/*",
    ],
)
def test_weights_outside_the_folder_are_refused(
    model: Path, location: str, read: Callable[[Path], object]
) -> None:
    (model.parent / "link.bin").symlink_to("../secret.bin")
    (model.parent / "*" / "_ORT_MEM_ADDR_").mkdir(parents=True)
    (model.parent / "*" / "_ORT_MEM_ADDR_" / "*").write_bytes(bytes(64))
    point_to(model, location)
    with pytest.raises(ModelError, match="ONNX Runtime cannot load this file"):
        read(model)


def test_an_absolute_path_into_the_folder_is_refused(model: Path) -> None:
    weights = model.parent / "weights.bin"
    weights.write_bytes(np.float32(3.0).tobytes())
    point_to(model, str(weights))
    with pytest.raises(ModelError, match="Absolute path not allowed"):
        read_metadata(model)


def test_a_pipe_is_never_opened(model: Path) -> None:
    """A reader that opened the pipe would wait for ever for somebody to write into it."""
    os.mkfifo(model.parent / "pipe")
    point_to(model, "pipe")
    start = time.monotonic()
    with pytest.raises(ModelError, match="OpenRandomAccessFile"):
        open_engine(model)
    assert time.monotonic() - start < 10.0


@pytest.mark.parametrize("location", ["weights.bin", "parts/weights.bin", "./weights.bin"])
def test_weights_in_the_folder_are_read(model: Path, location: str) -> None:
    weights = model.parent / location
    weights.parent.mkdir(exist_ok=True)
    weights.write_bytes(bytes(4) + np.float32(3.0).tobytes())
    point_to(model, location, offset="4", length="4")
    engine = open_engine(model)
    assert engine.infer(np.zeros((1, 48, 64, 3), np.uint8)).max() == 3.0
    engine.close()
    assert load(model).graph.initializer
    both = hashlib.sha256(model.read_bytes() + weights.read_bytes())
    assert read_model_file(model).sha256 == both.hexdigest()


def test_weights_that_were_not_copied_are_named(model: Path) -> None:
    point_to(model, "weights.bin")
    with pytest.raises(ModelError, match="External data path does not exist"):
        open_engine(model)


@pytest.mark.parametrize(
    "more", [{}, {"offset": "2"}, {"length": "8"}, {"offset": "-4"}, {"length": "99999999999"}]
)
def test_a_side_file_too_short_is_refused(model: Path, more: dict[str, str]) -> None:
    (model.parent / "weights.bin").write_bytes(bytes(5 if more else 3))
    point_to(model, "weights.bin", **more)
    for read in READERS:
        with pytest.raises(ModelError, match="cannot load this file"):
            read(model)


@pytest.mark.parametrize("dims", [(1 << 40,), (1 << 20,) * 3, (2,), (0,), (-1,), (1 << 62, 4)])
def test_a_size_unlike_its_data_is_refused(model: Path, dims: tuple[int, ...]) -> None:
    proto = onnx.load(model)
    tensor = offset_of(proto)
    tensor.ClearField("dims")
    tensor.dims.extend(dims)
    model.write_bytes(proto.SerializeToString())
    for read in READERS:
        with pytest.raises(ModelError):
            read(model)


def test_the_card_is_the_one_in_the_metadata(model: Path) -> None:
    path = MODELS_DIR / "compact.onnx"
    (text,) = (entry.value for entry in onnx.load(path).metadata_props if entry.key == METADATA_KEY)
    assert read_model_file(path, "compact").card == ModelCard.from_json(text, "")
    with pytest.raises(ModelError, match="has no card"):
        read_model_file(without_card(model))
    with pytest.raises(ModelError, match="card is not JSON"):
        read_model_file(with_card_text(model, "{"))


def test_a_card_in_yaml_next_to_the_file_counts(tmp_path: Path) -> None:
    path = float_nchw(tmp_path / "tiny.onnx")
    path.with_suffix(".card.yaml").write_text(tiny_card().to_json())
    assert read_model_file(path).card == tiny_card()


@pytest.mark.parametrize("contents", [None, b"", b"not ONNX", b"\xff" * 40, bytes(1000)])
def test_other_files_are_refused(tmp_path: Path, contents: bytes | None) -> None:
    path = tmp_path / "tiny.onnx"
    if contents is not None:
        path.write_bytes(contents)
    with pytest.raises(ModelError, match=r"tiny\.onnx: ONNX Runtime cannot load this file"):
        read_model_file(path)


def test_a_damaged_file_never_crashes(model: Path) -> None:
    whole = model.read_bytes()
    for length in range(0, len(whole), 31):
        model.write_bytes(whole[:length])
        with pytest.raises(ModelError):
            read_model_file(model)
    chance = random.Random(0)
    refused = 0
    for _ in range(100):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        model.write_bytes(damaged)
        try:
            read_model_file(model)
        except ModelError:
            refused += 1
    assert refused > 10
