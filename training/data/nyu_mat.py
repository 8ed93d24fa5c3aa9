"""The labelled part of NYU Depth V2 as its authors publish it: one MATLAB 7.3 (HDF5) file."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from depth_estimation_ros.errors import DatasetError, ParameterError
from training.data.nyu import CAP_M, CROP, HOME, INTRINSICS, PICTURES, SIZE, official_split
from training.data.per_process import PerProcess
from training.data.sample import Sample, SampleSet

FILE = "nyu_depth_v2_labeled.mat"
FIX = f"Get {FILE} (2.8 GB) at {HOME} and name it or its folder"
# HDF5 has the axes of MATLAB's (H, W, 3, N) and (H, W, N) in the reverse order.
_SHAPES = {
    "images": (PICTURES, 3, SIZE[1], SIZE[0]),
    "depths": (PICTURES, SIZE[1], SIZE[0]),
    "rawDepths": (PICTURES, SIZE[1], SIZE[0]),
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
            raise _damaged(self.file, f"picture {number + 1}: {error}") from error
        depth = np.ascontiguousarray(columns.T, np.float32)
        depth[~(depth > 0.0)] = np.nan
        return Sample(np.ascontiguousarray(planes.transpose(2, 1, 0)), depth, INTRINSICS)

    def frame_name(self, index: int) -> str:
        """``0001`` ... ``1449``: the number of the picture in MATLAB, and in ``splits.mat``."""
        return f"{self.indices[index] + 1:04d}"


def _mat_file(path: Path) -> Path:
    file = path / FILE if path.is_dir() else path
    if file.is_file():
        return file
    held = "no such file or folder"
    if path.is_dir():
        held = ", ".join(sorted(entry.name for entry in path.iterdir())[:8]) or "nothing"
    fix = FIX
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
        fix=f"The download may have been cut short. {FIX}",
    )


def _check(mat: Any, file: Path, depths: str) -> None:
    for name in ("images", depths):
        if name not in mat:
            raise DatasetError(
                f"{file} has no array {name}",
                found=", ".join(mat) or "nothing",
                expected=f"images and {depths}",
                fix=f"Is this the labelled data set, or another choice of depth due? {FIX}",
            )
        if mat[name].shape != _SHAPES[name]:
            raise DatasetError(
                f"{file}, array {name}", found=mat[name].shape, expected=_SHAPES[name], fix=FIX
            )
