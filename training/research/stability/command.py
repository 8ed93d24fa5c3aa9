"""`python -m training stability`: does depth stand still when the world does?

Flicker of static points after true motion, error, and the lag of filters over time, through the
node's own pipeline: on rendered drives, approaches, turns and sudden obstacles, whose motion and
depth are exact, and on recordings with measured depth, whose motion is estimated from tracked
corners and that depth.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from rich.console import Console

from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.estimation import DepthEstimator, EstimatorSettings
from training.evaluation.files import as_json, write_file
from training.evaluation.inputs import add_model_arguments, model_sha256, open_model
from training.page_block import replace_block
from training.research.stability.measure import measure_sequence
from training.research.stability.sequences import (
    APPEARS_AT,
    FIRST_SEED,
    FrameSequence,
    recorded_sequence,
    rendered_sequences,
)
from training.research.stability.smoothing import CANDIDATES
from training.research.stability.tables import as_entries, as_markdown, as_tables

BLOCK = "stability"
KINDS = ("drive", "approach", "turn", "appear")
EXAMPLES = """\
examples:
  python -m training stability --model compact
  python -m training stability --model my.onnx --scenes 0 --recording recordings/desk
  python -m training stability --model compact --recording DATA/desk --docs docs/cloud_quality.md

A recording is a folder as `python -m training bag folder` reads it: rgb/, depth/, timestamps.txt,
info.json. How to read the table: a filter wins if it lowers the flicker, does not raise AbsRel
while the camera drives and turns, has no lag on an approach, and holds back nothing of an obstacle
that appears.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of the command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    add_model_arguments(parser)
    parser.add_argument(
        "--scenes",
        type=int,
        default=4,
        help="rendered sequences of each kind; 0 for none (default: %(default)s)",
    )
    parser.add_argument(
        "--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="which (default: all)"
    )
    parser.add_argument(
        "--frames",
        type=int,
        default=12,
        help="of each rendered sequence, 15 a second (default: %(default)s)",
    )
    parser.add_argument(
        "--first-seed",
        type=int,
        default=FIRST_SEED,
        help="seed of the first scene; training uses small ones (default: %(default)s)",
    )
    parser.add_argument(
        "--recording", type=Path, nargs="+", default=[], metavar="DIR", help="recorded sequences"
    )
    parser.add_argument(
        "--recorded-frames", type=int, default=100, help="of each of these (default: %(default)s)"
    )
    parser.add_argument(
        "--filters",
        nargs="+",
        choices=list(CANDIDATES),
        default=list(CANDIDATES),
        metavar="NAME",
        help=f"of: {', '.join(CANDIDATES)} (default: all; 'none' is always among them)",
    )
    parser.add_argument(
        "--step",
        type=int,
        default=2,
        help="compare every so many-th row and column (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, help="write all numbers here, for programs")
    parser.add_argument("--report", type=Path, help="write the tables here, as Markdown")
    parser.add_argument(
        "--docs", type=Path, metavar="PAGE", help=f"replace the block {BLOCK} of this page"
    )


def run(args: argparse.Namespace) -> int:
    """Measures, prints and writes; returns the exit code."""
    _check(args)
    torch.set_num_threads(1)  # the tensors fit one core's cache: threads would wait for each other
    makers = {name: CANDIDATES[name] for name in CANDIDATES if name in {"none", *args.filters}}
    engine = open_model(args)
    pipeline = DepthEstimator(engine, EstimatorSettings())
    measured = [measure_sequence(pipeline, one, makers, args.step) for one in _sequences(args)]
    console = Console()
    # A file or pipe has no width of its own; the table must not be cut there.
    console = Console(width=console.width if console.is_terminal else 150)
    for table in as_tables(measured):
        console.print(table)
    model = f"{engine.card.name} {engine.card.model_version}".strip()
    sha256 = model_sha256(args.model)
    text = as_markdown(measured, f"{model}, SHA-256 {sha256[:12]}")
    if args.json:
        sequences = as_entries(measured)
        write_file(args.json, as_json({"model": model, "sha256": sha256, "sequences": sequences}))
    if args.report:
        write_file(args.report, text)
    if args.docs:
        replace_block(args.docs, BLOCK, text)
    engine.close()
    return 0


def _sequences(args: argparse.Namespace) -> list[FrameSequence]:
    sequences = []
    if args.scenes:
        for kind in args.kinds:
            sequences += rendered_sequences(kind, args.scenes, args.frames, args.first_seed)
    sequences += [recorded_sequence(folder, args.recorded_frames) for folder in args.recording]
    if not sequences:
        raise ParameterError("nothing to measure", fix="Give --scenes or --recording")
    return sequences


def _check(args: argparse.Namespace) -> None:
    fewest = APPEARS_AT + 3 if "appear" in args.kinds else 2
    least = {"scenes": 0, "frames": fewest, "recorded_frames": 2, "step": 1}
    for name, value in least.items():
        if getattr(args, name) < value:
            raise ParameterError(
                f"--{name.replace('_', '-')}",
                found=getattr(args, name),
                expected=f"{value} or more",
            )
