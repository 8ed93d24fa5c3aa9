"""Keeps the last and the best checkpoint of a run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Literal

import lightning
from lightning.pytorch.callbacks import Checkpoint

from training.trainer.run_folder import BEST, LAST


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
