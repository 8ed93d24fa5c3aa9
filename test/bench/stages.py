"""How long each step of one frame takes, alone in this process: where the node's time goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import numpy as np
from std_msgs.msg import Header

from depth_estimation_ros import messages, pipeline
from depth_estimation_ros.engines import Engine
from depth_estimation_ros.geometry import CameraModel, deproject
from depth_estimation_ros.render import colorize


def picture(width: int, height: int, seed: int = 0) -> np.ndarray:
    """(H, W, 3) uint8 RGB: smooth blobs under a little noise, about as compressible as a room."""
    random = np.random.default_rng(seed)
    blobs = cv2.resize(
        random.uniform(0, 255, (9, 12, 3)), (width, height), interpolation=cv2.INTER_CUBIC
    )
    return np.clip(blobs + random.normal(0, 4, blobs.shape), 0, 255).astype(np.uint8)


def stages(engine: Engine, width: int, height: int, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each step, `rounds` times over, in the order in which a frame takes them."""
    header = Header(frame_id="camera")
    image = messages.color_image(picture(width, height), header)
    camera = CameraModel.from_hfov(width, height, 60.0)
    spec, output = engine.card.input, engine.card.output
    settings = pipeline.PipelineSettings()
    network_h, network_w = pipeline.network_size(height, width, spec)
    near, far = pipeline.depth_limits(output, settings)
    to_depth = partial(
        pipeline.to_depth, output=output, scale=1.0, near=near, far=far, size=(height, width)
    )

    times: dict[str, list[float]] = {}

    def timed(name: str, step: Callable[..., Any], *arguments: Any) -> Any:
        start = time.perf_counter()
        result = step(*arguments)
        times.setdefault(name, []).append(1e3 * (time.perf_counter() - start))
        return result

    for _ in range(rounds):
        rgb = timed("decode", messages.decode_image, image)
        timed("camera", messages.camera_model, messages.camera_info(camera, header))
        small = timed("resize", pipeline.resize_image, rgb, network_h, network_w)
        batch = timed("to input", pipeline.to_input, small, spec)
        raw = timed("engine", engine.infer, batch)[0]
        depth = timed("metres, upsample, limits", to_depth, raw)
        timed("depth message", messages.depth_image, depth, header, "32FC1")
        rays = timed("rays (cached)", camera.rays)
        points = timed("deproject", deproject, depth, rays)
        timed("cloud message", messages.point_cloud, points, rgb, header)
        timed("edge filter (off by default)", _edges, raw, depth)
        timed("colours (only if subscribed)", lambda d: colorize(d, max_depth=far), depth)
    return times


def _edges(raw: np.ndarray, depth: np.ndarray) -> None:
    pipeline.remove_edges(depth, pipeline.find_edges(raw, 0.1))
