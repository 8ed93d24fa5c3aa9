"""The launch file, run with fakes of the launch classes: what it declares and what it starts.

test_launch_files.py runs it with the real ones where they are installed.
"""

from __future__ import annotations

import ast
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from launch_fakes import (
    FakeDeclareLaunchArgument,
    FakeLaunchContext,
    FakeLogInfo,
    FakeNode,
    fake_modules,
    started,
)

from depth_estimation_ros.errors import ParameterError

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "depth_estimation_ros"
CONFIG = REPOSITORY / "config"


@pytest.fixture
def entities(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What generate_launch_description returns."""
    for name, module in fake_modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"):
        monkeypatch.delenv(name, raising=False)
    launch_file = runpy.run_path(str(REPOSITORY / "launch" / "depth_estimation.launch.py"))
    return launch_file["generate_launch_description"]().entities


def words_of(module: str) -> set[str]:
    """All strings in a module of the package, docstrings and all."""
    tree = ast.parse((PACKAGE / module).read_text())
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {value for value in constants if isinstance(value, str)}


def test_arguments_have_descriptions_and_valid_defaults(
    entities: list[Any],
) -> None:
    *declared, _ = entities
    assert len(declared) == len({argument.name for argument in declared})
    for argument in declared:
        assert isinstance(argument, FakeDeclareLaunchArgument)
        assert argument.description.endswith("."), argument.name
        assert argument.choices is None or argument.default_value in argument.choices


def test_its_configuration_files_exist(entities: list[Any]) -> None:
    depth_estimation, rviz = started(entities, depth_rviz="true")
    assert depth_estimation.parameters[0] == str(CONFIG / "depth_estimation.yaml")
    assert rviz.arguments[:2] == ["-d", str(CONFIG / "depth_estimation.rviz")]
    *declared, _ = entities
    files = [
        Path(argument.default_value)
        for argument in declared
        if isinstance(argument.default_value, str) and argument.default_value.startswith("/")
    ]
    assert [file.name for file in files] == ["depth_estimation.yaml", "fastdds_shm.xml"]
    assert all(file.is_file() for file in files)


def test_it_starts_an_executable_of_the_package(entities: list[Any]) -> None:
    (depth_estimation,) = started(entities)
    assert isinstance(depth_estimation, FakeNode)
    assert depth_estimation.package == "depth_estimation_ros"
    assert (REPOSITORY / "resource" / "bin" / depth_estimation.executable).is_file()


def test_only_given_parameters_are_set(entities: list[Any]) -> None:
    _, by_default = started(entities)[0].parameters
    assert by_default == {}
    asked = {
        "model": "mine.onnx",
        "image_transport": "compressed",
        "image_is_rectified": "true",
        "use_sim_time": "false",
    }
    _, given = started(entities, **{f"depth_{name}": text for name, text in asked.items()})[
        0
    ].parameters
    assert given == {
        "model": "mine.onnx",
        "image_transport": "compressed",
        "image_is_rectified": True,
        "use_sim_time": False,
    }
    parameters = yaml.safe_load((CONFIG / "depth_estimation.yaml").read_text())
    known = parameters["/**"]["ros__parameters"]
    assert set(given) - {"use_sim_time"} <= set(known)  # that one every node has


def test_topics_follow_from_the_camera(entities: list[Any]) -> None:
    assert started(entities, depth_camera="/front/")[0].remappings == [
        ("image", "/front/image_raw"),
        ("camera_info", "/front/camera_info"),
    ]
    given = started(entities, depth_image_topic="/a", depth_camera_info_topic="/b")[0]
    assert given.remappings == [("image", "/a"), ("camera_info", "/b")]
    assert {"image", "camera_info"} <= words_of("node/subscriptions.py")


def test_cameras_have_topics_of_their_names(entities: list[Any]) -> None:
    (depth_estimation,) = started(entities, depth_cameras="front, left")
    assert depth_estimation.parameters[1] == {"cameras": ["front", "left"]}
    # The topic of the CameraInfo is called alike on both sides.
    assert depth_estimation.remappings == [
        ("front/image", "front/image_raw"),
        ("left/image", "left/image_raw"),
    ]


def test_rviz_hears_the_node_in_its_namespace(entities: list[Any]) -> None:
    _, rviz = started(entities, depth_rviz="true", depth_namespace="robot", depth_camera="/front")
    assert rviz.namespace == "robot"
    config = yaml.safe_load((CONFIG / "depth_estimation.rviz").read_text())
    displays = config["Visualization Manager"]["Displays"]
    shown = {display["Topic"]["Value"] for display in displays if "Topic" in display}
    remapped = dict(rviz.remappings)
    assert shown <= set(remapped)
    assert remapped.pop("/camera/image_raw") == "/front/image_raw"
    published = words_of("node/publishers.py")
    for old, new in remapped.items():
        name = new.removeprefix("depth_estimation/")
        assert old == f"/{new}"
        assert f"~/{name}" in published


def test_rviz_looks_from_the_frame_that_is_named(entities: list[Any]) -> None:
    _, rviz = started(entities, depth_rviz="true", depth_rviz_frame="front_optical")
    assert rviz.arguments[-2:] == ["-f", "front_optical"]


def test_the_node_respawns_but_not_rviz(entities: list[Any]) -> None:
    assert not started(entities, depth_respawn="false")[0].respawn
    depth_estimation, rviz = started(entities, depth_rviz="true")
    assert depth_estimation.respawn is True
    assert depth_estimation.respawn_delay == 2.0
    assert not rviz.respawn


NAV2 = {
    "params_file": "nav2.yaml",
    "use_sim_time": "true",
    "rviz": "true",
    "model": "robot.urdf",
    "log_level": "debug",
    "namespace": "robot",
}


def test_arguments_of_other_launch_files_are_left_alone(
    entities: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["ros2", "launch", "bringup.launch.py", "model:=robot.urdf"])
    context = FakeLaunchContext(dict(NAV2))
    (first,) = started(entities, context, depth_model="nano", depth_camera="front")
    (second,) = started(entities, context, depth_model="compact")
    models = [node.parameters[1] for node in (first, second)]
    assert models == [{"model": "nano"}, {"model": "compact"}]
    assert first.parameters[0] == str(CONFIG / "depth_estimation.yaml")
    assert (first.namespace, first.arguments[-1]) == ("", "info")
    left = {n: v for n, v in context.launch_configurations.items() if not n.startswith("depth_")}
    assert left == NAV2


def test_old_names_on_the_command_line_are_warned_of(
    entities: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["ros2", "launch", "depth_estimation_ros", "depth_estimation.launch.py"]
    monkeypatch.setattr(sys, "argv", [*command, "model:=nano", "camera:=/front"])
    first, second, node = started(entities)
    assert isinstance(first, FakeLogInfo)
    assert {first.msg.split(";")[0], second.msg.split(";")[0]} == {
        "launch argument model is now depth_model",
        "launch argument camera is now depth_camera",
    }
    assert node.parameters[1] == {"model": "nano"}
    assert dict(node.remappings)["image"] == "/front/image_raw"


def test_cameras_of_the_file_have_the_same_topics(entities: list[Any], tmp_path: Path) -> None:
    file = tmp_path / "parameters.yaml"
    file.write_text("/**:\n  ros__parameters:\n    cameras: [front, left]\n")
    by_file = started(entities, depth_params_file=str(file))[0]
    by_argument = started(entities, depth_cameras="front,left")[0]
    assert by_file.remappings == by_argument.remappings


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("depth_cameras", "1,2", r"parameter cameras: found \['1', '2'\]"),
        ("depth_params_file", "missing.yaml", "argument depth_params_file: found missing.yaml"),
        ("depth_fastdds_profile", "missing.xml", "Fast DDS profile missing.xml: found No such"),
    ],
)
def test_bad_arguments_are_refused(
    entities: list[Any], argument: str, value: str, message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        started(entities, **{argument: value})


@pytest.mark.parametrize("profile", ["", "none"])
def test_fastdds_profile_may_be_none(entities: list[Any], profile: str) -> None:
    assert started(entities, depth_fastdds_profile=profile)[0].additional_env == {}
