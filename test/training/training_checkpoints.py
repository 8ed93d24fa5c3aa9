"""Checkpoints without training."""

from __future__ import annotations

from pathlib import Path

import torch
import yaml

from training.checkpoint import save_final
from training.config import parse_config
from training.module import DepthModule

CONFIG = Path(__file__).parents[2] / "config" / "training" / "compact.yaml"


def tiny_checkpoint(path: Path) -> Path:
    """The compact network with a narrow decoder and random weights, as `train` leaves it."""
    values = yaml.safe_load(CONFIG.read_text())
    values["encoder_weights"] = "none"
    values["network"]["widths"] = [16, 16, 8, 8, 8]
    torch.manual_seed(0)
    save_final(DepthModule(parse_config(values, str(CONFIG)), with_encoder_weights=False), 0, path)
    return path
