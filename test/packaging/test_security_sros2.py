"""The policy for SROS 2 allows what the real node has in the graph, and nothing more."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

from ros_helpers import NodeProcess, Tester

POLICY = Path(__file__).resolve().parents[2] / "config" / "sros2" / "depth_estimation.policy.xml"
SINCE_JAZZY = "~/get_type_description"


def allowed(namespace: str) -> dict[str, set[str]]:
    """By publish, subscribe, reply and request: the names that the policy allows, resolved.

    Names are resolved as sros2/policy/templates/dds/permissions.xsl in
    https://github.com/ros2/sros2 does it, in `namespace` in the place of the policy's own.
    """
    names: dict[str, set[str]] = {"publish": set(), "subscribe": set(), "reply": set()}
    names["request"] = set()
    for group in profile():
        for rule, qualifier in group.attrib.items():
            assert qualifier == "ALLOW"
            names[rule] |= {resolved(entry.text or "", namespace) for entry in group}
    return names


def profile() -> ElementTree.Element:
    policy = ElementTree.parse(POLICY).getroot()
    assert policy.attrib == {"version": "0.2.0"}  # of sros2/policy/schemas/policy.xsd
    (found,) = policy.findall("enclaves/enclave/profiles/profile")
    return found


def resolved(name: str, namespace: str) -> str:
    if name.startswith("~/"):
        return f"{namespace}/depth_estimation/{name[2:]}"
    return name if name.startswith("/") else f"{namespace}/{name}"


def graph(tester: Tester, node: NodeProcess) -> dict[str, set[str]]:
    """What the node has, by the same words."""
    ros, me = tester.ros, ("depth_estimation", node.namespace)
    return {
        "publish": {name for name, _ in ros.get_publisher_names_and_types_by_node(*me)},
        "subscribe": {name for name, _ in ros.get_subscriber_names_and_types_by_node(*me)},
        "reply": {name for name, _ in ros.get_service_names_and_types_by_node(*me)},
        "request": {name for name, _ in ros.get_client_names_and_types_by_node(*me)},
    }


def test_it_is_the_graph_of_the_node_in_all_its_forms(tester: Tester, node: NodeProcess) -> None:
    wanted = allowed(node.namespace)
    tester.bring(node, "active")
    topics = {"image", "camera_info"}

    def has(name: str) -> bool:
        return resolved(name, node.namespace) in graph(tester, node)["subscribe"]

    tester.wait_until(lambda: all(map(has, topics)), "the subscriptions", node)
    found = graph(tester, node)
    tester.bring(node, "active", image_transport="compressed")
    assert tester.set_parameter(node, "use_sim_time", True).successful
    try:
        tester.wait_until(lambda: has("image/compressed") and has("/clock"), "both", node)
        more = graph(tester, node)
    finally:
        assert tester.set_parameter(node, "use_sim_time", False).successful
    for rule in found:
        found[rule] |= more[rule]
    for source in ("scan", "points", "range", "depth"):
        tester.bring(node, "active", image_transport="raw", scale_source=source)
        tester.wait_until(lambda source=source: has(source), source, node)
        more = graph(tester, node)
        for rule in found:
            found[rule] |= more[rule]
    if find_spec("tf2_ros") is None:
        wanted["subscribe"] -= {"/tf", "/tf_static"}
    if resolved(SINCE_JAZZY, node.namespace) not in found["reply"]:
        wanted["reply"].remove(resolved(SINCE_JAZZY, node.namespace))
    assert found == wanted


def test_the_policy_is_of_the_schemas_form() -> None:
    """Elements and attributes of sros2/policy/schemas/policy.xsd; no wildcard among the names."""
    kinds = {"topics": {"publish", "subscribe"}, "services": {"reply", "request"}}
    for group in profile():
        assert set(group.attrib) <= kinds[group.tag]
        for entry in group:
            assert entry.tag == group.tag.removesuffix("s")
            assert entry.text
            assert not set(entry.text) & set("*?[] ")
