"""A model is data: no file outside its folder is read, and no size is believed unseen."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tiny_models import red_depth

from depth_estimation_ros.engines import MODELS_DIR, open_engine
from depth_estimation_ros.engines.onnx_file import read_onnx_file
from depth_estimation_ros.engines.onnxruntime import OnnxRuntimeEngine
from depth_estimation_ros.engines.openvino import OpenVinoEngine
from depth_estimation_ros.engines.precision.graph import load
from depth_estimation_ros.engines.tensorrt.model_file import read_model_file
from depth_estimation_ros.errors import ModelError

READERS: list[Callable[[Path], object]] = [
    *(read_onnx_file, read_model_file, load, OnnxRuntimeEngine),
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
    """Moves the four bytes of one weight into a file of this name, so the model says."""
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
def test_weights_outside_the_models_folder_are_refused(
    model: Path, location: str, read: Callable[[Path], object]
) -> None:
    (model.parent / "link.bin").symlink_to("../secret.bin")
    (model.parent / "*" / "_ORT_MEM_ADDR_").mkdir(parents=True)
    (model.parent / "*" / "_ORT_MEM_ADDR_" / "*").write_bytes(bytes(64))
    point_to(model, location)
    with pytest.raises(ModelError, match="weights outside the model's folder: tensor 'offset'"):
        read(model)


def test_an_absolute_path_into_the_models_folder_is_refused(model: Path) -> None:
    beside = model.parent / "weights.bin"
    beside.write_bytes(np.float32(3.0).tobytes())
    point_to(model, str(beside))
    with pytest.raises(ModelError, match="outside the model's folder"):
        read_onnx_file(model)


def test_the_refused_file_is_never_opened(model: Path) -> None:
    """Whoever opened the pipe would wait for ever for somebody to write into it."""
    os.mkfifo(model.parent / "pipe")
    point_to(model, "pipe")
    start = time.monotonic()
    with pytest.raises(ModelError, match="weights is missing"):
        open_engine(model)
    assert time.monotonic() - start < 10.0


@pytest.mark.parametrize("location", ["weights.bin", "parts/weights.bin", "./weights.bin"])
def test_weights_in_the_models_folder_are_read(model: Path, location: str) -> None:
    weights = model.parent / location
    weights.parent.mkdir(exist_ok=True)
    weights.write_bytes(bytes(4) + np.float32(3.0).tobytes())
    point_to(model, location, offset="4", length="4")
    assert read_onnx_file(model).weights == (weights,)
    engine = open_engine(model)
    assert engine.infer(np.zeros((1, 48, 64, 3), np.uint8)).max() == 3.0
    engine.close()
    assert load(model).graph.initializer


def test_a_model_behind_a_link_may_have_its_weights_beside_the_file_itself(model: Path) -> None:
    weights = model.parent / "weights.bin"
    weights.write_bytes(np.float32(3.0).tobytes())
    point_to(model, "weights.bin")
    elsewhere = model.parent.parent / "elsewhere"
    elsewhere.mkdir()
    for file in (model, weights):
        (elsewhere / file.name).symlink_to(file)
    assert read_onnx_file(elsewhere / model.name).weights == (elsewhere / "weights.bin",)


def test_weights_that_were_not_copied_are_named(model: Path) -> None:
    point_to(model, "weights.bin")
    with pytest.raises(ModelError, match=r"weights is missing.*weights\.bin.*Copy it too"):
        open_engine(model)


@pytest.mark.parametrize(
    "more", [{}, {"offset": "2"}, {"length": "8"}, {"offset": "-4"}, {"length": "99999999999"}]
)
def test_a_side_file_too_short_for_its_tensor_is_refused(model: Path, more: dict[str, str]) -> None:
    (model.parent / "weights.bin").write_bytes(bytes(5 if more else 3))
    point_to(model, "weights.bin", **more)
    with pytest.raises(ModelError, match=r"tensor 'offset' of 4 bytes.*of weights\.bin, which has"):
        read_onnx_file(model)


def in_a_branch(tensor: TensorProto) -> onnx.NodeProto:
    """The tensor as a constant in the graph of a branch."""
    constant = helper.make_node("Constant", [], ["c"], value=tensor)
    branch = helper.make_graph([constant], "b", [], [])
    return helper.make_node("If", ["go"], ["d"], then_branch=branch, else_branch=branch)


@pytest.mark.parametrize("place", ["initializer", "branch", "function", "training"])
@pytest.mark.parametrize(
    "dims", [(1 << 40,), (1 << 20, 1 << 20, 1 << 20), (2,), (0,), (-1,), (1 << 62, 4)]
)
def test_a_size_that_is_not_that_of_the_data_is_refused(
    model: Path, dims: tuple[int, ...], place: str
) -> None:
    proto = onnx.load(model)
    tensor = TensorProto(name="bomb", data_type=TensorProto.FLOAT, dims=dims, raw_data=bytes(4))
    if place == "initializer":
        proto.graph.initializer.append(tensor)
    elif place == "branch":
        proto.graph.node.append(in_a_branch(tensor))
    elif place == "function":
        proto.functions.add(name="f").node.append(in_a_branch(tensor))
    else:
        proto.training_info.add().algorithm.initializer.append(tensor)
    model.write_bytes(proto.SerializeToString())
    for read in READERS:
        with pytest.raises(ModelError, match="tensor 'bomb'"):
            read(model)


def typed_tensors() -> Iterator[TensorProto]:
    """Tensors whose numbers stand in fields of their type, not as raw bytes."""
    for kind, field, values in (
        (TensorProto.FLOAT, "float_data", [0.0, 1.0, 2.0]),
        (TensorProto.INT64, "int64_data", [0, -1, 1 << 40]),
        (TensorProto.FLOAT16, "int32_data", [0, 1, 2]),
        (TensorProto.DOUBLE, "double_data", [0.0, 1.0, 2.0]),
        (TensorProto.STRING, "string_data", [b"", b"a", b""]),
    ):
        tensor = TensorProto(name=field, data_type=kind, dims=[3])
        getattr(tensor, field).extend(values)
        yield tensor


@pytest.mark.parametrize("tensor", list(typed_tensors()), ids=lambda tensor: tensor.name)
def test_numbers_in_fields_of_their_type_are_counted(model: Path, tensor: TensorProto) -> None:
    proto = onnx.load(model)
    proto.graph.initializer.append(tensor)
    model.write_bytes(proto.SerializeToString())
    read_onnx_file(model)
    proto.graph.initializer[-1].dims[0] = 1 << 30
    model.write_bytes(proto.SerializeToString())
    with pytest.raises(
        ModelError, match=r"tensor '\w+_data' of \d+ bytes: found \d+ bytes of data"
    ):
        read_onnx_file(model)


def test_weights_of_four_bits_are_half_a_byte(model: Path) -> None:
    proto = onnx.load(model)
    proto.graph.initializer.append(
        TensorProto(name="w", data_type=TensorProto.INT4, dims=[3, 3], raw_data=bytes(5))
    )
    model.write_bytes(proto.SerializeToString())
    read_onnx_file(model)


def test_sparse_weights_are_refused(model: Path) -> None:
    proto = onnx.load(model)
    values = numpy_helper.from_array(np.ones(1, np.float32), "values")
    places = numpy_helper.from_array(np.zeros(1, np.int64), "places")
    proto.graph.sparse_initializer.append(
        helper.make_sparse_tensor(values, places, [1 << 20, 1 << 20])
    )
    model.write_bytes(proto.SerializeToString())
    with pytest.raises(ModelError, match="sparse weights"):
        open_engine(model)


def test_graphs_without_end_are_refused(model: Path) -> None:
    proto = onnx.load(model)
    graph = proto.graph
    for _ in range(30):
        graph = graph.node.add(op_type="If").attribute.add(name="then_branch").g
    model.write_bytes(proto.SerializeToString())
    with pytest.raises(ModelError, match="too deep"):
        read_onnx_file(model)


def test_the_bundled_model_passes() -> None:
    assert read_onnx_file(MODELS_DIR / "compact.onnx").weights == ()
