"""`python -m training stability`: does depth stand still when the world does?

Flicker of static points after true motion, error, and the lag of filters over time, through the
node's own pipeline: on rendered drives, approaches, turns and sudden obstacles, whose motion and
depth are exact, and on recordings with measured depth, whose motion is estimated from tracked
corners and that depth.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.table import Table

from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.estimation import DepthEstimator, EstimatorSettings
from depth_estimation_ros.utils.files import sha256
from training.evaluation.inputs import add_model_arguments, open_model
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
from training.research.stability.measure import Measured, Run, measure_sequence
from training.research.stability.sequences import (
    APPEARS_AT,
    FIRST_SEED,
    FrameSequence,
    recorded_sequence,
    rendered_sequences,
)
from training.research.stability.smoothing import CANDIDATES

COLUMNS = {
    "flicker": "flicker %",
    "common": "of the whole frame %",
    "rest": "rest %",
    "abs_rel": "AbsRel",
    "left_0": "step missing at once %",
    "left_1": "after 1 frame %",
    "left_2": "after 2 frames %",
    "lag": "lag, frames",
}
_PLAIN = {"abs_rel", "lag"}
HOW_TO_READ = """\
*Flicker*: by how much the estimated depth of one static surface point changes from a frame to the
next beyond what the true motion explains, mean over points and pairs of frames. *Of the whole
frame*: the part that all points share, *rest*: what is left without it. *AbsRel*: one scale for the
whole sequence, the same for all filters. *Step missing*: of the fall in depth where a box appears
1 m before the camera, which share the filter still holds back. *Lag*: by how many frames it is
behind when the camera goes straight ahead at 1 m/s.
"""


def row(runs: Sequence[Run]) -> dict[str, float]:
    """Return means over all pairs and frames of some runs, shares of depth; NaN without any."""
    pairs = [pair for run in runs for pair in run.pairs]
    steps = [run.left for run in runs if run.left]
    return {
        "flicker": _mean([pair.total for pair in pairs]),
        "common": _mean([pair.common for pair in pairs]),
        "rest": _mean([pair.rest for pair in pairs]),
        "abs_rel": _mean([error for run in runs for error in run.errors]),
        **{f"left_{j}": _mean([left[j] for left in steps if len(left) > j]) for j in range(3)},
        "lag": _mean([run.lag for run in runs if run.lag is not None]),
    }


def by_kind(measured: Sequence[Measured]) -> dict[str, list[Measured]]:
    """Return the sequences of each kind, in order."""
    kinds: dict[str, list[Measured]] = {}
    for one in measured:
        kinds.setdefault(one.frames.kind, []).append(one)
    return kinds


def title(kind: str, group: Sequence[Measured]) -> str:
    """Return what was measured, in a line."""
    pairs = sum(len(one.runs["none"].pairs) for one in group)
    turn = float(np.median([one.turn_deg for one in group]))
    shift = float(np.median([one.shift_m for one in group]))
    lost = sum(one.unknown_motions for one in group)
    names = f" ({', '.join(one.frames.name for one in group)})" if kind == "recorded" else ""
    text = f"{kind}{names}: {len(group)} sequences, {pairs} pairs of frames, between two "
    text += f"{turn:.2f} deg and {1000 * shift:.0f} mm (medians)"
    return text + (f"; {lost} pairs of unknown motion left out" if lost else "")


def as_tables(measured: Sequence[Measured]) -> list[Table]:
    """Return a table for the terminal for each kind."""
    tables = []
    for kind, group in by_kind(measured).items():
        header = ("filter", *COLUMNS.values())
        tables.append(terminal_table(title(kind, group), header, _cells(group)))
    return tables


def as_markdown(measured: Sequence[Measured], model: str) -> str:
    """Return the tables of a page and how to read them."""
    lines = [f"Model: {model}.", ""]
    for kind, group in by_kind(measured).items():
        lines += [f"**{title(kind, group)}**", ""]
        lines += [*markdown_table(("filter", *COLUMNS.values()), _cells(group)), ""]
    return "\n".join([*lines, HOW_TO_READ])


def as_entries(measured: Sequence[Measured]) -> list[dict[str, Any]]:
    """Return an entry of the JSON file for each sequence; numbers are shares of depth."""
    return [
        {
            "sequence": one.frames.name,
            "kind": one.frames.kind,
            "turn_deg": known(one.turn_deg),
            "shift_m": known(one.shift_m),
            "unknown_motions": one.unknown_motions,
            "filters": {
                name: {key: known(value) for key, value in row([run]).items()}
                for name, run in one.runs.items()
            },
        }
        for one in measured
    ]


def _cells(group: Sequence[Measured]) -> list[list[str]]:
    lines = []
    for name in group[0].runs:
        numbers = row([one.runs[name] for one in group])
        texts = [
            number(value) if key in _PLAIN else number(100 * value, 2)
            for key, value in numbers.items()
        ]
        lines.append([name, *texts])
    return lines


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan


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
    """Declare the options of the command."""
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
        help="compare every N-th row and column (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, help="write all numbers here, for programs")
    parser.add_argument("--report", type=Path, help="write the tables here, as Markdown")
    parser.add_argument(
        "--docs", type=Path, metavar="PAGE", help=f"replace the block {BLOCK} of this page"
    )


def run(args: argparse.Namespace) -> int:
    """Measure, print and write; return the exit code."""
    _check(args)
    torch.set_num_threads(1)  # the tensors fit one core's cache: threads would wait for each other
    makers = {name: CANDIDATES[name] for name in CANDIDATES if name in {"none", *args.filters}}
    engine = open_model(args)
    pipeline = DepthEstimator(engine, EstimatorSettings())
    measured = [measure_sequence(pipeline, one, makers, args.step) for one in _sequences(args)]
    print_tables(as_tables(measured), width=150)
    model = f"{engine.card.name} {engine.card.model_version}".strip()
    digest = sha256(engine.path)
    text = as_markdown(measured, f"{model}, SHA-256 {digest[:12]}")
    if args.json:
        sequences = as_entries(measured)
        write_file(args.json, as_json({"model": model, "sha256": digest, "sequences": sequences}))
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
