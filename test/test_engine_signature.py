"""A network that is not what its card says is refused, in the same words by every library."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from tiny_models import constant_depth, float_card, float_nchw, resave, tiny_card, with_size

from depth_estimation_ros.engines import EngineOptions, open_engine
from depth_estimation_ros.errors import ModelError
from depth_estimation_ros.model_card import METADATA_KEY


@pytest.fixture(params=["onnxruntime", "openvino"])
def backend(request: pytest.FixtureRequest) -> str:
    pytest.importorskip(request.param, reason=f"needs {request.param}")
    return request.param


def error_of(model: Path, backend: str) -> str:
    with pytest.raises(ModelError) as caught:
        open_engine(model, EngineOptions(backend=backend))
    return str(caught.value)


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
    assert "found ['image'] and ['depth', 'confidence'], expected one picture in" in message


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
