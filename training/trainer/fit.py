"""Lightning's Trainer, as a configuration wants it."""

from __future__ import annotations

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

from training.config import TrainingConfig
from training.trainer.callbacks import FiniteLoss, PredictionPictures, SeededSteps
from training.trainer.checkpoints import Checkpoints
from training.trainer.launch import Launch


class StepProgressBar(RichProgressBar):
    """Lightning's, without its epochs, which a run of steps does not have."""

    def _get_train_description(self, current_epoch: int) -> str:
        return "Step"


def make_trainer(config: TrainingConfig, out: Path, launch: Launch) -> lightning.Trainer:
    """The trainer of one run; writes below ``out``, in the first process only."""
    how, own = config.optimizer, config.trainer
    if torch.cuda.is_available():
        torch.set_float32_matmul_precision("high")  # TF32, where the GPU has it
    return lightning.Trainer(
        default_root_dir=out,
        devices=launch.devices,
        num_nodes=launch.nodes,
        # Lightning's own requeueing has checkpoints of its own; --resume does the same for any
        # cluster.
        plugins=[SLURMEnvironment(auto_requeue=False)] if launch.by == "srun" else None,
        # Loaders share the pictures out by themselves.
        use_distributed_sampler=False,
        sync_batchnorm=own.batch_norm == "synced",
        benchmark=True,
        max_steps=how.steps,
        accumulate_grad_batches=own.accumulate_grad_batches,
        precision=own.precision,
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
        PredictionPictures(),
        EMAWeightAveraging(decay=config.optimizer.ema_decay),
        Checkpoints(out, watched, mode),
        LearningRateMonitor("step"),
        StepProgressBar(),
    ]
    if own.early_stopping:
        callbacks.append(EarlyStopping(watched, mode=mode, patience=own.early_stopping))
    return callbacks
