"""The KITTI depth benchmark: depth accumulated over eleven scans, images of the raw data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from depth_estimation_ros.errors import DatasetError
from training.data.image_files import check_same_size, read_depth_png, read_rgb
from training.data.kitti_frames import (
    Intrinsics,
    KittiFrame,
    check_cameras,
    drives_below,
    numbered_files,
    raw_intrinsics,
    read_split_file,
)
from training.data.sample import Sample, SampleSet

DEPTH_FIX = (
    "Depth (data_depth_annotated.zip, with the folders train and val) is at "
    "https://www.cvlibs.net/datasets/kitti/eval_depth.php?benchmark=depth_prediction"
)
IMAGES_FIX = (
    "Images are in the raw data, https://www.cvlibs.net/datasets/kitti/raw_data.php; "
    "if they lie in another folder, name it by the option raw"
)


@dataclass(frozen=True)
class _Pair:
    frame: KittiFrame
    image: Path
    depth: Path


class KittiDepth(SampleSet):
    """``<split>/<drive>/proj_depth/groundtruth/image_02/N.png`` and raw ``<date>/<drive>/...``.

    Depth is 16-bit, metres = value / 256, 0 not measured; about a fifth of the pixels, none in the
    top third of an image. The ground truth leaves out the first and last five frames of a drive.

    Args:
        path: the folder of ``train`` and ``val``.
        split: ``train`` or ``val`` as the benchmark divides the drives; without a split file.
        split_file: a list of frames, of either split, for instance of the Eigen split (see
            :func:`training.data.kitti_frames.read_split_file`). Frames whose depth is ``None``
            there are left out: 45 of the 697 Eigen test frames have none.
        raw: the folder of dates with images and calibration. Both are relative to ``path``.
        cameras: 2 for the left colour camera, 3 for the right; without a split file.

    Raises:
        DatasetError: a folder, a calibration, or the image or depth of a frame is missing.
    """

    cap_m = 80.0
    crop = "garg"

    def __init__(
        self,
        path: str | Path,
        split: str = "train",
        split_file: str | None = None,
        raw: str = ".",
        cameras: Sequence[int] = (2, 3),
    ) -> None:
        root = Path(path)
        self._raw = root / raw
        if split_file is None:
            self.name = f"kitti_depth_{split}"
            self._pairs = list(_walk(root / split, self._raw, check_cameras(cameras)))
        else:
            self.name = f"kitti_depth_{Path(split_file).stem}"
            self._pairs = _listed(root, self._raw, root / split_file)
        drives = {(pair.frame.date, pair.frame.camera) for pair in self._pairs}
        self._cameras: dict[tuple[str, int], Intrinsics] = {
            (date, camera): raw_intrinsics(self._raw / date, camera)
            for date, camera in sorted(drives)
        }

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> Sample:
        pair = self._pairs[index]
        rgb = read_rgb(pair.image, fix=IMAGES_FIX)
        depth = read_depth_png(pair.depth, metres_per_unit=1.0 / 256.0, fix=DEPTH_FIX)
        check_same_size(rgb, depth, pair.image)
        return Sample(rgb, depth, self._cameras[pair.frame.date, pair.frame.camera])

    def frame_name(self, index: int) -> str:
        return self._pairs[index].frame.name


def _walk(split: Path, raw: Path, cameras: tuple[int, ...]) -> Iterator[_Pair]:
    drives = drives_below(split)
    if not drives:
        found = "no drives in it" if split.is_dir() else "no such folder"
        expected = "folders such as 2011_09_26_drive_0001_sync"
        raise DatasetError(f"KITTI depth {split}", found=found, expected=expected, fix=DEPTH_FIX)
    for drive in drives:
        for camera in cameras:
            depths = numbered_files(drive / f"proj_depth/groundtruth/image_{camera:02d}")
            frames = [KittiFrame(drive.name, camera, number) for number in depths]
            if not frames:
                where = f"{drive}/proj_depth/groundtruth/image_{camera:02d}"
                raise DatasetError(f"KITTI depth {where}", found="no depth", fix=DEPTH_FIX)
            images = numbered_files(frames[0].images(raw))
            missing = [frame for frame in frames if frame.number not in images]
            if missing:
                raise _missing("images", missing, frames, missing[0].images(raw), IMAGES_FIX)
            for frame in frames:
                yield _Pair(frame, images[frame.number], depths[frame.number])


def _listed(root: Path, raw: Path, split_file: Path) -> list[_Pair]:
    files = cache(numbered_files)
    wanted, pairs, no_picture, no_depth = [], [], [], []
    for entry in read_split_file(split_file):
        frame = entry.frame
        if entry.has_depth is False:
            continue
        depth = _find_depth(root, frame, files)
        if depth is None and entry.has_depth is None:
            continue  # such lists name every frame, also those near the ends of a drive
        wanted.append(frame)
        image = files(frame.images(raw)).get(frame.number)
        if image is None:
            no_picture.append(frame)
        elif depth is None:
            no_depth.append(frame)
        else:
            pairs.append(_Pair(frame, image, depth))
    if no_picture:
        folder = no_picture[0].images(raw)
        raise _missing(f"images of {split_file}", no_picture, wanted, folder, IMAGES_FIX)
    if no_depth or not pairs:
        raise _missing(f"depth of {split_file}", no_depth, wanted, root, DEPTH_FIX)
    return pairs


def _find_depth(
    root: Path, frame: KittiFrame, files: Callable[[Path], dict[int, Path]]
) -> Path | None:
    inside = f"{frame.drive}/proj_depth/groundtruth/image_{frame.camera:02d}"
    for split in ("train", "val", "."):
        depth = files(root / split / inside).get(frame.number)
        if depth is not None:
            return depth
    return None


def _missing(
    what: str, missing: list[KittiFrame], wanted: list[KittiFrame], where: Path, fix: str
) -> DatasetError:
    first = f", first {missing[0].name}" if missing else ""
    return DatasetError(
        f"KITTI depth lacks {what} in {where}",
        found=f"{len(wanted) - len(missing)} of {len(wanted)} frames{first}",
        expected="all of them",
        fix=fix,
    )
