"""Callbacks of the trainer: seeds, the watch over the loss, images of predictions, checkpoints."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Literal

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, Checkpoint
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.visualization.figures import PreviewRow, render_sheet
from training.data.examples import evenly_spaced
from training.trainer.run_folder import BEST, LAST

CHECK_EVERY = 10  # steps between looks at the loss, each of which waits for the GPU
# fp16 begins with gradients scaled too high, and halves that at each step that overflows.
HALF_OVERFLOWS = 20


class SeededSteps(Callback):
    """Seeds what a network draws at random (dropped paths) from the step, part and process.

    So nothing about random numbers needs to be kept in a checkpoint.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: lightning.Trainer, module: Any, batch: Any, batch_idx: int
    ) -> None:
        part = batch_idx % trainer.accumulate_grad_batches
        key = [self.seed, trainer.global_step, part, trainer.global_rank]
        torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))


class FiniteLoss(Callback):
    """Stops a run whose loss is no number, before a checkpoint is made of it.

    Raises:
        ParameterError: naming the step and what to try.
    """

    def __init__(self, precision: str) -> None:
        self.bearable = HALF_OVERFLOWS if precision == "16-mixed" else 1
        self._in_a_row = torch.tensor(0)
        self._since = torch.tensor(-1)  # the step at which a row too long began

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        # On the device: to look at each loss would make the GPU wait for Python at each step.
        loss = module.step_loss
        in_a_row, since = self._in_a_row.to(loss.device), self._since.to(loss.device)
        in_a_row = torch.where(torch.isfinite(loss), 0, in_a_row + 1)
        too_long = (in_a_row >= self.bearable) & (since < 0)
        self._since = torch.where(too_long, trainer.global_step - in_a_row, since)
        self._in_a_row = in_a_row
        if trainer.global_step % CHECK_EVERY == 0:
            self._check()

    def on_validation_start(self, trainer: lightning.Trainer, module: Any) -> None:
        self._check()

    def _check(self) -> None:
        step = int(self._since)
        if step < 0:
            return
        for_precision = ", or trainer.precision: 32-true" if self.bearable > 1 else ""
        raise ParameterError(
            f"the loss is no finite number from step {step} on",
            fix="Try a lower optimizer.lr and encoder_lr, more warmup_steps, gradient_clip: 1.0"
            f"{for_precision}; look for broken depth with `python -m training check-data`. "
            "The last checkpoint is from before.",
        )


class PredictionImages(Callback):
    """Image, prediction, truth and error of a few fixed validation frames, in TensorBoard."""

    def __init__(self, frames: int = 4) -> None:
        self.frames = frames
        self._rows: list[PreviewRow] = []

    def on_validation_batch_end(
        self,
        trainer: lightning.Trainer,
        module: Any,
        outputs: Any,
        batch: dict[str, Tensor],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        # One frame of a batch, from batches that lie well apart: data sets are sorted by scene.
        batches = int(trainer.num_val_batches[0])
        if trainer.is_global_zero and batch_idx in evenly_spaced(batches, self.frames):
            rgb = (batch["image"][0].permute(1, 2, 0) * 255.0).round().byte().cpu().numpy()
            depth, truth = outputs[0].cpu().numpy(), batch["depth"][0].cpu().numpy()
            self._rows.append(PreviewRow(rgb, depth, truth))

    def on_validation_end(self, trainer: lightning.Trainer, module: Any) -> None:
        rows, self._rows = self._rows, []
        if trainer.sanity_checking or not rows:
            return
        head = module.network.head
        sheet = render_sheet(rows, max_depth=head.max_depth, min_depth=max(head.min_depth, 0.0))
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                step = trainer.global_step
                logger.experiment.add_image("validation", sheet, step, dataformats="HWC")


class Checkpoints(Checkpoint):
    """Writes ``last.ckpt`` after each validation, and ``best.ckpt`` where it was the best so far.

    Lightning's own callback renews the last only together with the best, and when training ends it
    can save once more, with the averaged weights in place of those to go on from.

    Args:
        out: folder of the run.
        watched: the logged metric that decides.
        mode: which of its values are better.
    """

    def __init__(self, out: Path, watched: str, mode: Literal["min", "max"]) -> None:
        self.last, self.best = out / LAST, out / BEST
        self.watched = watched
        self.sign = 1.0 if mode == "min" else -1.0
        self.best_value: float | None = None

    def state_dict(self) -> dict[str, Any]:
        return {"best_value": self.best_value}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_value = state_dict["best_value"]

    def on_validation_end(self, trainer: lightning.Trainer, module: Any) -> None:
        if trainer.sanity_checking:
            return
        value = float(trainer.callback_metrics[self.watched])
        better = self.best_value is None or self.sign * value < self.sign * self.best_value
        if better:
            self.best_value = value
        partial = self.last.with_name(f".{self.last.name}")
        trainer.save_checkpoint(partial)  # by all processes: it collects from all
        if trainer.is_global_zero:
            if better:
                copy = self.best.with_name(f".{self.best.name}")
                shutil.copyfile(partial, copy)
                copy.replace(self.best)
            partial.replace(self.last)
