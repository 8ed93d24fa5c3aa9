"""From a checkpoint of a training run back to its network.

A checkpoint is read as tensors, numbers and texts, never as Python objects: reading one cannot run
what somebody put into it.
"""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from onnx import numpy_helper

from depth_estimation_ros.engines import resolve_model
from depth_estimation_ros.engines.precision import graph
from depth_estimation_ros.errors import ModelError
from training.config import TrainingConfig, parse_config
from training.module import DepthModule
from training.networks import DepthNetwork


def load_checkpoint(path: Path) -> tuple[TrainingConfig, DepthNetwork]:
    """The run's configuration and its network with averaged (EMA) weights, on the CPU, in eval.

    Of the files that ``train`` writes, ``final.ckpt`` has batch normalisation measured for these
    weights; ``last.ckpt`` and ``best.ckpt`` are for going on.

    Raises:
        ModelError: if the file is missing, was not written by this package's training, or holds
            Python objects.
    """
    state = read_checkpoint(path)
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


def load_averaged(module: DepthModule, path: Path) -> int:
    """Puts the averaged (EMA) weights of a checkpoint into ``module``; returns the steps done."""
    state = read_checkpoint(path)
    module.load_state_dict(state["state_dict"])
    return int(state["global_step"])


def steps_to_resume(module: DepthModule, path: Path) -> int:
    """Optimiser steps behind a checkpoint, once it is known that ``module`` can go on from it.

    Raises:
        ModelError: if the file is of another network, or cannot be read.
    """
    state = read_checkpoint(path)
    _check_same_network(module, state, path)
    if "optimizer_states" not in state:
        raise ModelError(f"{path} cannot be gone on from", fix="Use last.ckpt or best.ckpt.")
    return int(state["global_step"])


def load_weights(module: DepthModule, source: str | Path) -> None:
    """Load the averaged weights of another run into ``module`` to start from.

    Args:
        source: a checkpoint, an ONNX file written by ``export`` in fp32, or a bundled model's name.

    Raises:
        ModelError: if the file is of another network, or cannot be read.
    """
    path = Path(source)
    if path.suffix == ".ckpt":
        state = read_checkpoint(path)
    else:
        path = resolve_model(str(source))
        state = {"state_dict": _weights_from_onnx(module, path)}
    _check_same_network(module, state, path)
    module.load_state_dict(state["state_dict"])


def _weights_from_onnx(module: DepthModule, path: Path) -> dict[str, torch.Tensor]:
    """Return the initializers of an exported graph under the names of ``module``'s parameters."""
    # The exporter keeps the parameters' names and does not fold batch normalization.
    weights = {
        tensor.name.removesuffix("_half"): torch.tensor(numpy_helper.to_array(tensor)).float()
        for tensor in graph.load(path).graph.initializer
    }
    for name, value in module.state_dict().items():
        if name.endswith("num_batches_tracked"):
            weights[name] = value
    return {name: weights[name] for name in module.state_dict() if name in weights}


def load_encoder(module: DepthModule, path: Path) -> None:
    """Puts the encoder of another run into ``module``; it may have more stages than this one's.

    Raises:
        ModelError: if a tensor of this encoder is missing there or has another shape.
    """
    kept = read_checkpoint(path).get("state_dict", {})
    own = module.network.encoder.state_dict()
    given = {name: kept.get(f"network.encoder.{name}") for name in own}
    differ = [n for n, t in given.items() if t is None or t.shape != own[n].shape]
    if differ:
        raise ModelError(
            f"{path} has another encoder than the configuration",
            found=f"{len(differ)} of {len(own)} tensors that are missing or differ, the first "
            f"{differ[0]}",
            expected=f"{module.network.encoder_name}, with as many stages or more",
        )
    module.network.encoder.load_state_dict(given)


def _check_same_network(module: DepthModule, state: dict[str, Any], path: Path) -> None:
    own = {name: value.shape for name, value in module.state_dict().items()}
    kept = {name: value.shape for name, value in state.get("state_dict", {}).items()}
    if own != kept:
        differ = sorted(name for name in {*own, *kept} if own.get(name) != kept.get(name))
        raise ModelError(
            f"{path} is of another network than the configuration",
            found=f"{len(differ)} tensors that differ, the first {differ[0]}",
            expected=f"the network {module.config.network.name} with the same options",
            fix="Use the network of the configuration that it was trained with.",
        )


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The raw content of a checkpoint.

    Raises:
        ModelError: no such file, no checkpoint, or one that holds Python objects.
    """
    if not path.is_file():
        raise ModelError(f"no checkpoint {path}", fix="Train one: python -m training train --help")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise ModelError(
            f"checkpoint {path} is refused",
            found="Python objects in it, which could run a program while they are read",
            expected="tensors, numbers and texts, as `python -m training train` writes them",
            fix="Do not load it. Get the file from its source once more, or train it.",
        ) from error
    except (RuntimeError, EOFError, ValueError, OSError) as error:
        raise ModelError(f"{path} is not a checkpoint, or not the whole of one: {error}") from error
    if not isinstance(state, dict) or "global_step" not in state:
        raise ModelError(f"{path} is not a checkpoint of this training")
    return state
