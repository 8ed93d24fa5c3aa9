"""The node from start to end: transitions, autostart, bad models, failures at work, signals."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

import tiny_models
from ros_helpers import NodeProcess, Tester, red_image
from sensor_msgs.msg import Image

from depth_estimation_ros.engines.model_card import METADATA_KEY
from depth_estimation_ros.messages import decode_depth


def threads_of(node: NodeProcess) -> int:
    return len(list(Path(f"/proc/{node.process.pid}/task").iterdir()))


def shared_memory_of(pid: int) -> set[Path]:
    maps = Path(f"/proc/{pid}/maps").read_text()
    return {Path(name) for name in re.findall(r"/dev/shm/fast(?:rtps|dds)_[0-9a-f]{16}\b", maps)}


def network_that_fails_on_red(path: Path) -> Path:
    """Looks up a table of one entry by (red of the first pixel) / 255: entry 1 is not there."""
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["float"], ["most"], keepdims=0),
        helper.make_node("Div", ["most", "scale"], ["one"]),
        helper.make_node("Cast", ["one"], ["index"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "index"], ["offset"], axis=0),
        helper.make_node("ReduceMean", ["float"], ["plane"], axes=[3], keepdims=0),
        helper.make_node("Mul", ["plane", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "offset"], ["depth"]),
    ]
    constants = {"scale": 255.0, "table": [2.0], "zero": 0.0}
    graph = helper.make_graph(
        nodes,
        "fails_on_red",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", "h", "w", 3])],
        [helper.make_tensor_value_info("depth", TensorProto.FLOAT, ["n", "h", "w"])],
        [numpy_helper.from_array(np.float32(v), name) for name, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {METADATA_KEY: tiny_models.tiny_card().to_json()})
    onnx.save(model, str(path))
    return path


def test_every_transition_many_times_in_one_process(
    node: NodeProcess, tester: Tester, tmp_path: Path
) -> None:
    model = str(tiny_models.red_depth(tmp_path / "red.onnx"))
    tester.bring(node, "unconfigured", model=model)
    threads = 0
    for round_ in range(5):
        for transition, state in [
            ("configure", "inactive"),
            ("activate", "active"),
            ("deactivate", "inactive"),
            ("activate", "active"),
            ("deactivate", "inactive"),
            ("cleanup", "unconfigured"),
        ]:
            assert tester.change(node, transition), node.log
            assert tester.state(node) == state
        if round_ == 1:
            threads = threads_of(node)
    assert threads_of(node) <= threads


def test_frames_are_processed_only_while_active_and_again_after_each_activation(
    node: NodeProcess, tester: Tester, tmp_path: Path
) -> None:
    model = str(tiny_models.red_depth(tmp_path / "red.onnx"))
    tester.bring(node, "active", model=model, camera_info_timeout=0.0)
    depth = tester.collect(node, Image, "~/depth/image")
    for _ in range(3):
        image = red_image()
        assert tester.result_of(node, image, depth).header == image.header
        assert tester.change(node, "deactivate")
        assert tester.ros.count_publishers(node.topic("~/depth/image")) == 1
        tester.wait_until(
            lambda: tester.ros.count_subscribers(node.topic("image")) == 0,
            "the end of the subscription",
            node,
        )
        assert tester.change(node, "activate")


def test_images_streaming_in_do_not_disturb_transitions(
    node: NodeProcess, tester: Tester, tmp_path: Path
) -> None:
    model = str(tiny_models.slow_depth(tmp_path / "slow.onnx", 20))
    tester.bring(node, "active", model=model, camera_info_timeout=0.0)
    depth = tester.collect(node, Image, "~/depth/image")
    tester.result_of(node, red_image(), depth)
    camera = tester.ros.create_publisher(Image, node.topic("image"), 1)
    tester.ros.create_timer(0.01, lambda: camera.publish(red_image()))
    for transition in ["deactivate", "cleanup", "configure", "activate"] * 4:
        tester.spin(0.05)
        assert tester.change(node, transition), node.log
    before = len(depth)
    tester.wait_until(lambda: len(depth) > before, "depth after the transitions", node)
    assert "Traceback" not in node.log


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path, "no such file"),
        (lambda path: path.write_bytes(b"this is not a network") and path, "cannot load this file"),
        (tiny_models.without_card, "no card"),
        (lambda path: tiny_models.with_card_version(path, 99), "99"),
        (
            lambda path: tiny_models.constant_depth(
                path, card=tiny_models.tiny_card(kind="relative_depth", unit="")
            ),
            "not metric",
        ),
    ],
    ids=["missing", "not ONNX", "no card", "card of the future", "relative depth"],
)
def test_bad_model_is_refused_in_words_and_a_good_one_configures_afterwards(
    node: NodeProcess, tester: Tester, tmp_path: Path, make, message: str
) -> None:
    bad = make(tmp_path / "bad.onnx")
    log_before = len(node.log)
    tester.bring(node, "unconfigured", model=str(bad))
    assert tester.change(node, "configure") is False
    assert tester.state(node) == "unconfigured"
    tester.wait_until(lambda: message in node.log[log_before:], f"{message!r} in the log", node)
    said = node.log[log_before:]
    assert str(bad) in said or "'tiny'" in said
    assert "Traceback" not in said
    values = tester.diagnostics(node, lambda v: message in v["last_error"])
    assert values["level"] == "2"

    good = tiny_models.red_depth(tmp_path / "good.onnx")
    assert tester.set_parameter(node, "model", str(good)).successful
    assert tester.change(node, "configure")
    assert tester.state(node) == "inactive"
    assert "tiny" in tester.diagnostics(node, lambda v: v["state"] == "inactive")["engine"]


def test_engine_that_fails_at_work_leaves_the_node_inactive_and_usable(
    node: NodeProcess, tester: Tester, tmp_path: Path
) -> None:
    model = network_that_fails_on_red(tmp_path / "fragile.onnx")
    tester.bring(node, "active", model=str(model), camera_info_timeout=0.0)
    depth = tester.collect(node, Image, "~/depth/image")
    tester.result_of(node, red_image(100), depth)
    tester.publish(node, "image", red_image(255))
    tester.wait_for_state(node, "inactive")
    values = tester.diagnostics(node, lambda v: v["level"] == "2")
    assert "ONNX Runtime failed" in values["last_error"]
    assert tester.change(node, "activate")
    tester.result_of(node, red_image(100), depth)
    assert tester.state(node) == "active"


def test_engine_that_failed_is_opened_anew_by_activate(
    node: NodeProcess, tester: Tester, tmp_path: Path
) -> None:
    model = network_that_fails_on_red(tmp_path / "fragile.onnx")
    tester.bring(node, "active", model=str(model), camera_info_timeout=0.0)
    depth = tester.collect(node, Image, "~/depth/image")
    tester.result_of(node, red_image(100), depth)
    model.unlink()
    log_before = len(node.log)
    tester.publish(node, "image", red_image(255))
    tester.wait_for_state(node, "inactive")
    assert tester.diagnostics(node, lambda v: v["engine"] == "")["level"] == "2"

    assert tester.change(node, "activate") is False
    assert tester.state(node) == "inactive"
    assert "no such file" in node.log[log_before:]
    tiny_models.red_depth(model)
    assert tester.change(node, "activate")
    message = tester.result_of(node, red_image(255), depth)
    np.testing.assert_allclose(decode_depth(message), 9.0, rtol=1e-6)
    said = node.log[log_before:]
    assert said.count("depth estimation stopped") == 1
    assert "Traceback" not in said


def test_autostart_goes_to_active_by_itself_and_sigint_ends_it_cleanly(
    tester: Tester, tmp_path: Path
) -> None:
    model = tiny_models.red_depth(tmp_path / "red.onnx")
    others = shared_memory_of(os.getpid())
    with NodeProcess(tmp_path, model=str(model), camera_info_timeout=0.0) as node:
        tester.wait_for_state(node, "active")
        depth = tester.collect(node, Image, "~/depth/image")
        tester.result_of(node, red_image(), depth)
        own = shared_memory_of(node.process.pid) - others
        assert own
        node.process.send_signal(signal.SIGINT)  # twice, as `ros2 launch` and a terminal do
        assert node.stop(signal.SIGINT) == 0, node.log
    assert "Traceback" not in node.log
    assert [path for path in own if path.exists()] == []


def test_autostart_with_a_bad_model_says_so_and_sigterm_ends_it_cleanly(
    tester: Tester, tmp_path: Path
) -> None:
    with NodeProcess(tmp_path, model="/nowhere/model.onnx") as node:
        values = tester.diagnostics(node, lambda v: v["level"] == "2")
        assert "/nowhere/model.onnx" in values["last_error"]
        assert tester.state(node) == "unconfigured"
        assert "/nowhere/model.onnx" in node.log
        good = tiny_models.red_depth(tmp_path / "good.onnx")
        assert tester.set_parameter(node, "model", str(good)).successful
        assert tester.change(node, "configure")
        assert node.stop(signal.SIGTERM) == 0
    assert "Traceback" not in node.log


def test_sigint_in_the_midst_of_frames_ends_cleanly(tester: Tester, tmp_path: Path) -> None:
    model = tiny_models.slow_depth(tmp_path / "slow.onnx", 20)
    with NodeProcess(tmp_path, model=str(model), camera_info_timeout=0.0) as node:
        tester.wait_for_state(node, "active")
        depth = tester.collect(node, Image, "~/depth/image")
        tester.result_of(node, red_image(), depth)
        camera = tester.ros.create_publisher(Image, node.topic("image"), 1)
        tester.ros.create_timer(0.005, lambda: camera.publish(red_image()))
        before = len(depth)
        tester.wait_until(lambda: len(depth) > before + 3, "a stream of depth", node)
        assert node.stop(signal.SIGINT) == 0
    assert "Traceback" not in node.log


def test_shutdown_transition_releases_the_engine_from_any_state(
    tester: Tester, tmp_path: Path
) -> None:
    model = tiny_models.red_depth(tmp_path / "red.onnx")
    with NodeProcess(tmp_path, model=str(model)) as node:
        tester.wait_for_state(node, "active")
        assert tester.change(node, "shutdown")
        assert tester.state(node) == "finalized"
        values = tester.diagnostics(node, lambda v: v["state"] == "finalized")
        assert values["engine"] == ""
        assert node.stop() == 0
    assert "Traceback" not in node.log
