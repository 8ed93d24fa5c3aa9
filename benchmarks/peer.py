"""One way, of this package or of another, to do what the node does; in a process of its own.

    python peer.py NAME SIZE MODEL ROUNDS

SIZE is WIDTHxHEIGHT of the image; MODEL a bundled name or an ONNX file. Prints JSON: the
milliseconds of each round and the version of what was used, or what is missing.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
sys.path[:0] = [str(BENCH), str(ROOT)]

import numpy as np  # noqa: E402
from images import draw_image  # noqa: E402

from depth_estimation_ros.geometry.camera_model import CameraModel  # noqa: E402

THREADS = 2
WARM_UP = 3
LONGEST_S = 8.0  # some are slow; they get as many rounds as fit
FIELDS = ("x", "y", "z", "rgb")
Round = Callable[[], Any]


def scene(width: int, height: int) -> tuple[np.ndarray, np.ndarray, CameraModel]:
    """Depth (H, W) float32 metres, colours (H, W, 3) uint8, and the camera of both."""
    rows, columns = np.indices((height, width), np.float32)
    depth = 2.0 + np.sin(rows / 50.0) + np.cos(columns / 70.0)
    camera = CameraModel.from_hfov(width, height, 60.0)
    return depth.astype(np.float32), draw_image(width, height), camera


def cloud_here(width: int, height: int) -> tuple[str, Round]:
    from std_msgs.msg import Header

    from depth_estimation_ros.messages import depth_cloud
    from depth_estimation_ros.messages.factory import ReusingMessageFactory

    (depth, rgb, camera), kind = scene(width, height), ReusingMessageFactory()
    header = Header(frame_id="camera")
    return "", lambda: depth_cloud(depth, camera.rays(), rgb, header, kind)


def numpy_cloud(width: int, height: int) -> Callable[[], np.ndarray]:
    """What depth_image_proc computes, as nodes in Python do it: (H * W,) of x, y, z, rgb."""
    depth, rgb, camera = scene(width, height)
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    layout = np.dtype([(name, np.float32) for name in FIELDS])

    def run() -> np.ndarray:
        points = np.empty(width * height, layout)
        points["x"] = ((columns - camera.cx) * depth / camera.fx).ravel()
        points["y"] = ((rows - camera.cy) * depth / camera.fy).ravel()
        points["z"] = depth.ravel()
        red, green, blue = (rgb[..., i].astype(np.uint32) for i in range(3))
        points["rgb"] = (red << 16 | green << 8 | blue).view(np.float32).ravel()
        return points

    return run


def point_fields() -> list[Any]:
    from sensor_msgs.msg import PointField

    return [
        PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
        for i, name in enumerate(FIELDS)
    ]


def cloud_numpy(width: int, height: int) -> tuple[str, Round]:
    from sensor_msgs.msg import PointCloud2

    points, fields = numpy_cloud(width, height), point_fields()

    def run() -> Any:
        message = PointCloud2(height=height, width=width, fields=fields, point_step=16)
        message.row_step = 16 * width
        message.data = points().tobytes()
        return message

    return version("numpy"), run


def cloud_sensor_msgs_py(width: int, height: int) -> tuple[str, Round]:
    from sensor_msgs_py.point_cloud2 import create_cloud
    from std_msgs.msg import Header

    points, fields = numpy_cloud(width, height), point_fields()
    return "", lambda: create_cloud(Header(frame_id="camera"), fields, points())


def cloud_open3d(width: int, height: int) -> tuple[str, Round]:
    """Points and colours of Open3D, without a message."""
    import open3d

    depth, rgb, camera = scene(width, height)
    intrinsics = open3d.camera.PinholeCameraIntrinsic(
        width, height, camera.fx, camera.fy, camera.cx, camera.cy
    )

    def run() -> Any:
        pair = open3d.geometry.RGBDImage.create_from_color_and_depth(
            open3d.geometry.Image(rgb),
            open3d.geometry.Image(depth),
            depth_scale=1.0,
            depth_trunc=1000.0,
            convert_rgb_to_intensity=False,
        )
        return open3d.geometry.PointCloud.create_from_rgbd_image(pair, intrinsics)

    return version("open3d"), run


def batch_for(model: str) -> np.ndarray:
    """A batch of one as the network takes it, of a 640x480 image."""
    from depth_estimation_ros.apps.build_engine.calibration_images import network_batch
    from depth_estimation_ros.engines import resolve_model
    from depth_estimation_ros.engines.tensorrt.make import read_model_file

    return network_batch(draw_image(640, 480), read_model_file(resolve_model(model)).card.input)


def network_here(model: str) -> tuple[str, Round]:
    from depth_estimation_ros.engines import EngineOptions, open_engine

    engine = open_engine(model, EngineOptions(backend="onnxruntime", threads=THREADS))
    batch = batch_for(model)
    return version("onnxruntime"), lambda: engine.infer(batch)


def network_openvino(model: str, **hints: str) -> tuple[str, Round]:
    """Without hints OpenVINO computes in bfloat16 where the processor can."""
    import openvino

    from depth_estimation_ros.engines import resolve_model

    core = openvino.Core()
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": THREADS, **hints}
    batch = batch_for(model)
    network = core.read_model(resolve_model(model))
    network.reshape(list(batch.shape))
    request = core.compile_model(network, "CPU", settings).create_infer_request()
    return version("openvino"), lambda: request.infer([batch])


def network_torch(model: str) -> tuple[str, Round]:
    """The same network of the training configuration, weights at random, without a graph."""
    import torch
    import yaml

    from training.networks import build_network

    configuration = ROOT / "config" / "training" / f"{model}.yaml"
    if not configuration.exists():
        raise ImportError(f"no {configuration.name} to build the network from")
    options = yaml.safe_load(configuration.read_text())["network"]
    torch.set_num_threads(THREADS)
    network = build_network(options.pop("name"), **options, pretrained=False).eval()
    pixels = torch.from_numpy(batch_for(model)).permute(0, 3, 1, 2).float() / 255.0

    def run() -> Any:
        with torch.inference_mode():
            return network(pixels)

    return version("torch"), run


CLOUDS: dict[str, Callable[[int, int], tuple[str, Round]]] = {
    "cloud: this package": cloud_here,
    "cloud: NumPy, message of bytes": cloud_numpy,
    "cloud: NumPy, sensor_msgs_py": cloud_sensor_msgs_py,
    "cloud: Open3D, no message": cloud_open3d,
}
NETWORKS: dict[str, Callable[[str], tuple[str, Round]]] = {
    "network: this package": network_here,
    "network: OpenVINO, float32": partial(network_openvino, INFERENCE_PRECISION_HINT="f32"),
    "network: OpenVINO, as it chooses": network_openvino,
    "network: torch eager": network_torch,
}


def main() -> None:
    """Runs one and prints what it took."""
    name, size, model, rounds = sys.argv[1:]
    try:
        if name in CLOUDS:
            width, height = (int(word) for word in size.split("x"))
            used, run = CLOUDS[name](width, height)
        else:
            used, run = NETWORKS[name](model)
    except ImportError as error:
        print(json.dumps({"missing": str(error)}))
        return
    times = []
    end = time.monotonic() + LONGEST_S
    for _ in range(WARM_UP):
        run()
    while len(times) < int(rounds) and (time.monotonic() < end or not times):
        start = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - start))
    print(json.dumps({"ms": times, "version": used}))


if __name__ == "__main__":
    main()
