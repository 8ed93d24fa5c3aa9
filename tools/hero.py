"""Draw the animation at the head of the README: camera, depth, and the cloud from a swaying view.

    python tools/hero.py --images FOLDER --frames 16 105 121 129 56 --out docs/hero.webp

FOLDER holds NNNNN.jpg and an info.json with the intrinsics (intrinsics_px: fx, fy, cx, cy).
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from depth_estimation_ros.engines import open_engine, resolve_model
from depth_estimation_ros.estimation import DepthEstimator, EstimatorSettings
from depth_estimation_ros.geometry.camera_model import CameraModel, deproject
from depth_estimation_ros.visualization import ColorScale, add_legend, colorize
from depth_estimation_ros.visualization.figures import render_cloud

Rgb = npt.NDArray[np.uint8]

PANEL = (320, 214)  # pixels
CLOUD_WIDTH = 480
STEPS, STEP_MS = 14, 110  # of one sway
SWAY_DEG, PITCH_DEG = 20.0, 10.0
GAP = 4
QUALITY = 60  # of WebP
EDGE_FILTER = 0.07  # as the docs advise for clouds


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--frames", type=int, nargs="+", required=True, help="numbers of images")
    parser.add_argument("--model", default="compact")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    info = json.loads((options.images / "info.json").read_text())
    width, height = info["size_wh"]
    lens = info["intrinsics_px"]
    matrix = np.array([[lens["fx"], 0, lens["cx"]], [0, lens["fy"], lens["cy"]], [0, 0, 1]])
    camera = CameraModel(width, height, matrix)
    engine = open_engine(resolve_model(options.model))
    estimator = DepthEstimator(engine, EstimatorSettings(edge_filter=EDGE_FILTER))
    pages: list[Rgb] = []
    for number in options.frames:
        bgr = cv2.imread(str(options.images / f"{number:05d}.jpg"))
        pages += draw_sway(
            np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8), estimator, camera
        )
    engine.close()
    images = [Image.fromarray(page) for page in pages]
    images[0].save(
        options.out,
        save_all=True,
        append_images=images[1:],
        duration=STEP_MS,
        loop=0,
        quality=QUALITY,
        method=6,
    )
    print(f"{options.out}: {len(images)} images, {options.out.stat().st_size / 1e6:.2f} MB")


def draw_sway(rgb: Rgb, estimator: DepthEstimator, camera: CameraModel) -> list[Rgb]:
    """Return the pages of one image: its cloud from the right, the left and back."""
    depth = estimator.run(rgb, camera).depth
    near, far = ColorScale.percentiles(time_constant_s=0.0).range_for(depth, 0)
    shown = cv2.resize(rgb, PANEL, interpolation=cv2.INTER_AREA)
    fitted = cv2.resize(depth, PANEL, interpolation=cv2.INTER_NEAREST)
    colors = add_legend(colorize(fitted, min_depth=near, max_depth=far), near, far)
    points = deproject(depth, camera.rays())
    left = np.vstack([shown, np.full((GAP, PANEL[0], 3), 255, np.uint8), colors])
    pages = []
    for step in range(STEPS):
        yaw = SWAY_DEG * math.sin(2.0 * math.pi * step / STEPS)
        cloud = render_cloud(
            points,
            rgb,
            width=CLOUD_WIDTH,
            height=left.shape[0],
            yaw_deg=yaw,
            pitch_deg=PITCH_DEG,
            grid=False,
        )
        pages.append(np.hstack([left, np.full((left.shape[0], GAP, 3), 255, np.uint8), cloud]))
    return pages


if __name__ == "__main__":
    main()
