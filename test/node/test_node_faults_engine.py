"""Networks that go wrong at work: what the node says, what is lost, and how it goes on."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

import faulty_nets
import tiny_models
from ros_helpers import TIMEOUT, NodeProcess, Tester, red_image
from sensor_msgs.msg import Image

from depth_estimation_ros.messages import decode_depth

LIMIT = 0.5


def test_hanging_network_deactivates_the_node(
    node: NodeProcess, tester: Tester, tmp_path: Path
) -> None:
    model = str(faulty_nets.hanging(tmp_path / "hangs.onnx"))
    tester.bring(node, "active", model=model, camera_info_timeout=0.0, engine_timeout=LIMIT)
    depth = tester.collect(node, Image, "~/depth/image")
    tester.result_of(node, red_image(100), depth)
    logged = len(node.log)
    tester.publish(node, "image", red_image(faulty_nets.HANG))
    tester.wait_for_state(node, "inactive")
    values = tester.diagnostics(node, lambda v: v["state"] == "inactive")
    assert (values["level"], values["dropped_bad"]) == ("2", "1")
    assert "the network hangs: found no result within 0.5 s" in values["message"]
    assert "activate the node to try again" in node.log[logged:]
    assert tester.change(node, "activate")
    assert (decode_depth(tester.result_of(node, red_image(100), depth)) == 2.0).all()
    assert tester.diagnostics(node, lambda v: v["state"] == "active")["level"] != "2"
    assert node.log[logged:].count("the network hangs") == 1
    assert "Traceback" not in node.log


def test_run_that_cannot_be_cancelled_ends_the_process(tester: Tester, tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="needs openvino")
    model = str(faulty_nets.hanging(tmp_path / "hangs.onnx"))
    parameters = {"model": model, "camera_info_timeout": 0.0, "engine_timeout": LIMIT}
    with NodeProcess(tmp_path, backend="openvino", **parameters) as process:
        tester.wait_for_state(process, "active")
        depth = tester.collect(process, Image, "~/depth/image")
        tester.result_of(process, red_image(100), depth)
        tester.publish(process, "image", red_image(faulty_nets.HANG))
        assert process.process.wait(TIMEOUT) == 1
        assert "The run cannot be cancelled, so the process ends" in process.log


def test_network_that_hangs_at_start_fails_to_configure(
    node: NodeProcess, tester: Tester, tmp_path: Path
) -> None:
    model = str(faulty_nets.hanging(tmp_path / "hangs.onnx", always=True))
    tester.bring(node, "unconfigured", model=model, engine_timeout=LIMIT)
    assert tester.change(node, "configure") is False
    assert "cannot configure: the network hangs" in node.log
    good = tiny_models.red_depth(tmp_path / "good.onnx")
    assert tester.set_parameter(node, "model", str(good)).successful
    assert tester.change(node, "configure")


def test_deactivate_returns_although_the_network_hangs(
    node: NodeProcess, tester: Tester, tmp_path: Path
) -> None:
    model = str(faulty_nets.hanging(tmp_path / "hangs.onnx"))
    tester.bring(node, "active", model=model, camera_info_timeout=0.0, engine_timeout=LIMIT)
    depth = tester.collect(node, Image, "~/depth/image")
    tester.result_of(node, red_image(100), depth)
    tester.publish(node, "image", red_image(faulty_nets.HANG))
    tester.diagnostics(node, lambda v: v["frames_received"] > "1")
    assert tester.change(node, "deactivate")
    assert tester.state(node) == "inactive"
    assert tester.change(node, "activate")
    tester.result_of(node, red_image(100), depth)


def test_sigint_ends_a_node_whose_network_hangs(tester: Tester, tmp_path: Path) -> None:
    model = str(faulty_nets.hanging(tmp_path / "hangs.onnx"))
    with NodeProcess(tmp_path, model=model, camera_info_timeout=0.0, engine_timeout=0.0) as process:
        tester.wait_for_state(process, "active")
        depth = tester.collect(process, Image, "~/depth/image")
        tester.result_of(process, red_image(100), depth)
        tester.publish(process, "image", red_image(faulty_nets.HANG))
        tester.diagnostics(process, lambda v: v["frames_received"] > "1")
        assert process.stop(signal.SIGINT) == 0
    assert "Traceback" not in process.log


@pytest.mark.parametrize(
    ("red", "found"),
    [
        (faulty_nets.NAN, "only NaN"),
        (faulty_nets.INF, "only NaN and infinities"),
        (faulty_nets.ZERO, "nothing above 0 (largest 0)"),
    ],
    ids=["NaN", "Inf", "zeros"],
)
def test_prediction_without_depth_costs_one_frame(
    node: NodeProcess, tester: Tester, tmp_path: Path, red: int, found: str
) -> None:
    model = str(faulty_nets.faulty(tmp_path / "faulty.onnx"))
    tester.bring(node, "active", model=model, camera_info_timeout=0.0)
    depth = tester.collect(node, Image, "~/depth/image")
    tester.result_of(node, red_image(100), depth)
    tester.publish(node, "image", red_image(red))
    values = tester.diagnostics(node, lambda v: v["level"] == "2")
    assert f"is not a depth map: found {found}, expected" in values["message"]
    good = red_image(100)
    tester.result_of(node, good, depth)
    values = tester.diagnostics(node, lambda v: v["level"] != "2")
    assert (values["dropped_bad"], values["state"]) == ("1", "active")
    assert all((decode_depth(message) == 2.0).all() for message in depth)


@pytest.mark.parametrize(
    ("red", "found"),
    [
        (faulty_nets.TOO_MANY, "the network's output: found (2, 48, 64), expected (1, H, W)"),
        (faulty_nets.RAISE, "ONNX Runtime failed on an input of (1, 48, 64, 3)"),
    ],
    ids=["wrong shape", "raises"],
)
def test_failing_network_deactivates_with_the_reason(
    node: NodeProcess, tester: Tester, tmp_path: Path, red: int, found: str
) -> None:
    model = str(faulty_nets.faulty(tmp_path / "faulty.onnx"))
    tester.bring(node, "active", model=model, camera_info_timeout=0.0)
    depth = tester.collect(node, Image, "~/depth/image")
    tester.result_of(node, red_image(100), depth)
    tester.publish(node, "image", red_image(red))
    tester.wait_for_state(node, "inactive")
    values = tester.diagnostics(node, lambda v: v["state"] == "inactive")
    assert (values["level"], values["dropped_bad"]) == ("2", "1")
    assert found in values["message"]
    assert tester.change(node, "activate")
    tester.result_of(node, red_image(100), depth)


@pytest.mark.parametrize("change", ["deleted", "replaced"])
def test_model_file_may_change_while_it_runs(
    node: NodeProcess, tester: Tester, tmp_path: Path, change: str
) -> None:
    model = tiny_models.constant_depth(tmp_path / "model.onnx", 2.0)
    tester.bring(node, "active", model=str(model), camera_info_timeout=0.0)
    depth = tester.collect(node, Image, "~/depth/image")
    tester.result_of(node, red_image(), depth)
    if change == "deleted":
        model.unlink()
    else:
        model.write_bytes(b"half of a copy")
    assert (decode_depth(tester.result_of(node, red_image(), depth)) == 2.0).all()
    assert tester.change(node, "deactivate")
    assert tester.change(node, "activate")  # the network is in memory
    tester.result_of(node, red_image(), depth)

    assert tester.change(node, "deactivate")
    assert tester.change(node, "cleanup")
    assert tester.change(node, "configure") is False
    values = tester.diagnostics(node, lambda v: v["level"] == "2")
    assert str(model) in values["message"]
    tiny_models.constant_depth(model, 3.0)
    assert tester.change(node, "configure")
    assert tester.change(node, "activate")
    assert (decode_depth(tester.result_of(node, red_image(), depth)) == 3.0).all()
