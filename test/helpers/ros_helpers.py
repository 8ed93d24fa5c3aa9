"""The real node in a process of its own, and a tester that talks to it over DDS."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
import yaml
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

import depth_estimation_ros
from depth_estimation_ros.geometry.camera_model import CameraModel
from depth_estimation_ros.messages import camera_info, color_image
from depth_estimation_ros.node.parameters import DEFAULTS

TIMEOUT = 30.0  # a safety net for busy machines, never what a test measures
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
RELIABLE = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)

# The stamps of test images are numbers: they have no age.
FOR_TESTS = {"diagnostics_period": 0.1, "diagnostics_max_age": 0.0}

_numbers = itertools.count(1)


class NodeProcess:
    """`python -m depth_estimation_ros` in a namespace of its own.

    Args:
        folder: for its log and parameter file.
        arguments: more command-line arguments after --ros-args.
        namespace: of an earlier one whose place it takes; else one of its own.
        parameters: at start; the others keep their defaults.
    """

    def __init__(
        self,
        folder: Path,
        *,
        arguments: Sequence[str] = (),
        namespace: str = "",
        **parameters: Any,
    ) -> None:
        self.namespace = namespace or f"/robot{next(_numbers)}"
        self.name = f"{self.namespace}/depth_estimation"
        self._log_path = folder / "node.log"
        values = {**FOR_TESTS, **parameters}
        params_file = folder / "parameters.yaml"
        params_file.write_text(yaml.safe_dump({"/**": {"ros__parameters": values}}))
        package_parent = str(Path(depth_estimation_ros.__file__).parent.parent)
        command = [sys.executable, "-m", "depth_estimation_ros", "--ros-args"]
        command += ["-r", f"__ns:={self.namespace}", "--params-file", str(params_file), *arguments]
        with self._log_path.open("w") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": package_parent, "PYTHONUNBUFFERED": "1"},
            )

    def topic(self, name: str) -> str:
        """`~/x` and `x` as this node resolves them."""
        return f"{self.name}/{name[2:]}" if name.startswith("~/") else f"{self.namespace}/{name}"

    @property
    def log(self) -> str:
        return self._log_path.read_text()

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def stop(self, signal_number: int = signal.SIGINT) -> int:
        """Ask it to end; returns its exit code."""
        if self.is_alive:
            self.process.send_signal(signal_number)
        try:
            return self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the node did not end; its log:\n{self.log}") from None

    def __enter__(self) -> NodeProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Peer:
    """Clients of the services of one node."""

    def __init__(self, ros: Node, name: str) -> None:
        self.parameters = AsyncParameterClient(ros, name)
        self.change_state = ros.create_client(ChangeState, f"{name}/change_state")
        self.get_state = ros.create_client(GetState, f"{name}/get_state")

    def is_ready(self) -> bool:
        return (
            self.parameters.services_are_ready()
            and self.change_state.service_is_ready()
            and self.get_state.service_is_ready()
        )


class Tester:
    """A node of the test's process: publishers, collectors, lifecycle and parameter clients."""

    __test__ = False  # pytest: not a class of tests, in spite of its name

    def __init__(self) -> None:
        self.ros = rclpy.create_node(f"tester{next(_numbers)}")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.ros)
        self._publishers: dict[tuple[str, type], Any] = {}
        self._peers: dict[str, Peer] = {}
        self._own = set(self._entities())

    def destroy(self) -> None:
        self._executor.shutdown()
        self.ros.destroy_node()

    def forget_topics(self) -> None:
        """Destroy every publisher, subscription and timer made since the start."""
        for entity in set(self._entities()) - self._own:
            for destroy in (
                self.ros.destroy_publisher,
                self.ros.destroy_subscription,
                self.ros.destroy_timer,
            ):
                destroy(entity)
        self._publishers.clear()

    def _entities(self) -> list[Any]:
        return [*self.ros.publishers, *self.ros.subscriptions, *self.ros.timers]

    # Time

    def spin(self, seconds: float) -> None:
        """Let callbacks run for so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def wait_until(self, condition: Callable[[], Any], what: str, node: NodeProcess) -> Any:
        """Spin until ``condition()`` is true and return it; fails with the log of the node."""
        end = time.monotonic() + TIMEOUT
        while not (value := condition()):
            assert node.is_alive, f"the node ended while waiting for {what}; its log:\n{node.log}"
            assert time.monotonic() < end, f"waited in vain for {what}; log:\n{node.log}"
            self._executor.spin_once(timeout_sec=0.05)
        return value

    # Services

    def settle(self, node: NodeProcess) -> None:
        """Return when the node knows every topic and client that the tester has made so far.

        Until then it cannot answer, nor be heard, nor hear. Discovery is in order, so a client
        made last, whose call is answered, vouches for all that was made before.
        """
        client = self.ros.create_client(GetState, f"{node.name}/get_state")
        self.wait_until(client.service_is_ready, "the services of the node", node)

        def answered() -> bool:
            future = client.call_async(GetState.Request())
            self._executor.spin_until_future_complete(future, timeout_sec=0.2)
            return future.done()

        self.wait_until(answered, "an answer of the node", node)
        self.ros.destroy_client(client)

    def _peer(self, node: NodeProcess) -> Peer:
        if node.name not in self._peers:
            peer = self._peers[node.name] = Peer(self.ros, node.name)
            self.wait_until(peer.is_ready, "the services of the node", node)
            self.settle(node)
        return self._peers[node.name]

    def state(self, node: NodeProcess) -> str:
        future = self._peer(node).get_state.call_async(GetState.Request())
        return self._result(node, future, "get_state").current_state.label

    def change(self, node: NodeProcess, transition: str) -> bool:
        """Make a transition by its name; True if it succeeded."""
        request = ChangeState.Request()
        request.transition.label = transition
        future = self._peer(node).change_state.call_async(request)
        return self._result(node, future, f"change_state {transition}").success

    def wait_for_state(self, node: NodeProcess, state: str) -> None:
        self.wait_until(lambda: self.state(node) == state, f"state {state}", node)

    def set_parameters(
        self, node: NodeProcess, values: Mapping[str, Any], atomically: bool = False
    ) -> list[SetParametersResult]:
        client = self._peer(node).parameters
        lists = {n: list(v) if isinstance(v, tuple) else v for n, v in values.items()}
        parameters = [Parameter(name, value=value) for name, value in lists.items()]
        if atomically:
            future = client.set_parameters_atomically(parameters)
            return [self._result(node, future, "set_parameters_atomically").result]
        return self._result(node, client.set_parameters(parameters), "set_parameters").results

    def set_parameter(self, node: NodeProcess, name: str, value: Any) -> SetParametersResult:
        return self.set_parameters(node, {name: value})[0]

    def describe(self, node: NodeProcess, names: Sequence[str]) -> list[ParameterDescriptor]:
        future = self._peer(node).parameters.describe_parameters(list(names))
        return self._result(node, future, "describe_parameters").descriptors

    def list_parameters(self, node: NodeProcess) -> list[str]:
        future = self._peer(node).parameters.list_parameters([], 10)
        return list(self._result(node, future, "list_parameters").result.names)

    def bring(self, node: NodeProcess, state: str, **parameters: Any) -> None:
        """Take the node to a state with these parameters, all others at their defaults."""
        present = self.state(node)
        if present == "active":
            assert self.change(node, "deactivate")
        if present in ("active", "inactive"):
            assert self.change(node, "cleanup")
        values = {**DEFAULTS, **FOR_TESTS, **parameters}
        del values["autostart"]
        for result in self.set_parameters(node, values):
            assert result.successful, result.reason
        if state in ("inactive", "active"):
            assert self.change(node, "configure"), node.log
        if state == "active":
            assert self.change(node, "activate"), node.log

    # Topics

    def collect(
        self, node: NodeProcess, kind: type, topic: str, qos: QoSProfile = RELIABLE
    ) -> list[Any]:
        """A list that grows with each message; topics as the node names them."""
        messages: list[Any] = []
        self.ros.create_subscription(kind, node.topic(topic), messages.append, qos)
        self.settle(node)
        return messages

    def publish(
        self, node: NodeProcess, topic: str, message: Any, qos: QoSProfile = RELIABLE
    ) -> None:
        """Publish once the node has subscribed."""
        key = (node.topic(topic), type(message))
        if key not in self._publishers:
            self._publishers[key] = self.ros.create_publisher(key[1], key[0], qos)
            self.settle(node)
        publisher = self._publishers[key]
        self.wait_until(publisher.get_subscription_count, f"a subscription of {topic}", node)
        publisher.publish(message)

    def result_of(
        self,
        node: NodeProcess,
        image: Any,
        collected: list[Any],
        info: CameraInfo | None = None,
        image_topic: str = "image",
    ) -> Any:
        """Publish an image until its result, known by the stamp, is among the collected messages.

        The repetition bridges discovery: a publisher does not wait for those who listen late.
        """

        def answer() -> Any:
            return next((m for m in collected if m.header.stamp == image.header.stamp), None)

        for _ in range(int(TIMEOUT)):
            if info is not None:
                self.publish(node, "camera_info", info)
            self.publish(node, image_topic, image)
            end = time.monotonic() + 1.0
            while time.monotonic() < end:
                if (message := answer()) is not None:
                    return message
                self._executor.spin_once(timeout_sec=0.05)
        raise AssertionError(f"no result for the image; log:\n{node.log}")

    def diagnostics(
        self, node: NodeProcess, condition: Callable[[dict[str, str]], bool] = lambda values: True
    ) -> dict[str, str]:
        """The values of a fresh diagnostic status that meets a condition.

        Beside the node's own keys there are `level` (0 OK, 1 WARN, 2 ERROR), `message` and
        `stamp` in seconds.
        """
        arrays: list[DiagnosticArray] = []
        subscription = self.ros.create_subscription(
            DiagnosticArray, "/diagnostics", arrays.append, RELIABLE
        )

        def matching() -> dict[str, str] | None:
            while arrays:
                array = arrays.pop(0)
                for status in array.status:
                    values = {pair.key: pair.value for pair in status.values}
                    values["level"] = str(int.from_bytes(status.level, "little"))
                    values["message"] = status.message
                    values["stamp"] = str(array.header.stamp.sec)
                    if status.name == f"{node.name}: depth" and condition(values):
                        return values
            return None

        found = self.wait_until(matching, "such diagnostics", node)
        self.ros.destroy_subscription(subscription)
        return found

    def _result(self, node: NodeProcess, future: Any, what: str) -> Any:
        self.wait_until(future.done, f"the answer of {what}", node)
        return future.result()


def header(frame_id: str = "camera_optical") -> Header:
    """A header whose stamp no other message of this run has."""
    return Header(stamp=Time(sec=1000 + next(_numbers), nanosec=123456789), frame_id=frame_id)


def red_image(red: int | np.ndarray = 100, height: int = 48, width: int = 64) -> Image:
    """An rgb8 image with this red; green and blue are 30 and 60."""
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[...] = (0, 30, 60)
    rgb[..., 0] = red
    return color_image(rgb, header())


def info_of(camera: CameraModel) -> CameraInfo:
    return camera_info(camera, header())
