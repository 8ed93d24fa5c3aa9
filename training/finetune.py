"""`python -m training finetune`: teach a model the world of one robot, from its own recording."""

from __future__ import annotations

import argparse
import json
import logging
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from depth_estimation_ros.engines import Engine, EngineOptions, open_engine
from depth_estimation_ros.engines.model_card import ModelCard
from depth_estimation_ros.errors import DatasetError, ModelError, ParameterError
from depth_estimation_ros.estimation import DepthEstimator, network_size
from training import train
from training.checkpoint import load_checkpoint
from training.config import load_config
from training.data.layouts import open_dataset
from training.evaluation.inputs import parse_options
from training.evaluation.score import SetResult, evaluate_set
from training.evaluation.tables import as_card_entries
from training.export import export, round_weights
from training.scenes.write import write_folder
from training.torch_engine import TorchEngine, make_card
from training.trainer.loaders import open_sets
from training.trainer.run_folder import FINAL

EXAMPLES = """\
examples:
  a rosbag with an image and a depth topic (mcap, sqlite3 or ROS 1; paired by time):
    python -m training finetune --data my_bag --out my_robot.onnx
  a folder of NNNNN.jpg, NNNNN.png (16-bit millimetres) and info.json with the intrinsics:
    python -m training finetune --model nano --data recordings/hall --out hall.onnx
  sparse LiDAR depth in 1/256 m, beside the data that the model was trained on:
    python -m training finetune --data drive --option depth_scale=0.00390625 --option cap_m=80 \\
        --replay DATA --out drive.onnx

The last part of the recording is held out, with a gap before it, and scored before and after. What
the model knew is kept alive by a share of old data: scenes rendered here, or with --replay the sets
of its own recipe. A recording of one afternoon teaches one place: record where the robot will work.
"""
RECIPES = Path(__file__).parents[1] / "config" / "training"
MIN_FRAMES = 12
SCENES, SCENES_SEED = 160, 700001
# Half of the recipes' rates, for small batches of one place; not tuned.
OPTIMIZER = {
    "batch_size": 8,
    "lr": 1.5e-4,
    "encoder_lr": 5e-5,
    "warmup_steps": 20,
    "ema_decay": 0.98,
}
AUGMENTATION = {"zoom": 1.2, "min_zoom": 0.9, "roll_deg": 3.0}
VALIDATE_EVERY = 50

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument(
        "--model",
        default="compact",
        help="a bundled model or an exported fp32 .onnx file of this package (default: compact)",
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="rosbag, or folder of images with depth"
    )
    parser.add_argument("--out", type=Path, required=True, help="the .onnx file to write")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the data's reader, such as depth_topic=/depth; may be repeated",
    )
    parser.add_argument(
        "--holdout",
        type=float,
        default=0.25,
        metavar="SHARE",
        help="last part of the recording that is scored, not trained on (default: %(default)s)",
    )
    parser.add_argument(
        "--replay",
        type=Path,
        metavar="DATA",
        help="root of the recipe's own data sets; those that are there are mixed in "
        f"(default: {SCENES} scenes, rendered first)",
    )
    parser.add_argument(
        "--share",
        type=float,
        default=0.6,
        help="share of the training images that is the recording (default: %(default)s)",
    )
    parser.add_argument(
        "--steps",
        type=int,
        default=200,
        help=f"steps of {OPTIMIZER['batch_size']} images, a multiple of {VALIDATE_EVERY} "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--config",
        type=Path,
        help="training configuration of the model's network (default: that of its name in "
        "config/training)",
    )
    parser.add_argument(
        "--run-dir", type=Path, help="folder of the training run (default: runs/NAME of --out)"
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on with a run that was interrupted"
    )


def run(args: argparse.Namespace) -> int:
    """Train, score before and after, and write the file; return the exit code."""
    for name, share in (("--holdout", args.holdout), ("--share", args.share)):
        if not 0.0 < share < 1.0:
            raise ParameterError(name, found=f"{share:g}", expected="a share between 0 and 1")
    engine = open_engine(args.model, EngineOptions("onnxruntime", precision="fp32"))
    recipe = _recipe(args.config, engine.card)
    out = args.run_dir or Path("runs") / args.out.stem
    recording, image = _recording(args.data, args.option, args.holdout)
    # At the shape at which images of this camera go through the network.
    height, width = network_size(*image, engine.card.input)
    recipe["data"] |= {"height": height, "width": width, "wide_share": 0.0}
    out.mkdir(parents=True, exist_ok=True)
    config = out / "finetune.yaml"
    config.write_text(yaml.safe_dump(_configuration(recipe, recording, args, out)))
    (held_out,) = open_sets(load_config(config).data.validation, Path(), validation=True)
    logger.info("before: %s on the last %d frames", engine.card.name, len(held_out))
    before = evaluate_set(DepthEstimator(engine), held_out)
    train.run(
        argparse.Namespace(
            config=config,
            data=Path(),
            out=out,
            resume=args.resume,
            start_from=str(engine.path),
            encoder_from=None,
            devices=None,
            nodes=None,
        )
    )
    after = _export(engine.card, out / FINAL, held_out, args)
    engine.close()
    Console().print(_table(before, after, len(held_out)))
    if _mean_delta1(after) <= _mean_delta1(before):
        logger.warning(
            "no better than before on the held-out part: record more, or more varied, places"
        )
    logger.info(
        "wrote %s; next: ros2 launch depth_estimation_ros depth_estimation.launch.py "
        "depth_model:=%s",
        args.out,
        args.out.absolute(),
    )
    return 0


def _recipe(path: Path | None, card: ModelCard) -> dict[str, Any]:
    """Return the training configuration of a model's network, as it stands in the file."""
    known = {"compact_open": "compact"}
    path = path or RECIPES / f"{known.get(card.name, card.name)}.yaml"
    if not path.is_file():
        raise ModelError(
            f"the model '{card.name}' has no recipe",
            found=f"no {path}",
            expected="a model trained by this package",
            fix="Name the configuration that it was trained with: --config FILE",
        )
    load_config(path)
    return yaml.safe_load(path.read_text())


def _recording(
    path: Path, options: list[str], holdout: float
) -> tuple[dict[str, Any], tuple[int, int]]:
    """Return the recording as an entry of a configuration, and the size of its first image."""
    is_bag = path.is_file() or (path / "metadata.yaml").exists()
    values = parse_options(options)
    samples = open_dataset("bag" if is_bag else "folder", path, **values)
    if len(samples) < MIN_FRAMES:
        raise DatasetError(
            f"{path} is too short",
            found=f"{len(samples)} image(s) with depth",
            expected=f"{MIN_FRAMES} or more",
            fix="Record a minute while the robot drives through the places where it will work.",
        )
    entry = {
        "path": str(path.absolute()),
        "layout": "bag" if is_bag else "folder",
        "holdout": holdout,
        "holdout_end": True,
        **values,
    }
    height, width = samples[0].depth.shape
    return entry, (height, width)


def _configuration(
    recipe: dict[str, Any], recording: dict[str, Any], args: argparse.Namespace, out: Path
) -> dict[str, Any]:
    """Return the recipe with the recording, a share of old data, and lower rates."""
    data = recipe["data"]
    if args.replay:
        old = [
            {**entry, "path": str((args.replay / entry["path"]).absolute())}
            for entry in data["training"]
            if (args.replay / entry["path"]).exists()
        ]
        if not old:
            raise DatasetError(
                f"--replay {args.replay} holds no data set of the model's recipe",
                expected="one of " + ", ".join(entry["path"] for entry in data["training"]),
                fix="Leave --replay out to mix in rendered scenes.",
            )
    else:
        scenes = write_folder(
            out / "scenes", SCENES, SCENES_SEED, data["height"], data["width"], workers=2
        )
        old = [{"path": str(scenes.absolute()), "weight": 1.0}]
    total = sum(entry.get("weight", 1.0) for entry in old)
    old = [
        {**entry, "weight": (1.0 - args.share) * entry.get("weight", 1.0) / total} for entry in old
    ]
    return {
        **recipe,
        "name": args.out.stem,
        "encoder_weights": "none",
        "data": {
            **data,
            "max_passes": None,
            "training": [{**recording, "weight": args.share}, *old],
            "validation": [deepcopy(recording)],  # YAML would write one list as an alias
            "validation_frames": 32,
            "augmentation": {**data["augmentation"], **AUGMENTATION},
        },
        "optimizer": {**recipe["optimizer"], **OPTIMIZER, "steps": args.steps},
        # Statistics of one place, in small batches, would move the scale of all others.
        "trainer": {**recipe["trainer"], "validate_every": VALIDATE_EVERY, "batch_norm": "frozen"},
    }


def _export(
    base: ModelCard, checkpoint: Path, held_out: Any, args: argparse.Namespace
) -> SetResult:
    """Write the file with its card; return what the network scores on the held-out part."""
    config, network = load_checkpoint(checkpoint)
    round_weights(network)
    card = make_card(
        config,
        network,
        licence=base.licence,
        output_max_depth=base.output.max_depth,
        training_data=[*base.training_data, f"finetuned on {args.data.name}"],
    )
    engine: Engine = TorchEngine(network, card, "cpu")
    result = evaluate_set(DepthEstimator(engine), held_out)
    entries = as_card_entries(result, f"last {args.holdout:.0%} of the recording")
    document = {**json.loads(card.to_json()), "metrics": entries}
    export(network, ModelCard.from_json(json.dumps(document), str(args.out)), args.out)
    return result


def _table(before: SetResult, after: SetResult, frames: int) -> Table:
    """Return a constant, the model before and after, unaligned and median-scaled."""
    table = Table(title=f"{before.dataset}: the last {frames} frames, cap {before.cap_m:g} m")
    table.add_column("")
    for name in ("delta1", "AbsRel", "delta1, median-scaled", "AbsRel, median-scaled"):
        table.add_column(name, justify="right")
    for title, result, keys in (
        ("a constant", before, ("constant", "constant_median")),
        ("before", before, ("unaligned", "median")),
        ("after", after, ("unaligned", "median")),
    ):
        numbers = [
            f"{result.rows[key][name]:.3f}" for key in keys for name in ("delta1", "abs_rel")
        ]
        table.add_row(title, *numbers)
    return table


def _mean_delta1(result: SetResult) -> float:
    return (result.rows["unaligned"]["delta1"] + result.rows["median"]["delta1"]) / 2
