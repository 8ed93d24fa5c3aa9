"""Lightning's Trainer, as a configuration wants it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

import lightning
import torch
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    EMAWeightAveraging,
    LearningRateMonitor,
    RichProgressBar,
)
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.plugins.environments import SLURMEnvironment
from torch import nn
from torch.utils.data import DataLoader

from training.checkpoint import load_averaged, save_final
from training.config import TrainingConfig
from training.module import DepthModule
from training.trainer.callbacks import Checkpoints, FiniteLoss, PredictionImages, SeededSteps
from training.trainer.launch import Launch

logger = logging.getLogger(__name__)


class StepProgressBar(RichProgressBar):
    """Lightning's, without its epochs, which a run of steps does not have."""

    def _get_train_description(self, current_epoch: int) -> str:
        return "Step"


def has_bf16() -> bool:
    """Return whether the device of a run computes in bfloat16; some CPUs only emulate it."""
    return torch.cuda.is_available() or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def make_trainer(config: TrainingConfig, out: Path, launch: Launch) -> lightning.Trainer:
    """Return the trainer of one run; writes below ``out``, in the first process only."""
    how, own = config.optimizer, config.trainer
    precision = own.precision
    if precision == "bf16-mixed" and not has_bf16():  # measured: a quarter of float32's speed
        logger.warning("this CPU has no bfloat16 instructions: training in float32 (32-true)")
        precision = "32-true"
    if torch.cuda.is_available():
        torch.set_float32_matmul_precision("high")  # TF32, where the GPU has it
    return lightning.Trainer(
        default_root_dir=out,
        devices=launch.devices,
        num_nodes=launch.nodes,
        # Lightning's own requeueing has checkpoints of its own; --resume does the same for any
        # cluster.
        plugins=[SLURMEnvironment(auto_requeue=False)] if launch.by == "srun" else None,
        # Loaders share the images out by themselves.
        use_distributed_sampler=False,
        sync_batchnorm=own.batch_norm == "synced",
        benchmark=True,
        max_steps=how.steps,
        accumulate_grad_batches=own.accumulate_grad_batches,
        precision=precision,
        gradient_clip_val=how.gradient_clip or None,
        val_check_interval=own.validate_every * own.accumulate_grad_batches,
        check_val_every_n_epoch=None,
        log_every_n_steps=max(1, min(20, how.steps // 100)),
        enable_model_summary=False,
        # Numbered, so that a resumed run keeps the curve of the part before.
        logger=[
            CSVLogger(out, name="curve", flush_logs_every_n_steps=1),
            TensorBoardLogger(out, name="tensorboard"),
        ],
        callbacks=_callbacks(config, out),
    )


def _callbacks(config: TrainingConfig, out: Path) -> list[Callback]:
    own = config.trainer
    watched = f"val/{own.monitor}"
    mode: Literal["min", "max"] = "max" if own.monitor.startswith("delta1") else "min"
    callbacks: list[Callback] = [
        SeededSteps(config.seed),
        FiniteLoss(own.precision),
        PredictionImages(),
        EMAWeightAveraging(decay=config.optimizer.ema_decay),
        Checkpoints(out, watched, mode),
        LearningRateMonitor("step"),
        StepProgressBar(),
    ]
    if own.early_stopping:
        callbacks.append(EarlyStopping(watched, mode=mode, patience=own.early_stopping))
    return callbacks


def write_final(
    module: DepthModule, source: Path, final: Path, loader: DataLoader, device: torch.device
) -> None:
    """Make ``final`` of the averaged weights of the checkpoint ``source``.

    Args:
        loader: training images, in large batches.
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
    """Measure the statistics of batch normalisation again, for the averaged weights.

    The statistics kept during training are of weights that no longer exist (Izmailov et al.,
    "Averaging Weights Leads to Wider Optima", UAI 2018, section 3.2). Large batches matter: the
    variance within a small one leaves out how much images differ from each other. Frozen parts
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
