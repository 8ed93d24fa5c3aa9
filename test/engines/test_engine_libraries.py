"""What every library does alike with an ONNX file: batches, endings, and what it refuses."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tiny_models import (
    constant_depth,
    float_card,
    float_nchw,
    red_depth,
    resave,
    tiny_card,
    with_size,
)

from depth_estimation_ros.engines import Engine, EngineOptions, open_engine
from depth_estimation_ros.engines.model_card import METADATA_KEY
from depth_estimation_ros.errors import EngineError, ModelError


@pytest.fixture(params=["onnxruntime", "openvino"])
def backend(request: pytest.FixtureRequest) -> str:
    pytest.importorskip(request.param, reason=f"needs {request.param}")
    return request.param


TITLES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}


def open_with(backend: str, model: Path) -> Engine:
    return open_engine(model, EngineOptions(backend=backend, precision="fp32"))


def error_of(model: Path, backend: str) -> str:
    with pytest.raises(ModelError) as caught:
        open_with(backend, model)
    return str(caught.value)


# --- batches and endings -------------------------------------------------------------------------


def test_batches_of_several_pictures_and_other_sizes(tmp_path: Path, backend: str) -> None:
    engine = open_with(backend, red_depth(tmp_path / "red.onnx"))
    for shape in ((2, 16, 24, 3), (2, 48, 64, 3), (2, 16, 24, 3)):
        batch = np.zeros(shape, np.uint8)
        batch[1] = 255
        depth = engine.infer(batch)
        assert depth.shape == shape[:3]
        np.testing.assert_allclose(depth[0], 1.0)
        np.testing.assert_allclose(depth[1], 9.0, rtol=1e-6)


def test_a_batch_may_be_as_large_as_the_graph_lets_it_be(tmp_path: Path, backend: str) -> None:
    def only_one(model: onnx.ModelProto) -> None:
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.shape.dim[0].dim_value = 1

    path = red_depth(tmp_path / "red.onnx")
    assert open_with(backend, path).max_batch is None
    assert open_with(backend, resave(path, only_one)).max_batch == 1


def test_a_fixed_network_takes_only_its_size(tmp_path: Path, backend: str) -> None:
    card = with_size(tiny_card(), 48, 64, None)
    engine = open_with(backend, constant_depth(tmp_path / "a.onnx", card=card))
    assert engine.infer(np.zeros((1, 48, 64, 3), np.uint8)).shape == (1, 48, 64)
    with pytest.raises(EngineError, match=r"expected \(N, 48, 64, 3\) uint8"):
        engine.infer(np.zeros((1, 56, 64, 3), np.uint8))


def test_a_result_stays_what_it_is_when_the_engine_runs_again(tmp_path: Path, backend: str) -> None:
    engine = open_with(backend, red_depth(tmp_path / "red.onnx"))
    first = engine.infer(np.zeros((1, 48, 64, 3), np.uint8))
    engine.infer(np.full((1, 48, 64, 3), 255, np.uint8))
    np.testing.assert_array_equal(first, 1.0)


def test_a_closed_engine_says_so_and_closing_twice_is_harmless(
    tmp_path: Path, backend: str
) -> None:
    engine = open_with(backend, constant_depth(tmp_path / "a.onnx"))
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match=r"a\.onnx: the engine is closed"):
        engine.infer(np.zeros((1, 48, 64, 3), np.uint8))


def test_a_failure_inside_the_network_is_an_engine_error(tmp_path: Path, backend: str) -> None:
    def only_batches_of_one(model: onnx.ModelProto) -> None:
        model.graph.node[-1].output[0] = "any"
        model.graph.initializer.append(
            helper.make_tensor("size", TensorProto.INT64, [3], [1, 48, 64])
        )
        model.graph.node.append(helper.make_node("Reshape", ["any", "size"], ["depth"]))

    path = resave(constant_depth(tmp_path / "a.onnx"), only_batches_of_one)
    engine = open_with(backend, path)
    assert engine.infer(np.zeros((1, 48, 64, 3), np.uint8)).shape == (1, 48, 64)
    with pytest.raises(EngineError) as caught:
        engine.infer(np.zeros((1, 16, 16, 3), np.uint8))
    said = str(caught.value)
    assert f"a.onnx: {TITLES[backend]} failed on an input of (1, 16, 16, 3): " in said
    assert "[ONNXRuntimeError]" not in said
    assert "Exception from" not in said


# --- what is refused -----------------------------------------------------------------------------


def test_an_operator_that_does_not_exist(tmp_path: Path, backend: str) -> None:
    path = constant_depth(tmp_path / "a.onnx")
    path.write_bytes(path.read_bytes().replace(b"Gather", b"Gother"))
    message = error_of(path, backend)
    assert re.match(rf"{path}: (ONNX Runtime|OpenVINO) cannot load this file", message)
    assert "Gother" in message
    assert "[ONNXRuntimeError]" not in message
    assert "Exception from" not in message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"dtype": "uint8", "mean": None, "std": None},
            "found float32, expected uint8",
        ),
        ({"layout": "NHWC"}, ", 3, 48, 64), expected (batch, 48, 64, 3) as NHWC"),
        ({"height": 96}, ", 3, 48, 64), expected (batch, 3, 96, 64) as NCHW"),
        ({"multiple_of": 16}, "expected (batch, 3, height, width) as NCHW"),
    ],
)
def test_an_input_that_is_not_the_cards(
    tmp_path: Path, backend: str, changes: dict, said: str
) -> None:
    path = float_nchw(tmp_path / "a.onnx")
    (tmp_path / "a.card.yaml").write_text(float_card(**changes))
    message = error_of(path, backend)
    assert message.startswith(f"{path}: input 'image' of the network against its card: ")
    assert said in message


def test_two_outputs_are_refused(tmp_path: Path, backend: str) -> None:
    def add_output(model: onnx.ModelProto) -> None:
        model.graph.node.append(helper.make_node("Identity", ["depth"], ["confidence"]))
        model.graph.output.append(
            helper.make_tensor_value_info("confidence", TensorProto.FLOAT, ["n", "h", "w"])
        )

    message = error_of(resave(constant_depth(tmp_path / "a.onnx"), add_output), backend)
    assert "found ['image'] and ['depth', 'confidence'], expected one image in" in message


def test_an_output_with_channels_is_refused(tmp_path: Path, backend: str) -> None:
    def one_hot(model: onnx.ModelProto) -> None:
        model.graph.node[-1].output[0] = "plane"
        model.graph.initializer.append(helper.make_tensor("axis", TensorProto.INT64, [1], [1]))
        model.graph.node.append(helper.make_node("Unsqueeze", ["plane", "axis"], ["one"]))
        model.graph.node.append(helper.make_node("Concat", ["one", "one"], ["depth"], axis=1))
        del model.graph.output[:]
        model.graph.output.append(
            helper.make_tensor_value_info("depth", TensorProto.FLOAT, ["n", 2, "h", "w"])
        )

    path = constant_depth(tmp_path / "a.onnx")
    model = onnx.load(str(path))
    for node in model.graph.node:  # the name "plane" is taken
        for names in (node.input, node.output):
            names[:] = ["gathered" if name == "plane" else name for name in names]
    one_hot(model)
    onnx.save(model, str(path))
    message = error_of(path, backend)
    assert "output 'depth' of the network against its card: found " in message
    assert ", 2, " in message


def test_an_output_that_is_not_float32_is_refused(tmp_path: Path, backend: str) -> None:
    def to_double(model: onnx.ModelProto) -> None:
        model.graph.node[-1].output[0] = "single"
        model.graph.node.append(
            helper.make_node("Cast", ["single"], ["depth"], to=TensorProto.DOUBLE)
        )
        model.graph.output[0].type.tensor_type.elem_type = TensorProto.DOUBLE

    message = error_of(resave(constant_depth(tmp_path / "a.onnx"), to_double), backend)
    assert (
        "output 'depth' of the network against its card: found float64, expected float32" in message
    )


def test_a_network_of_fixed_size_under_a_card_of_multiples(tmp_path: Path, backend: str) -> None:
    fixed = with_size(tiny_card(), 48, 64, None)
    path = constant_depth(tmp_path / "a.onnx", card=fixed)

    def promise_any_size(model: onnx.ModelProto) -> None:
        free = with_size(fixed, 48, 64, 8)
        helper.set_model_props(model, {METADATA_KEY: free.to_json()})

    message = error_of(resave(path, promise_any_size), backend)
    assert ", 48, 64, 3), expected (batch, height, width, 3) as NHWC" in message
