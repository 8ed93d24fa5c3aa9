"""What lies in launch/ and config/: it says what the node does, and starts it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG = REPOSITORY / "config"
CLOUD_BYTES = 640 * 480 * 16
FULL_HD_PIXELS = 1920 * 1080
PIECE_BYTES = 65_500  # at most, of a message that may go by UDP too


def test_params_file_holds_every_parameter_at_its_default() -> None:
    pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
    from depth_estimation_ros.node.parameters import DEFAULTS

    values = yaml.safe_load((CONFIG / "depth_estimation.yaml").read_text())["/**"]
    defaults = {n: list(v) if isinstance(v, tuple) else v for n, v in DEFAULTS.items()}
    assert values["ros__parameters"] == defaults
    for name, value in values["ros__parameters"].items():  # 0 == 0.0, but not for a ROS parameter
        assert type(value) is type(defaults[name])


def test_fastdds_profile_has_room_for_a_cloud_and_keeps_the_network() -> None:
    root = ElementTree.parse(CONFIG / "fastdds_shm.xml").getroot()
    name = "{http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles}"
    transports = {t.findtext(f"{name}type"): t for t in root.iter(f"{name}transport_descriptor")}
    assert set(transports) == {"SHM", "UDPv4"}
    assert int(transports["SHM"].findtext(f"{name}maxMessageSize", "")) > CLOUD_BYTES
    assert int(transports["SHM"].findtext(f"{name}segment_size", "")) > 10 * CLOUD_BYTES
    pieces = FULL_HD_PIXELS * (16 + 4 + 3) / PIECE_BYTES  # cloud, depth and colours of one image
    assert int(transports["SHM"].findtext(f"{name}port_queue_capacity", "")) > 4 * pieces
    assert next(root.iter(f"{name}useBuiltinTransports")).text == "false"


needs_shared_memory = pytest.mark.skipif(
    shutil.disk_usage("/dev/shm").total < 400e6 if Path("/dev/shm").is_dir() else True,
    reason="needs 400 MB of shared memory",
)


@needs_shared_memory
def test_best_effort_cloud_of_a_vga_image_arrives_with_the_profile(
    node: Any, tester: Any, tmp_path: Path
) -> None:
    import tiny_models
    from ros_helpers import BEST_EFFORT, info_of, red_image
    from sensor_msgs.msg import PointCloud2

    from depth_estimation_ros.geometry.camera_model import CameraModel

    model = str(tiny_models.constant_depth(tmp_path / "constant.onnx"))
    tester.bring(node, "active", model=model)
    clouds = tester.collect(node, PointCloud2, "~/points", BEST_EFFORT)
    camera = info_of(CameraModel.from_hfov(640, 480, 60.0))
    for _ in range(5):
        cloud = tester.result_of(node, red_image(0, 480, 640), clouds, camera)
        assert len(cloud.data) == CLOUD_BYTES


@needs_shared_memory
def test_best_effort_clouds_of_full_hd_images_arrive_with_the_profile(
    node: Any, tester: Any, tmp_path: Path
) -> None:
    """With the queue that Fast DDS has by itself, 3 of 16 came, and those by luck."""
    import tiny_models
    from ros_helpers import BEST_EFFORT, info_of, red_image
    from sensor_msgs.msg import Image, PointCloud2

    from depth_estimation_ros.geometry.camera_model import CameraModel

    model = str(tiny_models.constant_depth(tmp_path / "constant.onnx"))
    tester.bring(node, "active", model=model)
    depths = tester.collect(node, Image, "~/depth/image", BEST_EFFORT)
    clouds = tester.collect(node, PointCloud2, "~/points", BEST_EFFORT)
    camera = info_of(CameraModel.from_hfov(1920, 1080, 60.0))
    image = red_image(0, 1080, 1920)
    arrived = 0
    for second in range(1, 7):
        image.header.stamp.sec = second
        tester.result_of(node, image, depths, camera)
        tester.spin(2.0)
        arrived += any(cloud.header.stamp.sec == second for cloud in clouds)
        clouds.clear()
    assert arrived >= 5


def launch_file_of(name: str) -> ModuleType:
    pytest.importorskip("launch_ros", reason="needs ros2 launch")
    path = REPOSITORY / "launch" / name
    spec = importlib.util.spec_from_file_location("launch_file", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def launch_file() -> ModuleType:
    return launch_file_of("depth_estimation.launch.py")


def launched(launch_file: ModuleType, **arguments: str) -> list[Any]:
    """The processes that `ros2 launch` would start for these arguments, those of timers too."""
    from launch import LaunchContext
    from launch.actions import ExecuteLocal, TimerAction

    context = LaunchContext()
    context.launch_configurations.update(arguments)

    def processes(entity: Any) -> list[Any]:
        if isinstance(entity, ExecuteLocal):
            wanted = entity.condition is None or entity.condition.evaluate(context)
            return [entity] if wanted else []
        subs = entity.actions if isinstance(entity, TimerAction) else entity.visit(context)
        return [process for sub in subs or [] for process in processes(sub)]

    return processes(launch_file.generate_launch_description())


def test_each_launch_argument_is_described_and_its_default_files_exist(
    launch_file: ModuleType,
) -> None:
    from launch import LaunchContext
    from launch.utilities import perform_substitutions

    *declared, _ = launch_file.generate_launch_description().entities
    assert all(argument.description for argument in declared)
    context = LaunchContext()
    for argument in declared:
        argument.visit(context)
        default = perform_substitutions(context, argument.default_value)
        assert Path(default).is_file() or not default.endswith((".yaml", ".xml"))


def test_launch_starts_the_node_alone_or_with_rviz(launch_file: ModuleType) -> None:
    def executables(**arguments: str) -> list[str]:
        return [process.node_executable for process in launched(launch_file, **arguments)]

    assert executables() == ["depth_estimation_node"]
    assert executables(depth_rviz="true") == ["depth_estimation_node", "rviz2"]


def test_launch_plays_a_bag_beside_the_node_in_simulated_time(tmp_path: Path) -> None:
    launch_file = launch_file_of("replay.launch.py")
    node, rviz, player = launched(
        launch_file, bag=str(tmp_path), depth_camera="/front", loop="true"
    )
    assert node.node_executable == "depth_estimation_node"
    assert rviz.node_executable == "rviz2"
    words = ["".join(part.text for part in word) for word in player.cmd]
    assert words[:5] == ["ros2", "bag", "play", str(tmp_path), "--clock"]
    assert words[-1] == "--loop"


@pytest.mark.parametrize("keep", ["false", "true"])
def test_launch_ends_all_when_the_player_has_ended_unless_it_should_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: str
) -> None:
    launch_file = launch_file_of("replay.launch.py")
    from launch import LaunchService
    from launch.actions import ExecuteProcess, OpaqueFunction, Shutdown, TimerAction

    (tmp_path / "ros2").write_text("#!/bin/sh\n")  # a player whose bag is over at once
    (tmp_path / "ros2").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    service = LaunchService(noninteractive=True)
    arguments = {name: default or "" for name, (default, *_) in launch_file.ARGUMENTS.items()}
    arguments.update(delay="0.0", keep=keep, depth_fastdds_profile="none")
    service.context.launch_configurations.update(arguments)
    ends: list[str] = []
    node = ExecuteProcess(cmd=["sleep", "600"], on_exit=lambda event, _: ends.append("node"))
    later = TimerAction(
        period=1.0, actions=[OpaqueFunction(function=lambda _: ends.append("timer")), Shutdown()]
    )
    for entity in (node, OpaqueFunction(function=launch_file.player), later):
        service.include_launch_description(launch_file.LaunchDescription([entity]))
    assert service.run() == 0
    assert ends == (["timer", "node"] if keep == "true" else ["node"])


@pytest.mark.parametrize("respawn", ["false", "true"])
def test_a_node_that_was_killed_comes_back_if_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, respawn: str
) -> None:
    launch_file = launch_file_of("depth_estimation.launch.py")
    from launch import LaunchService
    from launch.actions import EmitEvent, RegisterEventHandler, TimerAction
    from launch.event_handlers import OnProcessExit, OnProcessStart
    from launch.events import Shutdown

    installed = tmp_path / "lib" / "depth_estimation_ros" / "depth_estimation_node"
    index = tmp_path / "share" / "ament_index" / "resource_index" / "packages"
    for folder in (installed.parent, index):
        folder.mkdir(parents=True)
    (index / "depth_estimation_ros").touch()
    installed.write_text("#!/bin/sh\nexec sleep 600\n")
    installed.chmod(0o755)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    monkeypatch.setattr(launch_file, "RESPAWN_DELAY_S", 0.1)
    started: list[int] = []
    end = [EmitEvent(event=Shutdown(reason="seen enough"))]

    def on_start(event: Any, context: Any) -> list[Any]:
        started.append(event.pid)
        if len(started) == 2:
            return end
        os.kill(event.pid, signal.SIGKILL)
        return []

    service = LaunchService(noninteractive=True)
    service.context.launch_configurations.update(
        depth_respawn=respawn, depth_fastdds_profile="none"
    )
    handlers = [
        RegisterEventHandler(OnProcessStart(on_start=on_start)),
        TimerAction(period=60.0, actions=end),  # a safety net
    ]
    if respawn == "false":
        handlers.append(RegisterEventHandler(OnProcessExit(on_exit=end)))
    entities = launch_file.generate_launch_description().entities
    service.include_launch_description(launch_file.LaunchDescription([*handlers, *entities]))
    service.run()
    assert len(started) == (2 if respawn == "true" else 1)
