"""The data loaders of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import ConcatDataset, DataLoader, Sampler, default_collate

from training.config import DataSetConfig, TrainingConfig
from training.data.augment import NO_AUGMENTATION
from training.data.examples import (
    Example,
    Examples,
    StepBatches,
    capped_weights,
    draw_order,
    evenly_spaced,
)
from training.data.holdout import Scenes
from training.data.layouts import open_dataset
from training.data.sample import Sample, SampleSet

BATCH_NORM_PASS = (20, 48)  # batches, images in each
BATCH_NORM_SEED = 1  # added to the run's: views that no step has seen


def open_sets(entries: Sequence[DataSetConfig], root: Path, *, validation: bool) -> list[SampleSet]:
    """The data sets of one list of the configuration, less or only the scenes held out."""
    sets = []
    for entry in entries:
        samples = open_dataset(entry.layout, root / entry.path, **entry.options)
        if entry.holdout:
            samples = Scenes(samples, entry.holdout, held_out=validation, at_end=entry.holdout_end)
        sets.append(samples)
    return sets


def training_loader(
    config: TrainingConfig, sets: Sequence[SampleSet], *, rank: int, processes: int, start: int
) -> DataLoader:
    """One process' share of all steps from ``start`` (steps done) on."""
    how = config.optimizer
    batches = StepBatches(
        how.steps,
        how.batch_size,
        parts=config.trainer.accumulate_grad_batches,
        rank=rank,
        processes=processes,
        start=start,
    )
    examples = _drawn(config, sets, how.steps * how.batch_size, config.seed)
    return _loader(config, examples, batches, Strips(config.data.wide_share, config.seed))


def validation_loader(
    config: TrainingConfig, sets: Sequence[SampleSet], *, rank: int, processes: int
) -> DataLoader:
    """One process' share of the validation frames, whole, unchanged, in a fixed order."""
    data = config.data
    samples: ConcatDataset[Sample] = ConcatDataset(sets)
    order = evenly_spaced(len(samples), data.validation_frames)
    examples = Examples(
        samples, data.height, data.width, NO_AUGMENTATION, data.canonical_focal_px, order=order
    )
    parts = processes * config.trainer.accumulate_grad_batches
    size = max(1, config.optimizer.batch_size // parts)
    return _loader(config, examples, _EqualShare(len(order), size, rank, processes))


def batch_norm_loader(config: TrainingConfig, sets: Sequence[SampleSet]) -> DataLoader:
    """Training images in large batches, for the statistics of batch normalisation."""
    count, size = BATCH_NORM_PASS
    examples = _drawn(config, sets, count * size, config.seed + BATCH_NORM_SEED)
    batches = StepBatches(count, size, parts=1, rank=0, processes=1, start=0)
    return _loader(config, examples, batches)


class Strips:
    """Stacks examples; a share of the batches keep but a strip of their rows, at any height.

    The strip has a multiple of 32 rows, which every network takes, and is drawn from the position
    of the batch's first image, so that it is the same after an interruption.
    """

    def __init__(self, share: float, seed: int) -> None:
        self.share, self.seed = share, seed

    def __call__(self, examples: list[Example]) -> Example:
        batch = default_collate(examples)
        rng = np.random.default_rng([self.seed, 2, int(batch["position"][0])])
        height = batch["depth"].shape[1]
        heights = [rows for rows in range(32, height, 32) if height <= 3 * rows <= 2 * height]
        if heights and rng.random() < self.share:
            rows = rng.choice(heights)
            top = rng.integers(height - rows + 1)
            batch["image"] = batch["image"][:, :, top : top + rows]
            batch["depth"] = batch["depth"][:, top : top + rows]
        return batch


class _EqualShare(Sampler[list[int]]):
    """Every so-manieth position; the last once more where others have one more.

    The processes of a run must go through equally many batches, or one waits for ever.
    """

    def __init__(self, count: int, batch_size: int, rank: int, processes: int) -> None:
        rows = -(-count // processes)
        self.positions = [min(row * processes + rank, count - 1) for row in range(rows)]
        self.batch_size = batch_size

    def __iter__(self) -> Iterator[list[int]]:
        for first in range(0, len(self.positions), self.batch_size):
            yield self.positions[first : first + self.batch_size]

    def __len__(self) -> int:
        return -(-len(self.positions) // self.batch_size)


def _drawn(config: TrainingConfig, sets: Sequence[SampleSet], count: int, seed: int) -> Examples:
    data = config.data
    lengths, weights = [len(samples) for samples in sets], [e.weight for e in data.training]
    # Of the whole run, also where fewer are drawn to measure batch normalization.
    images = config.optimizer.steps * config.optimizer.batch_size
    weights = capped_weights(lengths, weights, images, data.max_passes)
    order = draw_order(lengths, weights, count, seed)
    return Examples(
        ConcatDataset(sets),
        data.height,
        data.width,
        data.augmentation,
        data.canonical_focal_px,
        order=np.asarray(order),
        seed=seed,
    )


def _loader(
    config: TrainingConfig,
    examples: Examples,
    batches: Sampler[list[int]],
    collate: Callable[[list[Example]], Example] = default_collate,
) -> DataLoader:
    return DataLoader(
        examples,
        batch_sampler=batches,
        collate_fn=collate,
        num_workers=config.trainer.workers,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_one_thread,
    )


def _one_thread(_: int) -> None:
    # Workers share the cores among themselves; OpenCV would start a thread for each core in each.
    cv2.setNumThreads(0)
