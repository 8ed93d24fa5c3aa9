"""Networks that TensorRT cannot build, each with the reason in one error. By TensorRT-RTX."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from engine_cases import build
from onnx import TensorProto, helper
from tiny_models import float_nchw, red_depth, tiny_card

from depth_estimation_ros.engines import resolve_model
from depth_estimation_ros.engines.tensorrt.api import TensorRT
from depth_estimation_ros.engines.tensorrt.make import read_model_file
from depth_estimation_ros.engines.tensorrt.profile import Profile, make_profile
from depth_estimation_ros.errors import EngineError, ModelError


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return red_depth(tmp_path / "tiny.onnx")


@pytest.mark.parametrize("contents", [b"not ONNX", b"\xff" * 40])
def test_what_is_not_onnx(rtx: TensorRT, tmp_path: Path, contents: bytes) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(contents)
    with pytest.raises(ModelError, match=r"bad\.onnx: .*cannot read this network"):
        build(rtx, path)


def test_an_operator_that_tensorrt_lacks_is_named_with_its_node(
    rtx: TensorRT, tmp_path: Path
) -> None:
    path = red_depth(tmp_path / "odd.onnx")
    model = onnx.load(path)
    node = helper.make_node("Wonder", ["image"], ["none"], name="odd node", domain="my.house")
    model.graph.node.append(node)
    model.opset_import.append(helper.make_opsetid("my.house", 1))
    onnx.save(model, path)
    with pytest.raises(ModelError, match=r"Wonder 'odd node'.*backend onnxruntime"):
        build(rtx, path)


def test_two_outputs(rtx: TensorRT, tiny: Path) -> None:
    model = onnx.load(tiny)
    model.graph.output.append(
        helper.make_tensor_value_info("plane", TensorProto.FLOAT, ["n", "h", "w"])
    )
    onnx.save(model, tiny)
    with pytest.raises(ModelError, match="inputs and outputs of the network: found 1 and 2"):
        build(rtx, tiny)


def test_another_type_than_the_card_says(rtx: TensorRT, tmp_path: Path) -> None:
    path = float_nchw(tmp_path / "float.onnx")
    with pytest.raises(ModelError, match="input 'image' of the network: found FLOAT, expected"):
        build(rtx, path)


def test_a_size_that_the_network_does_not_take(rtx: TensorRT, tmp_path: Path) -> None:
    fixed = red_depth(tmp_path / "fixed.onnx", tiny_card(multiple_of=None))
    profile = make_profile(tiny_card().input, sizes=[(96, 128)])
    message = r"found \(any, 48, 64, 3\), expected one that takes \(1, 96, 128, 3\)"
    with pytest.raises(ModelError, match=message):
        build(rtx, fixed, profile=profile)


def test_a_size_that_breaks_the_network(rtx: TensorRT) -> None:
    model = read_model_file(resolve_model("compact"))
    profile = Profile(*[(1, 190, 250, 3)] * 3)  # not a multiple of 32
    with pytest.raises(EngineError, match=r"cannot build .*\(1, 190, 250, 3\).*Concat"):
        build(rtx, model.path, model.card.input, profile)


def test_nothing_of_an_earlier_failure_is_told_again(
    rtx: TensorRT, tiny: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"not ONNX")
    with pytest.raises(ModelError):
        build(rtx, tmp_path / "bad.onnx")
    rtx.logger().take_errors()
    assert build(rtx, tiny)
    assert rtx.logger().take_errors() == []
