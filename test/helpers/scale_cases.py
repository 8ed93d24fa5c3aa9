"""A wall with a box in front of it, seen by a camera and by a laser scanner mounted aside.

    python test/helpers/scale_cases.py OUT.png

runs the whole story through the node and draws the scale over time.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Vector3Stamped
from ros_helpers import RELIABLE, NodeProcess, Tester, info_of, red_image
from sensor_msgs.msg import Image, LaserScan

from depth_estimation_ros.geometry.camera_model import CameraModel
from depth_estimation_ros.messages import decode_depth

IMAGE_HZ, SCAN_HZ = 15.0, 10.0
SHAPE = (48, 64)
CAMERA = CameraModel.from_hfov(64, 48, 60.0)
WALL, BOX, BOX_HALF_WIDTH = 4.0, 2.2, 0.3  # metres from the camera
ASIDE = 0.3  # metres that the scanner is mounted to the left of the camera
STORY = (
    (0.0, "no scan yet"),
    (1.0, "scan"),
    (3.0, "sensor stops"),
    (6.0, "restarts"),
    (8.0, "lies by 3 times"),
    (9.0, "tells the truth"),
    (10.0, "network is off by 3"),
)
END = 12.0
ASKED = (0.8, 5.8, 8.8)  # when /diagnostics is looked at


def network_factor(at: float) -> float:
    """By which the network is wrong: what the scale should be."""
    return 2.0 if at < 10.0 else 3.0


def true_depth() -> np.ndarray:
    x = CAMERA.rays()[..., 0]
    return np.where(np.abs(x) * BOX < BOX_HALF_WIDTH, BOX, WALL)


def image_at(at: float) -> Image:
    predicted = true_depth() / network_factor(at)
    image = red_image(np.rint((predicted - 1.0) / 8.0 * 255.0).clip(0, 255).astype(np.uint8))
    image.header.stamp = stamp(at)
    return image


def scan_at(at: float) -> LaserScan | None:
    """A scanner that looks ahead; nothing while it is off."""
    if at < 1.0 or 3.0 <= at < 6.0:
        return None
    angles = np.linspace(-0.9, 0.9, 361)
    slopes = np.tan(angles)  # to the left, per metre ahead
    at_box = np.abs(ASIDE + slopes * BOX) < BOX_HALF_WIDTH
    ahead = np.where(at_box, BOX, WALL)
    ranges = ahead / np.cos(angles) * (3.0 if 8.0 <= at < 9.0 else 1.0)
    ranges += np.random.default_rng(round(at * 1000)).normal(0.0, 0.01, len(ranges))
    scan = LaserScan(
        angle_min=float(angles[0]),
        angle_max=float(angles[-1]),
        angle_increment=float(angles[1] - angles[0]),
        range_min=0.1,
        range_max=30.0,
        ranges=ranges.astype(np.float32).tolist(),
    )
    scan.header.stamp, scan.header.frame_id = stamp(at), "laser"
    return scan


def stamp(at: float) -> Time:
    seconds = 100.0 + at
    return Time(sec=int(seconds), nanosec=round(seconds % 1.0 * 1e9))


@dataclass(frozen=True)
class Moment:
    """What the node published for one image, and at times what /diagnostics says of the scale."""

    at: float
    scale: float | None
    age: float
    depth: np.ndarray
    status: str


def play(node: NodeProcess, tester: Tester) -> Iterator[Moment]:
    """Send the story's images and scans to an active node, one image after the other."""
    depths = tester.collect(node, Image, "~/depth/image")
    scales = tester.collect(node, Vector3Stamped, "~/scale")
    arrays: list[DiagnosticArray] = []
    tester.ros.create_subscription(DiagnosticArray, "/diagnostics", arrays.append, RELIABLE)
    info: Any = info_of(CAMERA)
    scans = 0
    for k in range(round(END * IMAGE_HZ)):
        at = k / IMAGE_HZ
        while scans / SCAN_HZ <= at:
            scan = scan_at(scans / SCAN_HZ)
            scans += 1
            if scan is not None:
                tester.publish(node, "scan", scan)
        image = image_at(at)
        info.header.stamp = image.header.stamp
        depth = decode_depth(tester.result_of(node, image, depths, info))
        if at >= 1.2:  # depth goes first
            same = image.header.stamp
            tester.wait_until(
                lambda same=same: any(m.header.stamp == same for m in scales), "a scale", node
            )
        found = next((m for m in scales if m.header.stamp == image.header.stamp), None)
        status = ""
        if k in (round(moment * IMAGE_HZ) for moment in ASKED):
            arrays.clear()
            # The first array may have been on its way before the image.
            tester.wait_until(lambda: len(arrays) > 1, "two diagnostics", node)
            named = {each.name: each.message for each in arrays[1].status}
            status = named[f"{node.name}: scale"]
        vector = found.vector if found is not None else None
        yield Moment(
            at,
            vector.x if vector is not None else None,
            vector.y if vector is not None else np.inf,
            depth,
            status,
        )


def main(path: Path) -> None:
    """Draw scale and age over time."""
    import tempfile

    import matplotlib
    import rclpy
    import tiny_models

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    rclpy.init()
    tester = Tester()
    with tempfile.TemporaryDirectory() as folder:
        model = str(tiny_models.red_depth(Path(folder) / "red.onnx"))
        with NodeProcess(
            Path(folder), model=model, scale_source="scan", range_sensor_pose=f"0 {ASIDE} 0 0 0 0"
        ) as node:
            tester.wait_for_state(node, "active")
            moments = list(play(node, tester))
    tester.destroy()
    rclpy.shutdown()
    figure, (top, bottom) = plt.subplots(2, 1, sharex=True, figsize=(9, 5))
    known = [m for m in moments if m.scale is not None]
    times = [m.at for m in moments]
    top.plot(times, [network_factor(t) for t in times], "k--", lw=1, label="true")
    top.plot([m.at for m in known], [m.scale for m in known], label="~/scale")
    top.set_ylabel("scale")
    top.set_ylim(0, 4)
    top.legend(loc="lower left")
    bottom.plot([m.at for m in known], [m.age for m in known])
    bottom.set_ylabel("age, s")
    bottom.set_xlabel("seconds")
    for line, (at, what) in enumerate(STORY):
        for axis in (top, bottom):
            axis.axvline(at, color="0.8", lw=1)
        top.text(at + 0.05, 3.9 - 0.25 * (line % 3), what, fontsize=7, va="top")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
