"""The optimiser and the learning-rate schedule that a configuration names."""

from __future__ import annotations

import math

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from training.config import OptimizerConfig
from training.networks import DepthNetwork


def make_optimizer(network: DepthNetwork, how: OptimizerConfig) -> Optimizer:
    """Two groups of parameters, each with its learning rate: the encoder and the rest."""
    encoder = [p for p in network.encoder.parameters() if p.requires_grad]
    known = {id(p) for p in network.encoder.parameters()}
    rest = [p for p in network.parameters() if p.requires_grad and id(p) not in known]
    groups = [{"params": encoder, "lr": how.encoder_lr}, {"params": rest, "lr": how.lr}]
    kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[how.name]
    return kind(groups, weight_decay=how.weight_decay, amsgrad=how.amsgrad)


def make_schedule(optimizer: Optimizer, how: OptimizerConfig) -> LambdaLR:
    """Multiplies the rates by :func:`rate_factor`, a step at a time."""
    return LambdaLR(optimizer, lambda step: rate_factor(step, how))


def rate_factor(step: int, how: OptimizerConfig) -> float:
    """What the learning rates are multiplied by at a step, 0..1."""
    if step < how.warmup_steps:
        return (step + 1) / how.warmup_steps
    progress = (step - how.warmup_steps) / max(1, how.steps - how.warmup_steps)
    left = 1.0 - min(1.0, progress)
    return left if how.schedule == "linear" else 0.5 * (1.0 - math.cos(math.pi * left))
