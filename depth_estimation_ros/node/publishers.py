"""The publishers of one camera: depth, its CameraInfo, the point cloud, and coloured depth."""

from __future__ import annotations

from typing import Any

from geometry_msgs.msg import Vector3Stamped
from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node
from rclpy.qos import QoSPolicyKind, QoSProfile, ReliabilityPolicy, qos_policy_name_from_kind
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from depth_estimation_ros.node.frame_processor import OUTPUTS

try:
    from rclpy.event_handler import PublisherEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks

OUTPUT_QOS = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
OVERRIDABLE_POLICIES = (
    QoSPolicyKind.HISTORY,
    QoSPolicyKind.DEPTH,
    QoSPolicyKind.RELIABILITY,
    QoSPolicyKind.DURABILITY,
    QoSPolicyKind.DEADLINE,
)
"""QoS policies that are declared as parameters qos_overrides.TOPIC.ENTITY.POLICY."""


class Publishers:
    """The publishers of one camera of the node, from configure to cleanup.

    Args:
        node: owner of the topics.
        camera: name; empty for none.
        with_scale: whether there is a source of metric scale, and so ~/scale.
    """

    def __init__(self, node: LifecycleNode, camera: str = "", with_scale: bool = False) -> None:
        self._node = node
        self.depth = self._create(Image, topic_of(camera, "~/depth/image"))
        self.camera_info = self._create(CameraInfo, topic_of(camera, "~/depth/camera_info"))
        self.points = self._create(PointCloud2, topic_of(camera, "~/points"))
        self.color = self._create(Image, topic_of(camera, "~/depth/color"))
        self.scale: Any = None
        if with_scale:
            self.scale = self._create(Vector3Stamped, topic_of(camera, "~/scale"))

    def subscribed(self) -> frozenset[str]:
        """Return the outputs that have a subscriber, names of `OUTPUTS`."""
        return frozenset(
            name
            for name in OUTPUTS["calibrated"]
            if (publisher := getattr(self, name)) is not None
            and publisher.get_subscription_count() > 0
        )

    def destroy(self) -> None:
        """Destroy the publishers."""
        for publisher in (self.depth, self.camera_info, self.points, self.color, self.scale):
            if publisher is not None:
                self._node.destroy_lifecycle_publisher(publisher)

    def _create(self, message: type, topic: str) -> Any:
        return self._node.create_lifecycle_publisher(
            message,
            topic,
            OUTPUT_QOS,
            qos_overriding_options=QoSOverridingOptions(OVERRIDABLE_POLICIES),
            event_callbacks=_log_incompatible_qos(self._node, self._node.resolve_topic_name(topic)),
        )


def topic_of(camera: str, topic: str) -> str:
    """Return `x` as `camera/x` and `~/x` as `~/camera/x`; unchanged for a camera without a name."""
    private, name = ("~/", topic[2:]) if topic.startswith("~/") else ("", topic)
    return f"{private}{camera}/{name}" if camera else topic


def qos_override_advice(topic: str, entity: str, policy_kind: Any) -> str:
    """Return how the QoS policy of a topic of this node is changed, as the end of a sentence.

    Args:
        topic: resolved.
        entity: subscription or publisher.
        policy_kind: a rclpy.qos.QoSPolicyKind or its value.
    """
    if policy_kind not in OVERRIDABLE_POLICIES:
        return ""
    policy = qos_policy_name_from_kind(policy_kind).lower()
    return f", or start this node with the parameter qos_overrides.{topic}.{entity}.{policy}"


def _log_incompatible_qos(node: Node, topic: str) -> PublisherEventCallbacks:
    def on_incompatible(event: Any) -> None:
        policy = qos_policy_name_from_kind(event.last_policy_kind)
        node.get_logger().warning(
            f"a subscription of {topic} receives nothing: its QoS requests more {policy} than this "
            "node offers. Change the subscription"
            f"{qos_override_advice(topic, 'publisher', event.last_policy_kind)}"
        )

    return PublisherEventCallbacks(incompatible_qos=on_incompatible)
