"""The KITTI object benchmark: pictures with one laser scan each, projected into the camera."""

from __future__ import annotations

from pathlib import Path

from depth_estimation_ros.errors import DatasetError
from training.data.kitti_calibration import object_camera
from training.data.kitti_frames import numbered_files
from training.data.pictures import read_rgb
from training.data.sample import Sample, SampleSet
from training.data.velodyne import project, read_scan

FIX = (
    "data_object_image_2.zip, data_object_velodyne.zip and data_object_calib.zip are at "
    "https://www.cvlibs.net/datasets/kitti/eval_object.php?obj_benchmark=3d"
)


class KittiObject(SampleSet):
    """``training/image_2/NNNNNN.png``, ``training/velodyne/NNNNNN.bin``, ``training/calib``.

    Args:
        path: the folder of ``training`` and ``testing``.
        split: which of the two; both have scans.

    Raises:
        DatasetError: no such folder, or it has not as many scans as pictures.
    """

    cap_m = 80.0
    crop = "garg"

    def __init__(self, path: str | Path, split: str = "training") -> None:
        self.name = f"kitti_object_{split}"
        self._split = split
        folder = Path(path) / split
        pictures, scans = (numbered_files(folder / name) for name in ("image_2", "velodyne"))
        if not pictures or set(pictures) != set(scans):
            found = f"{len(pictures)} pictures in image_2, {len(scans)} scans in velodyne"
            raise DatasetError(
                f"KITTI objects {folder}", found=found, expected="one scan a picture", fix=FIX
            )
        self._calibration = folder / "calib"
        self._files = [(pictures[n], scans[n]) for n in sorted(pictures)]

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> Sample:
        picture, scan = self._files[index]
        rgb = read_rgb(picture, fix=FIX)
        camera = object_camera(self._calibration / f"{picture.stem}.txt")
        depth = project(read_scan(scan), camera.velo_to_image, *rgb.shape[:2])
        return Sample(rgb, depth, camera.intrinsics)

    def frame_name(self, index: int) -> str:
        return f"{self._split}/{self._files[index][0].stem}"
