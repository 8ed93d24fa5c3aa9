"""Any folder of RGB images and depth PNGs of the same name."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from depth_estimation_ros.errors import DatasetError, ParameterError
from training.data.image_files import check_same_size, read_depth_png, read_rgb
from training.data.sample import Sample, SampleSet

logger = logging.getLogger(__name__)

Camera = tuple[float, float, float, float]

LAYOUT = (
    "A data folder holds NAME.jpg (RGB) beside NAME.png (16-bit depth), or rgb/NAME.jpg and "
    'depth/NAME.png, and info.json with "intrinsics_px": {fx, fy, cx, cy} or null, or frames.json '
    "with intrinsics of each frame; without either, name the option depth_scale (metres a unit)"
)
IMAGES = (".jpg", ".jpeg", ".png")


class RgbdFolder(SampleSet):
    """``NAME.jpg`` beside ``NAME.png``, or ``rgb/NAME.jpg`` and ``depth/NAME.png``.

    ``.jpeg`` is taken too, and ``.png`` of an image in ``rgb/``. A JSON file tells what the
    numbers mean: ``info.json`` (one camera) may hold ``intrinsics_px``; ``frames.json`` (one
    camera a frame) holds ``frames: {"00000": [fx, fy, cx, cy]}``. Both may hold ``depth_scale``
    (metres a unit, 0.001 by default) and ``infinite_value`` (the PNG value that means beyond
    range). PNG value 0 is an invalid pixel.

    Args:
        path: the folder.
        depth_scale: metres a unit, in place of what the JSON file says; a folder without one needs
            it, for nothing else tells millimetres from KITTI's 1/256 m (0.00390625).
        intrinsics: ``[fx, fy, cx, cy]`` in pixels of all images, in place of the JSON file's.
        metric: False where the depth is known up to a factor only.
        cap_m, crop: how it is scored, see :class:`SampleSet`.

    Raises:
        DatasetError: the folder is missing, has no pairs, or its depth is not 16-bit.
        ParameterError: an option that cannot be.
    """

    def __init__(
        self,
        path: str | Path,
        depth_scale: float | None = None,
        intrinsics: Sequence[float] | None = None,
        cap_m: float = 10.0,
        crop: str = "none",
        metric: bool = True,
    ) -> None:
        self.path = Path(path)
        self.metric = metric
        self.name = self.path.name
        self.cap_m, self.crop = cap_m, crop
        files = _paired_files(self.path)
        self.frames = list(files)
        self._files = list(files.values())
        info = _read_info(self.path, required=depth_scale is None)
        _warn_if_fewer(self.path, info, len(files))
        scale = info.get("depth_scale", 0.001) if depth_scale is None else depth_scale
        self._depth_scale = _positive("depth_scale", scale)
        self._infinite_value = info.get("infinite_value")
        self._one_camera = _intrinsics(self.path, info.get("intrinsics_px"))
        self._cameras: dict[str, Any] = info.get("frames", {}) if _per_frame(info) else {}
        if intrinsics is not None:
            self._one_camera, self._cameras = _given_camera(intrinsics), {}

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> Sample:
        frame = self.frames[index]
        image, depth_file = (self.path / file for file in self._files[index])
        rgb = read_rgb(image)
        depth = read_depth_png(
            depth_file,
            metres_per_unit=self._depth_scale,
            infinite_value=self._infinite_value,
            fix=LAYOUT,
        )
        check_same_size(rgb, depth, self.path / frame)
        camera = tuple(self._cameras[frame]) if frame in self._cameras else self._one_camera
        return Sample(rgb, depth, camera, self.metric)

    def frame_name(self, index: int) -> str:
        return self.frames[index]


def _paired_files(path: Path) -> dict[str, tuple[str, str]]:
    """Image and depth, relative to ``path``, by the name that they share."""
    if not path.is_dir():
        raise DatasetError(f"no data folder {path}", fix=LAYOUT)
    apart = (path / "rgb").is_dir() and (path / "depth").is_dir()
    rgb, depth = ("rgb/", "depth/") if apart else ("", "")
    depths = {file.stem for file in (path / depth).glob("*.png")}
    images = sorted(
        file for file in (path / rgb).iterdir() if file.suffix in (IMAGES if apart else IMAGES[:2])
    )
    pairs = {
        file.stem: (f"{rgb}{file.name}", f"{depth}{file.stem}.png")
        for file in images
        if file.stem in depths
    }
    if not pairs:
        raise DatasetError(
            f"{path} holds no pairs of {rgb}NAME.jpg and {depth}NAME.png",
            found=f"{len(images)} images and {len(depths)} depth PNGs of other names",
            fix=LAYOUT,
        )
    if len(pairs) < len(images):
        logger.warning("%s: %d images have no depth", path, len(images) - len(pairs))
    return pairs


def _read_info(path: Path, required: bool) -> Mapping[str, Any]:
    for name in ("frames.json", "info.json"):
        file = path / name
        if file.exists():
            try:
                info = json.loads(file.read_text())
            except ValueError as error:
                raise DatasetError(f"{file} is not JSON ({error})", fix=LAYOUT) from error
            unknown = [key for key in info if "intrinsics" in key and key != "intrinsics_px"]
            if unknown:
                raise DatasetError(
                    f"{file}: camera",
                    found=f"the key {unknown[0]}",
                    expected="intrinsics_px for one camera, or frames.json for one a frame",
                    fix=LAYOUT,
                )
            return info
    if required:
        raise DatasetError(f"{path} has neither info.json nor frames.json", fix=LAYOUT)
    return {}


def _warn_if_fewer(path: Path, info: Mapping[str, Any], pairs: int) -> None:
    # Not an error: a part of a folder, copied with its JSON file, is a data set too.
    frames = info.get("frames", 0)
    counted = len(frames) if _per_frame(info) else int(frames)
    if pairs < counted:
        logger.warning("%s holds %d of the %d frames of its JSON file", path, pairs, counted)


def _per_frame(info: Mapping[str, Any]) -> bool:
    # info.json of a recorded folder counts its frames under the same key.
    return isinstance(info.get("frames"), Mapping)


def _intrinsics(path: Path, camera: Mapping[str, float] | None) -> Camera | None:
    if camera is None:
        return None
    try:
        fx, fy, cx, cy = (float(camera[key]) for key in ("fx", "fy", "cx", "cy"))
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f"{path}: intrinsics_px of its JSON file",
            found=camera,
            expected="{fx, fy, cx, cy} in pixels, or null",
        ) from error
    return fx, fy, cx, cy


def _given_camera(values: Sequence[float]) -> Camera:
    if len(values) != 4 or min(values[:2]) <= 0:
        raise ParameterError(
            "intrinsics of a data folder",
            found=list(values),
            expected="[fx, fy, cx, cy] in pixels, focal lengths above 0",
        )
    fx, fy, cx, cy = (float(value) for value in values)
    return fx, fy, cx, cy


def _positive(name: str, value: float) -> float:
    if not float(value) > 0:
        raise ParameterError(f"{name} of a data folder", found=value, expected="above 0")
    return float(value)
