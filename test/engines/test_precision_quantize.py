"""int8: what is quantised, how, and how close the depth stays."""

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, numpy_helper
from onnx_nets import network, run, types

from depth_estimation_ros.apps.build_engine.calibration_images import (
    drawn_images,
    network_batch,
    read_images,
)
from depth_estimation_ros.apps.build_engine.parity import check_parity, compare
from depth_estimation_ros.engines import resolve_model
from depth_estimation_ros.engines.onnxruntime import OnnxRuntimeEngine
from depth_estimation_ros.engines.precision.graph import load
from depth_estimation_ros.engines.precision.quantize import FIRST_LAYERS, to_int8
from depth_estimation_ros.errors import ModelError, ParameterError


def quantised(images, path, runtime="tensorrt", model="compact"):
    reference = OnnxRuntimeEngine(resolve_model(model))
    spec = reference.card.input
    batches = (network_batch(rgb, spec, nominal=True) for rgb in images(spec))
    onnx.save(to_int8(load(resolve_model(model)), batches, runtime=runtime), path)
    return reference, OnnxRuntimeEngine(path, optimize=runtime == "onnxruntime")


@pytest.fixture(scope="module")
def compact_int8(tmp_path_factory):
    path = tmp_path_factory.mktemp("int8") / "compact.onnx"
    quantised(lambda spec: drawn_images(spec, 2), path)
    return path


def test_every_layer_but_the_first_and_the_last_reads_int8(compact_int8):
    model = load(compact_int8)
    made_by = {name: node.op_type for node in model.graph.node for name in node.output}
    layers = [node for node in model.graph.node if node.op_type == "Conv"]
    read = [{made_by.get(name) for name in node.input[:2]} for node in layers]
    assert len(read) == 61
    assert all("DequantizeLinear" not in kinds for kinds in (*read[:FIRST_LAYERS], read[-1]))
    assert all(kinds == {"DequantizeLinear"} for kinds in read[FIRST_LAYERS:-1])
    # An activation follows its layer directly; a residual or a skip reads what the layer reads.
    rounded = {name for name, kind in made_by.items() if kind == "DequantizeLinear"}
    readers = {node.op_type for node in model.graph.node if rounded & set(node.input)}
    assert readers == {"Conv", "Add", "Concat"}


def test_zero_points_are_zero_and_weights_have_a_scale_a_channel(compact_int8):
    model = load(compact_int8)
    weights = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    kinds = {t.name: t.data_type for t in model.graph.initializer}
    of_weights = 0
    for node in model.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            assert kinds[node.input[2]] == TensorProto.INT8
            assert not weights[node.input[2]].any()
            if node.input[0] in weights:
                of_weights += 1
                assert kinds[node.input[0]] == TensorProto.INT8
                assert weights[node.input[1]].shape == (weights[node.input[0]].shape[0],)
    assert of_weights == 61 - FIRST_LAYERS - 1
    assert compact_int8.stat().st_size < 4.5e6


def test_what_is_not_int8_for_tensorrt_is_float16(compact_int8):
    kind = types(load(compact_int8))
    model = load(compact_int8)
    convolutions = [kind[n.output[0]] for n in model.graph.node if n.op_type == "Conv"]
    assert convolutions == [TensorProto.FLOAT16] * 60 + [TensorProto.FLOAT]
    # bytes to float32, float32 to float16 before the first layer, and back before the last.
    assert Counter(node.op_type for node in model.graph.node)["Cast"] == 3


def test_scales_stay_normal_numbers_of_float16():
    model = products(FIRST_LAYERS + 2)
    for tensor in model.graph.initializer:
        if tensor.name == f"w{FIRST_LAYERS}":  # one column of weights is nearly zero
            values = numpy_helper.to_array(tensor).copy()
            values[:, 0] *= 1e-4
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    batches = np.random.default_rng(1).normal(0, 1, (8, 1, 5, 4)).astype(np.float32)
    int8 = to_int8(model, batches)
    before = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    after = {tensor.name: numpy_helper.to_array(tensor) for tensor in int8.graph.initializer}
    scales = [after[n.input[1]] for n in int8.graph.node if n.op_type == "DequantizeLinear"]
    assert {scale.dtype.name for scale in scales} == {"float16"}
    assert min(scale.min() for scale in scales) == np.finfo(np.float16).smallest_normal
    name = f"w{FIRST_LAYERS}"
    scale = after[f"{name}_scale_fp16"].astype(np.float32)
    error = np.abs(after[f"{name}_quantized"] * scale - before[name])
    assert (error <= 0.5 * scale + np.abs(before[name]) / 1024).all()


def test_nano_in_int8_is_refused_for_tensorrt(tmp_path, shared_data):
    """Its delta1 to float32 is 0.917 on the whole of rgbd/val: fp16 is the fast precision of it."""
    train = shared_data("rgbd/train")
    engines = quantised(lambda spec: read_images(train, 12), tmp_path / "nano.onnx", model="nano")
    parity = compare(*engines, read_images(shared_data("rgbd/val"), 20))
    with pytest.raises(ModelError, match="int8 is too far from float32"):
        check_parity(parity, "int8", "nano", "")


def computed_by_onnxruntime(path, folder):
    """The operators that ONNX Runtime makes of a file."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(folder / "optimised.onnx").graph.node)


def test_onnxruntime_computes_in_int8_what_is_written_for_it(compact_int8, tmp_path):
    path = tmp_path / "compact.onnx"
    quantised(lambda spec: drawn_images(spec, 2), path, "onnxruntime")
    made = computed_by_onnxruntime(path, tmp_path)
    assert made["QLinearConv"] == 61 - FIRST_LAYERS - 1  # and the head
    assert made["Conv"] + made["FusedConv"] == FIRST_LAYERS + 1
    assert computed_by_onnxruntime(compact_int8, tmp_path)["QLinearConv"] == 0  # for TensorRT


def test_the_card_comes_along_and_says_int8(compact_int8):
    model = load(compact_int8)
    assert [entry.key for entry in model.metadata_props] == ["depth_estimation_ros.model_card"]
    card = OnnxRuntimeEngine(compact_int8).card
    assert card.model_version.endswith(" int8")
    assert card.input.multiple_of == 32


@pytest.mark.parametrize("runtime", ["tensorrt", "onnxruntime"])
def test_on_real_frames_delta1_to_float32_is_above_0_99(tmp_path, shared_data, runtime):
    """Calibrated on other recordings than it is measured on."""
    train = shared_data("rgbd/train")
    engines = quantised(
        lambda spec: read_images(train / "nyu_v2_train", 24), tmp_path / "int8.onnx", runtime
    )
    parity = compare(*engines, read_images(shared_data("rgbd/val"), 20))
    assert parity.images == 20
    check_parity(parity, "int8", "compact", "")
    assert parity.delta1 >= 0.995
    assert parity.abs_rel < 0.08  # 0.05 to 0.06, by the instructions of the processor


def products(count):
    """Matrix products in a row, each with weights, then one of two activations."""
    rng = np.random.default_rng(0)
    names = ["image", *(f"m{i}" for i in range(count))]
    nodes = [("MatMul", [names[i], f"w{i}"], names[i + 1], {}) for i in range(count)] + [
        ("Transpose", [names[-1]], "turned", {"perm": [0, 2, 1]}),
        ("MatMul", [names[-1], "turned"], "attention", {}),
        ("MatMul", ["attention", names[-1]], "mixed", {}),
        ("MatMul", ["mixed", "v"], "depth", {}),
    ]
    weights = {f"w{i}": rng.normal(0, 0.5, (4, 4)).astype(np.float32) for i in range(count)}
    weights["v"] = np.ones((4, 1), np.float32)
    return network(nodes, weights, shape=("n", 5, 4), output=("n", 5, 1))


def test_products_with_weights_are_quantised_a_column_and_those_of_attention_are_not():
    model = products(FIRST_LAYERS + 2)
    batches = np.random.default_rng(1).normal(0, 1, (8, 1, 5, 4)).astype(np.float32)
    int8 = to_int8(model, batches)
    made_by = {name: node.op_type for node in int8.graph.node for name in node.output}
    reads = {
        node.name: made_by.get(node.input[1])
        for node in int8.graph.node
        if node.op_type == "MatMul"
    }
    quantised_ones = {name for name, kind in reads.items() if kind == "DequantizeLinear"}
    assert quantised_ones == {f"m{i}" for i in range(FIRST_LAYERS, FIRST_LAYERS + 2)}
    axes = {
        attribute.i
        for node in int8.graph.node
        for attribute in node.attribute
        if node.op_type == "DequantizeLinear" and attribute.name == "axis"
    }
    assert axes == {1}
    reference = run(model, batches[0])
    assert np.abs(run(int8, batches[0]) - reference).max() < 0.05 * np.abs(reference).max()


def test_layers_can_be_kept_in_float32():
    batches = np.random.default_rng(1).normal(0, 1, (4, 1, 5, 4)).astype(np.float32)
    int8 = to_int8(products(FIRST_LAYERS + 2), batches, keep_fp32=["MatMul"])
    assert not any(node.op_type == "QuantizeLinear" for node in int8.graph.node)


def test_no_picture_is_an_error():
    with pytest.raises(ParameterError, match=r"calibration for int8: found no image"):
        to_int8(products(4), [])
