"""The service ~/enable: pausing and going on, without a change of the lifecycle."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from rclpy.parameter import Parameter


def offer_enable(node: Node) -> None:
    """Offer ~/enable (std_srvs/SetBool), which sets the parameter ``enabled``.

    Without std_srvs the parameter is the way, and the log says so.
    """
    try:
        from std_srvs.srv import SetBool
    except ImportError:
        node.get_logger().info(
            "no service ~/enable, as std_srvs is not installed: set the parameter enabled instead"
        )
        return

    def enable(request: Any, response: Any) -> Any:
        result = node.set_parameters_atomically([Parameter("enabled", value=request.data)])
        response.success = result.successful
        response.message = result.reason or ("enabled" if request.data else "paused")
        return response

    node.create_service(SetBool, "~/enable", enable)
