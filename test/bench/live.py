"""One run of the real node between two ends of DDS in this process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from ros_helpers import BEST_EFFORT, NodeProcess, Tester, info_of
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from stages import picture
from std_msgs.msg import Header

from depth_estimation_ros.geometry import CameraModel
from depth_estimation_ros.messages import color_image

WARM_UP_FRAMES = 15


@dataclass(frozen=True)
class Result:
    """Times in milliseconds of one run of the node.

    Attributes:
        model: name of the model.
        outputs: what was subscribed to.
        frames: images published.
        answered: images whose last output came back.
        engine_p50: inside the network, by the node's own account.
        node_p50: image received to depth published, by the node's own account.
        node_p99: as `node_p50`.
        depth_p50: whole way to the callback with the depth image.
        depth_p99: as `depth_p50`.
        last_p50: whole way to the callback with the last output subscribed to.
        last_p99: as `last_p50`.
    """

    model: str
    outputs: str
    frames: int
    answered: int
    engine_p50: float
    node_p50: float
    node_p99: float
    depth_p50: float
    depth_p99: float
    last_p50: float
    last_p99: float

    @property
    def overhead_p50(self) -> float:
        """The whole way to the last output, less the network."""
        return self.last_p50 - self.engine_p50

    @property
    def overhead_p99(self) -> float:
        """As `overhead_p50`; the network's own jitter is in it."""
        return self.last_p99 - self.engine_p50


def run_node(
    tester: Tester,
    model: str,
    *,
    cloud: bool,
    size: tuple[int, int],
    rate: float,
    frames: int,
    folder: Path,
    advance: Callable[[], Any],
) -> Result:
    """Feeds the node images of `size` (width, height) at `rate` Hz and clocks what comes back.

    `folder` takes the node's log; `advance` is called after each frame.
    """
    sent: dict[int, float] = {}
    depths: dict[int, float] = {}
    clouds: dict[int, float] = {}
    pictures = [color_image(picture(*size, seed), Header(frame_id="camera")) for seed in range(4)]
    info = info_of(CameraModel.from_hfov(*size, 60.0))
    with NodeProcess(folder, model=model, autostart=True) as node:

        def listen(kind: type, topic: str, arrivals: dict[int, float]) -> None:
            def arrive(message: Any) -> None:
                arrivals[message.header.stamp.sec] = time.perf_counter()

            tester.ros.create_subscription(kind, node.topic(topic), arrive, BEST_EFFORT)

        tester.wait_for_state(node, "active")
        listen(Image, "~/depth/image", depths)
        if cloud:
            listen(PointCloud2, "~/points", clouds)
        images = tester.ros.create_publisher(Image, node.topic("image"), BEST_EFFORT)
        infos = tester.ros.create_publisher(CameraInfo, node.topic("camera_info"), BEST_EFFORT)
        ready = (images.get_subscription_count, infos.get_subscription_count)
        tester.wait_until(lambda: all(count() for count in ready), "its subscriptions", node)
        tester.spin(1.0)  # the node must find this process's subscriptions too

        start = time.perf_counter()
        for number in range(frames):
            image = pictures[number % len(pictures)]
            image.header.stamp = info.header.stamp = Time(sec=number)
            infos.publish(info)
            sent[number] = time.perf_counter()
            images.publish(image)
            tester.spin(max(0.0, start + (number + 1) / rate - time.perf_counter()))
            advance()
        tester.spin(1.0)
        told = tester.diagnostics(node)
        tester.forget_topics()

    last = clouds if cloud else depths
    depth_p50, depth_p99 = _percentiles(sent, depths)
    last_p50, last_p99 = _percentiles(sent, last)
    return Result(
        model=Path(model).stem,
        outputs="depth + cloud" if cloud else "depth",
        frames=frames,
        answered=len(last),
        engine_p50=float(told["engine_ms_p50"] or "nan"),
        node_p50=float(told["latency_ms_p50"] or "nan"),
        node_p99=float(told["latency_ms_p99"] or "nan"),
        depth_p50=depth_p50,
        depth_p99=depth_p99,
        last_p50=last_p50,
        last_p99=last_p99,
    )


def _percentiles(sent: dict[int, float], arrived: dict[int, float]) -> tuple[float, float]:
    ways = [1e3 * (arrived[n] - sent[n]) for n in arrived if n >= WARM_UP_FRAMES]
    if not ways:
        return float("nan"), float("nan")
    p50, p99 = np.percentile(ways, (50, 99))
    return float(p50), float(p99)
