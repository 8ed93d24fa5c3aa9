"""What is measured, and on which frames: from the options of the command to engine and data."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from depth_estimation_ros.engines import Engine, EngineOptions, bundled_models, open_engine
from depth_estimation_ros.engines.factory import BACKENDS, PRECISIONS
from depth_estimation_ros.errors import ParameterError
from training.config import load_config
from training.data.layouts import open_dataset
from training.data.sample import SampleSet
from training.trainer.loaders import open_sets

ALL_FRAMES = "all frames"


@dataclass(frozen=True)
class Subject:
    """A data set to be scored, and where it came from.

    ``split`` is for the record: which part of the data this is.
    """

    samples: SampleSet
    layout: str
    path: Path
    options: dict[str, Any] = field(default_factory=dict)
    split: str = ALL_FRAMES


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --model and what runs it, for :func:`open_model`."""
    parser.add_argument(
        "--model",
        default="compact",
        help="a .ckpt, an .onnx with its card, an engine file, or a bundled model "
        "(default: compact)",
    )
    parser.add_argument(
        "--backend",
        choices=BACKENDS,
        default="auto",
        help="what runs it, as the node's parameter; a .ckpt runs in PyTorch (default: auto)",
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        help="as the node's parameter (default: fp32 of a bundled model, else that of the file)",
    )


def open_model(args: argparse.Namespace) -> Engine:
    """Return a checkpoint (.ckpt) in PyTorch; anything else as the node opens it.

    Args:
        args: what :func:`add_model_arguments` read.

    Raises:
        ModelError: no such file, or not a model.
        EngineError: the engine for this kind of file is not available.
        ParameterError: a checkpoint with a backend, a precision that what runs it does not choose,
            or a backend that cannot run this file.
    """
    if Path(args.model).suffix != ".ckpt":
        fp32 = "fp32" if args.model in bundled_models() else "auto"
        return open_engine(
            args.model, EngineOptions(args.backend, precision=args.precision or fp32)
        )
    for name, value in (("--backend", args.backend), ("--precision", args.precision)):
        if value not in (None, "auto"):
            raise ParameterError(
                name,
                found=f"{value} for a checkpoint",
                fix="Leave it out, or export the checkpoint: `python -m training export --help`",
            )
    from training.torch_engine import TorchEngine

    return TorchEngine.from_checkpoint(Path(args.model))


def subjects_of_paths(
    paths: Sequence[Path], layout: str, options: dict[str, Any], split: str | None
) -> list[Subject]:
    """Return one data set for each path, all of one layout.

    Raises:
        DatasetError: the files are not what the layout says.
        ParameterError: no such layout, or it has no such option.
    """
    part = split or str(options.get("split", ALL_FRAMES))
    return [
        Subject(open_dataset(layout, path, **options), layout, path, options, part)
        for path in paths
    ]


def subjects_of_config(config: Path, root: Path, split: str | None) -> list[Subject]:
    """Return what a run of a training configuration validates on, with its files under ``root``.

    Of a set with ``holdout`` these are the scenes held out: the others were trained on.

    Raises:
        DatasetError: as for :func:`subjects_of_paths`.
        ParameterError: the configuration is not good, or has no validation sets.
    """
    entries = load_config(config).data.validation
    if not entries:
        raise ParameterError(f"{config}: data.validation", found="no data sets")
    sets = open_sets(entries, root, validation=True)
    return [
        Subject(samples, entry.layout, root / entry.path, entry.options, split or "validation")
        for samples, entry in zip(sets, entries, strict=True)
    ]


def parse_options(words: Sequence[str]) -> dict[str, Any]:
    """``name=value`` words. A value that is JSON (a number, true, a list) counts as that; else
    it is text. So 2011_09_26 stays what it is, which YAML would take for a number.

    Raises:
        ParameterError: a word without a name or a ``=``.
    """
    options = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not (name and sign):
            raise ParameterError("--option", found=repr(word), expected="name=value")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options
