"""Write a folder of synthetic frames: JPEG images, 16-bit depth, intrinsics.

    python -m training synthesize --out DIR --count 3200 --seed 1 --size 320x240

Layout: NNNNN.jpg, NNNNN.png (16-bit, metres = value * depth_scale, 0 = invalid, 65535 = +inf) and
frames.json. A folder that was left unfinished is completed by the same command.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from depth_estimation_ros.errors import ParameterError
from training.scenes.cameras import HFOV_DEG, sample_cameras
from training.scenes.dice import SeededRandom
from training.scenes.factors import FACTORS, REMOVABLE, Without, kinds_without
from training.scenes.mesh_layouts import MESH_LAYOUTS
from training.scenes.meshes import choose, open_assets, render_meshes
from training.scenes.render import render
from training.scenes.scenes import DEFAULT_MIXTURE, KINDS, sample_scenes
from training.scenes.sensor import sensor

GENERATOR_VERSION = 3  # grows whenever the same seed gives other pixels
DEPTH_SCALE = 0.002
INFINITE = 65535
JPEG_QUALITY = 92  # of most images; some are compressed harder


def encode_depth(depth: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Depth (H, W) in metres as 16-bit units of `DEPTH_SCALE`; NaN and too far become 0."""
    units = np.rint(np.nan_to_num(depth, nan=0.0, posinf=0.0) / DEPTH_SCALE)
    units[(units < 1) | (units >= INFINITE)] = 0
    units[np.isposinf(depth)] = INFINITE
    return units.astype(np.uint16)


def make_frame(
    seed: int,
    height: int,
    width: int,
    kinds: Sequence[str] | None = None,
    hfov_deg: tuple[float, float] = HFOV_DEG,
    without: Without = (),
    assets: Path | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.float32], list[float]]:
    """Return one frame of one seed: RGB (H, W, 3), depth (H, W) metres, [fx, fy, cx, cy].

    Args:
        assets: folder of meshes for scenes of `meshes.MESH_LAYOUTS`.
    """
    if assets is not None:
        rng = np.random.default_rng(seed)
        layout = MESH_LAYOUTS[choose(rng, kinds or tuple(MESH_LAYOUTS))]
        scene = layout(open_assets(assets), rng)
        rgb, depth, intrinsics = render_meshes(scene, rng, height, width, hfov_deg)
    else:
        scenes = sample_scenes([seed], kinds, without=without)
        cameras = sample_cameras(scenes, [seed], height, width, hfov_deg=hfov_deg, without=without)
        image = render(scenes, cameras, height, width)
        rgb, depth = image.rgb[0], image.depth[0].numpy()
        intrinsics = cameras.intrinsics[0].tolist()
    rgb = sensor(rgb[None], [seed], without=without)[0].permute(1, 2, 0)
    return (rgb * 255).round().to(torch.uint8).numpy(), depth, intrinsics


def jpeg_quality(seed: int, without: Without = ()) -> int:
    """How much of the image of this seed its JPEG keeps, 1 to 100."""
    dice = SeededRandom(seed, "file")
    strong = dice.chance(0.35)
    quality = dice.integer(35, 90)
    return quality if strong and "jpeg" not in without else JPEG_QUALITY


class Rate(ProgressColumn):
    """Images a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0.0:.1f} images/s")


def _replace(path: Path, data: bytes) -> None:
    """Write through a temporary name, so that a file that exists is whole."""
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(data)
    os.replace(temporary, path)


_Job = tuple[Path, int, int, dict[str, Any]]


def _write_frame(job: _Job) -> tuple[str, list[float]]:
    out, number, seed, how = job
    name, without = f"{number:05d}", how["without"]
    rgb, depth, intrinsics = make_frame(seed, **how)
    quality = [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality(seed, without)]
    _, jpeg = cv2.imencode(".jpg", rgb[..., ::-1], quality)
    _, png = cv2.imencode(".png", encode_depth(depth))
    _replace(out / f"{name}.jpg", jpeg.tobytes())
    _replace(out / f"{name}.png", png.tobytes())
    return name, intrinsics


# Ray batches of a few megabytes come and go all the time: glibc's allocator should keep the memory
# rather than return it to the system each time (a fifth of the rendering time). The allocator
# reads these when a process starts.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(2**28), "MALLOC_TRIM_THRESHOLD_": str(2**29)}


def _start_worker() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def write_folder(
    out: str | Path,
    count: int,
    seed: int,
    height: int,
    width: int,
    workers: int = 1,
    kinds: Sequence[str] = (),
    hfov_deg: tuple[float, float] = HFOV_DEG,
    without: Sequence[str] = (),
    quiet: bool = False,
    assets: Path | None = None,
) -> Path:
    """Write `count` frames of the seeds seed, seed + 1, ...; frames already there are kept.

    Args:
        kinds: kinds of scene to draw from; empty for the default mixture.
        hfov_deg: range of the fields of view across, degrees.
        without: factors that are left out, see `factors`.
        assets: folder of meshes to make the scenes of, see `meshes.Assets`.

    Returns:
        The folder.

    Raises:
        ParameterError: the folder holds frames made with other settings, no kind is left, or a kind
            does not go with ``assets``.
        DatasetError: ``assets`` is no such folder.
    """
    known = KINDS if assets is None else tuple(MESH_LAYOUTS)
    if not set(kinds) <= set(known):
        raise ParameterError(
            "--kinds",
            found=" ".join(kinds),
            expected=f"some of {' '.join(known)}",
            fix="Scenes of meshes need --assets FOLDER; the others are made without.",
        )
    if assets is not None:
        open_assets(assets)
    try:
        kinds_without((assets is None and kinds) or DEFAULT_MIXTURE, without)
    except ValueError as error:
        raise ParameterError(f"--without: {error}", fix="Leave out fewer kinds.") from error
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    about = {
        "generator": "training.scenes",
        "generator_version": GENERATOR_VERSION,
        "seed": seed,
        "kinds": list(kinds),
        "hfov_deg": list(hfov_deg),
        "without": sorted(without),
        "size_wh": [width, height],
        "depth_scale": DEPTH_SCALE,
        "infinite_value": INFINITE,
        **({} if assets is None else {"assets": assets.name}),
    }
    frames = _frames_of(out, about)
    missing = [n for n in range(count) if f"{n:05d}" not in frames]
    how = {
        **{"height": height, "width": width, "kinds": tuple(kinds) or None, "hfov_deg": hfov_deg},
        **{"without": tuple(without), "assets": assets},
    }
    jobs: list[_Job] = [(out, n, seed + n, how) for n in missing]
    bar = Progress(
        TextColumn("rendering"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        disable=quiet,
    )
    for variable, value in ALLOCATOR.items():
        os.environ.setdefault(variable, value)
    with bar, multiprocessing.get_context("spawn").Pool(workers, _start_worker) as pool:
        task = bar.add_task("", total=count, completed=count - len(missing))
        for done, (name, intrinsics) in enumerate(pool.imap_unordered(_write_frame, jobs), 1):
            frames[name] = intrinsics
            bar.advance(task)
            if done % 100 == 0:
                _save(out, about, frames)
    _save(out, about, frames)
    return out


def _frames_of(out: Path, about: dict[str, object]) -> dict[str, list[float]]:
    """Intrinsics of the frames already in the folder, after a check that they are of this kind."""
    path = out / "frames.json"
    if not path.exists():
        return {}
    found = json.loads(path.read_text())
    for key, value in about.items():
        if found.get(key) != value:
            raise ParameterError(
                f"{path} was made with another {key}",
                found=found.get(key),
                expected=value,
                fix="Choose another folder, or the same settings to complete this one.",
            )
    return {
        name: intrinsics
        for name, intrinsics in found["frames"].items()
        if (out / f"{name}.jpg").exists() and (out / f"{name}.png").exists()
    }


def _save(out: Path, about: dict[str, object], frames: dict[str, list[float]]) -> None:
    text = json.dumps({**about, "frames": dict(sorted(frames.items()))}, indent=1)
    _replace(out / "frames.json", text.encode())


def parse_size(text: str) -> tuple[int, int]:
    """'320x240' as (width, height)."""
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        message = f"{text!r} is not WIDTHxHEIGHT, for instance 320x240"
        raise argparse.ArgumentTypeError(message) from None
    if not (16 <= width <= 4096 and 16 <= height <= 4096):
        raise argparse.ArgumentTypeError(f"{text}: each side must be 16 to 4096 pixels")
    return width, height


def parse_range(text: str) -> tuple[float, float]:
    """'40-80' as (40.0, 80.0), '65' as (65.0, 65.0)."""
    low, _, high = text.partition("-")
    try:
        degrees = float(low), float(high or low)
    except ValueError:
        message = f"{text!r} is not DEGREES or DEGREES-DEGREES, for instance 65 or 40-80"
        raise argparse.ArgumentTypeError(message) from None
    if not 5 <= degrees[0] <= degrees[1] <= 150:
        raise argparse.ArgumentTypeError(f"{text}: from 5 to 150 degrees, the smaller one first")
    return degrees


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, help="folder to write or complete")
    parser.add_argument("--count", type=int, default=3200, help="number of frames (%(default)s)")
    parser.add_argument(
        "--seed", type=int, default=1, help="seed of frame 0; frame n has seed + n (%(default)s)"
    )
    parser.add_argument(
        "--size",
        type=parse_size,
        default=(320, 240),
        metavar="WIDTHxHEIGHT",
        help="image size in pixels (320x240)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        help="processes that render, one thread each (all cores)",
    )
    parser.add_argument(
        "--kinds",
        nargs="+",
        choices=(*KINDS, *MESH_LAYOUTS),
        default=[],
        help="kinds of scene; one named twice is drawn twice as often (a mixture, mostly indoor)",
    )
    parser.add_argument(
        "--hfov",
        type=parse_range,
        default=HFOV_DEG,
        metavar="DEGREES[-DEGREES]",
        help="field of view across, for instance 65 or 40-80 (45-95)",
    )
    parser.add_argument(
        "--without",
        nargs="+",
        choices=REMOVABLE,
        default=[],
        metavar="FACTOR",
        help="leave out what makes scenes varied, to measure its worth; all else of a seed stays: "
        + "; ".join(f"{name} ({what})" for name, what in FACTORS.items())
        + "; kind:NAME (a kind of scene)",
    )
    parser.add_argument(
        "--assets",
        type=Path,
        metavar="FOLDER",
        help="make furnished rooms and streets of the textured meshes, textures and skies in this "
        "folder instead; docs/training.md says how it is laid out and where to get one",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    width, height = args.size
    write_folder(
        args.out,
        args.count,
        args.seed,
        height,
        width,
        workers=args.workers,
        kinds=args.kinds,
        hfov_deg=args.hfov,
        without=args.without,
        quiet=args.quiet,
        assets=args.assets,
    )
    print(f"{args.count} frames in {args.out}")
    return 0
