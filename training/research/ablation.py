"""`python -m training ablation`: several configurations trained, measured, and set side by side.

Each configuration is trained as `train` does it, exported as `export` does it, and scored on its
validation sets through the runtime's pipeline, as `evaluate` does it. What is done already is not
done again, so an interrupted command goes on where it stopped when it is given once more.
"""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from depth_estimation_ros.engines.onnxruntime import OnnxRuntimeEngine
from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.estimation import DepthEstimator
from training import export, train
from training.call import call
from training.checkpoint import load_checkpoint
from training.config import TrainingConfig, load_config, to_mapping
from training.cost import measure
from training.evaluation.files import as_json, write_file
from training.evaluation.score import evaluate_set
from training.research.ablation_table import Candidate, as_entries, as_markdown
from training.trainer.loaders import open_sets
from training.trainer.run_folder import FINAL

MODEL = "model.onnx"
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
    """Declares the options of the command."""
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
    """Trains what is not trained, measures all, writes the table; returns the exit code."""
    configs = {path.stem: load_config(path) for path in args.configs}
    _check(args.configs, configs)
    for place, path in enumerate(args.configs, start=1):
        logger.info("%d/%d %s", place, len(args.configs), path.stem)
        _train(path, configs[path.stem], args.data, args.out / path.stem)
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
    """Refuses what could not stand in one table, before anything long starts."""
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


def _train(path: Path, config: TrainingConfig, data: Path, folder: Path) -> None:
    final = folder / FINAL
    if not final.is_file():
        # One device: more of them would each start this command once more.
        words = ["--config", path, "--data", data, "--out", folder, "--resume", "--devices", "1"]
        call(train, words)
        return
    trained, _ = load_checkpoint(final)
    if _learned(trained) != _learned(config):
        raise ParameterError(
            f"{folder} holds a run of another configuration than {path}",
            fix=f"Remove {folder} to train anew, or choose another --out.",
        )
    logger.info("trained already: %s", final)


def _learned(config: TrainingConfig) -> dict[str, Any]:
    """What decides the weights, without how the run was watched and computed."""
    kept = to_mapping(replace(config, data=replace(config.data, validation=())))
    del kept["name"], kept["trainer"], kept["data"]["validation_frames"]
    return kept


def _measured(
    name: str, config: TrainingConfig, folder: Path, data: Path, cap: float | None
) -> Candidate:
    final, model = folder / FINAL, folder / MODEL
    if not model.is_file() or model.stat().st_mtime < final.stat().st_mtime:
        call(export, ["--checkpoint", final, "--out", model, "--name", name])
    _, network = load_checkpoint(final)
    cost = measure(network, model, config.data.height, config.data.width)
    # Not the fastest engine of this machine, but the one that every machine has.
    engine = OnnxRuntimeEngine(model)
    pipeline = DepthEstimator(engine)
    sets = open_sets(config.data.validation, data, validation=True)
    results = [evaluate_set(pipeline, samples, cap=cap) for samples in sets]
    engine.close()
    return Candidate(name, config, network.encoder_name, cost, results)
