"""Any folder of RGB pictures and depth PNGs of the same name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from depth_estimation_ros.errors import DatasetError
from training.data.sample import Sample, SampleSet

LAYOUT = (
    "A data folder holds NNNNN.jpg (RGB), NNNNN.png (16-bit depth) and info.json with "
    '"intrinsics_px": {fx, fy, cx, cy} or null, or frames.json with intrinsics of each frame.'
)


class RgbdFolder(SampleSet):
    """``NNNNN.jpg`` beside ``NNNNN.png`` and a JSON file that tells what the numbers mean.

    ``info.json`` (one camera) may hold ``intrinsics_px``; ``frames.json`` (one camera a frame)
    holds ``frames: {"00000": [fx, fy, cx, cy]}``. Both may hold ``depth_scale`` (metres a unit,
    0.001 by default) and ``infinite_value`` (the PNG value that means beyond range). PNG value 0
    is an invalid pixel.

    Raises:
        DatasetError: if the folder is missing, has no pairs, or its depth is not 16-bit.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.name = self.path.name
        self.frames = _paired_frames(self.path)
        info = _read_info(self.path)
        self._depth_scale = float(info.get("depth_scale", 0.001))
        self._infinite_value = info.get("infinite_value")
        self._one_camera = _intrinsics(info.get("intrinsics_px"))
        self._cameras: dict[str, Any] = info.get("frames", {}) if _per_frame(info) else {}

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> Sample:
        frame = self.frames[index]
        bgr = cv2.imread(str(self.path / f"{frame}.jpg"), cv2.IMREAD_COLOR)
        if bgr is None:
            raise DatasetError(f"{self.path / frame}.jpg is not a readable picture")
        depth = self._read_depth(self.path / f"{frame}.png")
        if depth.shape != bgr.shape[:2]:
            raise DatasetError(
                f"{self.path / frame}: picture and depth differ in size",
                found=f"{bgr.shape[:2]} and {depth.shape}",
                expected="one size",
            )
        camera = tuple(self._cameras[frame]) if frame in self._cameras else self._one_camera
        return Sample(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), depth, camera)

    def frame_name(self, index: int) -> str:
        return self.frames[index]

    def _read_depth(self, path: Path) -> np.ndarray:
        raw = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if raw is None or raw.dtype != np.uint16 or raw.ndim != 2:
            found = "no readable picture" if raw is None else f"{raw.dtype} {raw.shape}"
            raise DatasetError(
                f"{path} is not a depth picture", found=found, expected="16-bit, one channel"
            )
        depth = raw.astype(np.float32) * np.float32(self._depth_scale)
        depth[raw == 0] = np.nan
        if self._infinite_value is not None:
            depth[raw == self._infinite_value] = np.inf
        return depth


def _paired_frames(path: Path) -> list[str]:
    if not path.is_dir():
        raise DatasetError(f"no data folder {path}", fix=LAYOUT)
    frames = sorted(p.stem for p in path.glob("*.jpg") if p.with_suffix(".png").exists())
    if not frames:
        raise DatasetError(f"{path} holds no pairs of NNNNN.jpg and NNNNN.png", fix=LAYOUT)
    return frames


def _read_info(path: Path) -> Mapping[str, Any]:
    for name in ("frames.json", "info.json"):
        file = path / name
        if file.exists():
            try:
                return json.loads(file.read_text())
            except ValueError as error:
                raise DatasetError(f"{file} is not JSON ({error})", fix=LAYOUT) from error
    raise DatasetError(f"{path} has neither info.json nor frames.json", fix=LAYOUT)


def _per_frame(info: Mapping[str, Any]) -> bool:
    # info.json of a recorded folder counts its frames under the same key.
    return isinstance(info.get("frames"), Mapping)


def _intrinsics(camera: Mapping[str, float] | None) -> tuple[float, float, float, float] | None:
    if camera is None:
        return None
    fx, fy, cx, cy = (float(camera[key]) for key in ("fx", "fy", "cx", "cy"))
    return fx, fy, cx, cy
