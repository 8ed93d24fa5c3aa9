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
from dataclasses import replace
from pathlib import Path

from depth_estimation_ros.errors import ParameterError
from training.config import TrainingConfig, load_config
from training.evaluation.files import as_json, write_file
from training.evaluation.score import SetResult
from training.research.factor_worth_table import EVERYTHING, as_entries, as_markdown
from training.scenes.factors import FACTORS, REMOVABLE
from training.scenes.write import parse_size, write_folder
from training.series import score_on, train_in

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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of the command."""
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
    """Renders, trains and scores what is missing, writes the table; returns the exit code."""
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
    """The configuration with these scenes as its only training set, and with a seed."""
    (entry, *_) = config.data.training
    training = (replace(entry, path=str(scenes), weight=1.0, holdout=0.0),)
    return replace(config, seed=seed, data=replace(config.data, training=training))


def _result(config: TrainingConfig, data: Path, folder: Path) -> list[SetResult]:
    # Nothing is chosen by validation here, so one frame is enough while it trains.
    quick = replace(config, data=replace(config.data, validation_frames=1))
    model = train_in(folder, quick, data)
    return [score_on(model, entry, data) for entry in config.data.validation]
