"""Runs of a tiny network, in this process or in one that can be killed."""

from __future__ import annotations

import copy
import json
import multiprocessing
import os
import signal
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import yaml

from training.__main__ import main
from training.curve import read_rows, series
from training.trainer import loaders

SHORT_BATCH_NORM_PASS = (2, 8)

CONFIG: dict[str, Any] = {
    "name": "tiny",
    "seed": 3,
    "network": {"name": "basic", "widths": [4, 4, 8], "max_depth": 10.0},
    "encoder_weights": "none",
    "loss": {"name": "log_depth", "max_depth": 10.0},
    "data": {
        "height": 32,
        "width": 64,
        "canonical_focal_px": None,
        "training": [{"path": "room"}],
        "validation": [{"path": "room"}],
        "augmentation": {"zoom": 1.2, "roll_deg": 2, "stretch": 0.0, "flip": 0.5, "color": 0.2},
    },
    "optimizer": {
        "steps": 12,
        "batch_size": 4,
        "lr": 3e-3,
        "encoder_lr": 3e-3,
        "weight_decay": 0.01,
        "warmup_steps": 2,
        "gradient_clip": 1.0,
        "ema_decay": 0.5,
    },
    "trainer": {"precision": "32-true", "workers": 0, "validate_every": 4},
}


def changed(**sections: Any) -> dict[str, Any]:
    """The configuration with some keys of some sections changed."""
    config = copy.deepcopy(CONFIG)
    for name, value in sections.items():
        config[name] = {**config[name], **value} if isinstance(value, dict) else value
    return config


def write_room(path: Path, frames: int = 8) -> None:
    """Frames of walls whose brightness tells their distance."""
    path.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index in range(frames):
        metres = rng.uniform(0.5, 4.0)
        grey = np.clip(60.0 * metres + rng.normal(0, 3, (40, 80, 3)), 0, 255).astype(np.uint8)
        cv2.imwrite(str(path / f"{index:05}.jpg"), grey)
        depth = np.full((40, 80), round(metres * 1000), np.uint16)
        cv2.imwrite(str(path / f"{index:05}.png"), depth)
    camera = {"fx": 60.0, "fy": 60.0, "cx": 39.5, "cy": 19.5}
    (path / "info.json").write_text(json.dumps({"intrinsics_px": camera}))


def arguments(root: Path, name: str, config: dict[str, Any], *more: str) -> list[str]:
    """The command line of a run into ``root/name`` with the data in ``root``."""
    file = root / f"{name}.yaml"
    file.write_text(yaml.safe_dump(config))
    options = ["--config", file, "--data", root, "--out", root / name, *more]
    return ["train", *map(str, options)]


def train(root: Path, name: str, config: dict[str, Any], *more: str) -> Path:
    """Train in this process; returns the run's folder."""
    assert main(arguments(root, name, config, *more)) == 0
    return root / name


def curve(run: Path, name: str) -> np.ndarray:
    """What the run logged under ``name``, float64."""
    return series(read_rows(run), name)[1]


def start_process(
    command: list[str], environment: dict[str, str] | None = None, kill_at: int | None = None
) -> multiprocessing.process.BaseProcess:
    """The command in a process of its own, on the CPU, killed in the middle of step ``kill_at``.

    It computes on one thread: sums over several threads round differently.
    """
    context = multiprocessing.get_context("forkserver")
    # The server loads the libraries once, and each process begins as a copy of it.
    context.set_forkserver_preload(["training.train"])
    process = context.Process(target=_command, args=(command, environment or {}, kill_at))
    process.start()
    return process


def _command(command: list[str], environment: dict[str, str], kill_at: int | None) -> None:
    os.environ.update({"CUDA_VISIBLE_DEVICES": "", **environment})
    torch.set_num_threads(1)
    loaders.BATCH_NORM_PASS = SHORT_BATCH_NORM_PASS
    # As at a command line. Loader workers of the server's kind would have the server for a parent,
    # and not end with a training that is killed.
    multiprocessing.set_start_method("fork", force=True)
    if kill_at is not None:
        from training.module import DepthModule

        whole_step = DepthModule.training_step

        def dying_step(module: Any, *batch: Any) -> Any:
            loss = whole_step(module, *batch)
            if module.global_step == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return loss

        DepthModule.training_step = dying_step  # type: ignore[method-assign]
    sys.exit(main(command))
