"""What a thread of the network's says late, when the node has gone on already, harms nothing.

The node is in the test's own process, so that a test decides which thread goes first.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

import faulty_nets
import tiny_models
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from ros_helpers import TIMEOUT, Tester, red_image
from sensor_msgs.msg import Image

from depth_estimation_ros.node.camera import Camera
from depth_estimation_ros.node.lifecycle_node import DepthEstimationNode
from depth_estimation_ros.node.subscriptions import Frame

SUCCESS = TransitionCallbackReturn.SUCCESS
LIMIT = 0.3


@pytest.fixture
def make(tester: Tester) -> Iterator[Callable[[Path], DepthEstimationNode]]:
    """Makes an active node that runs a model, and that somebody listens to."""
    nodes: list[DepthEstimationNode] = []

    def active(model: Path) -> DepthEstimationNode:
        values = {"model": str(model), "autostart": False, "engine_timeout": LIMIT}
        node = DepthEstimationNode(
            parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
            namespace=f"/late{os.getpid()}",
        )
        nodes.append(node)
        topic = f"{node.get_fully_qualified_name()}/depth/image"
        tester.ros.create_subscription(Image, topic, lambda message: None, 1)
        assert node.trigger_configure() == SUCCESS
        assert node.trigger_activate() == SUCCESS
        wait_until(lambda: node._cameras[0].outputs.wanted(), "a listener")
        return node

    yield active
    for node in nodes:
        node.destroy_node()


def wait_until(condition: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.01)


def show(node: DepthEstimationNode, red: int) -> None:
    node._on_frame(node._cameras[0], Frame(red_image(red), None, time.monotonic()))


def counted(node: DepthEstimationNode, name: str) -> str:
    return node._statistics.values()[name]


def open_anew(node: DepthEstimationNode) -> None:
    assert node.trigger_deactivate() == SUCCESS
    assert node.trigger_activate() == SUCCESS


def works(node: DepthEstimationNode) -> None:
    before = counted(node, "frames_published")
    show(node, 100)
    wait_until(lambda: counted(node, "frames_published") != before, "a frame")
    assert (node._state, node._statistics.error) == ("active", None)


def test_alarm_for_a_network_that_was_replaced_meanwhile_does_not_end_the_new_one(
    make: Callable[[Path], DepthEstimationNode], tmp_path: Path
) -> None:
    node = make(faulty_nets.faulty(tmp_path / "faulty.onnx"))
    show(node, faulty_nets.RAISE)
    wait_until(lambda: node._engine_broken, "the failure")
    open_anew(node)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    for _ in range(10):  # only now is the alarm heard
        executor.spin_once(timeout_sec=0.01)
    executor.shutdown()
    works(node)
    assert counted(node, "dropped_bad") == "1"


def test_error_of_a_hang_is_told_before_the_node_can_go_on_with_another_network(
    make: Callable[[Path], DepthEstimationNode], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = make(faulty_nets.hanging(tmp_path / "hangs.onnx"))
    report, told = node._report, []

    def slowly(what: str, error: Exception) -> None:
        time.sleep(0.5)
        report(what, error)
        told.append(what)

    monkeypatch.setattr(node, "_report", slowly)
    show(node, faulty_nets.HANG)
    wait_until(lambda: node._recovery._left, "the hang")
    open_anew(node)
    assert told == ["the frame is lost and the network given up"]
    wait_until(lambda: not node._recovery.threads_left, "the end of the thread that hung")
    assert node._cameras[0].path is not None
    works(node)
    assert counted(node, "dropped_bad") == "1"


def test_network_that_ends_without_a_word_is_opened_anew_by_activate(
    make: Callable[[Path], DepthEstimationNode], tmp_path: Path
) -> None:
    node = make(tiny_models.constant_depth(tmp_path / "two.onnx", 2.0))
    node._worker.abandon(RuntimeError("given up in the moment in which it was open"))
    show(node, 100)
    show(node, 100)
    open_anew(node)
    works(node)
    assert counted(node, "dropped_busy") == "2"


def test_parameters_can_be_set_in_the_moment_in_which_the_network_goes(
    make: Callable[[Path], DepthEstimationNode], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = make(tiny_models.constant_depth(tmp_path / "two.onnx", 2.0))
    seen = iter([node._cameras[0].path])
    with monkeypatch.context() as patched:
        patched.setattr(Camera, "path", property(lambda self: next(seen, None)), raising=False)
        result = node.set_parameters_atomically([Parameter("max_depth", value=5.0)])
    assert result.successful
    assert node._settings.max_depth == 5.0
