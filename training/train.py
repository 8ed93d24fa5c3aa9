"""`python -m training train`: one configuration, one run, resumable."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import lightning
from lightning.pytorch.callbacks import (
    EMAWeightAveraging,
    LearningRateMonitor,
    ModelCheckpoint,
    RichProgressBar,
)
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch.optim.swa_utils import update_bn
from torch.utils.data import ConcatDataset, DataLoader

from training.checkpoint import load_averaged, save_final, steps_done
from training.config import DataConfig, DataSetConfig, TrainingConfig, load_config
from training.data.augment import NO_AUGMENTATION, Augmentation
from training.data.examples import Examples, balanced_sampler
from training.data.layouts import open_dataset
from training.data.sample import SampleSet
from training.module import DepthModule

BATCH_NORM_PASS = (20, 48)  # batches, pictures in each
logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of the command."""
    parser.add_argument(
        "--config", type=Path, default=Path("config/training/compact.yaml"), help="what to train"
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder that the config's folders are relative to"
    )
    parser.add_argument("--out", type=Path, required=True, help="checkpoints and logs go here")
    parser.add_argument(
        "--resume", action="store_true", help="go on from the last checkpoint in --out"
    )


def run(args: argparse.Namespace) -> int:
    """Trains; returns the exit code."""
    config = load_config(args.config)
    checkpoint = args.out / "checkpoints" / "last.ckpt"
    # A resumed run must not draw the pictures of its first part once more, in the same order.
    seed = config.seed + (steps_done(checkpoint) if args.resume else 0)
    lightning.seed_everything(seed, workers=True)
    module = DepthModule(config, with_encoder_weights=not args.resume)
    trainer = _trainer(config, args.out)
    how = config.optimizer
    trainer.fit(
        module,
        _training_loader(config, args.data, seed, how.steps, how.batch_size),
        _validation_loader(config, args.data),
        ckpt_path=str(checkpoint) if args.resume else None,
        # Our own checkpoint: it holds the configuration beside the weights.
        weights_only=False if args.resume else None,
    )
    # A run that was complete before leaves its newest weights in the module, not the averaged.
    load_averaged(module, checkpoint)
    refresh_batch_norm(module, _training_loader(config, args.data, seed, *BATCH_NORM_PASS))
    final = checkpoint.with_name("final.ckpt")
    save_final(module, trainer.global_step, final)
    logger.info("trained %s; next: python -m training export --checkpoint %s", args.out, final)
    return 0


def refresh_batch_norm(module: DepthModule, loader: DataLoader) -> None:
    """Measures the statistics of batch normalisation anew, for the averaged weights.

    The statistics kept during training are of weights that no longer exist (Izmailov et al.,
    "Averaging Weights Leads to Wider Optima", UAI 2018, section 3.2). Large batches matter: the
    variance within a small one leaves out how much pictures differ from each other.
    """
    logger.info("measuring batch normalisation for the averaged weights")
    update_bn((batch["image"] for batch in loader), module)


def _trainer(config: TrainingConfig, out: Path) -> lightning.Trainer:
    how = config.optimizer
    return lightning.Trainer(
        default_root_dir=out,
        max_steps=how.steps,
        precision=config.trainer.precision,  # type: ignore[arg-type]
        gradient_clip_val=how.gradient_clip,
        val_check_interval=config.trainer.validate_every,
        check_val_every_n_epoch=None,
        log_every_n_steps=max(1, min(20, how.steps // 100)),
        # Numbered, so that a resumed run keeps the curve of the part before.
        logger=[
            CSVLogger(out, name="curve", flush_logs_every_n_steps=20),
            TensorBoardLogger(out, name="tensorboard"),
        ],
        callbacks=[
            EMAWeightAveraging(decay=how.ema_decay),
            ModelCheckpoint(
                out / "checkpoints",
                every_n_train_steps=config.trainer.validate_every,
                save_last=True,
                save_top_k=0,
                enable_version_counter=False,
            ),
            LearningRateMonitor("step"),
            RichProgressBar(),
        ],
    )


def _training_loader(
    config: TrainingConfig, root: Path, seed: int, batches: int, batch_size: int
) -> DataLoader:
    data = config.data
    sets = [_open(entry, root) for entry in data.training]
    for samples, entry in zip(sets, data.training, strict=True):
        logger.info("%-28s %5d frames, weight %.2f", entry.path, len(samples), entry.weight)
    sampler = balanced_sampler(
        sets,
        [entry.weight for entry in data.training],
        count=batches * batch_size,
        seed=seed,
    )
    return DataLoader(
        _examples(sets, data, data.augmentation),
        batch_size=batch_size,
        sampler=sampler,
        num_workers=config.trainer.workers,
        drop_last=True,
    )


def _validation_loader(config: TrainingConfig, root: Path) -> DataLoader:
    sets = [_open(entry, root) for entry in config.data.validation]
    return DataLoader(
        _examples(sets, config.data, NO_AUGMENTATION), batch_size=config.optimizer.batch_size
    )


def _open(entry: DataSetConfig, root: Path) -> SampleSet:
    return open_dataset(entry.layout, root / entry.path, **entry.options)


def _examples(sets: list[SampleSet], data: DataConfig, how: Augmentation) -> Examples:
    return Examples(ConcatDataset(sets), data.height, data.width, how, data.canonical_focal_px)
