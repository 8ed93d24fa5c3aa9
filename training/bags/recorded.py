"""A bag of a sequence that a real camera recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from depth_estimation_ros.errors import BagError
from depth_estimation_ros.geometry.camera_model import CameraModel
from training.bags.writer import Frame, Transport, write_bag


def folder_bag(folder: str | Path, out: str | Path, transport: Transport = "compressed") -> Path:
    """Make a bag of a recorded sequence, with its true stamps: see `recorded_frames`.

    Raises:
        BagError: a file is missing, or the numbers of stamps and pictures differ.
    """
    camera, frames = recorded_frames(folder)
    return write_bag(out, frames, camera, transport)


def recorded_frames(folder: str | Path) -> tuple[CameraModel, Iterator[Frame]]:
    """The camera and the frames of a recorded sequence, with their true stamps.

    The folder holds rgb/*.jpg, depth/*.png of the same names (16-bit millimetres, 0 = unknown),
    timestamps.txt (seconds, a line a frame) and info.json with intrinsics_px {fx, fy, cx, cy} and,
    if the lens distorts, distortion_plumb_bob [k1, k2, p1, p2, k3].

    Raises:
        BagError: a file is missing, or the numbers of stamps and pictures differ.
    """
    folder = Path(folder)
    try:
        about = json.loads((folder / "info.json").read_text())
        stamps = (folder / "timestamps.txt").read_text().split()
        k = about["intrinsics_px"]
    except (OSError, ValueError, KeyError) as error:
        raise BagError(
            f"{folder} is not a recorded sequence",
            found=repr(error),
            expected="info.json with intrinsics_px, timestamps.txt, rgb/ and depth/",
        ) from error
    pictures = sorted((folder / "rgb").glob("*.jpg"))
    if not pictures or len(pictures) != len(stamps):
        raise BagError(
            f"{folder} has not one stamp a picture",
            found=f"{len(pictures)} pictures and {len(stamps)} stamps",
        )
    height, width = Frame(0, pictures[0].read_bytes()).rgb.shape[:2]
    camera = CameraModel.from_intrinsics(k["fx"], k["fy"], k["cx"], k["cy"], width, height)
    if "distortion_plumb_bob" in about:
        lens = np.asarray(about["distortion_plumb_bob"], np.float64)
        camera = CameraModel(width, height, camera.K, lens, "plumb_bob", P=camera.P)
    return camera, _recorded_frames(pictures, stamps)


def _recorded_frames(pictures: Sequence[Path], stamps: Sequence[str]) -> Iterator[Frame]:
    for path, stamp in zip(pictures, stamps, strict=True):
        seconds, _, fraction = stamp.partition(".")
        stamp_ns = int(seconds) * 10**9 + int(fraction.ljust(9, "0")[:9] or 0)
        png = path.parent.parent / "depth" / f"{path.stem}.png"
        mm = cv2.imread(str(png), cv2.IMREAD_UNCHANGED) if png.exists() else None
        depth = None if mm is None else np.where(mm > 0, mm / 1000.0, np.nan).astype(np.float32)
        yield Frame(stamp_ns, path.read_bytes(), depth)
