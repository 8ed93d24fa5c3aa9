"""What cameras, listeners and operators do to the node, each in its own process, over DDS."""

from __future__ import annotations

import re
import signal
import time
from itertools import pairwise
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

import tiny_models
from fault_peers import peer
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from ros_helpers import NodeProcess, Tester, red_image
from sensor_msgs.msg import Image

from depth_estimation_ros.messages import decode_depth


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_models.constant_depth(tmp_path_factory.mktemp("model") / "two.onnx", 2.0))


def next_depth(node: NodeProcess, tester: Tester, depth: list[Image]) -> float:
    """Wait for a depth image that is not there yet; returns the seconds that it took."""
    began, before = time.monotonic(), len(depth)
    tester.wait_until(lambda: len(depth) > before, "a new depth image", node)
    return time.monotonic() - began


def test_camera_that_is_killed_and_started_again_is_heard_again(
    node: NodeProcess, tester: Tester, model: str
) -> None:
    tester.bring(node, "active", model=model, camera_info_timeout=0.0)
    depth = tester.collect(node, Image, "~/depth/image")
    camera = ("camera", node.topic("image"), 64, 48, 30)
    with peer(*camera):
        next_depth(node, tester, depth)
    tester.spin(0.2)
    before = len(depth)
    tester.spin(0.3)
    assert len(depth) == before
    with peer(*camera):
        print(f"depth {next_depth(node, tester, depth):.2f} s after a new camera was started")

    def none_is_lost(values: dict[str, str]) -> bool:
        taken = int(values["frames_published"]) + int(values["dropped_busy"])
        return int(values["frames_received"]) == taken

    values = tester.diagnostics(node, none_is_lost)
    assert (values["state"], values["dropped_bad"]) == ("active", "0")


def test_five_cameras_of_different_sizes_on_one_topic_each_get_their_depth(
    node: NodeProcess, tester: Tester, model: str
) -> None:
    tester.bring(node, "active", model=model, camera_info_timeout=0.0)
    depth = tester.collect(node, Image, "~/depth/image")
    sizes = [(64, 48), (640, 480), (33, 77), (320, 8), (1280, 720)]
    topic = node.topic("image")
    with (
        peer("camera", topic, *sizes[0], 10),
        peer("camera", topic, *sizes[1], 10),
        peer("camera", topic, *sizes[2], 10),
        peer("camera", topic, *sizes[3], 10),
        peer("camera", topic, *sizes[4], 10),
    ):

        def seen() -> set[tuple[int, int]]:
            return {(message.width, message.height) for message in depth}

        tester.wait_until(lambda: seen() == set(sizes), "depth of all five", node)
        tester.spin(0.5)
    for message in depth:
        assert message.header.frame_id == f"{message.width}x{message.height}"
        assert (decode_depth(message) == 2.0).all()
    assert tester.diagnostics(node)["dropped_bad"] == "0"


def test_listener_that_stands_still_delays_nobody_and_costs_no_memory(
    node: NodeProcess, tester: Tester, model: str
) -> None:
    tester.bring(node, "active", model=model, camera_info_timeout=0.0)
    depth = tester.collect(node, Image, "~/depth/image")
    listeners = lambda: tester.ros.count_subscribers(node.topic("~/depth/image"))  # noqa: E731
    with peer("deaf", node.topic("~/depth/image")) as deaf:
        tester.wait_until(lambda: listeners() == 2, "the deaf listener", node)
        with peer("camera", node.topic("image"), 640, 480, 30):
            tester.wait_until(lambda: len(depth) > 10, "depth beside a deaf listener", node)
            deaf.send_signal(signal.SIGSTOP)
            before, began = len(depth), time.monotonic()
            rss = float(tester.diagnostics(node)["rss_mb"])
            tester.wait_until(lambda: len(depth) > before + 60, "depth beside a stopped one", node)
            seconds = time.monotonic() - began
    values = tester.diagnostics(node)
    grown = float(values["rss_mb"]) - rss
    print(f"60 frames of 1.2 MB in {seconds:.1f} s, memory grew by {grown:.1f} MB")
    assert grown < 30.0  # of more than 70 MB published
    assert values["level"] != "2"


def test_killed_node_leaves_a_topic_that_the_next_one_takes_over(
    tester: Tester, tmp_path: Path, model: str
) -> None:
    settings = {"model": model, "camera_info_timeout": 0.0}
    with NodeProcess(tmp_path, **settings) as node:
        depth = tester.collect(node, Image, "~/depth/image")
        with peer("camera", node.topic("image"), 64, 48, 30):
            next_depth(node, tester, depth)
            node.process.kill()
            node.process.wait()
            tester.spin(0.2)
            before, began = len(depth), time.monotonic()
            with NodeProcess(tmp_path, namespace=node.namespace, **settings) as second:
                tester.wait_until(lambda: len(depth) > before, "depth of the next node", second)
                print(f"depth {time.monotonic() - began:.2f} s after the node was started again")
                assert second.stop(signal.SIGTERM) == 0
    assert "Traceback" not in second.log


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_node_while_a_camera_sends_and_nothing_is_left_behind(
    tester: Tester, tmp_path: Path, model: str, number: int
) -> None:
    with NodeProcess(tmp_path, model=model, camera_info_timeout=0.0) as node:
        depth = tester.collect(node, Image, "~/depth/image")
        with peer("camera", node.topic("image"), 640, 480, 60):
            next_depth(node, tester, depth)
            maps = Path(f"/proc/{node.process.pid}/maps").read_text()
            assert node.stop(number) == 0
        own = f"_{node.process.pid}_"
        assert [name for name in re.findall(r"/dev/shm/\S+", maps) if own in name] == []
    assert "Traceback" not in node.log


def test_publisher_of_a_lesser_quality_of_service_is_named_in_the_log(
    tester: Tester, tmp_path: Path, model: str
) -> None:
    overrides = {"qos_overrides": {"/rover/image": {"subscription": {"reliability": "reliable"}}}}
    with NodeProcess(tmp_path, namespace="/rover", model=model, **overrides) as node:
        tester.wait_for_state(node, "active")
        best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        tester.ros.create_publisher(Image, "/rover/image", best_effort)
        said = (
            "nothing is received from a publisher of /rover/image: its QoS offers less RELIABILITY "
            "than this node requests. Change the publisher, or start this node with the parameter "
            "qos_overrides./rover/image.subscription.reliability"
        )
        tester.wait_until(lambda: said in node.log, "a line on the publisher", node)


def test_listener_that_asks_for_more_quality_of_service_is_named_in_the_log(
    node: NodeProcess, tester: Tester, model: str
) -> None:
    tester.bring(node, "active", model=model, camera_info_timeout=0.0)
    depth = tester.collect(node, Image, "~/depth/image")
    topic, latched = node.topic("~/depth/image"), DurabilityPolicy.TRANSIENT_LOCAL
    qos = QoSProfile(depth=1, durability=latched)
    tester.ros.create_subscription(Image, topic, lambda message: None, qos)
    said = f"a subscription of {topic} receives nothing: its QoS requests more DURABILITY"
    tester.wait_until(lambda: said in node.log, "a line on the subscription", node)
    tester.result_of(node, red_image(), depth)


def test_full_hd_at_sixty_hertz_into_a_slow_network_queues_nothing(
    node: NodeProcess, tester: Tester, tmp_path: Path
) -> None:
    model = str(tiny_models.slow_depth(tmp_path / "slow.onnx", 100))
    tester.bring(node, "active", model=model, camera_info_timeout=0.0, output_size="network")
    depth = tester.collect(node, Image, "~/depth/image")
    with peer("camera", node.topic("image"), 1920, 1080, 60):
        tester.wait_until(lambda: len(depth) >= 5, "depth of the stream", node)
        rss = float(tester.diagnostics(node)["rss_mb"])
        tester.wait_until(lambda: len(depth) >= 20, "more depth of the stream", node)
        values = tester.diagnostics(node)
        stamps = [message.header.stamp.sec for message in depth]
    assert stamps == sorted(set(stamps))
    assert max(after - before for before, after in pairwise(stamps)) > 1
    received, busy = int(values["frames_received"]), int(values["dropped_busy"])
    published = int(values["frames_published"])
    print(
        f"{received} received, {published} published, {busy} dropped as busy, "
        f"{float(values['rss_mb']) - rss:.1f} MB grown, p99 {values['latency_ms_p99']} ms"
    )
    assert busy > 0
    assert 0 <= received - published - busy <= 4  # in the network, handed over, or waiting
    assert float(values["rss_mb"]) - rss < 40.0  # a queue would grow by 6.2 MB a frame
