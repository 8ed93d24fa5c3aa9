"""What is common to all packings of NYU Depth V2 (Silberman et al., ECCV 2012)."""

from __future__ import annotations

import csv
import logging
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.errors import DatasetError, ParameterError
from training.data.image_files import (
    check_complete,
    check_same_size,
    read_depth_png,
    read_depth_values,
    read_rgb,
)
from training.data.per_process import PerProcess
from training.data.sample import Sample, SampleSet

HOME = "https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html"
# RGB camera of the toolbox's camera_params.m, for images of 640x480.
INTRINSICS = (518.85790, 519.46961, 325.58245, 253.73617)
SIZE = (480, 640)
CAP_M = 10.0
CROP = "eigen_nyu"

IMAGES = 1449
# Bit i, from the highest of the first byte, is set if image i (from 0) of the labelled data set
# is in testNdxs of the official splits.mat, which counts from 1.
_TEST = (
    "c087c81fffe601be001e1fe000000e0fbc8000e003bf1fffffc3f01c00000040010383f801fc07380ffe0003"
    "3ff00001fc38003c0007e0ff0007cff80000001fbffc38e00e3fffe03e03c03e18f800fc1861c31f9f87cce0"
    "7f8c1f3c030003ffffffe001f07c0e00fffc70fc0e00000000700e071e00e003ce7f8003e0f0700e01c60198"
    "c0003ff1ff7f780e3fe301fffc7e673f01f0fff1f07ce003c7ff803f0ffee7f06000f3f038f0198001fe7f83"
    "fc0f0780ff80"
)


def official_split(split: str) -> npt.NDArray[np.int64]:
    """Indices, from 0, of the 1449 labelled images that are in ``train`` (795) or ``test`` (654).

    No scene is in both. The split is a part of the program rather than of the download, so that
    no other can be scored by mistake.

    Raises:
        ParameterError: another name.
    """
    check_split(split)
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(_TEST), np.uint8))[:IMAGES]
    return np.flatnonzero(bits == (split == "test"))


def check_split(split: str) -> None:
    """Raises ParameterError unless ``split`` is one that NYU has."""
    if split not in ("train", "test"):
        raise ParameterError("split of NYU Depth V2", found=repr(split), expected="train or test")


logger = logging.getLogger(__name__)

ROWS = {"train": 50_688, "test": 654}
GET_CSV = (
    "Get nyu-depth-v2 of soumikrakshit at https://www.kaggle.com/datasets/soumikrakshit/"
    "nyu-depth-v2 (4 GB) and name the folder that holds data/nyu2_train.csv"
)


class NyuCsv(SampleSet):
    """``data/nyu2_train.csv`` or ``data/nyu2_test.csv`` and the files that they name.

    Training depth has 8 bits over 10 m, in steps of 39 mm, with its holes filled. Of 255 is known
    only that it is 10 m or more, and of 0 nothing, so both are NaN. Test depth has 16 bits in
    millimetres and 0 for unknown. Each is refused where the other is due.

    Args:
        path: the folder that holds ``data/``; its parent and ``data/`` itself are taken too.
        split: ``train`` (50,688 frames) or ``test`` (the official 654).

    Raises:
        DatasetError: no list, files of the list missing, or depth of the wrong kind.
        ParameterError: another split.
    """

    cap_m = CAP_M
    crop = CROP

    def __init__(self, path: str | Path, split: str) -> None:
        check_split(split)
        self.name = f"nyu_csv_{split}"
        self.split = split
        self.root = _root(Path(path), split)
        self.rows = _read_rows(_list(self.root, split))
        files = [self.root / file for row in self.rows for file in row]
        check_complete(_list(self.root, split), files, fix=GET_CSV)
        if len(self.rows) != ROWS[split]:
            logger.warning(
                "%s has %d rows, the published list has %d: scores are of this part only",
                _list(self.root, split),
                len(self.rows),
                ROWS[split],
            )

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        image, depth_file = (self.root / file for file in self.rows[index])
        rgb = read_rgb(image, fix=GET_CSV)
        if rgb.shape[:2] != SIZE:
            raise DatasetError(
                f"image {image}",
                found=f"{rgb.shape[1]}x{rgb.shape[0]}",
                expected=f"{SIZE[1]}x{SIZE[0]}, for which the intrinsics of NYU hold",
                fix=GET_CSV,
            )
        depth = (_read_train if self.split == "train" else _read_test)(depth_file)
        check_same_size(rgb, depth, image)
        return Sample(rgb, depth, INTRINSICS)

    def frame_name(self, index: int) -> str:
        """``basement_0001a_out/1`` of the training list, ``00000`` of the test list."""
        image = Path(self.rows[index][0])
        if self.split == "test":
            return image.stem.removesuffix("_colors")
        return f"{image.parent.name}/{image.stem}"

    def scene_name(self, index: int) -> str:
        """``basement_0001`` of ``basement_0001a_out``: the letters are parts of one recording."""
        if self.split == "test":
            return self.frame_name(index)
        return Path(self.rows[index][0]).parent.name.removesuffix("_out").rstrip("abcdefghij")


def _read_train(file: Path) -> npt.NDArray[np.float32]:
    raw = read_depth_values(
        file, bits=8, fix=f"Depth of nyu2_train is 8-bit, 255 = 10 m. {GET_CSV}"
    )
    depth = raw.astype(np.float32) * np.float32(10.0 / 255.0)
    depth[(raw == 0) | (raw == 255)] = np.nan
    return depth


def _read_test(file: Path) -> npt.NDArray[np.float32]:
    fix = f"Depth of nyu2_test is 16-bit, in millimetres. {GET_CSV}"
    return read_depth_png(file, metres_per_unit=0.001, fix=fix)


def _list(root: Path, split: str) -> Path:
    return root / "data" / f"nyu2_{split}.csv"


def _root(path: Path, split: str) -> Path:
    for root in (path, path / "nyu_data", path.parent if path.name == "data" else path):
        if _list(root, split).is_file():
            return root
    if not path.is_dir():
        raise DatasetError(f"no folder {path}", fix=GET_CSV)
    held = ", ".join(sorted(entry.name for entry in path.iterdir())[:8]) or "nothing"
    fix = GET_CSV
    if (path / "nyu_depth_v2_labeled.mat").is_file():
        fix = "The labelled .mat is read by the layout nyu_labelled"
    raise DatasetError(
        f"{path} is not NYU Depth V2 with csv lists",
        found=held,
        expected=f"data/nyu2_{split}.csv",
        fix=fix,
    )


def _read_rows(file: Path) -> list[tuple[str, str]]:
    with file.open(newline="") as lines:
        rows = [row for row in csv.reader(lines) if row]
    for number, row in enumerate(rows, 1):
        if len(row) != 2:
            raise DatasetError(
                f"{file}, row {number}",
                found=",".join(row),
                expected="an image and a depth PNG, with a comma between them",
                fix=GET_CSV,
            )
    if not rows:
        raise DatasetError(f"{file} is empty", fix=GET_CSV)
    return [(image.strip(), depth.strip()) for image, depth in rows]


FILE = "nyu_depth_v2_labeled.mat"
GET_MAT = f"Get {FILE} (2.8 GB) at {HOME} and name it or its folder"
# HDF5 has the axes of MATLAB's (H, W, 3, N) and (H, W, N) in the reverse order.
_SHAPES = {
    "images": (IMAGES, 3, SIZE[1], SIZE[0]),
    "depths": (IMAGES, SIZE[1], SIZE[0]),
    "rawDepths": (IMAGES, SIZE[1], SIZE[0]),
}
_ARRAYS = {"raw": "rawDepths", "filled": "depths"}


class NyuLabelled(SampleSet):
    """``nyu_depth_v2_labeled.mat`` in its official split: 795 train, 654 test.

    Args:
        path: the file, or the folder that holds it.
        split: ``train`` or ``test``.
        depth: ``raw`` is what the Kinect measured, NaN where it saw nothing; BTS, AdaBins and
            ZoeDepth score on it. ``filled`` has the holes painted in, as DenseDepth scores; the
            same network does not get the same numbers on both.

    Raises:
        DatasetError: no such file, not the whole of it, or other arrays than the published.
        ParameterError: another split or depth, or h5py is not installed.
    """

    cap_m = CAP_M
    crop = CROP

    def __init__(self, path: str | Path, split: str, depth: str = "raw") -> None:
        if depth not in _ARRAYS:
            found, expected = repr(depth), " or ".join(_ARRAYS)
            raise ParameterError("depth of nyu_labelled", found=found, expected=expected)
        self.name = f"nyu_labelled_{split}"
        self.indices = official_split(split)
        self.file = _mat_file(Path(path))
        self._depths = _ARRAYS[depth]
        self._open = PerProcess(partial(_open, self.file))
        with _open(self.file) as mat:
            _check(mat, self.file, self._depths)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        number = int(self.indices[index])
        mat = self._open()
        try:
            planes, columns = mat["images"][number], mat[self._depths][number]
        except OSError as error:  # a block of the file that does not decompress
            raise _damaged(self.file, f"image {number + 1}: {error}") from error
        depth = np.ascontiguousarray(columns.T, np.float32)
        depth[~(depth > 0.0)] = np.nan
        return Sample(np.ascontiguousarray(planes.transpose(2, 1, 0)), depth, INTRINSICS)

    def frame_name(self, index: int) -> str:
        """``0001`` ... ``1449``: the number of the image in MATLAB, and in ``splits.mat``."""
        return f"{self.indices[index] + 1:04d}"


def _mat_file(path: Path) -> Path:
    file = path / FILE if path.is_dir() else path
    if file.is_file():
        return file
    held = "no such file or folder"
    if path.is_dir():
        held = ", ".join(sorted(entry.name for entry in path.iterdir())[:8]) or "nothing"
    fix = GET_MAT
    if any((path / inside / "nyu2_test.csv").is_file() for inside in ("", "data", "nyu_data/data")):
        fix = "The packing with csv lists is read by the layout nyu_csv"
    raise DatasetError(f"{path} is not NYU's labelled data set", found=held, expected=FILE, fix=fix)


def _open(file: Path) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise ParameterError(
            f"{file} needs the library h5py",
            found=str(error),
            fix="Install it: pip install h5py (it comes with the extra train)",
        ) from error
    try:
        return h5py.File(file, "r")
    except OSError as error:
        raise _damaged(file, str(error)) from error


def _damaged(file: Path, reason: str) -> DatasetError:
    return DatasetError(
        f"{file} cannot be read",
        found=f"{file.stat().st_size / 1e9:.3f} GB, and {reason}",
        expected="the whole HDF5 file of 2.8 GB",
        fix=f"The download may have been cut short. {GET_MAT}",
    )


def _check(mat: Any, file: Path, depths: str) -> None:
    for name in ("images", depths):
        if name not in mat:
            raise DatasetError(
                f"{file} has no array {name}",
                found=", ".join(mat) or "nothing",
                expected=f"images and {depths}",
                fix=f"Is this the labelled data set, or another choice of depth due? {GET_MAT}",
            )
        if mat[name].shape != _SHAPES[name]:
            raise DatasetError(
                f"{file}, array {name}", found=mat[name].shape, expected=_SHAPES[name], fix=GET_MAT
            )
