"""`python -m training COMMAND`: from scenes and recordings to a model file."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
import warnings

from depth_estimation_ros.errors import DepthEstimationError

COMMANDS = {
    "synthesize": ("training.scenes.write", "render random scenes with exact depth"),
    "check-data": ("training.check_data", "look at data sets before training on them"),
    "train": ("training.train", "train a network from a YAML configuration"),
    "finetune": (
        "training.finetune",
        "teach a model the world of one robot, from its own recording",
    ),
    "export": ("training.export", "turn a checkpoint into an ONNX file with its model card"),
    "import-model": (
        "training.import_model",
        "turn a public checkpoint into an ONNX file, or check an ONNX file and write its card",
    ),
    "curve": ("training.curve", "draw the loss and validation curves of a run"),
    "evaluate": ("training.evaluate", "measure any model as a robot runs it, on any data set"),
    "cloud-quality": (
        "training.research.cloud_quality.command",
        "measure flying points and the flatness of planes, with and without the edge filter",
    ),
    "stability": (
        "training.research.stability.command",
        "measure how depth flickers while the camera moves, with and without smoothing",
    ),
    "scale": (
        "training.research.scale",
        "measure what points, a scan or the camera's height are worth as anchors of metric scale",
    ),
    "ablation": (
        "training.research.ablation",
        "train several configurations and set them side by side",
    ),
    "factor-worth": (
        "training.research.factor_worth",
        "measure on real frames what each factor of the synthetic scenes is worth",
    ),
    "leave-one-out": (
        "training.research.leave_one_out",
        "score a recipe on sets it was trained without",
    ),
    "bag": ("training.bags", "write rosbags with ground truth, rendered or from a recording"),
}


def main(argv: list[str] | None = None) -> int:
    """Run one command and returns its exit code."""
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        # Only the chosen command's module is imported: rendering needs no Lightning, and so on.
        if name in argv[:1]:
            implementation = importlib.import_module(module)
            implementation.add_arguments(command)
            command.set_defaults(run=implementation.run)
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    # Lightning's advice on loader workers is for machines with many cores.
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    try:
        return args.run(args)
    except DepthEstimationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
