"""`python -m training evaluate`: a model file measured through the runtime, as a robot runs it.

Each frame goes through the same engine and pipeline as in the node. Beside the model's numbers
stand those of a constant: the median depth of the whole folder (to compare with unaligned
depth), and of each frame (to compare with median-scaled depth). No crop is applied.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from depth_estimation_ros.engines import open_engine
from depth_estimation_ros.geometry import CameraModel
from depth_estimation_ros.metrics import constant_median, depth_metrics, mean_metrics
from depth_estimation_ros.pipeline import DepthPipeline, PipelineSettings
from training.data.folder import RgbdFolder
from training.data.sample import Sample

SHOWN = ("abs_rel", "rmse", "silog", "delta1")
KEPT = ("abs_rel", "rmse", "log10", "silog", "delta1", "delta2", "delta3", "coverage")
Metrics = dict[str, float]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of the command."""
    parser.add_argument("--model", default="compact", help="an .onnx file or a bundled model")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="RGB-D folders")
    parser.add_argument("--cap", type=float, default=10.0, help="farthest scored depth, metres")
    parser.add_argument(
        "--assumed-hfov",
        type=float,
        default=PipelineSettings().assumed_hfov_deg,
        help="field of view in degrees for folders without intrinsics",
    )
    parser.add_argument(
        "--split", default="all frames", help="for the record: which part of the data this is"
    )
    parser.add_argument("--json", type=Path, help="also write the numbers here, for a model card")


def run(args: argparse.Namespace) -> int:
    """Measures and prints; returns the exit code."""
    engine = open_engine(args.model)
    pipeline = DepthPipeline(engine, PipelineSettings(assumed_hfov_deg=args.assumed_hfov))
    results = [evaluate_folder(pipeline, RgbdFolder(path), args.cap) for path in args.data]
    engine.close()
    console = Console()
    # A file or pipe has no width of its own; the table must not be cut there.
    Console(width=console.width if console.is_terminal else 120).print(as_table(results))
    if args.json:
        entries = [entry for result in results for entry in as_card_entries(result, args.split)]
        partial = args.json.with_name(f".{args.json.name}")
        partial.write_text(json.dumps(entries, indent=1, allow_nan=False) + "\n")
        partial.replace(args.json)
    return 0


def evaluate_folder(pipeline: DepthPipeline, folder: RgbdFolder, cap: float) -> dict[str, Any]:
    """Metrics of one folder, by row: ``unaligned``, ``median``, and the two constants."""
    rows: dict[str, list[Metrics]] = {"unaligned": [], "median": [], "constant_median": []}
    frames = range(len(folder))
    calibrated = True
    for index in track(frames, description=folder.name, transient=True):
        sample = folder[index]
        calibrated = calibrated and sample.intrinsics is not None
        depth = pipeline.run(sample.rgb, _camera(sample)).depth
        rows["unaligned"].append(depth_metrics(depth, sample.depth, max_depth=cap))
        rows["median"].append(depth_metrics(depth, sample.depth, max_depth=cap, align="median"))
        baseline = constant_median(sample.depth, max_depth=cap)
        rows["constant_median"].append(depth_metrics(baseline, sample.depth, max_depth=cap))
    constant = _folder_median(folder, cap)
    return {
        "dataset": folder.name,
        "frames": len(folder),
        "cap_m": cap,
        "intrinsics": "known" if calibrated else f"{pipeline.settings.assumed_hfov_deg:g} deg",
        "rows": {
            **{name: mean_metrics(values) for name, values in rows.items()},
            "constant": mean_metrics(
                [
                    depth_metrics(np.full_like(s.depth, constant), s.depth, max_depth=cap)
                    for s in (folder[index] for index in frames)
                ]
            ),
        },
    }


def _camera(sample: Sample) -> CameraModel | None:
    if sample.intrinsics is None:
        return None
    height, width = sample.depth.shape
    return CameraModel.from_intrinsics(*sample.intrinsics, width, height)


def _folder_median(folder: RgbdFolder, cap: float) -> float:
    depths = (folder[index].depth for index in range(len(folder)))
    # Every 7th pixel: the median of a folder does not need all of them in memory.
    scored = [d[(d > 1e-3) & (d < cap)][::7] for d in depths]
    return float(np.median(np.concatenate(scored)))


ROW_TITLES = {
    "unaligned": ("model", "none"),
    "constant": ("folder's median", "none"),
    "median": ("model", "median"),
    "constant_median": ("frame's median", "median"),
}


def as_table(results: Iterable[Mapping[str, Any]]) -> Table:
    """The results as a table for a terminal."""
    table = Table(title="Depth metrics: mean over frames, no crop")
    for column in ("data", "frames", "cap m", "camera", "predictor", "aligned"):
        table.add_column(column, overflow="fold")
    for column in SHOWN:
        table.add_column(column, justify="right", no_wrap=True, min_width=7)
    for result in results:
        cap, camera = f"{result['cap_m']:g}", result["intrinsics"]
        lead = [result["dataset"], str(result["frames"]), cap, camera]
        for row, titles in ROW_TITLES.items():
            numbers = [f"{result['rows'][row][name]:.3f}" for name in SHOWN]
            table.add_row(*lead, *titles, *numbers)
            lead = ["", "", "", ""]
        table.add_section()
    return table


def as_card_entries(result: Mapping[str, Any], split: str) -> list[dict[str, Any]]:
    """The results as entries of a model card."""
    return [
        {
            "dataset": result["dataset"],
            "split": split,
            "frames": result["frames"],
            "crop": "none",
            "cap_m": result["cap_m"],
            "camera": result["intrinsics"],
            "predictor": ROW_TITLES[row][0],
            "alignment": ROW_TITLES[row][1],
            **{name: _rounded(result["rows"][row][name]) for name in KEPT},
        }
        for row in ROW_TITLES
    ]


def _rounded(value: float) -> float | None:
    """None for a metric without a single scored pixel: JSON has no NaN."""
    return round(value, 4) if np.isfinite(value) else None
