"""config/foxglove_layout.json: what a viewer will make of it.

Keys and values are those of the layouts that Foxglove exports, as in foxglove-sdk 0.50.0 (its
typed panels and the layouts of its examples) and in the sources of Lichtblick 1.10.8.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

if TYPE_CHECKING:
    from ros_helpers import NodeProcess, Tester

REPOSITORY = Path(__file__).resolve().parents[2]
LAYOUT = json.loads((REPOSITORY / "config" / "foxglove_layout.json").read_text())
PANELS: dict[str, Any] = LAYOUT["configById"]
CLOUD = PANELS["3D!depth-cloud"]
COLOR = re.compile(r"#[0-9a-f]{6}([0-9a-f]{2})?")

RENDERED = {
    "cameraState",
    "followTf",
    "followMode",
    "scene",
    "transforms",
    "topics",
    "layers",
    "imageMode",
}
KNOWN_KEYS = {
    "3D": RENDERED,
    "Image": RENDERED,
    "Plot": {
        "paths",
        "minYValue",
        "showLegend",
        "legendDisplay",
        "showPlotValuesInLegend",
        "showXAxisLabels",
        "showYAxisLabels",
        "isSynced",
        "xAxisVal",
        "sidebarDimension",
    },
    "DiagnosticSummary": {
        "minLevel",
        "pinnedIds",
        "topicToRender",
        "hardwareIdFilter",
        "sortByLevel",
    },
}
CAMERA_STATE = {
    "perspective",
    "distance",
    "phi",
    "thetaOffset",
    "targetOffset",
    "target",
    "targetOrientation",
    "fovy",
    "near",
    "far",
}
IMAGE_MODE = {
    "imageTopic",
    "calibrationTopic",
    "synchronize",
    "rotation",
    "flipHorizontal",
    "flipVertical",
    "colorMode",
    "gradient",
    "minValue",
    "maxValue",
}
POINTS = {
    "visible",
    "colorMode",
    "colorField",
    "explicitAlpha",
    "pointSize",
    "pointShape",
    "decayTime",
}


def leaves(tree: Any) -> Iterator[str]:
    if isinstance(tree, str):
        yield tree
        return
    assert set(tree) == {"direction", "splitPercentage", "first", "second"}
    assert tree["direction"] in ("row", "column")
    assert 5 <= tree["splitPercentage"] <= 95
    yield from leaves(tree["first"])
    yield from leaves(tree["second"])


def image_topics() -> dict[str, str]:
    return {p: c["imageMode"]["imageTopic"] for p, c in PANELS.items() if p.startswith("Image!")}


def test_the_tree_holds_each_panel_once_and_no_other() -> None:
    shown = list(leaves(LAYOUT["layout"]))
    assert len(shown) == len(set(shown))
    assert set(shown) == set(PANELS)


def test_a_viewer_finds_all_parts_of_a_layout() -> None:
    assert set(LAYOUT) == {"configById", "globalVariables", "userNodes", "playbackConfig", "layout"}


@pytest.mark.parametrize("panel", PANELS)
def test_each_panel_has_keys_that_its_kind_knows(panel: str) -> None:
    kind, config = panel.split("!")[0], PANELS[panel]
    assert set(config) - {"foxglovePanelTitle"} <= KNOWN_KEYS[kind]
    assert set(config.get("cameraState", CAMERA_STATE)) == CAMERA_STATE
    assert set(config.get("imageMode", ())) <= IMAGE_MODE


def test_it_shows_camera_depth_and_cloud() -> None:
    assert image_topics() == {
        "Image!camera": "/camera/image_raw",
        "Image!depth-color": "/depth_estimation/depth/color",
        "Image!depth-metres": "/depth_estimation/depth/image",
    }
    assert list(CLOUD["topics"]) == ["/depth_estimation/points"]
    assert PANELS["DiagnosticSummary!node"]["topicToRender"] == "/diagnostics"


def test_the_cloud_has_the_colours_of_the_image() -> None:
    points = CLOUD["topics"]["/depth_estimation/points"]
    assert set(points) == POINTS
    assert points["visible"]
    assert (points["colorMode"], points["colorField"]) == ("rgb", "rgb")
    assert points["pointShape"] in ("circle", "square", "cube")


def test_the_view_moves_with_the_optical_frame_as_that_of_rviz() -> None:
    rviz = yaml.safe_load((REPOSITORY / "config" / "depth_estimation.rviz").read_text())
    assert CLOUD["followTf"] == rviz["Visualization Manager"]["Global Options"]["Fixed Frame"]
    assert CLOUD["followMode"] == "follow-pose"


def test_the_view_is_from_behind_and_above_the_camera() -> None:
    """By the formulas of the 3D panel: spherical coordinates of three.js, turned to z upwards."""
    state = CLOUD["cameraState"]
    phi, theta = math.radians(state["phi"]), -math.radians(state["thetaOffset"])
    away = np.array(
        [math.sin(phi) * math.sin(theta), -math.sin(phi) * math.cos(theta), math.cos(phi)]
    )
    eye = np.array(state["targetOffset"]) + state["distance"] * away
    up = np.array([0.0, math.cos(phi), math.sin(phi)])  # +y of a camera turned by phi about x
    # Optical frame: x right, y down, z forward; the camera is at the origin.
    assert state["perspective"]
    assert theta == 0.0
    assert eye[2] < -0.2  # behind
    assert eye[1] < -0.5  # above
    assert up[1] < -0.9  # what is up for the camera is up on the screen


def test_metres_have_a_fixed_range_and_near_is_bright() -> None:
    mode = PANELS["Image!depth-metres"]["imageMode"]
    assert mode["colorMode"] == "gradient"
    assert (mode["minValue"], mode["maxValue"]) == (0.3, 10)
    near, far = mode["gradient"]
    assert COLOR.fullmatch(near)
    assert COLOR.fullmatch(far)
    brightness = [sum(int(color[i : i + 2], 16) for i in (1, 3, 5)) for color in (near, far)]
    assert brightness[0] > 500 > 200 > brightness[1]


def test_the_node_publishes_what_is_shown(node: NodeProcess, tester: Tester) -> None:
    tester.bring(node, "inactive")
    shown = dict.fromkeys(image_topics().values(), "sensor_msgs/msg/Image")
    shown |= dict.fromkeys(CLOUD["topics"], "sensor_msgs/msg/PointCloud2")
    del shown["/camera/image_raw"]
    assert len(shown) == 3
    for topic, kind in shown.items():
        name = node.topic("~/" + topic.removeprefix("/depth_estimation/"))
        tester.wait_until(
            lambda name=name: tester.ros.get_publishers_info_by_topic(name), name, node
        )
        (offered,) = tester.ros.get_publishers_info_by_topic(name)
        assert offered.topic_type == kind


def test_the_plot_has_values_of_the_diagnostics(node: NodeProcess, tester: Tester) -> None:
    tester.bring(node, "inactive")
    values = tester.diagnostics(node)
    path = re.compile(
        r'/diagnostics\.status\[:\]\{name=="/depth_estimation: depth"\}'
        r'\.values\[:\]\{key=="(\w+)"\}\.value'
    )
    keys = []
    for series in PANELS["Plot!latency"]["paths"]:
        assert set(series) == {"value", "label", "enabled", "color", "timestampMethod"}
        assert series["enabled"]
        assert COLOR.fullmatch(series["color"])
        match = path.fullmatch(series["value"])
        assert match
        keys.append(match[1])
    assert keys == ["latency_ms_p50", "latency_ms_p99", "engine_ms_p50"]
    assert set(keys) <= set(values)
