"""config/depth_estimation.rviz: what RViz will make of it, as its sources say."""

from __future__ import annotations

import ast
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

if TYPE_CHECKING:
    from ros_helpers import NodeProcess, Tester

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG = yaml.safe_load((REPOSITORY / "config" / "depth_estimation.rviz").read_text())
MANAGER = CONFIG["Visualization Manager"]
DISPLAYS = {display["Name"]: display for display in MANAGER["Displays"]}
VIEW = MANAGER["Views"]["Current"]

# What the classes read, in rviz_common and rviz_default_plugins 11.2.13, 14.1.5 and 14.3.1.
EVERY_DISPLAY = {"Class", "Name", "Enabled"}
QOS = {"Value", "Depth", "History Policy", "Reliability Policy", "Durability Policy"}
DISPLAY_PROPERTIES = {
    "rviz_default_plugins/Axes": {"Length", "Radius", "Reference Frame"},
    "rviz_default_plugins/Image": {
        "Topic",
        "Normalize Range",
        "Min Value",
        "Max Value",
        "Median window",
    },
    "rviz_default_plugins/PointCloud2": {
        "Topic",
        "Color Transformer",
        "Position Transformer",
        "Style",
        "Size (Pixels)",
        "Size (m)",
        "Alpha",
        "Decay Time",
        "Selectable",
        "Use Fixed Frame",
    },
}
TOPIC_PROPERTIES = {
    "rviz_default_plugins/Image": QOS,
    "rviz_default_plugins/PointCloud2": QOS | {"Filter size"},
}
ORBIT_PROPERTIES = {
    "Class",
    "Name",
    "Target Frame",
    "Distance",
    "Focal Point",
    "Near Clip Distance",
    "Pitch",
    "Yaw",
}


def topics() -> list[dict[str, Any]]:
    return [display["Topic"] for display in DISPLAYS.values() if "Topic" in display]


@pytest.mark.parametrize("name", DISPLAYS)
def test_each_display_has_properties_that_its_class_knows(name: str) -> None:
    display = DISPLAYS[name]
    known = DISPLAY_PROPERTIES[display["Class"]]
    assert set(display) - EVERY_DISPLAY <= known
    if "Topic" in display:
        assert set(display["Topic"]) <= TOPIC_PROPERTIES[display["Class"]]


def test_panels_tools_and_view_are_of_classes_that_exist() -> None:
    assert {p["Class"] for p in CONFIG["Panels"]} == {
        "rviz_common/Displays",
        "rviz_common/Time",
        "rviz_common/Views",
    }
    assert {t["Class"] for t in MANAGER["Tools"]} <= {
        "rviz_default_plugins/FocusCamera",
        "rviz_default_plugins/MoveCamera",
        "rviz_default_plugins/Measure",
    }
    assert VIEW["Class"] == "rviz_default_plugins/Orbit"
    assert set(VIEW) <= ORBIT_PROPERTIES
    assert set(MANAGER["Global Options"]) == {"Background Color", "Fixed Frame", "Frame Rate"}


def test_it_shows_image_depth_and_cloud() -> None:
    shown = {name: d["Topic"]["Value"] for name, d in DISPLAYS.items() if "Topic" in d}
    assert shown == {
        "Cloud": "/depth_estimation/points",
        "Image": "/camera/image_raw",
        "Depth in colours": "/depth_estimation/depth/color",
        "Depth in metres": "/depth_estimation/depth/image",
    }
    assert [name for name, d in DISPLAYS.items() if not d["Enabled"]] == ["Depth in metres"]


def test_the_cloud_has_the_colours_of_the_image() -> None:
    cloud = DISPLAYS["Cloud"]
    assert (cloud["Color Transformer"], cloud["Position Transformer"]) == ("RGB8", "XYZ")
    assert cloud["Style"] in ("Points", "Squares", "Flat Squares", "Spheres", "Boxes", "Tiles")


def test_metres_have_a_fixed_range_of_whole_numbers() -> None:
    """RViz cuts decimals off both, and its own range is infinite where a depth is."""
    metres = DISPLAYS["Depth in metres"]
    assert metres["Normalize Range"] is False
    assert (metres["Min Value"], metres["Max Value"]) == (0, 10)
    assert isinstance(metres["Max Value"], int)


def test_the_fixed_frame_is_that_of_the_launch_file() -> None:
    launch = ast.parse((REPOSITORY / "launch" / "depth_estimation.launch.py").read_text())
    defaults = {
        key.value: value.elts[0].value
        for table in ast.walk(launch)
        if isinstance(table, ast.Dict)
        for key, value in zip(table.keys, table.values, strict=True)
        if isinstance(key, ast.Constant)
        and isinstance(value, ast.Tuple)
        and isinstance(value.elts[0], ast.Constant)
    }
    assert MANAGER["Global Options"]["Fixed Frame"] == defaults["rviz_frame"]
    assert defaults["rviz_frame"].endswith("optical_frame")


def test_the_view_is_from_behind_and_above_the_camera() -> None:
    """By the formulas of OrbitViewController::updateCamera; z of the frame is its upward axis."""
    focus = np.array([VIEW["Focal Point"][axis] for axis in "XYZ"], float)
    yaw, pitch = VIEW["Yaw"], VIEW["Pitch"]
    assert abs(pitch) < math.pi / 2 - 0.001
    away = np.array(
        [math.cos(yaw) * math.cos(pitch), math.sin(yaw) * math.cos(pitch), math.sin(pitch)]
    )
    eye = focus + VIEW["Distance"] * away
    right = np.cross(-away, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    up = np.cross(right, -away)
    # Optical frame: x right, y down, z forward; the camera is at the origin.
    assert eye[2] < -0.2  # behind
    assert eye[1] < -0.5  # above
    np.testing.assert_allclose(right, (1, 0, 0), atol=1e-3)
    assert up[1] < -0.9  # what is up for the camera is up on the screen


def test_what_the_node_offers_is_what_rviz_asks_for(node: NodeProcess, tester: Tester) -> None:
    from rclpy.qos import (
        DurabilityPolicy,
        HistoryPolicy,
        LivelinessPolicy,
        QoSCompatibility,
        QoSProfile,
        ReliabilityPolicy,
        qos_check_compatible,
    )

    tester.bring(node, "inactive")
    types = {"Image": "sensor_msgs/msg/Image", "PointCloud2": "sensor_msgs/msg/PointCloud2"}
    checked = 0
    for display in DISPLAYS.values():
        topic = display.get("Topic")
        if topic is None or not topic["Value"].startswith("/depth_estimation/"):
            continue
        wanted = QoSProfile(
            depth=topic["Depth"],
            history=HistoryPolicy[topic["History Policy"].upper().replace(" ", "_")],
            reliability=ReliabilityPolicy[topic["Reliability Policy"].upper().replace(" ", "_")],
            durability=DurabilityPolicy[topic["Durability Policy"].upper().replace(" ", "_")],
            liveliness=LivelinessPolicy.AUTOMATIC,
        )
        name = node.topic("~/" + topic["Value"].removeprefix("/depth_estimation/"))
        tester.wait_until(
            lambda name=name: tester.ros.get_publishers_info_by_topic(name), name, node
        )
        (offered,) = tester.ros.get_publishers_info_by_topic(name)
        assert offered.topic_type == types[display["Class"].split("/")[1]]
        compatibility, why = qos_check_compatible(offered.qos_profile, wanted)
        assert compatibility == QoSCompatibility.OK, why
        checked += 1
    assert checked == 3


def test_every_topic_is_taken_from_a_camera_that_is_best_effort_too() -> None:
    assert {topic["Reliability Policy"] for topic in topics()} == {"Best Effort"}
    assert {topic["Durability Policy"] for topic in topics()} == {"Volatile"}
