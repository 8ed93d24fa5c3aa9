"""Runs of a series: each is trained and exported once, and taken as it is the next time."""

from __future__ import annotations

import argparse
import logging
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
import yaml
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from depth_estimation_ros.engines.onnxruntime import OnnxRuntimeEngine
from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.estimation import DepthEstimator
from training import export, train
from training.config import DataSetConfig, TrainingConfig, load_config, to_mapping
from training.evaluation.score import SetResult, evaluate_set
from training.evaluation.tables import write_file
from training.networks import DepthNetwork
from training.trainer.loaders import open_sets
from training.trainer.run_folder import CONFIG, FINAL

MODEL = "model.onnx"
GIVEN = "config_of_series.yaml"
WARM_UP, ROUNDS = 3, 40
logger = logging.getLogger(__name__)


def call(command: ModuleType, words: Sequence[Any]) -> None:
    """Run ``command``, a module with ``add_arguments`` and ``run``, as from its command line."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    command.run(parser.parse_args([str(word) for word in words]))


def processor() -> str:
    """Return the name of the processor."""
    table = Path("/proc/cpuinfo")
    if table.is_file():
        for line in table.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


@dataclass(frozen=True)
class Cost:
    """For one image.

    Attributes:
        height, width: of the network's input, pixels.
        parameters: that are trained.
        macs: multiply-accumulates in convolutions and matrix products.
        cpu_ms: on ONNX Runtime, one thread; the fastest of 40 runs, which other work on the
            machine disturbs least.
    """

    height: int
    width: int
    parameters: int
    macs: int
    cpu_ms: float


def measure(network: DepthNetwork, model: Path, height: int, width: int) -> Cost:
    """Return the cost of ``network``, exported as ``model``, at a size it takes."""
    parameters = sum(p.numel() for p in network.parameters() if p.requires_grad)
    macs = count_macs(network, height, width)
    return Cost(height, width, parameters, macs, time_on_cpu(model, height, width))


@torch.no_grad()
def count_macs(network: DepthNetwork, height: int, width: int) -> int:
    """Return multiply-accumulates for one image; nothing is computed."""
    # Attention as plain matrix products: the counter does not know the CPU's fused one.
    with (
        FakeTensorMode(allow_non_fake_inputs=True),
        sdpa_kernel(SDPBackend.MATH),
        FlopCounterMode(display=False) as counter,
    ):
        network.eval()(torch.zeros(1, 3, height, width))
    return counter.get_total_flops() // 2  # it counts a multiplication and an addition as two


def time_on_cpu(model: Path, height: int, width: int) -> float:
    """Return the fastest time of one image on ONNX Runtime with one thread, milliseconds."""
    engine = OnnxRuntimeEngine(model, threads=1)
    image = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8)
    times = []
    for _ in range(WARM_UP + ROUNDS):
        start = time.perf_counter()
        engine.infer(image)
        times.append(1e3 * (time.perf_counter() - start))
    engine.close()
    return min(times[WARM_UP:])


def train_in(
    folder: Path, config: TrainingConfig, data: Path, start_from: Path | None = None
) -> Path:
    """Return the model of a configuration, trained and exported in ``folder`` if it is not yet.

    Raises:
        ParameterError: the folder holds a run of another configuration.
    """
    own = folder / CONFIG
    if own.is_file() and _learned(load_config(own)) != _learned(config):
        raise ParameterError(
            f"{folder} holds a run of another configuration",
            fix=f"Remove {folder} to train again, or choose another --out.",
        )
    final, model = folder / FINAL, folder / MODEL
    if final.is_file():
        logger.info("trained already: %s", final)
    else:
        given = folder / GIVEN
        write_file(given, yaml.safe_dump(to_mapping(config), sort_keys=False))
        # One device: more of them would each start this command once more.
        words = ["--config", given, "--data", data, "--out", folder, "--resume", "--devices", "1"]
        call(train, [*words, "--start-from", start_from] if start_from else words)
    if not model.is_file() or model.stat().st_mtime < final.stat().st_mtime:
        call(export, ["--checkpoint", final, "--out", model])
    return model


def _learned(config: TrainingConfig) -> dict[str, Any]:
    """Return what decides the weights, without how the run is watched and computed."""
    kept = to_mapping(replace(config, data=replace(config.data, validation=())))
    del kept["name"], kept["trainer"], kept["data"]["validation_frames"]
    return kept


def score_on(model: Path, entry: DataSetConfig, data: Path) -> SetResult:
    """Return a model scored on all frames of one data set."""
    (samples,) = open_sets([replace(entry, holdout=0.0)], data, validation=True)
    engine = OnnxRuntimeEngine(model)
    result = evaluate_set(DepthEstimator(engine), samples)
    engine.close()
    return result
