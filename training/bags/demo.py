"""The bag of the demo: a robot's drive through a synthetic room."""

from __future__ import annotations

from pathlib import Path

from rich.progress import track

from depth_estimation_ros.geometry.camera_model import CameraModel
from training.bags.writer import Frame, write_bag
from training.scenes.paths import camera_path
from training.scenes.scenes import sample_scenes
from training.scenes.sequence import record

DEMO_SEED = 7_000_186
DEMO_SENSOR = 7_000_003
DEMO_START_NS = 1_700_000_000 * 10**9


def demo_bag(out: str | Path, frames: int = 40, rate_hz: float = 8.0) -> Path:
    """The bag of `make demo`: a robot drives through a room; 640x480, depth at 320x240.

    Its seeds are neither those of the training frames nor those of the validation frames.
    """
    width, height = 640, 480
    scene = sample_scenes([DEMO_SEED], ["room"])
    path = camera_path(
        scene,
        DEMO_SEED,
        frames,
        rate_hz,
        height=height,
        width=width,
        hfov_deg=70.0,
        camera_height=0.75,
    )
    fx, fy, cx, cy = path.intrinsics[0].tolist()
    camera = CameraModel.from_intrinsics(fx, fy, cx, cy, width, height)
    recording = record(scene, path, height, width, sensor_seed=DEMO_SENSOR, depth_divisor=2)
    stamps = (DEMO_START_NS + round(s * 1e9) for s in path.stamps.tolist())
    moments = zip(stamps, recording, strict=True)
    made = (Frame(stamp, rgb, depth) for stamp, (rgb, depth) in moments)
    return write_bag(out, track(made, "rendering", frames), camera)
