"""float16 arithmetic: which nodes, which weights, and how close the depth stays."""

import sys
from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from onnx_nets import network, run, two_layers, types
from tiny_models import red_depth, slow_depth

from depth_estimation_ros.apps.build_engine.calibration_images import drawn_images, read_images
from depth_estimation_ros.apps.build_engine.parity import check_parity, compare
from depth_estimation_ros.engines import resolve_model
from depth_estimation_ros.engines.onnxruntime import OnnxRuntimeEngine
from depth_estimation_ros.engines.precision.graph import entrance, fold, head, load
from depth_estimation_ros.engines.precision.half import to_half
from depth_estimation_ros.errors import EngineError, ModelError

FLOAT, HALF, BYTE = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.UINT8


@pytest.fixture(scope="module")
def compact():
    return load(resolve_model("compact"))


@pytest.fixture(scope="module")
def compact_half(compact, tmp_path_factory):
    path = tmp_path_factory.mktemp("half") / "compact.onnx"
    onnx.save(to_half(compact), path)
    return path


def test_only_the_entrance_and_the_head_of_the_bundled_model_stay_float32(compact, compact_half):
    graph = fold(compact).graph
    assert [n.op_type for n in graph.node if n.name in entrance(graph)] == [
        *("Cast", "Transpose", "Div", "Sub", "Div")
    ]
    assert [n.op_type for n in graph.node if n.name in head(graph)] == [
        *("Conv", "Sigmoid", "Resize", "Squeeze", "Mul", "Add", "Exp")
    ]
    model = load(compact_half)
    kind = types(model)
    assert (kind["image"], kind["depth"]) == (BYTE, FLOAT)
    convolutions = [kind[n.output[0]] for n in model.graph.node if n.op_type == "Conv"]
    assert convolutions == [HALF] * 60 + [FLOAT]
    # bytes to float32, float32 to float16 before the first layer, and back before the last.
    assert Counter(n.op_type for n in model.graph.node)["Cast"] == 3
    assert [entry.domain for entry in model.opset_import] == [""]


def test_batch_normalisation_goes_into_the_weights():
    rng = np.random.default_rng(3)
    vector = {name: rng.uniform(0.5, 2.0, 8).astype(np.float32) for name in ("g", "b", "m", "v")}
    weights = {
        "w": rng.normal(0, 0.2, (8, 3, 3, 3)).astype(np.float32),
        "last": np.full((1, 8, 1, 1), 0.1, np.float32),
        **vector,
    }
    model = network(
        [
            ("Conv", ["image", "w"], "inner", {"pads": [1, 1, 1, 1]}),
            ("BatchNormalization", ["inner", "g", "b", "m", "v"], "normal", {}),
            ("Conv", ["normal", "last"], "depth", {}),
        ],
        weights,
    )
    half = to_half(model)
    assert [node.op_type for node in half.graph.node] == ["Cast", "Conv", "Cast", "Conv"]
    image = rng.normal(0, 1, (1, 3, 6, 8)).astype(np.float32)
    np.testing.assert_allclose(run(half, image), run(model, image), rtol=5e-3, atol=5e-3)


def test_the_bundled_model_keeps_its_depth_its_card_and_its_free_size(compact_half):
    reference, candidate = (
        OnnxRuntimeEngine(path) for path in (resolve_model("compact"), compact_half)
    )
    assert candidate.card.model_version == f"{reference.card.model_version} fp16"
    assert candidate.card.input == reference.card.input
    parity = compare(reference, candidate, drawn_images(reference.card.input))
    assert parity.delta1 == 1.0
    assert parity.abs_rel < 0.01


def test_on_real_frames_delta1_to_float32_is_above_0_999(compact_half, shared_data):
    reference, candidate = (
        OnnxRuntimeEngine(path) for path in (resolve_model("compact"), compact_half)
    )
    parity = compare(reference, candidate, read_images(shared_data("rgbd/val"), 20))
    assert parity.images == 20
    check_parity(parity, "fp16", "compact", "")
    assert parity.delta1 >= 0.9999
    assert parity.abs_rel < 0.005


def test_float32_pictures_stay_float32_pictures():
    model = two_layers()
    before = model.SerializeToString()
    half = to_half(model)
    assert model.SerializeToString() == before
    kind = types(half)
    assert (kind["image"], kind["inner"], kind["relu"]) == (FLOAT, HALF, HALF)
    assert (kind["last"], kind["depth"]) == (FLOAT, FLOAT)
    image = np.random.default_rng(1).normal(0, 1, (2, 3, 6, 8)).astype(np.float32)
    np.testing.assert_allclose(run(half, image), run(model, image), rtol=2e-3)


@pytest.mark.parametrize("keep", ["relu", "Relu"])
def test_a_node_or_an_operator_can_be_kept_in_float32(keep):
    kind = types(to_half(two_layers(), keep_fp32=[keep]))
    assert (kind["inner"], kind["relu"]) == (HALF, FLOAT)


def test_nothing_is_rounded_between_two_float32_nodes():
    """300 squared is beyond float16, as in a layer norm written out."""
    model = network(
        [
            ("Conv", ["image", "one"], "inner", {}),
            ("Pow", ["inner", "two"], "square", {}),
            ("Sqrt", ["square"], "root", {}),
            ("Conv", ["root", "one"], "depth", {}),
        ],
        {"one": np.ones((1, 1, 1, 1), np.float32), "two": np.float32(2.0)},
        shape=("n", 1, "h", "w"),
    )
    image = np.full((1, 1, 2, 2), 300.0, np.float32)
    np.testing.assert_array_equal(run(to_half(model), image), image)


def test_numbers_beyond_float16_become_its_largest():
    model = network(
        [
            ("Conv", ["image", "one"], "inner", {}),
            ("Max", ["inner", "mask"], "masked", {}),
            ("Conv", ["masked", "one"], "depth", {}),
        ],
        {"one": np.ones((1, 1, 1, 1), np.float32), "mask": np.float32(-1e9)},
        shape=("n", 1, "h", "w"),
    )
    half = to_half(model)
    mask = next(t for t in half.graph.initializer if t.name == "mask_fp16")
    assert numpy_helper.to_array(mask) == -65504.0


def test_a_branch_that_joins_the_picture_again_is_no_entrance():
    """As a decoder's last skip: the concatenation reads the image, and a layer."""
    model = network(
        [
            ("Mul", ["image", "scale"], "scaled", {}),
            ("Conv", ["scaled", "w"], "inner", {}),
            ("Concat", ["inner", "scaled"], "both", {"axis": 1}),
            ("Conv", ["both", "v"], "depth", {}),
        ],
        {
            "scale": np.float32(0.5),
            "w": np.ones((3, 3, 1, 1), np.float32),
            "v": np.ones((1, 6, 1, 1), np.float32),
        },
    )
    assert entrance(model.graph) == {"scaled"}
    assert head(model.graph) == {"depth"}
    assert types(to_half(model))["both"] == HALF


def test_a_network_without_layers_is_left_alone(tmp_path):
    model = load(red_depth(tmp_path / "red.onnx"))
    assert HALF not in types(to_half(model)).values()


def test_loops_are_refused(tmp_path):
    with pytest.raises(ModelError, match=r"has a Loop.*not converted.*fixed size"):
        to_half(load(slow_depth(tmp_path / "slow.onnx", 0.1)))


def test_without_the_package_onnx_the_error_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(EngineError, match="pip install onnx"):
        load(tmp_path / "any.onnx")


def test_a_file_that_is_no_onnx_is_named(tmp_path):
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(ModelError, match=r"text\.onnx: ONNX Runtime cannot load this file"):
        load(tmp_path / "text.onnx")
