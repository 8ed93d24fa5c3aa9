"""`python -m training cloud-quality`: what a robot finds in the cloud beside true surfaces.

Flying points at depth edges and the flatness of planes, through the node's own pipeline, for
several values of the parameter edge_filter: on rendered scenes of which the tracer knows depth and
face of every pixel, and on any data with dense depth.
"""

from __future__ import annotations

import argparse
import itertools
from dataclasses import replace
from pathlib import Path

import cv2
import torch
from rich.console import Console

from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.estimation import DepthEstimator, EstimatorSettings
from training.data.layouts import LAYOUTS, open_dataset
from training.evaluation.files import as_json, write_file
from training.evaluation.inputs import add_model_arguments, model_sha256, open_model, parse_options
from training.page_block import replace_block
from training.research.cloud_quality.candidates import CANDIDATES
from training.research.cloud_quality.measure import measure_set
from training.research.cloud_quality.picture import side_by_side
from training.research.cloud_quality.tables import as_entries, as_markdown, as_tables
from training.research.cloud_quality.views import (
    FIRST_SEED,
    SIZE,
    ViewSet,
    recorded_views,
    render_view,
    rendered_views,
)

EDGE_FILTERS = (0.0, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3)
BLOCK = "cloud-quality"
EXAMPLES = """\
examples:
  python -m training cloud-quality --model compact
  python -m training cloud-quality --model my.onnx --scenes 0 --data recordings/desk
  python -m training cloud-quality --model compact --data DATA/desk DATA/hall --every 10 \\
      --docs docs/cloud_quality.md --picture docs/cloud_quality.png

How to read the table: a filter is worth its pixels if it catches much more of the flying (or
smeared) points than it removes of all points. What it removes is worse than the rest if AbsRel of
the removed points is above that of the kept ones. The residual of planes must not fall because
their slanted parts are gone: look at the angle, too.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of the command."""
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
    parser.add_argument("--picture", type=Path, help="write a cloud seen from the side here (.png)")
    parser.add_argument(
        "--picture-seed", type=int, default=FIRST_SEED + 1, help="its scene (default: %(default)s)"
    )
    parser.add_argument(
        "--picture-filter", type=float, default=0.05, help="its edge_filter (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Measures, prints and writes; returns the exit code."""
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
    console = Console()
    # A file or pipe has no width of its own; the table must not be cut there.
    console = Console(width=console.width if console.is_terminal else 170)
    results = []
    for views in sets:
        results.append(measure_set(pipeline, views, values, candidates=args.candidates))
        for table in as_tables(results[-1]):
            console.print(table)
    model = f"{engine.card.name} {engine.card.model_version}".strip()
    sha256 = model_sha256(args.model)
    text = as_markdown(results, f"{model}, SHA-256 {sha256[:12]}")
    if args.json:
        entries = [as_entries(result) for result in results]
        write_file(args.json, as_json({"model": model, "sha256": sha256, "sets": entries}))
    if args.report:
        write_file(args.report, text)
    if args.docs:
        replace_block(args.docs, BLOCK, text)
    if args.picture:
        view = render_view(args.picture_seed, *SIZE)
        sheet = side_by_side(pipeline, view, args.picture_filter)
        _, png = cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
        write_file(args.picture, png.tobytes())
    engine.close()
    return 0


def _check(args: argparse.Namespace) -> None:
    for name, least in (("scenes", 0), ("every", 1)):
        if getattr(args, name) < least:
            raise ParameterError(
                f"--{name}", found=getattr(args, name), expected=f"{least} or more"
            )
    for value in itertools.chain(args.edge_filter, [args.picture_filter]):
        if not 0.0 <= value <= 10.0:
            raise ParameterError("edge_filter", found=f"{value:g}", expected="0 to 10")


def _thinned(views: ViewSet, every: int) -> ViewSet:
    count = -(-views.count // every)
    return replace(views, count=count, view=lambda index: views.view(index * every))
