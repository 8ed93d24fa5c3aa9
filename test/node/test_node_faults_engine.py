"""Networks that go wrong at work: what the node says, what is lost, and how it goes on."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

import faulty_nets
import tiny_models
from ros_helpers import NodeProcess, Tester, red_image
from sensor_msgs.msg import Image

from depth_estimation_ros.messages import decode_depth
from depth_estimation_ros.node.recovery import MAX_HANGS

LIMIT = 0.5


def threads_of(node: NodeProcess) -> list[str]:
    tasks = Path(f"/proc/{node.process.pid}/task").iterdir()
    return [(task / "comm").read_text().strip() for task in tasks]


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_network_that_hangs_is_an_error_and_another_one_takes_its_place(
    node: NodeProcess, tester: Tester, tmp_path: Path, backend: str
) -> None:
    pytest.importorskip(backend, reason=f"needs {backend}")
    model = str(faulty_nets.hanging(tmp_path / "hangs.onnx"))
    settings = {"model": model, "camera_info_timeout": 0.0, "engine_timeout": LIMIT}
    tester.bring(node, "active", backend=backend, **settings)
    depth = tester.collect(node, Image, "~/depth/image")
    tester.result_of(node, red_image(100), depth)
    threads, said = len(threads_of(node)), len(node.log)
    for hangs in (1, 2):
        tester.publish(node, "image", red_image(faulty_nets.HANG))
        began = time.monotonic()
        values = tester.diagnostics(node, lambda v: v["level"] == "2")
        assert "the network hangs: found no answer in 0.5 s" in values["message"]
        tester.diagnostics(node, lambda v, n=hangs: v["engine_restarts"] == str(n))
        print(f"a new network {time.monotonic() - began:.2f} s after the picture that hung")
        assert (decode_depth(tester.result_of(node, red_image(100), depth)) == 2.0).all()
    values = tester.diagnostics(node, lambda v: v["level"] != "2")
    assert (values["state"], values["dropped_bad"]) == ("active", "2")
    assert node.log[said:].count("the network hangs") == 2
    if backend == "onnxruntime":  # OpenVINO breaks off between operators, of which a loop is one
        tester.wait_until(lambda: len(threads_of(node)) <= threads, "the end of old threads", node)
    assert "Traceback" not in node.log


def test_network_that_hangs_at_every_picture_is_given_up_in_the_end(
    node: NodeProcess, tester: Tester, tmp_path: Path
) -> None:
    model = str(faulty_nets.hanging(tmp_path / "hangs.onnx"))
    tester.bring(node, "active", model=model, camera_info_timeout=0.0, engine_timeout=LIMIT)
    tester.collect(node, Image, "~/depth/image")
    said = len(node.log)
    camera = tester.ros.create_publisher(Image, node.topic("image"), 1)
    tester.ros.create_timer(0.05, lambda: camera.publish(red_image(faulty_nets.HANG)))
    tester.wait_until(lambda: "activate the node" in node.log[said:], "the end of it", node)
    tester.wait_for_state(node, "inactive")
    values = tester.diagnostics(node, lambda v: v["state"] == "inactive")
    assert (values["level"], values["engine_restarts"]) == ("2", str(MAX_HANGS))
    assert node.log[said:].count("the network hangs") == MAX_HANGS + 1
    counts = ("frames_published", "dropped_busy", "dropped_bad", "skipped_no_subscriber")
    assert sum(int(values[name]) for name in counts) == int(values["frames_received"])


def test_network_that_hangs_and_whose_file_is_gone_leaves_the_node_inactive_with_the_reason(
    node: NodeProcess, tester: Tester, tmp_path: Path
) -> None:
    model = faulty_nets.hanging(tmp_path / "hangs.onnx")
    tester.bring(node, "active", model=str(model), camera_info_timeout=0.0, engine_timeout=LIMIT)
    depth = tester.collect(node, Image, "~/depth/image")
    tester.result_of(node, red_image(100), depth)
    model.unlink()
    tester.publish(node, "image", red_image(faulty_nets.HANG))
    tester.wait_for_state(node, "inactive")
    values = tester.diagnostics(node, lambda v: v["state"] == "inactive")
    assert (values["level"], values["engine_restarts"]) == ("2", "0")
    assert f"cannot open the network anew: model '{model}': found no such file" in values["message"]
    faulty_nets.hanging(model)
    assert tester.change(node, "activate")
    tester.result_of(node, red_image(100), depth)


def test_network_that_hangs_while_it_is_opened_fails_to_configure(
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


def test_sigint_ends_a_node_whose_network_hangs_without_a_time_limit(
    tester: Tester, tmp_path: Path
) -> None:
    model = str(faulty_nets.hanging(tmp_path / "hangs.onnx"))
    with NodeProcess(tmp_path, model=model, camera_info_timeout=0.0, engine_timeout=0.0) as process:
        tester.wait_for_state(process, "active")
        depth = tester.collect(process, Image, "~/depth/image")
        tester.result_of(process, red_image(100), depth)
        tester.publish(process, "image", red_image(faulty_nets.HANG))
        tester.diagnostics(process, lambda v: v["frames_received"] > "1")
        began = time.monotonic()
        assert process.stop(signal.SIGINT) == 0
        print(f"ended after {time.monotonic() - began:.1f} s")
    assert "Traceback" not in process.log


def test_process_that_was_stopped_for_longer_than_the_limit_has_not_hung(
    node: NodeProcess, tester: Tester, tmp_path: Path
) -> None:
    model = str(tiny_models.slow_depth(tmp_path / "slow.onnx", 100))
    tester.bring(node, "active", model=model, camera_info_timeout=0.0, engine_timeout=1.0)
    depth = tester.collect(node, Image, "~/depth/image")
    tester.result_of(node, red_image(), depth)
    image = red_image()
    tester.publish(node, "image", image)
    tester.spin(0.02)
    os.kill(node.process.pid, signal.SIGSTOP)
    time.sleep(1.3)
    os.kill(node.process.pid, signal.SIGCONT)
    tester.result_of(node, image, depth)
    values = tester.diagnostics(node)
    assert (values["engine_restarts"], values["state"]) == ("0", "active")


@pytest.mark.parametrize(
    ("red", "found"),
    [
        (faulty_nets.NAN, "only NaN"),
        (faulty_nets.INF, "only NaN and infinities"),
        (faulty_nets.ZERO, "nothing above 0 (largest 0)"),
    ],
    ids=["NaN", "Inf", "zeros"],
)
def test_answer_that_is_no_depth_costs_one_frame_and_is_told(
    node: NodeProcess, tester: Tester, tmp_path: Path, red: int, found: str
) -> None:
    model = str(faulty_nets.faulty(tmp_path / "faulty.onnx"))
    tester.bring(node, "active", model=model, camera_info_timeout=0.0)
    depth = tester.collect(node, Image, "~/depth/image")
    tester.result_of(node, red_image(100), depth)
    tester.publish(node, "image", red_image(red))
    values = tester.diagnostics(node, lambda v: v["level"] == "2")
    assert f"the network's answer is no depth: found {found}, expected" in values["message"]
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
def test_network_that_cannot_be_run_leaves_the_node_inactive_with_the_reason(
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
def test_model_file_may_be_deleted_or_replaced_while_it_runs(
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
