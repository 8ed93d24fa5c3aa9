"""Training loops to compare: this package's, and a plain one as most research code has."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import RichProgressBar
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler

from training.config import TrainingConfig
from training.data.folder import RgbdFolder
from training.module import DepthModule
from training.networks import build_network
from training.trainer.fit import make_trainer
from training.trainer.launch import find_launch
from training.trainer.loaders import training_loader, validation_loader

Batches = Iterable[dict[str, Tensor]]
OnStep = Callable[[], None]


@dataclass(frozen=True)
class Loop:
    """One way to train.

    Attributes:
        name: for the table.
        precision: of the arithmetic.
        loader: so many batches, drawn at random.
        train: a step for each batch; calls back after each.
    """

    name: str
    precision: str
    loader: Callable[[int], DataLoader]
    train: Callable[[Batches, int, OnStep], None]


class _Timed(lightning.Callback):
    def __init__(self, on_step: OnStep) -> None:
        self.on_step = on_step

    def on_train_batch_end(self, *_: Any) -> None:
        self.on_step()


def our_loop(config: TrainingConfig, folder: Path) -> Loop:
    """What `python -m training train` runs, with averaged weights and logs, but no progress bar."""
    samples = [RgbdFolder(folder)]

    def loader(batches: int) -> DataLoader:
        return training_loader(_steps(config, batches), samples, rank=0, processes=1, start=0)

    def train(batches: Batches, count: int, on_step: OnStep) -> None:
        own = _steps(config, count)
        with tempfile.TemporaryDirectory() as out:
            trainer = make_trainer(own, Path(out), find_launch(1, 1))
            callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
            # Two bars on one terminal get into each other's way.
            callbacks[:] = [c for c in callbacks if not isinstance(c, RichProgressBar)]
            callbacks.append(_Timed(on_step))
            validation = validation_loader(own, samples, rank=0, processes=1)
            trainer.fit(DepthModule(own, with_encoder_weights=False), batches, validation)

    return Loop("this package", config.trainer.precision, loader, train)


def _steps(config: TrainingConfig, count: int) -> TrainingConfig:
    """The run on one data set with ``count`` steps, and one validation frame after the last."""
    return replace(
        config,
        optimizer=replace(config.optimizer, steps=count),
        trainer=replace(config.trainer, validate_every=count),
        data=replace(config.data, training=config.data.training[:1], validation_frames=1),
    )


def plain_loop(
    config: TrainingConfig,
    name: str,
    examples: Dataset[dict[str, Tensor]],
    loss: Callable[[Tensor, dict[str, Tensor]], Tensor],
    device: torch.device,
) -> Loop:
    """A DataLoader, Adam, float32, the loss printed at each step, nothing beside."""

    def loader(batches: int) -> DataLoader:
        size = config.optimizer.batch_size
        sampler = RandomSampler(examples, replacement=True, num_samples=batches * size)  # type: ignore[arg-type]
        return DataLoader(
            examples,
            batch_size=size,
            sampler=sampler,
            num_workers=config.trainer.workers,
            pin_memory=device.type == "cuda",
            drop_last=True,
        )

    def train(batches: Batches, count: int, on_step: OnStep) -> None:
        network = build_network(
            config.network.name, **{**config.network.options, "pretrained": False}
        )
        network.to(device).train()
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
        for batch in batches:
            batch = {key: value.to(device, non_blocking=True) for key, value in batch.items()}
            optimizer.zero_grad()
            error = loss(network(batch["image"]), batch)
            error.backward()
            optimizer.step()
            error.item()  # as if printed
            on_step()

    return Loop(name, "32-true", loader, train)
