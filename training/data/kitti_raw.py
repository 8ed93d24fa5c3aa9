"""Raw drives of KITTI: depth is one laser scan, projected into the camera."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.errors import DatasetError
from training.data.image_files import check_same_size, read_rgb
from training.data.kitti_frames import (
    Intrinsics,
    KittiCamera,
    KittiFrame,
    check_cameras,
    drives_below,
    numbered_files,
    project,
    raw_camera,
    raw_intrinsics,
    read_scan,
    read_split_file,
)
from training.data.sample import Sample, SampleSet

FIX = (
    "Take 'synced+rectified data' and 'calibration' of each drive from "
    "https://www.cvlibs.net/datasets/kitti/raw_data.php"
)
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Recorded:
    frame: KittiFrame
    image: Path
    depth: Path  # a scan (.bin) or depth that was projected before (.npz)


class KittiRaw(SampleSet):
    """``<date>/<drive>/image_02/data/N.png`` and ``<date>/<drive>/velodyne_points/data/N.bin``.

    Depth is the scan projected by calib_cam_to_cam.txt and calib_velo_to_cam.txt of the date, or,
    in a drive without scans, the array ``velodyne_depth`` (metres, 0 not measured) of
    ``proj_depth/velodyne/image_02/N.npz``, as TRI's copies of KITTI have it. About 4 % of the
    pixels have depth. Frames without a scan (KITTI lacks a few) are left out and counted in the
    log.

    Args:
        path: the folder of dates.
        drives: names of drives such as ``2011_09_26_drive_0023_sync``; None takes all there are.
            Divide training from validation by drives: frames of one drive look alike.
        split_file: a list of frames, relative to ``path``, in place of whole drives (see
            :func:`training.data.kitti_frames.read_split_file`).
        cameras: 2 for the left colour camera, 3 for the right; without a split file.

    Raises:
        DatasetError: a folder or calibration is missing, a drive has no images or no depth.
    """

    cap_m = 80.0
    crop = "garg"

    def __init__(
        self,
        path: str | Path,
        drives: Sequence[str] | None = None,
        split_file: str | None = None,
        cameras: Sequence[int] = (2, 3),
    ) -> None:
        root = Path(path)
        self.name = "kitti_raw" if split_file is None else f"kitti_raw_{Path(split_file).stem}"
        if split_file is None:
            folders = _drives(root, drives)
            self._recorded = _whole_drives(root, folders, check_cameras(cameras))
        else:
            self._recorded = _listed(root, root / split_file)
        self._intrinsics: dict[tuple[str, int], Intrinsics] = {}
        self._cameras: dict[tuple[str, int], KittiCamera] = {}
        for recorded in self._recorded:
            key = recorded.frame.date, recorded.frame.camera
            if key not in self._intrinsics:
                self._intrinsics[key] = raw_intrinsics(root / key[0], key[1])
            if recorded.depth.suffix == ".bin" and key not in self._cameras:
                self._cameras[key] = raw_camera(root / key[0], key[1])

    def __len__(self) -> int:
        return len(self._recorded)

    def __getitem__(self, index: int) -> Sample:
        recorded = self._recorded[index]
        key = recorded.frame.date, recorded.frame.camera
        rgb = read_rgb(recorded.image, fix=FIX)
        if recorded.depth.suffix == ".bin":
            scan = read_scan(recorded.depth)
            depth = project(scan, self._cameras[key].velo_to_image, *rgb.shape[:2])
        else:
            depth = read_projected(recorded.depth)
            check_same_size(rgb, depth, recorded.image)
        return Sample(rgb, depth, self._intrinsics[key])

    def frame_name(self, index: int) -> str:
        return self._recorded[index].frame.name


def read_projected(path: Path) -> npt.NDArray[np.float32]:
    """Depth kept as ``velodyne_depth`` in an npz: float32 metres, NaN where it holds 0."""
    try:
        with np.load(path) as arrays:
            depth = arrays["velodyne_depth"].astype(np.float32)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        expected = "an npz with the array velodyne_depth"
        raise DatasetError(f"depth {path}", found=error, expected=expected, fix=FIX) from error
    depth[depth <= 0.0] = np.nan
    return depth


def _drives(root: Path, named: Sequence[str] | None) -> list[Path]:
    found = [drive for day in sorted(root.glob("????_??_??")) for drive in drives_below(day)]
    if not found:
        expected = "folders such as 2011_09_26/2011_09_26_drive_0001_sync"
        what = "no drives in it" if root.is_dir() else "no such folder"
        raise DatasetError(f"KITTI raw data {root}", found=what, expected=expected, fix=FIX)
    if named is None:
        return found
    unknown = sorted(set(named) - {drive.name for drive in found})
    if unknown:
        there = ", ".join(drive.name for drive in found[:4])
        expected = f"drives such as {there} ({len(found)} are here)"
        raise DatasetError(f"KITTI raw data {root}: drives", found=unknown, expected=expected)
    return [drive for drive in found if drive.name in set(named)]


def _whole_drives(root: Path, drives: list[Path], cameras: tuple[int, ...]) -> list[_Recorded]:
    recorded = []
    for drive in drives:
        for camera in cameras:
            frame = KittiFrame(drive.name, camera, 0)
            images = numbered_files(frame.images(root))
            depths = _depth_files(root, frame)
            for what, files in (("images", images), ("velodyne scans", depths)):
                if not files:
                    where = f"KITTI drive {drive}, camera {camera}"
                    raise DatasetError(where, found=f"no {what}", fix=FIX)
            both = sorted(set(images) & set(depths))
            _tell_left_out(len(images) - len(both), drive.name)
            for n in both:
                recorded.append(_Recorded(KittiFrame(drive.name, camera, n), images[n], depths[n]))
    return recorded


def _listed(root: Path, split_file: Path) -> list[_Recorded]:
    images, depths = cache(numbered_files), cache(_depth_files)
    recorded, missing = [], []
    frames = list(dict.fromkeys(entry.frame for entry in read_split_file(split_file)))
    for frame in frames:
        image = images(frame.images(root)).get(frame.number)
        depth = depths(root, KittiFrame(frame.drive, frame.camera, 0)).get(frame.number)
        if image is None:
            missing.append(frame)
        elif depth is not None:
            recorded.append(_Recorded(frame, image, depth))
    if missing or not recorded:
        what = "images" if missing else "velodyne scans"
        first = f", first {missing[0].name}" if missing else ""
        found = f"none for {len(missing) or len(frames)} of {len(frames)} frames{first}"
        where = f"KITTI raw data {root}: {what} of {split_file}"
        raise DatasetError(where, found=found, expected="all of them", fix=FIX)
    _tell_left_out(len(frames) - len(recorded), str(split_file))
    return recorded


def _depth_files(root: Path, frame: KittiFrame) -> dict[int, Path]:
    drive = root / frame.date / frame.drive
    scans = numbered_files(drive / "velodyne_points" / "data")
    return scans or numbered_files(drive / f"proj_depth/velodyne/image_{frame.camera:02d}")


def _tell_left_out(count: int, where: str) -> None:
    if count > 0:
        logger.warning("%s: %d frames without a velodyne scan are left out", where, count)
