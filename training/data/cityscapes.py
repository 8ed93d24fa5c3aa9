"""Cityscapes: depth from the published stereo disparity and each image's camera."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.errors import DatasetError, ParameterError
from training.data.image_files import check_complete, check_same_size, read_depth_values, read_rgb
from training.data.sample import Sample, SampleSet

HOME = "https://www.cityscapes-dataset.com/downloads/"
KINDS = {
    "leftImg8bit": "leftImg8bit_trainvaltest.zip",
    "disparity": "disparity_trainvaltest.zip",
    "camera": "camera_trainvaltest.zip",
}
FIX = f"Register at {HOME}, get {', '.join(KINDS.values())} and unpack them into one folder"
SPLITS = ("train", "val", "test", "train_extra")
SIZE = (1024, 2048)


class Cityscapes(SampleSet):
    """``leftImg8bit/<split>/<city>/``, ``disparity/...`` and ``camera/...`` of one folder.

    A disparity PNG has 16 bits: of a value p > 0 the disparity is ``d = (p - 1) / 256`` pixels and
    depth is ``baseline * fx / d``; 0 is a failed match (README of mcordts/cityscapesScripts). The
    sky has no disparity: it is unknown (NaN), and so is d = 0, where stereo tells nothing.

    Args:
        path: the folder that holds ``leftImg8bit``, ``disparity`` and ``camera``.
        split: ``train`` (2975 frames), ``val`` (500), ``test`` (1525) or ``train_extra``.

    Raises:
        DatasetError: a folder or single files missing, or a copy without disparity.
        ParameterError: another split.
    """

    cap_m = 80.0
    crop = "none"

    def __init__(self, path: str | Path, split: str) -> None:
        if split not in SPLITS:
            expected = ", ".join(SPLITS)
            raise ParameterError("split of Cityscapes", found=repr(split), expected=expected)
        self.name = f"cityscapes_{split}"
        self.path = Path(path)
        self.split = split
        _check_kinds(self.path)
        folder = self.path / "leftImg8bit" / split
        ending = "_leftImg8bit.png"
        self.frames = sorted(
            f"{file.parent.name}/{file.name.removesuffix(ending)}"
            for file in folder.glob(f"*/*{ending}")
        )
        if not self.frames:
            raise DatasetError(
                f"{folder} holds no images",
                expected=f"<city>/<city>_<sequence>_<frame>{ending}",
                fix=FIX,
            )
        for kind, end in (("disparity", ".png"), ("camera", ".json")):
            files = [self._file(kind, end, frame) for frame in self.frames]
            check_complete(folder, files, fix=f"They are in {KINDS[kind]} at {HOME}")

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> Sample:
        frame = self.frames[index]
        image = self._file("leftImg8bit", ".png", frame)
        rgb = read_rgb(image, fix=FIX)
        if rgb.shape[:2] != SIZE:
            raise DatasetError(
                f"image {image}",
                found=f"{rgb.shape[1]}x{rgb.shape[0]}",
                expected=f"{SIZE[1]}x{SIZE[0]}, for which disparity and camera hold",
                fix=FIX,
            )
        raw = read_depth_values(self._file("disparity", ".png", frame), bits=16, fix=FIX)
        check_same_size(rgb, raw, image)
        baseline, camera = _read_camera(self._file("camera", ".json", frame))
        return Sample(rgb, depth_of(raw, baseline, camera[0]), camera)

    def frame_name(self, index: int) -> str:
        """``aachen_000000_000019``."""
        return self.frames[index].rpartition("/")[2]

    def scene_name(self, index: int) -> str:
        """The city."""
        return self.frames[index].partition("/")[0]

    def _file(self, kind: str, end: str, frame: str) -> Path:
        return self.path / kind / self.split / f"{frame}_{kind}{end}"


def depth_of(raw: npt.NDArray[np.uint16], baseline: float, fx: float) -> npt.NDArray[np.float32]:
    """``(H, W)`` float32 metres of the numbers of a disparity PNG; NaN where they tell nothing.

    Args:
        baseline: distance of the two cameras, metres.
        fx: focal length, pixels of this image.
    """
    disparity = (raw.astype(np.float32) - 1.0) / 256.0
    disparity[raw <= 1] = np.nan
    return np.float32(baseline * fx) / disparity


def _read_camera(file: Path) -> tuple[float, tuple[float, float, float, float]]:
    """Baseline in metres and ``(fx, fy, cx, cy)`` in pixels."""
    try:
        values = json.loads(file.read_text())
        inside = values["intrinsic"]
        fx, fy, cx, cy = (float(inside[key]) for key in ("fx", "fy", "u0", "v0"))
        return float(values["extrinsic"]["baseline"]), (fx, fy, cx, cy)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"camera {file}",
            found=f"{type(error).__name__}: {error}",
            expected="JSON with extrinsic.baseline and intrinsic.fx, fy, u0, v0",
            fix=FIX,
        ) from error


def _check_kinds(path: Path) -> None:
    if not path.is_dir():
        raise DatasetError(f"no folder {path}", fix=FIX)
    missing = [kind for kind in KINDS if not (path / kind).is_dir()]
    if not missing:
        return
    held = sorted(entry.name for entry in path.iterdir())
    inside = path / "Cityspaces" if "Cityspaces" in held else path
    if (inside / "images").is_dir() and (inside / "gtFine").is_dir():
        raise DatasetError(
            f"{inside} is the copy of Cityscapes for semantic segmentation that Kaggle has, "
            "and it has no disparity",
            found="images and gtFine, whose grey or coloured masks are classes, not depth",
            expected="leftImg8bit, disparity, camera",
            fix=FIX,
        )
    raise DatasetError(
        f"{path} is not Cityscapes with disparity",
        found=", ".join(held[:8]) or "nothing",
        expected=f"also {', '.join(missing)}",
        fix=f"At {HOME} (after registration) they are in "
        f"{', '.join(KINDS[kind] for kind in missing)}",
    )
