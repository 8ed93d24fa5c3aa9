"""The KITTI object benchmark: images with one laser scan each, projected into the camera."""

from __future__ import annotations

from pathlib import Path

from depth_estimation_ros.errors import DatasetError, ParameterError
from training.data.image_files import check_same_size, read_depth_png, read_rgb
from training.data.kitti_frames import (
    numbered_files,
    object_camera,
    object_intrinsics,
    project,
    read_scan,
)
from training.data.sample import Sample, SampleSet

OBJECTS = (
    "data_object_image_2.zip, data_object_velodyne.zip and data_object_calib.zip are at "
    "https://www.cvlibs.net/datasets/kitti/eval_object.php?obj_benchmark=3d"
)


class KittiObject(SampleSet):
    """``training/image_2/NNNNNN.png``, ``training/velodyne/NNNNNN.bin``, ``training/calib``.

    Args:
        path: the folder of ``training`` and ``testing``.
        split: which of the two; both have scans.

    Raises:
        DatasetError: no such folder, or it has not as many scans as images.
    """

    cap_m = 80.0
    crop = "garg"

    def __init__(self, path: str | Path, split: str = "training") -> None:
        self.name = f"kitti_object_{split}"
        self._split = split
        folder = Path(path) / split
        images, scans = (numbered_files(folder / name) for name in ("image_2", "velodyne"))
        if not images or set(images) != set(scans):
            found = f"{len(images)} images in image_2, {len(scans)} scans in velodyne"
            raise DatasetError(
                f"KITTI objects {folder}",
                found=found,
                expected="one scan an image",
                fix=OBJECTS,
            )
        self._calibration = folder / "calib"
        self._files = [(images[n], scans[n]) for n in sorted(images)]

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> Sample:
        image, scan = self._files[index]
        rgb = read_rgb(image, fix=OBJECTS)
        camera = object_camera(self._calibration / f"{image.stem}.txt")
        depth = project(read_scan(scan), camera.velo_to_image, *rgb.shape[:2])
        return Sample(rgb, depth, camera.intrinsics)

    def frame_name(self, index: int) -> str:
        return f"{self._split}/{self._files[index][0].stem}"


TEST_FRAMES = 200
TWISE = (
    "The images are data_object_image_2.zip of "
    "https://www.cvlibs.net/datasets/kitti/eval_object.php?obj_benchmark=3d; depth_dense_twise "
    "comes with SFD (Wu et al., CVPR 2022), at https://github.com/LittlePey/SFD"
)


class KittiTwise(SampleSet):
    """``training/image_2/NNNNNN.png`` with ``training/depth_dense_twise/NNNNNN.png``.

    Depth is 16-bit, metres = value / 256, 0 unknown: the rows above the scanner's view are empty.
    It is the guess of a network (TWISE, Imran et al., CVPR 2021) between laser points, not a
    measurement: train with it, but measure with kitti_depth. The packing names no split, and
    frames of one drive are spread over all numbers: ``test``, the last 200 of its 7,481 images,
    is easier than unseen drives.

    Args:
        path: the folder of ``training``. The depth folder may also lie beside ``training`` and
            have folders inside.
        split: ``train`` (all but the last 200 numbers) or ``test`` (those).

    Raises:
        DatasetError: no such folder, or not as many depth files as images.
    """

    cap_m = 80.0
    crop = "garg"

    def __init__(self, path: str | Path, split: str = "train") -> None:
        if split not in ("train", "test"):
            raise ParameterError("kitti_twise: split", found=repr(split), expected="train or test")
        self.name = f"kitti_twise_{split}"
        training = Path(path) / "training"
        images = numbered_files(training / "image_2")
        depths = _depth_files(training)
        if not images or set(images) != set(depths):
            found = f"{len(images)} images in image_2, {len(depths)} in depth_dense_twise"
            raise DatasetError(
                f"KITTI TWISE {training}",
                found=found,
                expected="one depth an image",
                fix=TWISE,
            )
        if len(images) <= TEST_FRAMES:
            expected = f"more than the {TEST_FRAMES} test images (7,481 in all)"
            raise DatasetError(
                f"KITTI TWISE {training}", found=len(images), expected=expected, fix=TWISE
            )
        numbers = sorted(images)
        kept = numbers[:-TEST_FRAMES] if split == "train" else numbers[-TEST_FRAMES:]
        self._files = [(images[number], depths[number]) for number in kept]
        calibration = training / "calib"
        self._calibration = calibration if calibration.is_dir() else None

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> Sample:
        image, depth_file = self._files[index]
        rgb = read_rgb(image, fix=TWISE)
        depth = read_depth_png(depth_file, metres_per_unit=1.0 / 256.0, fix=TWISE)
        check_same_size(rgb, depth, image)
        if self._calibration is None:  # not a part of every copy
            return Sample(rgb, depth, None)
        return Sample(rgb, depth, object_intrinsics(self._calibration / f"{image.stem}.txt"))

    def frame_name(self, index: int) -> str:
        return self._files[index][0].stem


def _depth_files(training: Path) -> dict[int, Path]:
    for folder in (training, training.parent):
        top = folder / "depth_dense_twise"
        files = (p for p in top.rglob("*.png") if "testing" not in p.relative_to(top).parts)
        found = {int(p.stem): p for p in files if p.stem.isdigit()}
        if found:
            return found
    return {}
