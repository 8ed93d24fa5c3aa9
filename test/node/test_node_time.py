"""The node and time that jumps back, stands still, or never comes: depth goes on at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

import tiny_models
from builtin_interfaces.msg import Time
from ros_helpers import LATCHED, RELIABLE, NodeProcess, Tester, info_of, red_image
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image

from depth_estimation_ros.geometry.camera_model import CameraModel

CAMERA = CameraModel.from_intrinsics(60.0, 62.0, 31.0, 24.0, 64, 48)
OTHER = CameraModel.from_intrinsics(90.0, 90.0, 40.0, 30.0, 80, 60)
LONG = 1000.0  # seconds to wait for a CameraInfo: no test waits for its end


@pytest.fixture(scope="module")
def simulated(
    _session_tester: Tester, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NodeProcess]:
    """A node with use_sim_time; nothing is received on /clock yet when the first test gets it."""
    folder = tmp_path_factory.mktemp("simulated")
    with NodeProcess(folder, autostart=False, use_sim_time=True) as process:
        yield process


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_models.red_depth(tmp_path_factory.mktemp("model") / "red.onnx"))


@pytest.fixture(scope="module")
def slow_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_models.slow_depth(tmp_path_factory.mktemp("model") / "slow.onnx", 400))


def image_at(seconds: float, camera: CameraModel = CAMERA, frame_id: str = "left") -> Image:
    image = red_image(100, camera.height, camera.width)
    image.header.stamp = Time(sec=int(seconds), nanosec=round(seconds % 1 * 1e9))
    image.header.frame_id = frame_id
    return image


def info_for(camera: CameraModel, frame_id: str = "left") -> CameraInfo:
    info = info_of(camera)
    info.header.frame_id = frame_id
    return info


def tick(tester: Tester, node: NodeProcess, seconds: float) -> None:
    """One message on /clock, which has come when this returns: diagnostics show its time."""
    name = "/clock"
    publishers = [p for p in tester.ros.publishers if p.topic_name == name]
    if not publishers:
        publishers = [tester.ros.create_publisher(Clock, name, RELIABLE)]
        tester.settle(node)
    (publisher,) = publishers
    tester.wait_until(publisher.get_subscription_count, "a subscription of /clock", node)
    publisher.publish(Clock(clock=Time(sec=int(seconds), nanosec=round(seconds % 1 * 1e9))))
    tester.diagnostics(node, lambda values: values["stamp"] == str(int(seconds)))


def is_idle(values: dict[str, str]) -> bool:
    """Whether each image that came in has become something: none waits, none is at work."""
    outcomes = ("frames_published", "dropped_busy", "skipped_no_subscriber")
    return int(values["frames_received"]) == sum(int(values[name]) for name in outcomes)


def seconds_of(messages: list[Image]) -> list[float]:
    return [m.header.stamp.sec + m.header.stamp.nanosec * 1e-9 for m in messages]


def test_without_any_clock_depth_flows_and_the_log_says_once_that_there_is_none(
    simulated: NodeProcess, tester: Tester, model: str
) -> None:
    tester.bring(simulated, "active", model=model, camera_info_timeout=0.0)
    depth = tester.collect(simulated, Image, "~/depth/image")
    image = image_at(100.0)
    assert tester.result_of(simulated, image, depth).header == image.header
    tester.wait_until(lambda: "is received on /clock" in simulated.log, "the log", simulated)
    tester.spin(0.5)  # five more periods of the diagnostics
    assert simulated.log.count("is received on /clock") == 1
    assert tester.diagnostics(simulated)["stamp"] == "0"


def test_every_frame_of_three_loops_comes_out_and_jumps_are_counted(
    simulated: NodeProcess, tester: Tester, model: str
) -> None:
    tester.bring(simulated, "active", model=model)
    depth = tester.collect(simulated, Image, "~/depth/image")
    start = len(simulated.log)
    stamps = [200.0, 200.5, 201.0, 201.5]
    for _ in range(3):
        tick(tester, simulated, 199.0)
        for seconds in stamps:
            depth.clear()
            tester.result_of(simulated, image_at(seconds), depth, info_for(CAMERA))
            tick(tester, simulated, seconds)
    values = tester.diagnostics(simulated)
    assert values["time_jumps"] == "2"
    assert int(values["frames_published"]) == int(values["frames_received"]) >= 3 * len(stamps)
    assert values["level"] == "0"
    log = simulated.log[start:]
    said = log.count("time jumped back by 2.500 s (/clock)")
    assert 1 <= said <= 2  # at most once a second
    assert "[WARN]" not in log
    assert "[ERROR]" not in log


def test_a_paused_clock_stops_neither_depth_nor_diagnostics(
    simulated: NodeProcess, tester: Tester, model: str
) -> None:
    tester.bring(simulated, "active", model=model)
    depth = tester.collect(simulated, Image, "~/depth/image")
    tick(tester, simulated, 300.0)
    for seconds in (300.1, 300.2, 300.3):
        tester.result_of(simulated, image_at(seconds), depth, info_for(CAMERA))
        assert tester.diagnostics(simulated)["stamp"] == "300"
    values = tester.diagnostics(simulated)
    assert int(values["frames_published"]) >= 3
    assert values["time_jumps"] == "0"


def test_a_frame_of_the_old_time_that_waits_for_the_network_is_dropped(
    simulated: NodeProcess, tester: Tester, slow_model: str
) -> None:
    tester.bring(simulated, "active", model=slow_model, camera_info_timeout=0.0)
    depth = tester.collect(simulated, Image, "~/depth/image")
    tick(tester, simulated, 400.0)
    tester.result_of(simulated, image_at(400.0), depth)
    clock = next(p for p in tester.ros.publishers if p.topic_name == "/clock")
    # While the first is worked on, the second waits and time jumps.
    before = tester.diagnostics(simulated, is_idle)
    for number, seconds in enumerate((400.1, 400.2), int(before["frames_received"]) + 1):
        tester.publish(simulated, "image", image_at(seconds))
        tester.diagnostics(simulated, lambda v, n=number: v["frames_received"] == str(n))
    clock.publish(Clock(clock=Time(sec=390)))
    values = tester.diagnostics(simulated, lambda v: v["time_jumps"] == "1")
    assert int(values["dropped_busy"]) == int(before["dropped_busy"]) + 1
    tester.result_of(simulated, image_at(390.0), depth)
    assert seconds_of(depth)[-2:] == [400.1, 390.0]


def test_a_frame_of_the_old_time_that_waits_for_a_camera_info_is_dropped(
    simulated: NodeProcess, tester: Tester, model: str
) -> None:
    tester.bring(simulated, "active", model=model, camera_info_timeout=LONG)
    depth = tester.collect(simulated, Image, "~/depth/image")
    tick(tester, simulated, 500.0)
    tester.publish(simulated, "image", image_at(500.0))
    tester.diagnostics(simulated, lambda v: v["frames_received"] == "1")
    tick(tester, simulated, 490.0)
    values = tester.diagnostics(simulated, lambda v: v["time_jumps"] == "1")
    assert values["dropped_waiting_for_camera_info"] == "1"
    tester.publish(simulated, "camera_info", info_for(CAMERA))
    tester.result_of(simulated, image_at(490.0), depth)
    assert set(seconds_of(depth)) == {490.0}


def test_a_bag_played_again_without_clock_goes_on_with_the_camera_info_that_was_latched(
    node: NodeProcess, tester: Tester, model: str
) -> None:
    tester.bring(node, "active", model=model, camera_info_timeout=LONG)
    infos = tester.collect(node, CameraInfo, "~/depth/camera_info")
    tester.publish(node, "camera_info", info_for(CAMERA), LATCHED)
    for seconds in (600.0, 601.0, 550.0, 551.0):
        info = tester.result_of(node, image_at(seconds), infos)
        assert info.k.tolist() == pytest.approx(CAMERA.K.ravel().tolist())
    assert tester.diagnostics(node)["time_jumps"] == "1"
    assert "time jumped back by 51.000 s (the stamps of the images)" in node.log


def test_a_bag_of_another_camera_waits_for_its_own_camera_info(
    node: NodeProcess, tester: Tester, model: str
) -> None:
    tester.bring(node, "active", model=model, camera_info_timeout=LONG)
    infos = tester.collect(node, CameraInfo, "~/depth/camera_info")
    tester.result_of(node, image_at(700.0), infos, info_for(CAMERA))
    image = image_at(650.0, OTHER, "right")
    tester.publish(node, "image", image)
    tester.diagnostics(node, lambda v: v["time_jumps"] == "1")
    tester.spin(0.3)
    assert {info.header.frame_id for info in infos} == {"left"}
    tester.publish(node, "camera_info", info_for(OTHER, "right"))
    tester.wait_until(lambda: infos[-1].header == image.header, "the frame held back", node)
    assert infos[-1].k.tolist() == pytest.approx(OTHER.K.ravel().tolist())


def test_a_camera_info_that_comes_before_the_first_image_of_another_camera_is_kept(
    node: NodeProcess, tester: Tester, model: str
) -> None:
    tester.bring(node, "active", model=model, camera_info_timeout=LONG)
    infos = tester.collect(node, CameraInfo, "~/depth/camera_info")
    tester.result_of(node, image_at(800.0), infos, info_for(CAMERA))
    tester.publish(node, "camera_info", info_for(OTHER, "right"))
    info = tester.result_of(node, image_at(750.0, OTHER, "right"), infos)
    assert info.k.tolist() == pytest.approx(OTHER.K.ravel().tolist())
