"""Pictures of the KITTI object benchmark with depth completed by TWISE."""

from __future__ import annotations

from pathlib import Path

from depth_estimation_ros.errors import DatasetError, ParameterError
from training.data.depth_png import read_depth_png
from training.data.kitti_calibration import object_intrinsics
from training.data.kitti_frames import numbered_files
from training.data.pictures import check_same_size, read_rgb
from training.data.sample import Sample, SampleSet

TEST_FRAMES = 200
FIX = (
    "The pictures are data_object_image_2.zip of "
    "https://www.cvlibs.net/datasets/kitti/eval_object.php?obj_benchmark=3d; depth_dense_twise "
    "comes with SFD (Wu et al., CVPR 2022), at https://github.com/LittlePey/SFD"
)


class KittiTwise(SampleSet):
    """``training/image_2/NNNNNN.png`` with ``training/depth_dense_twise/NNNNNN.png``.

    Depth is 16-bit, metres = value / 256, 0 unknown: the rows above the scanner's view are empty.
    It is the guess of a network (TWISE, Imran et al., CVPR 2021) between laser points, not a
    measurement: train with it, but measure with kitti_depth. The packing names no split, and
    frames of one drive are spread over all numbers: ``test``, the last 200 of its 7,481 pictures,
    is easier than unseen drives.

    Args:
        path: the folder of ``training``. The depth folder may also lie beside ``training`` and
            have folders inside.
        split: ``train`` (all but the last 200 numbers) or ``test`` (those).

    Raises:
        DatasetError: no such folder, or not as many depth files as pictures.
    """

    cap_m = 80.0
    crop = "garg"

    def __init__(self, path: str | Path, split: str = "train") -> None:
        if split not in ("train", "test"):
            raise ParameterError("kitti_twise: split", found=repr(split), expected="train or test")
        self.name = f"kitti_twise_{split}"
        training = Path(path) / "training"
        pictures = numbered_files(training / "image_2")
        depths = _depth_files(training)
        if not pictures or set(pictures) != set(depths):
            found = f"{len(pictures)} pictures in image_2, {len(depths)} in depth_dense_twise"
            raise DatasetError(
                f"KITTI TWISE {training}", found=found, expected="one depth a picture", fix=FIX
            )
        if len(pictures) <= TEST_FRAMES:
            expected = f"more than the {TEST_FRAMES} test pictures (7,481 in all)"
            raise DatasetError(
                f"KITTI TWISE {training}", found=len(pictures), expected=expected, fix=FIX
            )
        numbers = sorted(pictures)
        kept = numbers[:-TEST_FRAMES] if split == "train" else numbers[-TEST_FRAMES:]
        self._files = [(pictures[number], depths[number]) for number in kept]
        calibration = training / "calib"
        self._calibration = calibration if calibration.is_dir() else None

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> Sample:
        picture, depth_file = self._files[index]
        rgb = read_rgb(picture, fix=FIX)
        depth = read_depth_png(depth_file, metres_per_unit=1.0 / 256.0, fix=FIX)
        check_same_size(rgb, depth, picture)
        if self._calibration is None:  # not a part of every copy
            return Sample(rgb, depth, None)
        return Sample(rgb, depth, object_intrinsics(self._calibration / f"{picture.stem}.txt"))

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
