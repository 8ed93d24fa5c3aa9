"""The bench's count of operations, and where it takes a network's accuracy from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from depth_estimation_ros.engines import resolve_model

onnx = pytest.importorskip("onnx")

from accuracy import read_equal_budget, scores_of_card  # noqa: E402
from macs import count_macs  # noqa: E402

SCORE = {"dataset": "rooms", "frames": 7, "cap_m": 10.0, "camera": "known", "abs_rel": 0.2}
SCORE |= {"delta1": 0.6, "predictor": "model", "alignment": "none", "rmse": 0.5}


def one_layer(folder: Path, kind: str, weights: tuple[int, ...], **attributes: int) -> Path:
    """A graph of one layer on (batch, 3, height, width)."""
    make, float32 = onnx.helper, onnx.TensorProto.FLOAT
    graph = make.make_graph(
        [make.make_node(kind, ["x", "w"], ["y"], **attributes)],
        kind,
        [make.make_tensor_value_info("x", float32, ["n", "c", "h", "w_"])],
        [make.make_tensor_value_info("y", float32, None)],
        [onnx.numpy_helper.from_array(np.ones(weights, np.float32), "w")],
    )
    path = folder / f"{kind}.onnx"
    onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize(
    ("kind", "weights", "attributes", "macs"),
    [
        ("Conv", (5, 3, 3, 3), {}, 5 * 6 * 8 * 3 * 3 * 3),  # 8x10 shrinks to 6x8
        ("Conv", (6, 1, 1, 1), {"group": 3}, 6 * 8 * 10),
        ("ConvTranspose", (3, 4, 2, 2), {"strides": [2, 2]}, 3 * 8 * 10 * 4 * 2 * 2),
        ("MatMul", (10, 7), {}, 3 * 8 * 10 * 7),
    ],
)
def test_layers_are_counted_by_hand(tmp_path, kind, weights, attributes, macs) -> None:
    path = one_layer(tmp_path, kind, weights, **attributes)
    assert count_macs(path, np.zeros((1, 3, 8, 10), np.float32)) == macs
    assert count_macs(path, np.zeros((2, 3, 8, 10), np.float32)) == 2 * macs


def test_the_bundled_network_costs_what_pytorch_counts() -> None:
    pytest.importorskip(
        "training.networks", reason="needs the training extra", exc_type=ImportError
    )
    import yaml

    from training.networks import build_network
    from training.research.runs import count_macs as count_in_pytorch

    configuration = Path(__file__).resolve().parents[2] / "config" / "training" / "compact.yaml"
    options = yaml.safe_load(configuration.read_text())["network"]
    network = build_network(options.pop("name"), **options, pretrained=False)
    counted = count_macs(resolve_model("compact"), np.zeros((1, 192, 256, 3), np.uint8))
    assert counted == count_in_pytorch(network, 192, 256)


def test_of_a_card_the_networks_own_scores_count_without_alignment() -> None:
    others = [{**SCORE, "alignment": "median"}, {**SCORE, "predictor": "data set's median"}]
    kept = {
        key: SCORE[key] for key in ("dataset", "frames", "cap_m", "camera", "abs_rel", "delta1")
    }
    assert scores_of_card([SCORE, *others]) == [kept]


def test_equal_budget_is_the_ablations_row_with_the_constants_beside_it(tmp_path: Path) -> None:
    rows = [
        {"predictor": "model", "alignment": "none", "delta1": 0.3, "path": "val"},
        {"predictor": "data set's median", "alignment": "none", "delta1": 0.1, "path": "val"},
        {"predictor": "model", "alignment": "median", "delta1": 0.5, "path": "val"},
        {"predictor": "frame's median", "alignment": "median", "delta1": 0.2, "path": "val"},
    ]
    content = {"candidates": [{"name": "small", "metrics": rows}, {"name": "large", "metrics": []}]}
    assert read_equal_budget("small", tmp_path) == {}
    (tmp_path / "equal_budget.json").write_text(json.dumps(content))
    scores = {"none": 0.3, "median": 0.5, "constant, none": 0.1, "constant, median": 0.2}
    assert read_equal_budget("small", tmp_path) == scores
    assert read_equal_budget("unknown", tmp_path) == {}
    rows.append({**rows[0], "path": "another"})
    (tmp_path / "equal_budget.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="several data sets"):
        read_equal_budget("small", tmp_path)
