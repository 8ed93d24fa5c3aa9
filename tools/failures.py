"""Draw where the bundled model fails: a street, a long room, darkness, a mirror, a table top.

    python tools/failures.py --data DATA --street IMAGE.jpg --out docs/model_failures.png

DATA holds the recordings hololens, realsense_office and tabletop_mosd as folders of `training`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from depth_estimation_ros.engines import EngineOptions, open_engine
from depth_estimation_ros.estimation import DepthEstimator, resize_image
from depth_estimation_ros.geometry.camera_model import CameraModel
from depth_estimation_ros.visualization.figures import PreviewRow, render_sheet
from training.data.folder import RgbdFolder
from training.scenes.write import make_frame

MIRROR_SEED = 900014
RECORDED = (
    ("hololens", 105, "a living room (trained on)"),
    ("realsense_office", 0, "nearly dark, field of view assumed (trained on)"),
    ("tabletop_mosd", 20, "a table top (trained on)"),
)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--street", type=Path, required=True)
    parser.add_argument("--model", default="compact")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    engine = open_engine(options.model, EngineOptions(precision="fp32"))
    estimator = DepthEstimator(engine)

    def row(
        rgb: npt.NDArray[np.uint8],
        camera: CameraModel | None,
        truth: npt.NDArray[np.float32] | None,
        caption: str,
    ) -> PreviewRow:
        return PreviewRow(rgb, estimator.run(rgb, camera).depth, truth, caption)

    street = cv2.cvtColor(cv2.imread(str(options.street)), cv2.COLOR_BGR2RGB)
    height = round(640 * street.shape[0] / street.shape[1])
    street = resize_image(np.asarray(street, np.uint8), height, 640)
    rows = [row(street, None, None, "a street, field of view assumed (not trained on)")]
    for name, index, caption in RECORDED:
        sample = RgbdFolder(options.data / name)[index]
        camera = None
        if sample.intrinsics is not None:
            size = sample.rgb.shape[1], sample.rgb.shape[0]
            camera = CameraModel.from_intrinsics(*sample.intrinsics, *size)
        rows.append(row(sample.rgb, camera, sample.depth, caption))
    rgb, depth, lens = make_frame(MIRROR_SEED, 240, 320)
    camera = CameraModel.from_intrinsics(*lens, 320, 240)
    rows.insert(3, row(rgb, camera, depth, "a mirror on the wall, rendered (not trained on)"))
    engine.close()
    Image.fromarray(render_sheet(rows, max_depth=10.0)).save(options.out, optimize=True)


if __name__ == "__main__":
    main()
