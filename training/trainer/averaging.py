"""The weights that are left of a run: averaged, with statistics measured for them."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader

from training.checkpoint import load_averaged, save_final
from training.module import DepthModule

logger = logging.getLogger(__name__)


def write_final(
    module: DepthModule, source: Path, final: Path, loader: DataLoader, device: torch.device
) -> None:
    """Makes ``final`` of the averaged weights of the checkpoint ``source``.

    Args:
        loader: training pictures, in large batches.
        device: where to compute.
    """
    steps = load_averaged(module, source)
    config = module.config
    # Without averaging, or without statistics of training, those in the checkpoint are the right.
    if config.optimizer.ema_decay > 0.0 and config.trainer.batch_norm != "frozen":
        refresh_batch_norm(module, loader, device)
    save_final(module, steps, final)


@torch.no_grad()
def refresh_batch_norm(module: DepthModule, loader: DataLoader, device: torch.device) -> None:
    """Measures the statistics of batch normalisation anew, for the averaged weights.

    The statistics kept during training are of weights that no longer exist (Izmailov et al.,
    "Averaging Weights Leads to Wider Optima", UAI 2018, section 3.2). Large batches matter: the
    variance within a small one leaves out how much pictures differ from each other. Frozen parts
    keep theirs.
    """
    logger.info("measuring batch normalisation for the averaged weights")
    mode = module.training
    module.to(device).train()
    # Not torch's update_bn: it resets the frozen ones too, and then does not measure them.
    measured = [
        part
        for part in module.modules()
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.training
    ]
    momenta = [part.momentum for part in measured]
    for part in measured:
        part.reset_running_stats()
        part.momentum = None  # the plain mean over all batches
    for batch in loader:
        module(batch["image"].to(device))
    for part, momentum in zip(measured, momenta, strict=True):
        part.momentum = momentum
    module.train(mode)
    module.cpu()
