"""`python -m training train`: one configuration, one run, resumable."""

from __future__ import annotations

import argparse
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import lightning

from depth_estimation_ros.errors import DatasetError
from training.checkpoint import load_encoder, load_weights, steps_to_resume
from training.config import DataSetConfig, load_config
from training.data.sample import SampleSet
from training.module import DepthModule
from training.trainer.fit import make_trainer, write_final
from training.trainer.launch import check_batch, find_launch
from training.trainer.loaders import (
    batch_norm_loader,
    open_sets,
    training_loader,
    validation_loader,
)
from training.trainer.run_folder import BEST, FINAL, LAST, find_checkpoint, record_start

EXAMPLES = """\
examples:
  one machine, all its GPUs (or its CPU, where there is none):
    python -m training train --config config/training/nyu.yaml --data DIR --out runs/nyu
  two of its GPUs (0 and 3):
    CUDA_VISIBLE_DEVICES=0,3 python -m training train --config ... --data DIR --out DIR --devices 2
  torchrun, two machines with eight GPUs each; run it on both, with the address of one of them:
    torchrun --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint HOST:29500 \\
      -m training train --config ... --data DIR --out DIR
  Slurm, the same in a job that may be interrupted and requeued; the folders are on a shared disk:
    #SBATCH --nodes=2 --ntasks-per-node=8 --gpus-per-node=8 --cpus-per-task=8 --requeue
    srun python -m training train --config ... --data DIR --out DIR --resume

optimizer.batch_size counts the images of one step over all devices, so a run learns the same on
any number of them. What --out holds afterwards:
  checkpoints/final.ckpt  for `export` and `evaluate`; best.ckpt and last.ckpt are for --resume
  curve/, tensorboard/    losses and metrics (python -m training curve), and images of predictions
  config.yaml             the configuration with its defaults, each described in training/config.py
  starts.json             commands, versions and git commit
"""
logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of the command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument(
        "--config",
        type=Path,
        default=Path("config/training/compact.yaml"),
        help="what to train (default: %(default)s)",
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder that the config's paths are relative to"
    )
    parser.add_argument("--out", type=Path, required=True, help="checkpoints and logs go here")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from the last checkpoint in --out, as if there had been no break; begin where "
        "there is none yet, so that a job that is started again needs no other command",
    )
    begin = parser.add_mutually_exclusive_group()
    begin.add_argument(
        "--start-from",
        metavar="MODEL",
        help="start from the weights of the same network: final.ckpt of another run, an exported "
        "fp32 .onnx file, or a bundled model by its name",
    )
    begin.add_argument(
        "--encoder-from",
        type=Path,
        metavar="CHECKPOINT",
        help="begin with the encoder of another run, for a smaller decoder or fewer stages",
    )
    parser.add_argument(
        "--devices",
        type=int,
        help="GPUs (or processes, on a CPU) of each machine; default: all GPUs, or one process. "
        "Under torchrun and srun it is known from them",
    )
    parser.add_argument(
        "--nodes", type=int, help="machines; default: 1, or as torchrun and srun say"
    )


def run(args: argparse.Namespace) -> int:
    """Trains; returns the exit code."""
    config = load_config(args.config)
    launch = find_launch(args.devices, args.nodes)
    # Other processes come when the first has begun to write.
    checkpoint = find_checkpoint(args.out, args.resume or not launch.first)
    data = config.data
    training = open_sets(data.training, args.data, validation=False)
    validation = open_sets(data.validation, args.data, validation=True)
    _quieten()
    lightning.seed_everything(config.seed, verbose=False)
    begun = checkpoint or args.start_from or args.encoder_from
    module = DepthModule(config, with_encoder_weights=begun is None)
    start = steps_to_resume(module, checkpoint) if checkpoint else 0
    if checkpoint is None and args.start_from:
        load_weights(module, args.start_from)
    elif checkpoint is None and args.encoder_from:
        load_encoder(module, args.encoder_from)
    trainer = make_trainer(config, args.out, launch)
    rank, processes = trainer.global_rank, trainer.world_size
    check_batch(config.optimizer.batch_size, processes, config.trainer.accumulate_grad_batches)
    if launch.first:
        device = str(trainer.strategy.root_device)
        record_start(args.out, config, device=device, processes=processes, from_step=start)
        _describe(data.training, training, "training")
        _describe(data.validation, validation, "validation")
        logger.info("%d process(es) on %s, from step %d", processes, device, start)
    try:
        trainer.fit(
            module,
            training_loader(config, training, rank=rank, processes=processes, start=start),
            validation_loader(config, validation, rank=rank, processes=processes),
            ckpt_path=checkpoint,
            weights_only=True if checkpoint else None,
        )
    except DatasetError as error:
        raise DatasetError(_last_line(error)) from error
    if launch.first:
        early = config.trainer.early_stopping > 0
        final = args.out / FINAL
        write_final(
            module,
            args.out / (BEST if early else LAST),
            final,
            batch_norm_loader(config, training),
            trainer.strategy.root_device,
        )
        logger.info("trained %s; next: python -m training export --checkpoint %s", args.out, final)
    return 0


def _describe(entries: Sequence[DataSetConfig], sets: Sequence[SampleSet], use: str) -> None:
    for entry, samples in zip(entries, sets, strict=True):
        share = f"weight {entry.weight:.2f}" if use == "training" else ""
        logger.info("%-10s %-34s %7d frames  %s", use, entry.path, len(samples), share)


def _quieten() -> None:
    """Leaves Lightning its warnings, but those that are wrong here, and none of its notices."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",  # for machines with many cores
        ".*create .* worker processes in total.*",  # for machines with few
        ".*isinstance.treespec, LeafSpec.*",  # of Lightning about its own code
        ".*your dataloader is not resumable.*",  # it starts where the checkpoint ends
        ".*module\\(s\\) in eval mode.*",  # frozen batch normalisation
        ".*The number of training batches .* is smaller than the logging interval.*",
    ):
        warnings.filterwarnings("ignore", message=message)


def _last_line(error: Exception) -> str:
    """What went wrong, without the traceback that a loader's worker puts before it."""
    return (
        str(error)
        .strip()
        .rpartition("\n")[2]
        .removeprefix(f"{DatasetError.__module__}.{DatasetError.__name__}: ")
    )
