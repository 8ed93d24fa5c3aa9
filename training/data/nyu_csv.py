"""NYU Depth V2 as DenseDepth packed it: csv lists, JPEG pictures, depth PNGs of two kinds."""

from __future__ import annotations

import csv
import logging
from pathlib import Path

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.errors import DatasetError
from training.data.complete import check_complete
from training.data.depth_png import read_depth_png, read_depth_values
from training.data.nyu import CAP_M, CROP, INTRINSICS, SIZE, check_split
from training.data.pictures import check_same_size, read_rgb
from training.data.sample import Sample, SampleSet

logger = logging.getLogger(__name__)

ROWS = {"train": 50_688, "test": 654}
FIX = (
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
        check_complete(_list(self.root, split), files, fix=FIX)
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
        picture, depth_file = (self.root / file for file in self.rows[index])
        rgb = read_rgb(picture, fix=FIX)
        if rgb.shape[:2] != SIZE:
            raise DatasetError(
                f"picture {picture}",
                found=f"{rgb.shape[1]}x{rgb.shape[0]}",
                expected=f"{SIZE[1]}x{SIZE[0]}, for which the intrinsics of NYU hold",
                fix=FIX,
            )
        depth = (_read_train if self.split == "train" else _read_test)(depth_file)
        check_same_size(rgb, depth, picture)
        return Sample(rgb, depth, INTRINSICS)

    def frame_name(self, index: int) -> str:
        """``basement_0001a_out/1`` of the training list, ``00000`` of the test list."""
        picture = Path(self.rows[index][0])
        if self.split == "test":
            return picture.stem.removesuffix("_colors")
        return f"{picture.parent.name}/{picture.stem}"

    def scene_name(self, index: int) -> str:
        """``basement_0001`` of ``basement_0001a_out``: the letters are parts of one recording."""
        if self.split == "test":
            return self.frame_name(index)
        return Path(self.rows[index][0]).parent.name.removesuffix("_out").rstrip("abcdefghij")


def _read_train(file: Path) -> npt.NDArray[np.float32]:
    raw = read_depth_values(file, bits=8, fix=f"Depth of nyu2_train is 8-bit, 255 = 10 m. {FIX}")
    depth = raw.astype(np.float32) * np.float32(10.0 / 255.0)
    depth[(raw == 0) | (raw == 255)] = np.nan
    return depth


def _read_test(file: Path) -> npt.NDArray[np.float32]:
    fix = f"Depth of nyu2_test is 16-bit, in millimetres. {FIX}"
    return read_depth_png(file, metres_per_unit=0.001, fix=fix)


def _list(root: Path, split: str) -> Path:
    return root / "data" / f"nyu2_{split}.csv"


def _root(path: Path, split: str) -> Path:
    for root in (path, path / "nyu_data", path.parent if path.name == "data" else path):
        if _list(root, split).is_file():
            return root
    if not path.is_dir():
        raise DatasetError(f"no folder {path}", fix=FIX)
    held = ", ".join(sorted(entry.name for entry in path.iterdir())[:8]) or "nothing"
    fix = FIX
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
                expected="a picture and a depth PNG, with a comma between them",
                fix=FIX,
            )
    if not rows:
        raise DatasetError(f"{file} is empty", fix=FIX)
    return [(picture.strip(), depth.strip()) for picture, depth in rows]
