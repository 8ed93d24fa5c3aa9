"""`python -m training leave-one-out`: how well a recipe does where it has never been.

Frames of one place look alike, so a model is judged by places that it has not seen: for each data
set named by --leave-out, each configuration is trained without it, exported as `export` does it and
scored on it through the runtime's pipeline, as `evaluate` does it. What is done already is not done
again, so an interrupted command goes on where it stopped when it is given once more.
"""

from __future__ import annotations

import argparse
import logging
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

EXAMPLES = """\
examples:
  python -m training leave-one-out --config config/training/leave_one_out/real_only.yaml \\
      --leave-out tum_fr1_rpy hololens --data DIR --out DIR
  python -m training leave-one-out --config recipe.yaml --leave-out kitchen --data DIR --out DIR \\
      --start-from runs/synthetic/checkpoints/final.ckpt     (which must not have seen it either)

What --out holds afterwards, RECIPE being the name of a configuration's file:
  leave_one_out.md, leave_one_out.json   the table
  RECIPE/SET/                            the run without SET (see `train --help`), and model.onnx
"""
logger = logging.getLogger(__name__)

SPLIT = "left out of training"
Results = Mapping[str, Sequence[SetResult]]
# Heading, row of SetResult.rows, and the metric in it.
COLUMNS = (
    ("delta1", "unaligned", "delta1"),
    ("AbsRel", "unaligned", "abs_rel"),
    ("delta1, median-scaled", "median", "delta1"),
    ("AbsRel, median-scaled", "median", "abs_rel"),
)
CONSTANT = {"unaligned": "constant", "median": "constant_median"}


def as_markdown(results: Results) -> str:
    """Return the table: a line for each recipe and data set, the constant's, and means.

    Unaligned numbers of data sets without intrinsics are left out of the means.
    """
    sets = next(iter(results.values()))
    lines = [
        "# Left out of training, then scored",
        "",
        "Means over the frames of a data set that the model was trained without. Not aligned, and "
        "with each frame's median scaled to the truth's; a constant is the median of the set's "
        "truth, or of each frame's. Without intrinsics a field of view is assumed, and what is not "
        "aligned says little.",
        "",
    ]
    rows = []
    for place, one in enumerate(sets):
        about = (one.dataset, str(len(one.frames)), f"{one.cap_m:g} m", one.camera)
        for recipe, scored in results.items():
            rows.append([*about, recipe, *_cells(scored[place].rows, {})])
        rows.append([*about, "a constant", *_cells(one.rows, CONSTANT)])
    for recipe, scored in results.items():
        rows.append(["mean", "", "", "", recipe, *_means(scored, {})])
    rows.append(["mean", "", "", "", "a constant", *_means(sets, CONSTANT)])
    header = ("data set", "frames", "cap", "camera", "predictor", *(c[0] for c in COLUMNS))
    return "\n".join([*lines, *markdown_table(header, rows, left=5)]) + "\n"


def as_entries(results: Results) -> dict[str, Any]:
    """Return the same for programs: entries as ``evaluate --json`` writes them, by recipe."""
    return {
        recipe: [entry for result in scored for entry in as_card_entries(result, SPLIT)]
        for recipe, scored in results.items()
    }


def _cells(rows: Mapping[str, Mapping[str, float]], names: Mapping[str, str]) -> list[str]:
    return [number(rows[names.get(row, row)][metric]) for _, row, metric in COLUMNS]


def _means(scored: Sequence[SetResult], names: Mapping[str, str]) -> list[str]:
    cells = []
    for _, row, metric in COLUMNS:
        counted = [r for r in scored if row == "median" or r.camera == "known"]
        values = [r.rows[names.get(row, row)][metric] for r in counted]
        cells.append(number(float(np.mean(values))) if values else "")
    return cells


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument(
        "--config", type=Path, nargs="+", required=True, help="one YAML file for each recipe"
    )
    parser.add_argument(
        "--leave-out",
        nargs="+",
        required=True,
        metavar="PATH",
        help="data sets of data.training, as the configurations name them; each is left out once",
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder that the configs' paths are relative to"
    )
    parser.add_argument("--out", type=Path, required=True, help="runs and the table go here")
    parser.add_argument(
        "--start-from", type=Path, metavar="CHECKPOINT", help="as for `train`, in every run"
    )


def run(args: argparse.Namespace) -> int:
    """Train what is not trained, measure all, write the table; return the exit code."""
    recipes = {path.stem: load_config(path) for path in args.config}
    if len(recipes) < len(args.config):
        raise ParameterError("--config", found="two files of one name", expected="names apart")
    parts = {
        name: {left_out: without(config, left_out) for left_out in args.leave_out}
        for name, config in recipes.items()
    }
    results: dict[str, list[SetResult]] = {}
    for name, configs in parts.items():
        for left_out, config in configs.items():
            logger.info("%s without %s", name, left_out)
            folder = args.out / name / Path(left_out).name
            model = train_in(folder, config, args.data, args.start_from)
            (entry,) = (e for e in recipes[name].data.training if e.path == left_out)
            results.setdefault(name, []).append(score_on(model, entry, args.data))
    write_file(args.out / "leave_one_out.json", as_json(as_entries(results)))
    markdown = as_markdown(results)
    write_file(args.out / "leave_one_out.md", markdown)
    print(markdown)
    return 0


def without(config: TrainingConfig, left_out: str) -> TrainingConfig:
    """``config`` without one of its training sets; the others share its weight.

    Raises:
        ParameterError: there is no such set, or no other.
    """
    paths = [entry.path for entry in config.data.training]
    kept = tuple(entry for entry in config.data.training if entry.path != left_out)
    if len(kept) == len(paths) or not kept:
        raise ParameterError(
            f"--leave-out with {config.name}",
            found=left_out,
            expected=f"one of several data sets of data.training: {', '.join(paths)}",
        )
    return replace(config, data=replace(config.data, training=kept))
