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
from launch_fakes import FakeDeclareLaunchArgument, FakeNode, fake_modules, started

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "depth_estimation_ros"
CONFIG = REPOSITORY / "config"


@pytest.fixture
def entities(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What generate_launch_description returns."""
    for name, module in fake_modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    launch_file = runpy.run_path(str(REPOSITORY / "launch" / "depth_estimation.launch.py"))
    return launch_file["generate_launch_description"]().entities


def words_of(module: str) -> set[str]:
    """All strings in a module of the package, docstrings and all."""
    tree = ast.parse((PACKAGE / module).read_text())
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {value for value in constants if isinstance(value, str)}


def test_each_argument_has_a_description_and_a_default_that_is_a_choice(
    entities: list[Any],
) -> None:
    *declared, _ = entities
    assert len(declared) == len({argument.name for argument in declared})
    for argument in declared:
        assert isinstance(argument, FakeDeclareLaunchArgument)
        assert argument.description.endswith("."), argument.name
        assert argument.choices is None or argument.default_value in argument.choices


def test_its_configuration_files_exist(entities: list[Any]) -> None:
    depth_estimation, rviz = started(entities, rviz="true")
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


def test_it_sets_only_what_is_asked_for_and_by_names_the_node_has(entities: list[Any]) -> None:
    _, by_default = started(entities)[0].parameters
    assert by_default == {}
    asked = {
        "model": "mine.onnx",
        "image_transport": "compressed",
        "image_is_rectified": "true",
        "use_sim_time": "false",
    }
    _, given = started(entities, **asked)[0].parameters
    assert given == {
        "model": "mine.onnx",
        "image_transport": "compressed",
        "image_is_rectified": True,
        "use_sim_time": False,
    }
    parameters = yaml.safe_load((CONFIG / "depth_estimation.yaml").read_text())
    known = parameters["/**"]["ros__parameters"]
    assert set(given) - {"use_sim_time"} <= set(known)  # that one every node has


def test_the_topics_follow_from_the_camera_unless_they_are_given(entities: list[Any]) -> None:
    assert started(entities, camera="/front")[0].remappings == [
        ("image", "/front/image_raw"),
        ("camera_info", "/front/camera_info"),
    ]
    given = started(entities, image_topic="/a", camera_info_topic="/b")[0]
    assert given.remappings == [("image", "/a"), ("camera_info", "/b")]
    assert {"image", "camera_info"} <= words_of("node/subscriptions.py")


def test_several_cameras_have_topics_of_their_names(entities: list[Any]) -> None:
    (depth_estimation,) = started(entities, cameras="front, left")
    assert depth_estimation.parameters[1] == {"cameras": ["front", "left"]}
    # The topic of the CameraInfo is called alike on both sides.
    assert depth_estimation.remappings == [
        ("front/image", "front/image_raw"),
        ("left/image", "left/image_raw"),
    ]


def test_rviz_hears_the_node_in_its_namespace(entities: list[Any]) -> None:
    _, rviz = started(entities, rviz="true", namespace="robot", camera="/front")
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
    _, rviz = started(entities, rviz="true", rviz_frame="front_optical")
    assert rviz.arguments[-2:] == ["-f", "front_optical"]


def test_the_node_respawns_but_not_rviz(entities: list[Any]) -> None:
    assert not started(entities, respawn="false")[0].respawn
    depth_estimation, rviz = started(entities, rviz="true")
    assert depth_estimation.respawn is True
    assert depth_estimation.respawn_delay == 2.0
    assert not rviz.respawn
