"""The files of a run: their names and units, and what is in them."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from depth_estimation_ros.errors import MediaError, ParameterError
from depth_estimation_ros.estimation import Depth, DepthResult, Rgb, resize_image
from depth_estimation_ros.geometry.camera_model import deproject
from depth_estimation_ros.geometry.point_cloud import voxel_downsample, write_ply
from depth_estimation_ros.media.images import (
    DEPTH_TITLE,
    ImageFile,
    ImageFolder,
    Media,
    MediaFrame,
    evenly_spaced,
)
from depth_estimation_ros.utils.files import atomic_write
from depth_estimation_ros.visualization import ColorScale, add_legend, colorize

SUMMARY = "summary.json"
SAVED = ("depth16", "npz", "color", "side-by-side", "ply")

SAMPLES = 12  # frames of a run from which its range of colors is taken
SAMPLE_SIZE = (160, 120)

_MAX_UNITS = 65535
_PNG_COMPRESSION = 1  # 640 x 480 in 25 ms; Pillow's default of 6 takes 100 for 3 to 28 % less


# Names


def ending(kind: str, png_scale: float) -> str:
    """Return the end of the name of a file."""
    millimetres = png_scale == 1000.0
    return {
        "depth16": "_depth_mm.png" if millimetres else f"_depth_{png_scale:g}_per_m.png",
        "npz": "_depth_m.npz",
        "color": "_depth_color.png",
        "side-by-side": "_side_by_side.png",
        "ply": "_cloud_m.ply",
    }[kind]


def units(kind: str, png_scale: float) -> str:
    """Return what the numbers in a file mean, in words."""
    per_metre = "millimetres" if png_scale == 1000.0 else f"1 / {png_scale:g} metres"
    along = "depth along the optical axis (Z)"
    colors = f"{along} in colors, legend in metres, steps of equal ratio, black is unknown"
    return {
        "depth16": f"{along}, {per_metre}; 0 is unknown, too near, too far or more than "
        f"{_MAX_UNITS / png_scale:g} m",
        "npz": f"{along}, metres; NaN is unknown, +inf too far, -inf too near (REP 117)",
        "color": colors,
        "side-by-side": f"the image next to its {colors}",
        "ply": "metres in the camera's optical frame: x right, y down, z forward",
    }[kind]


@dataclass(frozen=True)
class Destination:
    """Where the files of one input go.

    Attributes:
        folder: of its files for frames.
        stem: start of their names; empty where the frames have names of their own.
        video: the side-by-side video; None for images.
        keep_suffix: frames whose names keep their suffix, as another has the same stem.
    """

    folder: Path
    stem: str
    video: Path | None
    keep_suffix: frozenset[str]

    def path(self, frame: str, kind: str, png_scale: float) -> Path:
        """Return the file of a kind for the frame of this name."""
        name = frame if frame in self.keep_suffix else Path(frame).stem
        return self.folder / ((self.stem or name) + ending(kind, png_scale))

    def planned(self, media: Media, kinds: Sequence[str], png_scale: float) -> list[Path]:
        """Return what an input will write as far as known: of a video's frames their folder."""
        if isinstance(media, ImageFile | ImageFolder):
            names = [path.name for path in getattr(media, "paths", [Path(media.name)])]
            return [self.path(name, kind, png_scale) for name in names for kind in kinds]
        video = [self.video] if self.video and "side-by-side" in kinds else []
        return video + ([self.folder] if set(kinds) - {"side-by-side"} else [])


def destinations(inputs: list[Media], out: Path, *, alone: bool) -> list[Destination]:
    """Return a destination for each input, all different, whatever their names.

    An image goes into `out`; a folder into `out` if it is `alone`, else into a folder of its name;
    the frames of a video or camera into a folder of its name.
    """
    taken: set[str] = set()
    return [_destination(media, out, taken, alone) for media in inputs]


def refuse_existing(paths: list[Path]) -> None:
    """Raise ParameterError if one of the files exists."""
    existing = [path for path in paths if path.exists()]
    if existing:
        more = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
        raise ParameterError(
            "--out",
            found=f"{existing[0]}{more}, from an earlier run",
            expected="no file of that name",
            fix="Give another --out, or --overwrite to replace them",
        )


def _destination(media: Media, out: Path, taken: set[str], alone: bool) -> Destination:
    path = Path(media.name)
    if media.kind == "image":
        return Destination(out, _free_name(path.stem, taken), None, frozenset())
    if isinstance(media, ImageFolder):
        stems = Counter(image.stem.casefold() for image in media.paths)
        twice = frozenset(p.name for p in media.paths if stems[p.stem.casefold()] > 1)
        folder = out if alone else out / _free_name(path.resolve().name, taken)
        return Destination(folder, "", None, twice)
    name = path.stem if media.kind == "video" and "://" not in media.name else media.name
    plain = "".join(c if c.isalnum() or c in "-_." else "_" for c in name).strip("._") or "video"
    start = _free_name(plain, taken)
    return Destination(out / start, "", out / f"{start}_side_by_side.mp4", frozenset())


def _free_name(name: str, taken: set[str]) -> str:
    """Return the name, or name_2, name_3, ... if it is taken, compared as Windows does."""
    number, free = 1, name
    while free.casefold() in taken:
        number += 1
        free = f"{name}_{number}"
    taken.add(free.casefold())
    return free


# Colors


@dataclass(frozen=True)
class Coloring:
    """How depth becomes colors.

    Attributes:
        scale: gives the depths at the ends of the colors.
        color_map: one of `COLOR_MAPS`.
        origin: where the range comes from, in words.
        limits: metres at the ends of the colors, if they are the same for all frames.
    """

    scale: ColorScale
    color_map: str
    origin: str
    limits: tuple[float, float] | None = None

    def draw(self, depth: Depth, stamp_ns: int) -> tuple[Rgb, float, float]:
        """Return colors (H, W', 3) of a depth (H, W) with a legend, and their ends in metres."""
        near, far = self.scale.range_for(depth, stamp_ns)
        colors = colorize(depth, min_depth=near, max_depth=far, color_map=self.color_map)
        return add_legend(colors, near, far, self.color_map, place="right"), near, far


def side_by_side(rgb: Rgb, colors: Rgb) -> Rgb:
    """Return the image with its depth to the right, which must be as high."""
    return np.hstack([resize_image(rgb, colors.shape[0], rgb.shape[1]), colors])


def choose_coloring(
    limits: Sequence[float] | None,
    color_map: str,
    inputs: Sequence[Media],
    estimate: Callable[[MediaFrame], Depth],
) -> Coloring:
    """Take the range that the user gave, else that of `SAMPLES` frames from all over the inputs.

    Where one cannot look ahead (cameras and streams alone), the range follows the depth in view.

    Raises:
        CalibrationError: an image is of another shape than the calibration.
        EngineError: the network failed.
        ParameterError: the limits leave no range.
    """
    if limits:
        near, far = limits
        return Coloring(ColorScale.fixed(near, far), color_map, "--range", (near, far))
    depths = []
    chosen = [inputs[index] for index in evenly_spaced(len(inputs), SAMPLES)]
    for media in chosen:
        for frame in _samples(media, SAMPLES // len(chosen)):
            depths.append(cv2.resize(estimate(frame), SAMPLE_SIZE, interpolation=cv2.INTER_NEAREST))
    if not depths:
        return Coloring(ColorScale.percentiles(), color_map, "follows the depth in view")
    near, far = ColorScale.percentiles().range_for(np.vstack(depths), 0)
    origin = f"2nd to 98th percentile of {len(depths)} frames from all over the inputs"
    return Coloring(ColorScale.fixed(near, far), color_map, origin, (near, far))


def _samples(media: Media, count: int) -> list[MediaFrame]:
    """Return none of an input that cannot be read, which is reported when its turn comes."""
    try:
        return media.samples(count)
    except MediaError:
        return []


# Contents


@dataclass(frozen=True)
class OutputSettings:
    """How files are written.

    Attributes:
        png_scale: units per metre of depth16.
        stride: of ply, every n-th row and column.
        voxel: of ply, metres; 0 is off.
        coloring: of color and side-by-side; None if neither is written.
        model: name and version, for the files to say.
    """

    png_scale: float
    stride: int
    voxel: float
    coloring: Coloring | None
    model: str


class FrameWriter:
    """Writes the files of frames.

    Attributes:
        lost: pixels with a finite depth that did not fit into depth16.
    """

    def __init__(self, settings: OutputSettings) -> None:
        self._settings = settings
        self.lost = 0

    def write(
        self, kind: str, path: Path, frame: MediaFrame, result: DepthResult, focal_source: str
    ) -> None:
        """Write one file, atomically; `focal_source` says where the focal length comes from.

        Raises:
            OSError: it cannot be written.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "ply":
            self._write_ply(path, frame, result)
            return
        texts = {
            "Title": DEPTH_TITLE + frame.name,  # by it folders skip our own files
            "Description": units(kind, self._settings.png_scale),
            "Software": f"depth_estimation_ros, model {self._settings.model}",
            "Source": f"focal length: {focal_source}",
        }
        if kind == "depth16":
            pixels, lost = to_units(result.depth, self._settings.png_scale)
            self.lost += lost
            contents = encode_png(pixels, texts)
        elif kind == "npz":
            contents = _encode_npz(frame, result, texts)
        else:
            contents = self._encode_colors(kind, frame, result, texts)
        with atomic_write(path) as unfinished:
            unfinished.write_bytes(contents)

    def _encode_colors(
        self, kind: str, frame: MediaFrame, result: DepthResult, texts: dict[str, str]
    ) -> bytes:
        coloring = self._settings.coloring
        assert coloring is not None
        colors, near, far = coloring.draw(result.depth, frame.stamp_ns)
        texts["Colors"] = f"{near:.4g} m to {far:.4g} m, {coloring.color_map}"
        return encode_png(colors if kind == "color" else side_by_side(frame.rgb, colors), texts)

    def _write_ply(self, path: Path, frame: MediaFrame, result: DepthResult) -> None:
        assert result.camera is not None
        stride, voxel = self._settings.stride, self._settings.voxel
        points = deproject(result.depth[::stride, ::stride], result.camera.rays(stride))
        rgb = frame.rgb[::stride, ::stride]
        if voxel > 0:
            points, rgb = voxel_downsample(points, rgb, voxel)
        write_ply(path, points, rgb)


def _encode_npz(frame: MediaFrame, result: DepthResult, texts: Mapping[str, str]) -> bytes:
    camera = result.camera
    arrays: dict[str, Any] = {
        "depth": result.depth,
        "unit": "metres",
        "K": np.zeros((3, 3)) if camera is None else camera.K,
        "D": np.zeros(0) if camera is None else camera.D,
        "distortion_model": "" if camera is None else camera.distortion_model,
        "near_limit": result.near,
        "far_limit": result.far,
        "stamp_ns": np.int64(frame.stamp_ns),
        **{key.lower(): text for key, text in texts.items()},
    }
    data = io.BytesIO()
    np.savez(data, **arrays)  # compressed: 17 % smaller, and takes 20 times as long
    return data.getvalue()


def encode_png(pixels: npt.NDArray[np.integer[Any]], texts: Mapping[str, str]) -> bytes:
    """Encode (H, W) uint16 or (H, W, 3) uint8 RGB as PNG with texts, which `exiftool` shows."""
    info, data = PngInfo(), io.BytesIO()
    for keyword, text in texts.items():
        info.add_text(keyword, text)
    Image.fromarray(pixels).save(data, "PNG", pnginfo=info, compress_level=_PNG_COMPRESSION)
    return data.getvalue()


def to_units(
    depth: npt.NDArray[np.float32], units_per_metre: float
) -> tuple[npt.NDArray[np.uint16], int]:
    """Convert depth (H, W) float32 metres to uint16; 0 is unknown, too near or too far.

    Args:
        depth: metres.
        units_per_metre: 1000 is millimetres, 256 the scale of KITTI.

    Returns:
        (H, W) uint16, and how many pixels have a finite depth that does not fit, and so became 0.
    """
    scaled = np.rint(depth.astype(np.float64) * units_per_metre)
    fits = (scaled > 0) & (scaled <= _MAX_UNITS)
    lost = np.isfinite(depth) & ~fits
    return np.where(fits, scaled, 0).astype(np.uint16), int(np.count_nonzero(lost))
