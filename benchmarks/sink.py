"""Receives depth and clouds as bytes and throws them away, until it is killed."""

from __future__ import annotations

import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, PointCloud2

QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)

rclpy.init()
node = rclpy.create_node("bench_sink")
for kind, topic in ((Image, "/bench/depth"), (PointCloud2, "/bench/points")):
    node.create_subscription(kind, topic, lambda message: None, QOS, raw=True)
rclpy.spin(node)
