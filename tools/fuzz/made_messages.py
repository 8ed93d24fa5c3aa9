"""Real messages of fields: those of a recording, and those that rclpy hands to a node."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np

Fields = dict[str, Any]


def recorded(msgtype: str, fields: Fields) -> Any:
    """The message as the rosbags library reads it from a recording."""
    from depth_estimation_ros.bags import STORE

    types = STORE.types
    values = dict(fields)
    header = values.pop("header")
    time = types["builtin_interfaces/msg/Time"](header["sec"], header["nanosec"])
    values["header"] = types["std_msgs/msg/Header"](time, header["frame_id"])
    if "roi" in values:
        values["roi"] = types["sensor_msgs/msg/RegionOfInterest"](**values["roi"], do_rectify=False)
        for name in "dkrp":
            values[name] = np.array(values[name], np.float64)
    return types[f"sensor_msgs/msg/{msgtype}"](**values)


def of_rclpy(msgtype: str, fields: Fields) -> Any:
    """The message as rclpy hands it to a node."""
    from sensor_msgs import msg as sensor
    from std_msgs.msg import Header

    values = dict(fields)
    header = values.pop("header")
    message = getattr(sensor, msgtype)(header=Header(frame_id=header["frame_id"]))
    message.header.stamp.sec, message.header.stamp.nanosec = header["sec"], header["nanosec"]
    for name, value in values.items():
        if name == "roi":
            value = sensor.RegionOfInterest(**value)
        elif name == "d":
            value = array("d", value)
        elif name in ("k", "r", "p"):
            value = np.array(value, np.float64)
        elif name == "data":
            value = array("B", value.tobytes())
        setattr(message, name, value)
    return message
