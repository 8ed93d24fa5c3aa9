"""`python -m training cloud-quality`: which points of the cloud lie on no true surface.

Flying points at depth edges and the flatness of planes, through the node's own pipeline, for
several values of the parameter edge_filter: on rendered scenes of which the tracer knows depth and
face of every pixel, and on any data with dense depth.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from rich.table import Table

from depth_estimation_ros.errors import CalibrationError, ParameterError
from depth_estimation_ros.estimation import DepthEstimator, EstimatorSettings
from depth_estimation_ros.geometry.camera_model import deproject
from depth_estimation_ros.utils.files import sha256
from depth_estimation_ros.visualization.figures import render_cloud
from training.data.layouts import LAYOUTS, open_dataset
from training.evaluation.inputs import add_model_arguments, open_model, parse_options
from training.evaluation.tables import (
    as_json,
    known,
    markdown_table,
    number,
    print_tables,
    replace_block,
    terminal_table,
    write_file,
)
from training.research.cloud_quality.candidates import CANDIDATES
from training.research.cloud_quality.edges import JUMP, ON_SURFACE
from training.research.cloud_quality.measure import (
    PlaneScore,
    SetQuality,
    Tally,
    finished_depths,
    measure_set,
)
from training.research.cloud_quality.views import (
    FIRST_SEED,
    SIZE,
    TrueView,
    ViewSet,
    recorded_views,
    render_view,
    rendered_views,
)

CLOUD = {
    "removed": "removed %",
    "flying_at_edges": "flying at edges %",
    "flying": "flying %",
    "flying_caught": "of these removed %",
    "removed_flying": "removed that flew %",
    "edges_seen": "edges seen %",
    "smeared": "smeared %",
    "smeared_caught": "of these removed %",
    "right": "within 5 % of truth %",
    "abs_rel_kept": "AbsRel kept",
    "abs_rel_removed": "AbsRel removed",
}
PLANES = {
    "faces": "faces",
    "residual": "residual %",
    "residual_median": "median %",
    "angle": "angle deg",
    "angle_median": "median deg",
    "blind": "one depth, deg",
}
_IN_PERCENT = {*CLOUD} - {"abs_rel_kept", "abs_rel_removed"} | {"residual", "residual_median"}
HOW_TO_READ = f"""\
Each image's scale is aligned first, by median(truth) / median(prediction) over the whole image.
"At edges": not farther than 1/128 of the image's width from two neighbouring pixels whose true
depths differ by more than {100 * JUMP:g} %. *Flying*: between the nearest and the farthest surface
there, and more than {100 * ON_SURFACE:g} % of depth from all of them. *Edges seen*: share of the
pixels at edges where the network, too, has a jump of that size. *Smeared*: in the middle half of
the network's own jump, whatever its height. Shares without "at edges" are of all points that are
left. *Residual*: RMS distance of the points of a flat face from the plane fitted to them, along the
rays, relative to depth; *angle*: between its normal and the true one; *one depth*: the same angle
for a network that says one depth everywhere, whose residual is 0.
"""


def cloud_row(tally: Tally) -> dict[str, float]:
    """Return the shares (0 to 1) and errors of one setting; NaN where nothing was counted."""
    removed = tally.known - tally.kept
    return {
        "removed": _share(removed, tally.known),
        "flying_at_edges": _share(tally.flying_kept, tally.edge_kept),
        "flying": _share(tally.flying_kept, tally.kept),
        "flying_caught": _share(tally.flying - tally.flying_kept, tally.flying),
        "removed_flying": _share(tally.flying - tally.flying_kept, removed),
        "edges_seen": _share(tally.seen, tally.edge),
        "smeared": _share(tally.smeared_kept, tally.kept),
        "smeared_caught": _share(tally.smeared - tally.smeared_kept, tally.smeared),
        "right": _share(tally.right_kept, tally.kept),
        "abs_rel_kept": _share(tally.error_kept, tally.kept),
        "abs_rel_removed": _share(tally.error_removed, removed),
    }


def plane_row(planes: Sequence[PlaneScore]) -> dict[str, float]:
    """Return means and medians over faces, each counting once; residuals are shares of depth."""
    residuals, angles = [p.residual for p in planes], [p.angle for p in planes]
    return {
        "faces": float(len(planes)),
        "residual": _over(np.mean, residuals),
        "residual_median": _over(np.median, residuals),
        "angle": _over(np.mean, angles),
        "angle_median": _over(np.median, angles),
        "blind": _over(np.mean, [p.blind for p in planes]),
    }


def split(planes: Sequence[PlaneScore]) -> dict[str, list[PlaneScore]]:
    """Level faces (floors, ceilings, tops) and the others (walls, fronts, what is tilted)."""
    return {
        "level": [plane for plane in planes if plane.level],
        "upright": [plane for plane in planes if not plane.level],
    }


def rows(result: SetQuality) -> tuple[list[list[str]], list[list[str]]]:
    """Return both tables of a set as text with headers; the second is empty without planes."""
    clouds = [["edge_filter", *CLOUD.values()]]
    planes = [["edge_filter", "faces lie", *PLANES.values()]]
    for name, tally in result.tallies.items():
        clouds.append([name, *_texts(cloud_row(tally))])
        if tally.planes:
            for kind, some in split(tally.planes).items():
                planes.append([name, kind, *_texts(plane_row(some))])
    return clouds, planes if len(planes) > 1 else []


def as_tables(result: SetQuality) -> list[Table]:
    """Return the tables for the terminal."""
    titles = (f"{result.name}: {result.views} views", f"{result.name}: flat faces")
    return [
        terminal_table(title, lines[0], lines[1:], left=0)
        for title, lines in zip(titles, rows(result), strict=True)
        if lines
    ]


def as_markdown(results: Sequence[SetQuality], model: str) -> str:
    """Return the tables of a page and how to read them."""
    lines = [f"Model: {model}.", ""]
    for result in results:
        left_out = f" ({len(result.sparse)} more with too little truth)" if result.sparse else ""
        lines += [f"**{result.name}**, {result.views} views{left_out}:", ""]
        for table in rows(result):
            if table:
                lines += [*markdown_table(table[0], table[1:], left=0), ""]
    return "\n".join([*lines, HOW_TO_READ])


def as_entries(result: SetQuality) -> dict[str, Any]:
    """Return an entry of the JSON file; shares are from 0 to 1, null where nothing was counted."""
    settings = []
    for name, tally in result.tallies.items():
        kinds = split(tally.planes).items()
        settings.append(
            {
                "edge_filter": name,
                **{key: known(share) for key, share in cloud_row(tally).items()},
                "planes": {
                    kind: {key: known(x) for key, x in plane_row(some).items()}
                    for kind, some in kinds
                    if some
                },
            }
        )
    return {
        "set": result.name,
        "views": result.views,
        "left_out": result.sparse,
        "points": next(iter(result.tallies.values())).known,
        "settings": settings,
    }


def _texts(row: dict[str, float]) -> list[str]:
    return [
        f"{value:.0f}" if name == "faces" else _text(value, name in _IN_PERCENT)
        for name, value in row.items()
    ]


def _text(value: float, percent: bool) -> str:
    return number(100 * value, 2) if percent else number(value, 3 if value < 1 else 1)


def _share(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _over(mean: Any, values: Sequence[float]) -> float:
    return float(mean(values)) if values else math.nan


_WIDTH, _HEIGHT = 720, 520


def side_by_side(
    pipeline: DepthEstimator, view: TrueView, edge_filter: float
) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB: the true cloud, the node's without and the node's with the filter.

    Raises:
        CalibrationError: the view has no camera, so there is no cloud.
    """
    if view.camera is None:
        raise CalibrationError(f"{view.name} has no intrinsics, so it gives no cloud")
    depths = finished_depths(pipeline, view, (0.0, edge_filter))
    shown = {"truth": view.truth} | {f"edge_filter {k}": v for k, v in depths.items()}
    panels = []
    for title, depth in shown.items():
        cloud = deproject(depth, view.camera.rays())
        panel = render_cloud(cloud, view.rgb, yaw_deg=55.0, width=_WIDTH, height=_HEIGHT)
        font, white = cv2.FONT_HERSHEY_SIMPLEX, (235, 235, 235)
        panels.append(cv2.putText(panel, title, (16, 30), font, 0.7, white, 1, cv2.LINE_AA))
    return np.asarray(np.hstack(panels), np.uint8)


EDGE_FILTERS = (0.0, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3)
BLOCK = "cloud-quality"
EXAMPLES = """\
examples:
  python -m training cloud-quality --model compact
  python -m training cloud-quality --model my.onnx --scenes 0 --data recordings/desk
  python -m training cloud-quality --model compact --data DATA/desk DATA/hall --every 10 \\
      --docs docs/cloud_quality.md --image docs/cloud_quality.png

How to read the table: a filter is worth its pixels if it catches much more of the flying (or
smeared) points than it removes of all points. What it removes is worse than the rest if AbsRel of
the removed points is above that of the kept ones. The residual of planes must not fall because
their slanted parts are gone: look at the angle, too.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    add_model_arguments(parser)
    parser.add_argument(
        "--scenes", type=int, default=40, help="rendered scenes; 0 for none (default: %(default)s)"
    )
    parser.add_argument(
        "--first-seed",
        type=int,
        default=FIRST_SEED,
        help="seed of the first scene; training uses small ones (default: %(default)s)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        nargs="+",
        default=[],
        help="data sets with dense depth, all of one layout; frames with less than 60 %% are "
        "left out",
    )
    parser.add_argument(
        "--layout", choices=sorted(LAYOUTS), default="folder", help="how their files lie"
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the layout, such as split=test; may be repeated",
    )
    parser.add_argument(
        "--every", type=int, default=1, metavar="N", help="take every N-th frame of the data"
    )
    parser.add_argument(
        "--edge-filter",
        type=float,
        nargs="+",
        default=list(EDGE_FILTERS),
        metavar="JUMP",
        help="values of the parameter to compare; 0, which is off, is always among them",
    )
    parser.add_argument(
        "--candidates",
        action="store_true",
        help="measure other ways of resizing, too, which the node does not have: "
        f"{', '.join(CANDIDATES)}",
    )
    parser.add_argument("--json", type=Path, help="write all numbers here, for programs")
    parser.add_argument("--report", type=Path, help="write the tables here, as Markdown")
    parser.add_argument(
        "--docs", type=Path, metavar="PAGE", help=f"replace the block {BLOCK} of this page"
    )
    parser.add_argument("--figure", type=Path, help="write a cloud seen from the side here (.png)")
    parser.add_argument(
        "--figure-seed", type=int, default=FIRST_SEED + 1, help="its scene (default: %(default)s)"
    )
    parser.add_argument(
        "--figure-filter", type=float, default=0.05, help="its edge_filter (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Measure, print and write; return the exit code."""
    _check(args)
    torch.set_num_threads(1)  # the tensors fit one core's cache: threads would wait for each other
    sets = [rendered_views(args.scenes, args.first_seed)] if args.scenes else []
    options = parse_options(args.option)
    for path in args.data:
        sets.append(
            _thinned(recorded_views(open_dataset(args.layout, path, **options)), args.every)
        )
    if not sets:
        raise ParameterError("nothing to measure", fix="Give --scenes or --data")
    values = sorted({0.0, *args.edge_filter})
    engine = open_model(args)
    pipeline = DepthEstimator(engine, EstimatorSettings())
    results = []
    for views in sets:
        results.append(measure_set(pipeline, views, values, candidates=args.candidates))
        print_tables(as_tables(results[-1]), width=170)
    model = f"{engine.card.name} {engine.card.model_version}".strip()
    digest = sha256(engine.path)
    text = as_markdown(results, f"{model}, SHA-256 {digest[:12]}")
    if args.json:
        entries = [as_entries(result) for result in results]
        write_file(args.json, as_json({"model": model, "sha256": digest, "sets": entries}))
    if args.report:
        write_file(args.report, text)
    if args.docs:
        replace_block(args.docs, BLOCK, text)
    if args.figure:
        view = render_view(args.figure_seed, *SIZE)
        sheet = side_by_side(pipeline, view, args.figure_filter)
        _, png = cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
        write_file(args.figure, png.tobytes())
    engine.close()
    return 0


def _check(args: argparse.Namespace) -> None:
    for name, least in (("scenes", 0), ("every", 1)):
        if getattr(args, name) < least:
            raise ParameterError(
                f"--{name}", found=getattr(args, name), expected=f"{least} or more"
            )
    for value in itertools.chain(args.edge_filter, [args.figure_filter]):
        if not 0.0 <= value <= 10.0:
            raise ParameterError("edge_filter", found=f"{value:g}", expected="0 to 10")


def _thinned(views: ViewSet, every: int) -> ViewSet:
    count = -(-views.count // every)
    return replace(views, count=count, view=lambda index: views.view(index * every))
