"""Pausing without a change of the lifecycle, and parameters that change together or not at all."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

import tiny_models
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterValue
from ros_helpers import NodeProcess, Tester, info_of, red_image
from sensor_msgs.msg import Image

from depth_estimation_ros.geometry.camera_model import CameraModel

CAMERA = CameraModel.from_intrinsics(60.0, 62.0, 31.0, 24.0, 64, 48)


@pytest.fixture(scope="module")
def red_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_models.red_depth(tmp_path_factory.mktemp("model") / "red.onnx"))


def enable(node: NodeProcess, tester: Tester, data: bool) -> Any:
    set_bool = pytest.importorskip("std_srvs.srv", reason="needs std_srvs").SetBool
    client = tester.ros.create_client(set_bool, node.topic("~/enable"))
    tester.wait_until(client.service_is_ready, "the service ~/enable", node)
    tester.settle(node)
    answer = tester._result(node, client.call_async(set_bool.Request(data=data)), "~/enable")
    tester.ros.destroy_client(client)
    return answer


def values_of(node: NodeProcess, tester: Tester, names: list[str]) -> dict[str, Any]:
    future = tester._peer(node).parameters.get_parameters(names)
    values = tester._result(node, future, "get_parameters").values
    return dict(zip(names, (v.double_value or v.string_value for v in values), strict=True))


def test_disabled_node_stays_active_and_drops_images_until_it_is_enabled(
    node: NodeProcess, tester: Tester, red_model: str
) -> None:
    tester.bring(node, "active", model=red_model, camera_info_timeout=0.0)
    depth = tester.collect(node, Image, "~/depth/image")
    tester.result_of(node, red_image(), depth, info_of(CAMERA))
    answer = enable(node, tester, False)
    assert (answer.success, answer.message) == (True, "paused")
    before = len(depth)
    runs = tester.diagnostics(node, lambda v: v["enabled"] == "false")["engine_runs"]
    for _ in range(3):
        tester.publish(node, "image", red_image())
        tester.spin(0.05)
    values = tester.diagnostics(node, lambda v: int(v["skipped_paused"]) >= 1)
    assert (values["level"], values["state"]) == ("0", "active")
    assert values["message"] == "active, paused"
    assert values["engine_runs"] == runs
    assert tester.state(node) == "active"
    assert len(depth) == before

    answer = enable(node, tester, True)
    assert (answer.success, answer.message) == (True, "enabled")
    tester.result_of(node, red_image(), depth)
    assert tester.diagnostics(node)["message"] == "active"


def test_parameter_enabled_is_the_same_switch_as_the_service(
    node: NodeProcess, tester: Tester, red_model: str
) -> None:
    tester.bring(node, "active", model=red_model, camera_info_timeout=0.0, enabled=False)
    assert tester.diagnostics(node, lambda v: v["enabled"] == "false")["state"] == "active"
    enable(node, tester, True)
    assert tester.diagnostics(node, lambda v: v["enabled"] == "true")["state"] == "active"
    assert tester.set_parameter(node, "enabled", False).successful
    tester.diagnostics(node, lambda v: v["enabled"] == "false")
    for transition in ("deactivate", "activate"):
        assert tester.change(node, transition)
    tester.diagnostics(node, lambda v: (v["state"], v["enabled"]) == ("active", "false"))


def refusals() -> dict[str, tuple[str, Any]]:
    """One parameter that is refused while the node is active, for each reason there is."""
    return {
        "out of range": ("cloud_stride", 0),
        "wrong type": ("edge_filter", "much"),
        "not finite": ("edge_filter", float("nan")),
        "unknown choice": ("color_map", "plaid"),
        "against another": ("color_max_depth", 0.5),
        "against the model": ("min_depth", 10.0),
        "not now": ("model", "other.onnx"),
        "read only": ("autostart", True),
        "undeclared": ("no_such_parameter", 1),
        "of rclpy": ("use_sim_time", "yes"),
    }


@pytest.mark.parametrize("reason", refusals())
@pytest.mark.parametrize("place", ["first", "last"])
def test_set_with_one_bad_value_changes_nothing_of_it(
    node: NodeProcess, tester: Tester, red_model: str, reason: str, place: str
) -> None:
    good = {"color_min_depth": 1.0, "edge_filter": 0.5, "depth_encoding": "16UC1"}
    name, value = refusals()[reason]
    good.pop(name, None)
    if tester.state(node) != "active":
        tester.bring(node, "active", model=red_model, camera_info_timeout=0.0)
    before = values_of(node, tester, list(good))
    both = {name: value, **good} if place == "first" else {**good, name: value}
    (result,) = tester.set_parameters(node, both, atomically=True)
    assert not result.successful
    assert result.reason
    assert values_of(node, tester, list(good)) == before
    # What the node works with is unchanged, too: it would refuse this with a near limit of 1 m.
    assert tester.set_parameter(node, "color_max_depth", 0.8).successful
    assert tester.set_parameter(node, "color_max_depth", 0.0).successful
    assert tester.state(node) == "active"


def test_set_parameters_of_several_is_one_by_one_as_ros_has_it(
    node: NodeProcess, tester: Tester, red_model: str
) -> None:
    tester.bring(node, "active", model=red_model)
    results = tester.set_parameters(
        node, {"edge_filter": 0.25, "cloud_stride": 0, "max_depth": 5.0}
    )
    assert [result.successful for result in results] == [True, False, True]
    assert values_of(node, tester, ["edge_filter", "max_depth"]) == {
        "edge_filter": 0.25,
        "max_depth": 5.0,
    }


def test_parameter_cannot_be_deleted(node: NodeProcess, tester: Tester) -> None:
    client = tester._peer(node).parameters
    nothing = ParameterMessage(name="edge_filter", value=ParameterValue())
    (result,) = tester._result(node, client.set_parameters([nothing]), "set_parameters").results
    assert not result.successful
    assert "edge_filter" in tester.list_parameters(node)
