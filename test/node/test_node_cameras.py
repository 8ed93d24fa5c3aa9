"""Several cameras in one node, over DDS: each gets its own depth, in its order, and its share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

import tiny_models
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from ros_helpers import BEST_EFFORT, RELIABLE, NodeProcess, Tester, info_of, red_image
from sensor_msgs.msg import Image, PointCloud2

from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.geometry.camera_model import CameraModel
from depth_estimation_ros.messages import decode_depth
from depth_estimation_ros.node.parameters import Parameters

CAMERA = CameraModel.from_intrinsics(60.0, 62.0, 31.0, 24.0, 64, 48)
NETWORK_MS = 20.0
COUNTED = ("frames_received", "frames_published", "dropped_busy")
BUSY_HZ, CALM_HZ, SECONDS = 60, 5, 6


@pytest.fixture(scope="module")
def red_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_models.red_depth(tmp_path_factory.mktemp("model") / "red.onnx"))


@pytest.fixture(scope="module")
def slow_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model") / "slow.onnx"
    return str(tiny_models.slow_depth(path, NETWORK_MS))


@pytest.fixture(scope="module")
def node(
    _session_tester: Tester, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path_factory.mktemp("node"), autostart=False) as process:
        yield process


def meters(red: int) -> float:
    return 1.0 + 8.0 * red / 255.0


def stamped(red: int, seconds: int, frame_id: str) -> Image:
    image = red_image(red)
    image.header.stamp, image.header.frame_id = Time(sec=seconds), frame_id
    return image


Told = dict[str, dict[str, str]]


def told_when(tester: Tester, node: NodeProcess, condition: Callable[[Told], bool]) -> Told:
    """The first diagnostics that meet a condition: of each status, by its task, the values.

    Beside the node's own keys there are `level` (0 OK, 1 WARN, 2 ERROR) and `message`.
    """
    arrays: list[DiagnosticArray] = []
    tester.ros.create_subscription(DiagnosticArray, "/diagnostics", arrays.append, RELIABLE)

    def matching() -> Told | None:
        while arrays:
            told = {
                status.name.removeprefix(f"{node.name}: "): {
                    **{pair.key: pair.value for pair in status.values},
                    "level": str(int.from_bytes(status.level, "little")),
                    "message": status.message,
                }
                for status in arrays.pop(0).status
                if status.name.startswith(node.name)
            }
            if told and condition(told):
                return told
        return None

    return tester.wait_until(matching, "such diagnostics", node)


def levels(**wanted: int) -> Callable[[Told], bool]:
    """Whether the statuses of these tasks have these levels; _ stands for a space."""
    return lambda told: all(
        told[name.replace("_", " ")]["level"] == str(level) for name, level in wanted.items()
    )


def all_counted(told: Told, name: str) -> bool:
    """Whether each frame that came in has come to its end."""
    counts = {key: int(told[f"{name} depth"][key]) for key in COUNTED}
    return counts["frames_received"] == counts["frames_published"] + counts["dropped_busy"]


def test_each_camera_gets_its_own_depth_with_its_own_stamp(
    node: NodeProcess, tester: Tester, red_model: str
) -> None:
    tester.bring(node, "active", model=red_model, cameras=["front", "left"])
    depths = {
        name: tester.collect(node, Image, f"~/{name}/depth/image") for name in ("front", "left")
    }
    clouds = tester.collect(node, PointCloud2, "~/left/points")
    for name, red in (("front", 0), ("left", 255)):
        image, info = red_image(red), info_of(CAMERA)
        image.header.frame_id = info.header.frame_id = name
        tester.publish(node, f"{name}/camera_info", info)
        found = tester.result_of(node, image, depths[name], image_topic=f"{name}/image")
        assert found.header == image.header
        np.testing.assert_allclose(decode_depth(found), meters(red), rtol=1e-5)
    tester.wait_until(lambda: clouds, "the cloud", node)
    assert {cloud.header.frame_id for cloud in clouds} == {"left"}
    assert {depth.header.frame_id for depth in depths["front"]} == {"front"}


def test_one_camera_without_a_name_has_the_topics_of_old(
    node: NodeProcess, tester: Tester, red_model: str
) -> None:
    tester.bring(node, "active", model=red_model, cameras=["front", "left"])
    tester.bring(node, "active", model=red_model)
    depths = tester.collect(node, Image, "~/depth/image")
    tester.result_of(node, red_image(), depths, info_of(CAMERA))
    topics = {name for name, _ in tester.ros.get_topic_names_and_types()}
    tester.wait_until(
        lambda: tester.ros.count_publishers(node.topic("~/front/depth/image")) == 0,
        "the end of the other cameras' topics",
        node,
    )
    assert node.topic("~/depth/image") in topics


def test_a_fast_camera_beside_a_slow_one_starves_neither(
    node: NodeProcess, tester: Tester, slow_model: str
) -> None:
    tester.bring(
        node, "active", model=slow_model, cameras=["busy", "calm"], camera_info_timeout=0.0
    )
    depths = {
        name: tester.collect(node, Image, f"~/{name}/depth/image") for name in ("busy", "calm")
    }
    publishers = {
        name: tester.ros.create_publisher(Image, node.topic(f"{name}/image"), BEST_EFFORT)
        for name in depths
    }
    tester.settle(node)
    for name, publisher in publishers.items():
        tester.wait_until(publisher.get_subscription_count, f"a subscription of {name}", node)
    sent = {"busy": 0, "calm": 0}
    start = time.monotonic()
    for turn in range(BUSY_HZ * SECONDS):
        for name in ["busy"] + ["calm"] * (turn % (BUSY_HZ // CALM_HZ) == 0):
            sent[name] += 1
            publishers[name].publish(stamped(turn % 256, sent[name], name))
        tester.spin(max(0.0, start + (turn + 1) / BUSY_HZ - time.monotonic()))
    tester.spin(1.0)
    told = told_when(tester, node, lambda told: all(all_counted(told, name) for name in depths))
    for name, answers in depths.items():
        stamps = [answer.header.stamp.sec for answer in answers]
        assert stamps == sorted(set(stamps)), name  # each once, in order
        assert {answer.header.frame_id for answer in answers} == {name}
        assert len(stamps) == int(told[f"{name} depth"]["frames_published"])
    # However slow the machine: the slow camera gets all, or as many turns as the fast one; and the
    # fast one no fewer.
    received = int(told["calm depth"]["frames_received"])
    assert received >= sent["calm"] // 2
    assert len(depths["calm"]) >= min(0.9 * received, len(depths["busy"]) - 2)
    assert len(depths["busy"]) >= len(depths["calm"]) - 2


def test_a_camera_with_bad_images_does_not_disturb_the_other(
    node: NodeProcess, tester: Tester, red_model: str
) -> None:
    tester.bring(node, "active", model=red_model, cameras=["good", "bad"], camera_info_timeout=0.0)
    depths = tester.collect(node, Image, "~/good/depth/image")
    tester.collect(node, Image, "~/bad/depth/image")
    for second in range(1, 11):
        broken = stamped(0, second, "bad")
        broken.step = 5
        tester.publish(node, "bad/image", broken)
        tester.result_of(node, stamped(100, second, "good"), depths, image_topic="good/image")
    told = told_when(tester, node, levels(depth=2, good_depth=1, bad_depth=2))
    assert int(told["bad depth"]["dropped_bad"]) >= 1
    assert told["good depth"]["dropped_bad"] == "0"
    assert told["bad depth"]["frames_published"] == "0"
    assert told["depth"]["dropped_bad"] == told["bad depth"]["dropped_bad"]
    assert told["depth"]["frames_published"] == told["good depth"]["frames_published"]
    assert "bad: The rows of the image are too short" in told["depth"]["message"]


def test_time_that_jumps_back_for_one_camera_stands_for_no_other(
    node: NodeProcess, tester: Tester, red_model: str
) -> None:
    tester.bring(
        node, "active", model=red_model, cameras=["front", "left"], camera_info_timeout=0.0
    )
    depths = {
        name: tester.collect(node, Image, f"~/{name}/depth/image") for name in ("front", "left")
    }
    for name, seconds in (("front", 100), ("left", 400), ("front", 50)):
        tester.result_of(node, stamped(1, seconds, name), depths[name], image_topic=f"{name}/image")
    told = told_when(tester, node, levels(depth=1))
    assert told["front depth"]["time_jumps"] == "1"
    assert told["left depth"]["time_jumps"] == "0"
    assert told["depth"]["time_jumps"] == "1"


@pytest.mark.parametrize(
    "names", [(), ("front", "front"), ("front", ""), ("1st",), ("a/b",), ("front left",)]
)
def test_names_that_make_no_topics_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(ParameterError, match="parameter cameras"):
        Parameters(cameras=names).check()


def test_good_names_pass() -> None:
    Parameters(cameras=("front", "Left_2")).check()
    Parameters().check()
