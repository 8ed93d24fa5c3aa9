"""Runs of a series: each is trained and exported once, and taken as it is the next time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import yaml

from depth_estimation_ros.engines.onnxruntime import OnnxRuntimeEngine
from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.estimation import DepthEstimator
from training import export, train
from training.call import call
from training.config import DataSetConfig, TrainingConfig, to_mapping
from training.evaluation.files import write_file
from training.evaluation.score import SetResult, evaluate_set
from training.trainer.loaders import open_sets
from training.trainer.run_folder import FINAL

MODEL, CONFIG = "model.onnx", "config_of_series.yaml"


def train_in(
    folder: Path, config: TrainingConfig, data: Path, start_from: Path | None = None
) -> Path:
    """The model that a configuration gives, trained in ``folder`` if it is not there yet.

    Raises:
        ParameterError: the folder holds a run of another configuration.
    """
    file = folder / CONFIG
    text = yaml.safe_dump(to_mapping(config), sort_keys=False)
    if file.is_file() and file.read_text() != text:
        raise ParameterError(
            f"{folder} holds a run of another configuration",
            fix=f"Remove {folder} to train anew, or choose another --out.",
        )
    write_file(file, text)
    if not (folder / FINAL).is_file():
        # One device: more of them would each start this command once more.
        words = ["--config", file, "--data", data, "--out", folder, "--resume", "--devices", "1"]
        call(train, [*words, "--start-from", start_from] if start_from else words)
    call(export, ["--checkpoint", folder / FINAL, "--out", folder / MODEL])
    return folder / MODEL


def score_on(model: Path, entry: DataSetConfig, data: Path) -> SetResult:
    """A model scored on all frames of one data set."""
    (samples,) = open_sets([replace(entry, holdout=0.0)], data, validation=True)
    engine = OnnxRuntimeEngine(model)
    result = evaluate_set(DepthEstimator(engine), samples)
    engine.close()
    return result
