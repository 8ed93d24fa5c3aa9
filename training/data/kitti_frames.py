"""Which images of the KITTI drives belong to a set: all of a folder, or those of a split file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.errors import DatasetError, ParameterError

DRIVE = r"(?P<date>\d{4}_\d\d_\d\d)/(?P<drive>\d{4}_\d\d_\d\d_drive_\d{4}_\w+)"
# BTS, AdaBins, ZoeDepth: image, depth or None, focal length. Monodepth: image, its pair.
BY_PICTURE = re.compile(
    DRIVE + r"/image_0(?P<camera>[23])/data/(?P<number>\d+)\.(png|jpg)(?P<rest>.*)"
)
# Monodepth2: drive, number, l(eft) or r(ight).
BY_NUMBER = re.compile(DRIVE + r"\s+(?P<number>\d+)\s+(?P<side>[lr])\s*$")


@dataclass(frozen=True, order=True)
class KittiFrame:
    """An image of the raw data: ``date/drive/image_0C/data/NNNNNNNNNN.png``."""

    drive: str
    camera: int
    number: int

    @property
    def date(self) -> str:
        return self.drive[:10]

    @property
    def name(self) -> str:
        return f"{self.drive}/image_{self.camera:02d}/{self.number:010d}"

    def images(self, raw: Path) -> Path:
        """The folder that holds the image, below the folder ``raw`` of all dates."""
        return raw / self.date / self.drive / f"image_{self.camera:02d}" / "data"


@dataclass(frozen=True)
class SplitEntry:
    """A line of a split file; ``has_depth`` is None where the line does not say."""

    frame: KittiFrame
    has_depth: bool | None


def read_split_file(path: str | Path) -> list[SplitEntry]:
    """The frames of a split file, in its order, each once.

    Three forms of line are known:

    - ``date/drive/image_02/data/N.png DEPTH FOCAL`` (BTS; DEPTH may be ``None``),
    - ``date/drive/image_02/data/N.jpg date/drive/image_03/data/N.jpg`` (monodepth; left counts),
    - ``date/drive N l`` (monodepth2).

    Raises:
        DatasetError: no such file, no lines, or a line of another form, by its number.
    """
    path = Path(path)
    if not path.is_file():
        fix = "The Eigen split is in the repositories of BTS and monodepth2; name its file here."
        raise DatasetError(f"split file {path}", found="no file", fix=fix)
    lines = [(n, line) for n, line in enumerate(path.read_text().splitlines(), 1) if line.strip()]
    if not lines:
        raise DatasetError(f"split file {path}", found="no lines")
    entries = [_entry(line, f"{path}, line {number}") for number, line in lines]
    return list(dict.fromkeys(entries))


def _entry(line: str, where: str) -> SplitEntry:
    match = BY_PICTURE.search(line)
    if match:
        fields = match["rest"].split()
        named = fields[0] if fields else ""
        has_depth = None if not named or "/data/" in named else named != "None"
        frame = KittiFrame(match["drive"], int(match["camera"]), int(match["number"]))
        return SplitEntry(frame, has_depth)
    match = BY_NUMBER.search(line)
    if match:
        camera = 2 if match["side"] == "l" else 3
        return SplitEntry(KittiFrame(match["drive"], camera, int(match["number"])), None)
    expected = "'date/drive/image_02/data/N.png depth focal' or 'date/drive N l'"
    raise DatasetError(where, found=repr(line.strip()), expected=expected)


def check_cameras(cameras: Sequence[int]) -> tuple[int, ...]:
    """Raises ParameterError unless ``cameras`` are colour cameras of KITTI."""
    if not cameras or not set(cameras) <= {2, 3}:
        expected = "[2] (left colour), [3] (right colour) or [2, 3]"
        raise ParameterError("KITTI: cameras", found=cameras, expected=expected)
    return tuple(cameras)


def drives_below(folder: Path) -> list[Path]:
    """The folders named like drives directly in ``folder``, in order of name."""
    return sorted(p for p in folder.glob("????_??_??_drive_????_*") if p.is_dir())


def numbered_files(folder: Path) -> dict[int, Path]:
    """Files of ``folder`` whose names are numbers, by number; empty if there is no such folder."""
    if not folder.is_dir():
        return {}
    return {int(p.stem): p for p in sorted(folder.iterdir()) if p.stem.isdigit()}


Intrinsics = tuple[float, float, float, float]
RAW_FIX = (
    "Each day has a calibration of its own (2011_09_26_calib.zip and so on) at "
    "https://www.cvlibs.net/datasets/kitti/raw_data.php"
)
OBJECT_FIX = (
    "The calibration (data_object_calib.zip) is at "
    "https://www.cvlibs.net/datasets/kitti/eval_object.php?obj_benchmark=3d"
)


@dataclass(frozen=True)
class KittiCamera:
    """One rectified camera.

    Attributes:
        intrinsics: (fx, fy, cx, cy), pixels; the centre of the first pixel is (0, 0).
        velo_to_image: ``(3, 4)`` float64, from metres in the scanner's frame to pixels times depth.
    """

    intrinsics: Intrinsics
    velo_to_image: npt.NDArray[np.float64]


def raw_intrinsics(day: Path, camera: int) -> Intrinsics:
    """Of camera 2 (left colour) or 3 (right colour), from ``day``/calib_cam_to_cam.txt."""
    return _intrinsics(_projection_of_raw(day, camera))


def raw_camera(day: Path, camera: int) -> KittiCamera:
    """A camera of the raw data: ``day`` holds calib_cam_to_cam.txt and calib_velo_to_cam.txt.

    Raises:
        DatasetError: a file or a matrix in it is missing.
    """
    projection = _projection_of_raw(day, camera)
    rectify = _matrix(day / "calib_cam_to_cam.txt", "R_rect_00", (3, 3), RAW_FIX)
    rotation = _matrix(day / "calib_velo_to_cam.txt", "R", (3, 3), RAW_FIX)
    shift = _matrix(day / "calib_velo_to_cam.txt", "T", (3, 1), RAW_FIX)
    return _camera(projection, rectify, np.hstack([rotation, shift]))


def object_camera(file: Path, camera: int = 2) -> KittiCamera:
    """A camera of the object benchmark: ``file`` is calib/NNNNNN.txt.

    Raises:
        DatasetError: the file or a matrix in it is missing.
    """
    projection = _matrix(file, f"P{camera}", (3, 4), OBJECT_FIX)
    rectify = _matrix(file, "R0_rect", (3, 3), OBJECT_FIX)
    return _camera(projection, rectify, _matrix(file, "Tr_velo_to_cam", (3, 4), OBJECT_FIX))


def object_intrinsics(file: Path, camera: int = 2) -> Intrinsics:
    """As :func:`object_camera`, without the scanner."""
    return _intrinsics(_matrix(file, f"P{camera}", (3, 4), OBJECT_FIX))


def _projection_of_raw(day: Path, camera: int) -> npt.NDArray[np.float64]:
    return _matrix(day / "calib_cam_to_cam.txt", f"P_rect_{camera:02d}", (3, 4), RAW_FIX)


def _camera(
    projection: npt.NDArray, rectify: npt.NDArray, velo_to_camera: npt.NDArray
) -> KittiCamera:
    velo_to_rectified = np.eye(4)
    velo_to_rectified[:3] = rectify @ velo_to_camera
    return KittiCamera(_intrinsics(projection), projection @ velo_to_rectified)


def _intrinsics(projection: npt.NDArray) -> Intrinsics:
    fx, fy, cx, cy = projection[[0, 1, 0, 1], [0, 1, 2, 2]]
    return float(fx), float(fy), float(cx), float(cy)


def _matrix(file: Path, key: str, shape: tuple[int, int], fix: str) -> npt.NDArray[np.float64]:
    if not file.is_file():
        raise DatasetError(f"calibration {file}", found="no file", fix=fix)
    for line in file.read_text().splitlines():
        name, _, values = line.partition(":")
        if name.strip() != key:
            continue
        try:
            return np.array([float(value) for value in values.split()]).reshape(shape)
        except ValueError as error:
            expected = f"{shape[0] * shape[1]} numbers"
            found = repr(values.strip())
            raise DatasetError(f"{file}: {key}", found=found, expected=expected, fix=fix) from error
    raise DatasetError(f"{file} has no {key}", expected=f"a line '{key}: ...'", fix=fix)


def read_scan(path: str | Path) -> npt.NDArray[np.float32]:
    """``(N, 4)`` float32: x forward, y left, z up in metres of the scanner, and reflectance.

    Raises:
        DatasetError: no such file, or not whole points of four float32.
    """
    expected = "points of four float32"
    if not Path(path).is_file():
        raise DatasetError(f"scan {path}", found="no file", expected=expected)
    values = np.fromfile(path, np.float32)
    if values.size == 0 or Path(path).stat().st_size % 16:
        found = f"{Path(path).stat().st_size} bytes"
        fix = "It was cut off on its way here: copy or unpack it again."
        raise DatasetError(f"scan {path}", found=found, expected=expected, fix=fix)
    return values.reshape(-1, 4)


def project(
    points: npt.NDArray, velo_to_image: npt.NDArray[np.float64], height: int, width: int
) -> npt.NDArray[np.float32]:
    """Depth along the camera's axis where a point falls on a pixel.

    A point X is seen at (u, v) = (a / w, b / w) with (a, b, w) = velo_to_image (X, 1); w is its
    depth (Geiger et al., "Vision meets Robotics: The KITTI Dataset", IJRR 2013, eq. 8). It marks
    the nearest pixel, whose centre is a whole number. Where several fall on one pixel the nearest
    point counts; those behind the camera are left out.

    Args:
        points: ``(N, 3)`` or more columns, metres in the scanner's frame.
        velo_to_image: ``(3, 4)``, of :class:`training.data.kitti_frames.KittiCamera`.

    Returns:
        ``(height, width)`` float32 metres, NaN where no point falls.
    """
    image = points[:, :3].astype(np.float64) @ velo_to_image[:, :3].T + velo_to_image[:, 3]
    image = image[image[:, 2] > 0.0]
    depth = image[:, 2]
    u, v = np.floor(image[:, :2].T / depth + 0.5)
    inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
    nearest = np.full((height, width), np.inf, np.float32)
    pixels = v[inside].astype(np.intp), u[inside].astype(np.intp)
    np.minimum.at(nearest, pixels, depth[inside].astype(np.float32))
    nearest[np.isinf(nearest)] = np.nan
    return nearest
