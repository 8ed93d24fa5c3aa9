"""From a checkpoint of a training run back to its network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from depth_estimation_ros.errors import ModelError
from training.config import TrainingConfig, parse_config
from training.module import DepthModule
from training.networks import DepthNetwork


def load_checkpoint(path: Path) -> tuple[TrainingConfig, DepthNetwork]:
    """The run's configuration and its network with averaged (EMA) weights, on the CPU, in eval.

    Of the two files that ``train`` writes, ``final.ckpt`` has batch normalisation measured for
    these weights; ``last.ckpt`` is for going on.

    Raises:
        ModelError: if the file is missing or was not written by this package's training.
    """
    state = _read(path)
    try:
        config = parse_config(state["hyper_parameters"]["config"], str(path))
        module = DepthModule(config, with_encoder_weights=False)
        module.load_state_dict(state["state_dict"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise ModelError(f"{path} is not a checkpoint of this training: {error}") from error
    module.network.eval()
    return config, module.network


def save_final(module: DepthModule, steps: int, path: Path) -> None:
    """Writes what is left of a run that is over: weights and configuration, atomically."""
    partial = path.with_name(f".{path.name}")
    state = {
        "state_dict": module.state_dict(),
        "hyper_parameters": dict(module.hparams),
        "global_step": steps,
    }
    torch.save(state, partial)
    partial.replace(path)


def load_averaged(module: DepthModule, path: Path) -> None:
    """Puts the averaged (EMA) weights of a checkpoint into ``module``."""
    module.load_state_dict(_read(path)["state_dict"])


def steps_done(path: Path) -> int:
    """Optimiser steps behind a checkpoint.

    Raises:
        ModelError: if the file is missing.
    """
    return int(_read(path)["global_step"])


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ModelError(f"no checkpoint {path}", fix="Train one: python -m training train --help")
    # Our own file; it holds the configuration beside tensors, which weights_only would refuse.
    return torch.load(path, map_location="cpu", weights_only=False)
