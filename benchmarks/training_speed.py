"""How fast training steps are, and whether they wait for images.

    python benchmarks/training_speed.py [--help]

Three times for each loop: the data loader alone; the step alone, on one batch again and again; and
both together, as in a training. The share that a step waits is what "both" takes longer than the
step alone; on a processor the loader's workers and the step share the cores, so it counts that too.

Beside this package's own loop, in the precision of the configuration and in float32, stand plain
float32 loops in the manner of DenseDepth and of monodepth2, with the same network and on the same
images; see training_peers.py for what is theirs in them and what is not.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import warnings
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "test" / "helpers"), str(ROOT)]  # the package as it is here

if TYPE_CHECKING:
    from training_clock import Speed

    from training.config import TrainingConfig

CONFIG = ROOT / "config" / "training" / "compact.yaml"
DRAWN, DRAWN_SIZE = 64, (320, 240)
EXAMPLE = """\
example, for a GPU with eight workers:
  python benchmarks/training_speed.py --config config/training/nyu.yaml --workers 8 --steps 100 \\
      --data synthetic/train
"""


def main() -> int:
    """Runs the bench; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--config",
        type=Path,
        default=CONFIG,
        help="network, size, batch, augmentation (default: config/training/compact.yaml)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        help="folder of NNNNN.jpg and NNNNN.png, depth in millimetres, in place of the "
        f"configuration's data sets (default: {DRAWN} drawn images of 320x240)",
    )
    parser.add_argument("--steps", type=int, default=12, help="timed steps (default: 12)")
    parser.add_argument("--warm-up", type=int, default=3, help="steps before them (default: 3)")
    parser.add_argument("--workers", type=int, help="of the loader (default: the configuration's)")
    parser.add_argument("--batch-size", type=int, help="(default: the configuration's)")
    parser.add_argument("--json", type=Path, help="write the numbers to this file too")
    args = parser.parse_args()

    from training.config import load_config

    config = load_config(args.config)
    with tempfile.TemporaryDirectory() as folder:
        data = args.data or draw(Path(folder) / "drawn")
        speeds = measure_all(config, data, args)
    console = Console()
    if not console.is_terminal:
        console = Console(width=120)  # a file or pipe has no width; the table must not be cut
    console.print(as_table(speeds, config, args))
    if args.json:
        numbers = [{**asdict(speed), "waiting": speed.waiting} for speed in speeds]
        args.json.write_text(json.dumps(numbers, indent=1))
    return 0


def draw(folder: Path) -> Path:
    """Images of soft spots under a little noise, and depth, as files of a camera would be."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    width, height = DRAWN_SIZE
    for index in range(DRAWN):
        spots = rng.uniform(0, 255, (9, 12, 3)).astype(np.float32)
        image = cv2.resize(spots, DRAWN_SIZE, interpolation=cv2.INTER_CUBIC)
        image += rng.normal(0, 4, image.shape)
        cv2.imwrite(str(folder / f"{index:05}.jpg"), np.clip(image, 0, 255).astype(np.uint8))
        depth = cv2.resize(rng.uniform(500, 9000, (6, 8)), DRAWN_SIZE)
        cv2.imwrite(str(folder / f"{index:05}.png"), depth.astype(np.uint16))
    camera = {"fx": 277.0, "fy": 277.0, "cx": (width - 1) / 2, "cy": (height - 1) / 2}
    (folder / "info.json").write_text(json.dumps({"intrinsics_px": camera}))
    return folder


def measure_all(config: TrainingConfig, data: Path, args: argparse.Namespace) -> list[Speed]:
    """All loops, one after the other, on one device and the same images."""
    import torch
    from training_clock import measure
    from training_loops import our_loop, plain_loop
    from training_peers import (
        DenseDepthExamples,
        Monodepth2Examples,
        densedepth_loss,
        monodepth2_loss,
    )

    # Imported above, and so past setting its own level.
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    how, own = config.optimizer, config.trainer
    config = replace(
        config,
        optimizer=replace(how, batch_size=args.batch_size or how.batch_size),
        trainer=replace(own, workers=own.workers if args.workers is None else args.workers),
    )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    files, size = sorted(data.glob("*.jpg")), (config.data.height, config.data.width)
    densedepth, monodepth2 = DenseDepthExamples(files, size), Monodepth2Examples(files, size)
    full = replace(config, trainer=replace(config.trainer, precision="32-true"))
    loops = [
        our_loop(config, data),
        our_loop(full, data),
        plain_loop(config, "in DenseDepth's manner", densedepth, densedepth_loss, device),
        plain_loop(config, "in monodepth2's manner", monodepth2, monodepth2_loss, device),
    ]
    speeds = []
    for loop in track(loops, description="training steps", transient=True):
        speeds.append(measure(loop, config.optimizer.batch_size, args.steps, args.warm_up))
    return speeds


def as_table(speeds: list[Speed], config: TrainingConfig, args: argparse.Namespace) -> Table:
    import torch

    from training.research.runs import processor

    gpu = torch.cuda.is_available()
    device = torch.cuda.get_device_name(0) if gpu else f"{torch.get_num_threads()} threads"
    workers = config.trainer.workers if args.workers is None else args.workers
    table = Table(
        title=f"Training of {config.network.name} at {config.data.height}x{config.data.width}, "
        f"{speeds[0].pictures} images a step, {workers} loader workers; "
        f"{processor()}, {device}. Images/s",
        caption="waits: the share of a step that is spent waiting for images.  A loader alone "
        "that is faster than the step alone does not hold it up.",
    )
    table.add_column("loop")
    table.add_column("precision")
    for name in ("loader alone", "step alone", "both", "waits", "loader : step"):
        table.add_column(name, justify="right")
    for s in speeds:
        rates = [f"{s.pictures / seconds:.1f}" for seconds in (s.loader, s.step, s.both)]
        share = f"{100 * s.loader / s.step:.1f} %"
        table.add_row(s.name, s.precision, *rates, f"{100 * s.waiting:.0f} %", share)
    return table


if __name__ == "__main__":
    sys.exit(main())
