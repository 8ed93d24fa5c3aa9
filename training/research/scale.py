"""What an anchor of metric scale is worth: unanchored, anchored, and median-scaled metrics.

    python -m training scale --model compact --data DIR [DIR ...] --layout folder
        --align points:30 points:8 scan
    python -m training scale --model compact --synthetic 200

Each image is anchored by itself, without a filter over time; an image whose anchor says nothing
(too few pairs, no floor in view) counts as it was predicted. Synthetic scenes come with the true
height and tilt of their camera, so `height` needs no number there.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import track

from depth_estimation_ros.estimation import DepthEstimator, DepthResult, EstimatorSettings
from depth_estimation_ros.estimation.metrics import depth_metrics, mean_metrics, median_ratio
from depth_estimation_ros.estimation.scale import ScaleAnchor, ScaleSource
from depth_estimation_ros.estimation.scale_sources import FloorBelow, project_ranges
from depth_estimation_ros.geometry.camera_model import CameraModel
from training.data.image_files import read_rgb
from training.data.layouts import LAYOUTS, open_dataset
from training.data.sample import Sample, SampleSet
from training.evaluation.alignment import EXPECTED, Alignment
from training.evaluation.inputs import add_model_arguments, open_model, parse_options
from training.evaluation.score import scored_pixels

FIRST_SEED = 7_000_000  # of synthetic scenes; far from those of training
SIZE = (240, 320)


@dataclass(frozen=True)
class Frame:
    """An image to anchor: with `down`, gravity in its optical frame, where the data knows it."""

    sample: Sample
    height: float | None = None
    down: np.ndarray | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_model_arguments(parser)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, nargs="+", help="data sets, all of one layout")
    source.add_argument("--synthetic", type=int, metavar="N", help="render N scenes instead")
    source.add_argument("--dgp", type=Path, help="a scene in the layout of TRI's DGP, with LiDAR")
    parser.add_argument("--layout", choices=sorted(LAYOUTS), default="folder")
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--every", type=int, default=1, help="take every Nth image (default: 1)")
    parser.add_argument("--cap", type=float, help="farthest scored depth (default: the set's)")
    parser.add_argument("--crop", help="the part that is scored (default: the set's)")
    parser.add_argument(
        "--align",
        nargs="+",
        default=["points:30", "points:8", "scan"],
        help=f"anchors: {EXPECTED}; height alone for --synthetic (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, help="write the table here, too")


def run(args: argparse.Namespace) -> int:
    """Measure, print and write; return the exit code."""
    engine = open_model(args)
    estimator = DepthEstimator(
        engine, EstimatorSettings(scale_required=not engine.card.output.unit)
    )
    tables = {}
    sets: dict[str, tuple[Iterator[Frame], float, str]] = {}
    if args.synthetic:
        sets = {"synthetic": (synthetic_frames(args.synthetic), 10.0, "none")}
    elif args.dgp:
        sets = {args.dgp.name: (dgp_frames(args.dgp), 80.0, "none")}
    else:
        for path in args.data:
            samples = open_dataset(args.layout, path, **parse_options(args.option))
            sets[samples.name] = (_frames(samples, args.every), samples.cap_m, samples.crop)
    for name, (frames, cap, crop) in sets.items():
        table = measure(estimator, frames, args.align, args.cap or cap, args.crop or crop, name)
        tables[name] = table
        print_table(name, table)
    engine.close()
    if args.json:
        args.json.write_text(json.dumps(tables, indent=1) + "\n")
    return 0


def measure(
    estimator: DepthEstimator,
    frames: Iterator[Frame],
    alignments: Sequence[str],
    cap: float,
    crop: str,
    title: str,
) -> dict[str, dict[str, float]]:
    """Return delta1, AbsRel and the share of anchored images, by alignment."""
    names = ["none", "median"]
    for name in alignments:
        names += [name, f"{name}, field"] if name.startswith("points") else [name]
    scores: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    anchored = dict.fromkeys(names, 0)
    for index, frame in enumerate(track(frames, title)):
        truth = frame.sample.depth
        scored = scored_pixels(truth, crop, cap)
        if not scored.any():
            continue
        results = _results(estimator, frame, names, scored, index)
        known = scored & ~np.isnan(results["none"].depth)
        for name, result in results.items():
            depth, gt = result.depth[scored].astype(np.float64), truth[scored].astype(np.float64)
            if name == "median":
                depth *= median_ratio(result.depth[known], truth[known])
            scores[name].append(depth_metrics(depth, gt, max_depth=cap))
            anchored[name] += result.scale is not None
    return {
        name: {
            **{key: mean_metrics(rows)[key] for key in ("delta1", "abs_rel")},
            "anchored": anchored[name] / len(rows),
            "images": len(rows),
        }
        for name, rows in scores.items()
    }


def _results(
    estimator: DepthEstimator, frame: Frame, names: list[str], scored: np.ndarray, index: int
) -> dict[str, DepthResult]:
    """Return one prediction, finished with each anchor."""
    (prediction,) = estimator.infer([estimator.prepare(frame.sample.rgb, camera_of(frame.sample))])
    plain = estimator.finish(prediction)
    results = {"none": plain, "median": plain}
    for name in names[2:]:
        anchor = ScaleAnchor(estimator.engine.card.output, local=name.endswith("field"))
        kind = name.removesuffix(", field")
        anchor.source = _source(kind, frame, frame.sample.depth, scored, index)
        results[name] = estimator.finish(prediction, None, 0, anchor)
    return results


def _source(
    name: str, frame: Frame, truth: np.ndarray, scored: np.ndarray, index: int
) -> ScaleSource | None:
    if name == "height":
        if frame.height is None or frame.down is None:
            return None
        return FloorBelow(frame.height, frame.down)
    return Alignment(name).source(truth, scored, index)


def camera_of(sample: Sample) -> CameraModel:
    """Return the camera of a sample; one of 60 degrees where it is not known."""
    height, width = sample.depth.shape
    if sample.intrinsics is None:
        return CameraModel.from_hfov(width, height, EstimatorSettings.assumed_hfov_deg)
    return CameraModel.from_intrinsics(*sample.intrinsics, width, height)


def synthetic_frames(count: int) -> Iterator[Frame]:
    """Yield rendered scenes whose cameras stand above a floor at z = 0."""
    from training.scenes.cameras import sample_cameras
    from training.scenes.render import render
    from training.scenes.scenes import sample_scenes
    from training.scenes.sensor import sensor

    for seed in range(FIRST_SEED, FIRST_SEED + count):
        scenes = sample_scenes([seed])
        cameras = sample_cameras(scenes, [seed], *SIZE)
        image = render(scenes, cameras, *SIZE)
        rgb = (sensor(image.rgb, [seed])[0].permute(1, 2, 0) * 255).round().byte().numpy()
        sample = Sample(rgb, image.depth[0].numpy(), tuple(cameras.intrinsics[0].tolist()))
        down = cameras.rotation[0].numpy().T @ np.array([0.0, 0.0, -1.0])
        yield Frame(sample, float(cameras.position[0, 2]), down.astype(np.float64))


def _frames(samples: SampleSet, every: int) -> Iterator[Frame]:
    for index in range(0, len(samples), every):
        yield Frame(samples[index])


def dgp_frames(folder: Path) -> Iterator[Frame]:
    """Yield the images of a DGP scene with their LiDAR points as sparse depth.

    Height and tilt of each camera are those in the vehicle's frame, which lies on the ground.
    """

    data = json.loads(next(folder.glob("scene_*.json")).read_text())
    by_key = {datum["key"]: datum for datum in data["data"]}
    calibrations = {
        file.stem: json.loads(file.read_text()) for file in (folder / "calibration").glob("*.json")
    }
    for item in data["samples"]:
        calibration = calibrations[item["calibration_key"]]
        lenses = dict(zip(calibration["names"], calibration["intrinsics"], strict=True))
        poses = dict(zip(calibration["names"], calibration["extrinsics"], strict=True))
        datums = [by_key[key] for key in item["datum_keys"]]
        (lidar,) = [d["datum"]["point_cloud"] for d in datums if "point_cloud" in d["datum"]]
        cloud = np.load(folder / lidar["filename"])["data"][:, :3].astype(np.float64)
        for datum in datums:
            if "image" not in datum["datum"]:
                continue
            name, lens = datum["id"]["name"], lenses[datum["id"]["name"]]
            rgb = read_rgb(folder / datum["datum"]["image"]["filename"])
            height, width = rgb.shape[:2]
            fx, fy, cx, cy = (lens[key] for key in ("fx", "fy", "cx", "cy"))
            camera = CameraModel.from_intrinsics(fx, fy, cx, cy, width, height)
            body = _pose(datum["datum"]["image"]["pose"])
            scanner = _pose(lidar["pose"])
            points = np.linalg.inv(body) @ scanner @ np.column_stack([cloud, np.ones(len(cloud))]).T
            depth = np.full((height, width), np.nan, np.float32)
            pairs = project_ranges(points[:3].T, camera, (height, width), limit=len(cloud))
            depth[pairs.rows, pairs.columns] = pairs.depth
            pose = _pose(poses[name])
            down = pose[:3, :3].T @ np.array([0.0, 0.0, -1.0])
            sample = Sample(np.ascontiguousarray(rgb), depth, lens)
            yield Frame(sample, float(pose[2, 3]), down)


def _pose(fields: dict) -> np.ndarray:
    w, x, y, z = (fields["rotation"][f"q{axis}"] for axis in "wxyz")
    pose = np.eye(4)
    pose[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    pose[:3, 3] = [fields["translation"][axis] for axis in "xyz"]
    return pose


def print_table(name: str, table: dict[str, dict[str, float]]) -> None:
    """Print one data set as Markdown."""
    images = next(iter(table.values()))["images"]
    print(f"\n{name}, {images:.0f} images\n")
    print("| anchor | delta1 | AbsRel | anchored images |\n|---|---|---|---|")
    for row, values in table.items():
        share = "" if row in ("none", "median") else f"{values['anchored']:.0%}"
        numbers = (values["delta1"], values["abs_rel"])
        cells = " | ".join("-" if math.isnan(number) else f"{number:.3f}" for number in numbers)
        print(f"| {row} | {cells} | {share} |")
