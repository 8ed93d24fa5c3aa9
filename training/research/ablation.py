"""`python -m training ablation`: several configurations trained, measured, and set side by side.

Each configuration is trained as `train` does it, exported as `export` does it, and scored on its
validation sets through the runtime's pipeline, as `evaluate` does it. What is done already is not
done again, so an interrupted command goes on where it stopped when it is given once more.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from depth_estimation_ros.engines.onnxruntime import OnnxRuntimeEngine
from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.estimation import DepthEstimator
from training.checkpoint import load_checkpoint
from training.config import TrainingConfig, load_config, to_mapping
from training.evaluation.score import SetResult, evaluate_set
from training.evaluation.tables import (
    TITLES,
    as_card_entries,
    as_json,
    main_rows,
    markdown_table,
    number,
    protocol,
    write_file,
)
from training.research.runs import MODEL, ROUNDS, Cost, measure, processor, train_in
from training.trainer.loaders import open_sets
from training.trainer.run_folder import FINAL

SPLIT = "validation"
SHOWN = {name: title for name, title in TITLES.items() if name != "coverage"}
COSTS: tuple[str, ...] = ("network", "encoder", "weights before", "loss", "steps x images", "seed")
COSTS += ("height x width", "parameters", "GMACs", "CPU ms")
EXAMPLES = """\
example:
  python -m training ablation --configs config/training/ablation/*.yaml --data DIR --out DIR

The validation sets must be the same in all configurations. What --out holds afterwards, NAME being
the name of a configuration's file:
  ablation.md, ablation.json   the table: accuracy, parameters, multiplications, time on a processor
  NAME/                        the run (see `train --help`), and NAME/model.onnx
Runs of `train` in --out/NAME count as done, so the trainings may also be started one by one, on
several machines that share --out.
"""
logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument(
        "--configs", type=Path, nargs="+", required=True, help="one YAML file for each line"
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder that the configs' paths are relative to"
    )
    parser.add_argument("--out", type=Path, required=True, help="runs and the table go here")
    parser.add_argument(
        "--cap", type=float, help="farthest scored depth, metres (default: the data set's own)"
    )


def run(args: argparse.Namespace) -> int:
    """Train what is not trained, measure all, write the table; return the exit code."""
    configs = {path.stem: load_config(path) for path in args.configs}
    _check(args.configs, configs)
    for place, path in enumerate(args.configs, start=1):
        logger.info("%d/%d %s", place, len(args.configs), path.stem)
        train_in(args.out / path.stem, configs[path.stem], args.data)
    candidates = [
        _measured(name, config, args.out / name, args.data, args.cap)
        for name, config in configs.items()
    ]
    paths = [entry.path for entry in next(iter(configs.values())).data.validation]
    markdown = as_markdown(candidates, paths)
    write_file(args.out / "ablation.json", as_json(as_entries(candidates, paths)))
    write_file(args.out / "ablation.md", markdown)
    print(markdown)
    logger.info("wrote %s", args.out / "ablation.md")
    return 0


def _check(paths: list[Path], configs: dict[str, TrainingConfig]) -> None:
    """Refuse what could not stand in one table, before anything long starts."""
    if len(configs) < len(paths):
        raise ParameterError("--configs", found="two files of one name", expected="names apart")
    first = paths[0]
    for path in paths[1:]:
        own, expected = (configs[p.stem].data.validation for p in (path, first))
        if own != expected:
            raise ParameterError(
                f"{path}: data.validation",
                found=", ".join(entry.path for entry in own),
                expected=f"the same as in {first}: {', '.join(entry.path for entry in expected)}",
                fix="Only what is scored on the same frames can be compared.",
            )


@dataclass(frozen=True)
class Candidate:
    """One line of the table.

    Attributes:
        name: of the configuration's file.
        config: of its run.
        encoder: name of the backbone.
        cost: at the size of training.
        results: one for each validation set, in the order of the configuration.
    """

    name: str
    config: TrainingConfig
    encoder: str
    cost: Cost
    results: Sequence[SetResult]


def _measured(
    name: str, config: TrainingConfig, folder: Path, data: Path, cap: float | None
) -> Candidate:
    _, network = load_checkpoint(folder / FINAL)
    cost = measure(network, folder / MODEL, config.data.height, config.data.width)
    # Not the fastest engine of this machine, but the one that every machine has.
    engine = OnnxRuntimeEngine(folder / MODEL)
    pipeline = DepthEstimator(engine)
    sets = open_sets(config.data.validation, data, validation=True)
    results = [evaluate_set(pipeline, samples, cap=cap) for samples in sets]
    engine.close()
    return Candidate(name, config, network.encoder_name, cost, results)


def as_markdown(candidates: Sequence[Candidate], paths: Sequence[str]) -> str:
    """Return what each candidate is and costs; then, for each validation set, how well it does.

    Args:
        candidates: at least one; all have results for the same validation sets.
        paths: of the validation sets, as the configurations name them.
    """
    lines = [
        "# Ablation",
        "",
        "One line for each configuration. GMACs: multiply-accumulates of one image in "
        "convolutions and matrix products, in thousands of millions. CPU ms: one image on ONNX "
        f"Runtime, float32, one thread of {processor()}, fastest of {ROUNDS}. All at the size "
        "of training.",
        "",
        *markdown_table(COSTS, map(_cost_row, candidates), left=4),
    ]
    for place, path in enumerate(paths):
        lines += ["", *_set_lines(candidates, place, path)]
    return "\n".join(lines) + "\n"


def _cost_row(candidate: Candidate) -> list[str]:
    config, cost = candidate.config, candidate.cost
    return [
        candidate.name,
        candidate.encoder,
        config.encoder_weights,
        config.loss.name,
        f"{config.optimizer.steps} x {config.optimizer.batch_size}",
        str(config.seed),
        f"{cost.height} x {cost.width}",
        f"{cost.parameters:,}",
        f"{cost.macs / 1e9:.2f}",
        f"{cost.cpu_ms:.1f}",
    ]


def _set_lines(candidates: Sequence[Candidate], place: int, path: str) -> list[str]:
    """Return the tables of one data set: as predicted, then with each frame's median aligned."""
    first = candidates[0].results[place]
    lines = [
        f"## {path}",
        "",
        f"{protocol(first, SPLIT)}. Metrics of each frame at the image's size, then their mean.",
    ]
    for alignment in ("none", "median"):
        rows = []
        for candidate in candidates:
            model, constant = _rows(candidate.results[place], alignment)
            rows.append([candidate.name, *_numbers(model.metrics)])
        rows.append([f"constant: {constant.predictor}", *_numbers(constant.metrics)])
        lines += ["", f"Alignment: {alignment}.", ""]
        lines += markdown_table(("network", *SHOWN.values()), rows)
    return lines


def as_entries(candidates: Sequence[Candidate], paths: Sequence[str]) -> dict[str, Any]:
    """Return the same for programs, with the whole configurations."""
    return {
        "processor": processor(),
        "candidates": [
            {
                "name": candidate.name,
                "encoder": candidate.encoder,
                "cost": asdict(candidate.cost),
                "metrics": [
                    {"path": path, **entry}
                    for path, result in zip(paths, candidate.results, strict=True)
                    for entry in as_card_entries(result, SPLIT)
                ],
                "config": to_mapping(candidate.config),
            }
            for candidate in candidates
        ],
    }


def _rows(result: SetResult, alignment: str) -> list[Any]:
    """Return the model's line and the constant's."""
    return [row for row in main_rows(result) if row.alignment == alignment]


def _numbers(metrics: dict[str, float]) -> list[str]:
    return [number(metrics[name]) for name in SHOWN]
