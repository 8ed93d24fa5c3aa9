"""Says in the log which topic has a peer that cannot be connected, and why.

With an incompatible quality of service nothing goes over a topic, and nobody sees why.
"""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from rclpy.qos import qos_policy_name_from_kind

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks


def subscription_events(node: Node, topic: str) -> SubscriptionEventCallbacks:
    """Events of a subscription of ``topic``, as it is named in the log."""

    def on_incompatible(event: Any) -> None:
        policy = qos_policy_name_from_kind(event.last_policy_kind)
        node.get_logger().warning(
            f"nothing comes from a publisher of {topic}: its QoS offers less {policy} than this "
            f"node asks for. Change the publisher, or {_override(topic, 'subscription', policy)}"
        )

    return SubscriptionEventCallbacks(incompatible_qos=on_incompatible)


def publisher_events(node: Node, topic: str) -> PublisherEventCallbacks:
    """Events of a publisher of ``topic``, as it is named in the log."""

    def on_incompatible(event: Any) -> None:
        policy = qos_policy_name_from_kind(event.last_policy_kind)
        node.get_logger().warning(
            f"a subscription of {topic} gets nothing: its QoS asks for more {policy} than this "
            f"node offers. Change the subscription, or {_override(topic, 'publisher', policy)}"
        )

    return PublisherEventCallbacks(incompatible_qos=on_incompatible)


def no_events() -> SubscriptionEventCallbacks:
    """For a subscription beside another of the same topic: a peer may fit either of the two."""
    return SubscriptionEventCallbacks(use_default_callbacks=False)


def _override(topic: str, entity: str, policy: str) -> str:
    return f"start this node with the parameter qos_overrides.{topic}.{entity}.{policy.lower()}"
