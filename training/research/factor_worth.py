"""`python -m training factor-worth`: what each factor of the scenes is worth on real frames.

Scenes are rendered with everything and, for each factor, without it, from the same seeds; the same
small training is made on each, and each is scored on the configuration's validation sets through
the runtime's pipeline. With everything it is trained several times from different seeds, and
differences within their spread mean nothing. What is done already is not done again.
"""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from depth_estimation_ros.errors import ParameterError
from training.config import TrainingConfig, load_config
from training.evaluation.score import SetResult
from training.evaluation.tables import as_card_entries, as_json, markdown_table, number, write_file
from training.research.runs import score_on, train_in
from training.scenes.factors import FACTORS, REMOVABLE
from training.scenes.write import parse_size, write_folder

EXAMPLES = """\
examples:
  python -m training factor-worth --config config/training/factor_worth.yaml --data DIR --out DIR
  ... --factors clutter mirrors kind:kitchen+kind:office      only these; two of them at once

What --out holds afterwards:
  factor_worth.md, factor_worth.json   the table
  scenes/NAME/                         the rendered frames (see `synthesize --help`)
  runs/NAME/                           the run (see `train --help`), and model.onnx
"""
logger = logging.getLogger(__name__)

EVERYTHING = "everything"
SPLIT = "never trained on"
Results = Mapping[str, Sequence[Sequence[SetResult]]]
# Heading, row of SetResult.rows, and the metric in it.
COLUMNS = (
    ("delta1, median-scaled", "median", "delta1"),
    ("AbsRel, median-scaled", "median", "abs_rel"),
    ("delta1", "unaligned", "delta1"),
    ("AbsRel", "unaligned", "abs_rel"),
)


def as_markdown(results: Results) -> str:
    """Return one line for each factor, after those of the trainings with everything.

    Args:
        results: for `EVERYTHING` and each factor: for each training, its validation sets.
    """
    sets = results[EVERYTHING][0]
    middle = np.mean([means(scored) for scored in results[EVERYTHING]], axis=0)
    lines = [
        "# What is lost without a factor of the scenes",
        "",
        f"Means over {len(sets)} data sets ({', '.join(s.dataset for s in sets)}) of the means "
        "over their frames; unaligned numbers only of those with known intrinsics. In brackets: "
        "minus the mean of the trainings with everything, which differ in their seed alone: what "
        "is no larger than their spread says nothing.",
        "",
    ]
    rows = []
    for name, trainings in results.items():
        for scored in trainings:
            cells = zip(means(scored), middle, strict=True)
            label = f"nothing ({EVERYTHING})" if name == EVERYTHING else name
            rows.append([label, *(f"{number(v)} ({v - m:+.3f})" for v, m in cells)])
    header = ("without", *(heading for heading, _, _ in COLUMNS))
    return "\n".join([*lines, *markdown_table(header, rows)]) + "\n"


def means(scored: Sequence[SetResult]) -> list[float]:
    """Return the mean over data sets of each of `COLUMNS`; NaN if none counts."""
    values = []
    for _, row, metric in COLUMNS:
        counted = [s.rows[row][metric] for s in scored if row == "median" or s.camera == "known"]
        values.append(float(np.mean(counted)) if counted else float("nan"))
    return values


def as_entries(results: Results) -> dict[str, Any]:
    """Return, for each training, entries as ``evaluate --json`` writes them."""
    return {
        name: [[e for s in scored for e in as_card_entries(s, SPLIT)] for scored in trainings]
        for name, trainings in results.items()
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument(
        "--config", type=Path, required=True, help="training YAML; its training sets are replaced"
    )
    parser.add_argument(
        "--factors",
        nargs="+",
        type=parse_factors,
        default=[(factor,) for factor in FACTORS],
        metavar="FACTOR[+FACTOR]",
        help=f"of {', '.join(REMOVABLE)} (all but the kinds)",
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder that the validation paths are relative to"
    )
    parser.add_argument("--out", type=Path, required=True, help="scenes, runs and table go here")
    parser.add_argument("--count", type=int, default=2400, help="frames of each (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the first frame (%(default)s)")
    parser.add_argument("--size", type=parse_size, default=(128, 96), metavar="WIDTHxHEIGHT")
    parser.add_argument(
        "--repeat", type=int, default=3, help="trainings with everything (%(default)s)"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="that render")


def parse_factors(text: str) -> tuple[str, ...]:
    """'clutter+mirrors' as ('clutter', 'mirrors')."""
    factors = tuple(text.split("+"))
    for name in factors:
        if name not in REMOVABLE:
            message = f"{name!r} is no factor; known are {', '.join(REMOVABLE)}"
            raise argparse.ArgumentTypeError(message)
    return factors


def run(args: argparse.Namespace) -> int:
    """Render, train and score what is missing, write the table; return the exit code."""
    config = load_config(args.config)
    if args.repeat < 1:
        raise ParameterError("--repeat", found=str(args.repeat), expected="at least 1")
    results: dict[str, list[list[SetResult]]] = {}
    for factors in ((), *args.factors):
        name = "+".join(factors) or EVERYTHING
        logger.info("without %s", name) if factors else logger.info("with everything")
        scenes = _scenes(args, name, factors)
        repeats = 1 if factors else args.repeat
        for seed in range(config.seed, config.seed + repeats):
            folder = args.out / "runs" / (f"{name}_{seed}" if repeats > 1 else name)
            scored = _result(_on(config, scenes, seed), args.data, folder)
            results.setdefault(name, []).append(scored)
    write_file(args.out / "factor_worth.json", as_json(as_entries(results)))
    markdown = as_markdown(results)
    write_file(args.out / "factor_worth.md", markdown)
    print(markdown)
    return 0


def _scenes(args: argparse.Namespace, name: str, factors: tuple[str, ...]) -> Path:
    width, height = args.size
    folder = args.out / "scenes" / name.replace(":", "_")
    return write_folder(
        folder, args.count, args.seed, height, width, workers=args.workers, without=factors
    ).resolve()


def _on(config: TrainingConfig, scenes: Path, seed: int) -> TrainingConfig:
    """Return the configuration with these scenes as its only training set, and with a seed."""
    (entry, *_) = config.data.training
    training = (replace(entry, path=str(scenes), weight=1.0, holdout=0.0),)
    return replace(config, seed=seed, data=replace(config.data, training=training))


def _result(config: TrainingConfig, data: Path, folder: Path) -> list[SetResult]:
    # Nothing is chosen by validation here, so one frame is enough while it trains.
    quick = replace(config, data=replace(config.data, validation_frames=1))
    model = train_in(folder, quick, data)
    return [score_on(model, entry, data) for entry in config.data.validation]
