"""`python -m training curve`: the loss and the validation metrics of a run as one image."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

from depth_estimation_ros.errors import ParameterError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("--run", dest="run_folder", type=Path, required=True, help="train's --out")
    parser.add_argument("--out", type=Path, required=True, help="the image to write (.png, .svg)")


def run(args: argparse.Namespace) -> int:
    """Draw the image; return the exit code."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = read_rows(args.run_folder)
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 3.6), constrained_layout=True)
    for name in ("train/loss", "train/silog", "train/gradient", "train/sky"):
        steps, values = series(rows, name)
        if steps.size:
            left.plot(steps, smooth(values), label=name.removeprefix("train/"))
    left.set(xlabel="step", ylabel="training loss (running mean of 10)", yscale="log")
    left.legend()
    for name in ("val/abs_rel", "val/delta1"):
        right.plot(*series(rows, name), marker="o", label=name.removeprefix("val/"))
    right.set(xlabel="step", ylabel="validation, scale not aligned")
    right.legend()
    for axes in (left, right):
        axes.grid(alpha=0.3)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    partial = args.out.with_name(f".{args.out.name}")
    figure.savefig(partial, dpi=110, format=args.out.suffix.removeprefix("."))
    partial.replace(args.out)
    return 0


def read_rows(run_folder: Path) -> list[dict[str, str]]:
    """Return the logged rows of a run; of a resumed run, the later part from its first step on.

    Raises:
        ParameterError: if there is no curve in the folder.
    """
    files = sorted(run_folder.glob("curve/version_*/metrics.csv"), key=_version)
    if not files:
        raise ParameterError(
            f"{run_folder} holds no curve/version_*/metrics.csv", fix="Give the --out of train."
        )
    rows: list[dict[str, str]] = []
    for file in files:
        part = list(csv.DictReader(file.open()))
        # A run that was stopped logged steps after its last checkpoint; they were done again.
        begin = min((int(row["step"]) for row in part), default=0)
        rows = [row for row in rows if int(row["step"]) < begin] + part
    return rows


def series(rows: list[dict[str, str]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values, each ``(n,)`` float64, of the rows in which ``name`` was logged."""
    pairs = [(float(row["step"]), float(row[name])) for row in rows if row.get(name)]
    steps, values = np.array(pairs, np.float64).reshape(-1, 2).T
    return steps, values


def smooth(values: np.ndarray, window: int = 10) -> np.ndarray:
    """Running mean over the last ``window`` values, shorter at the start."""
    total = np.cumsum(np.insert(values, 0, 0.0))
    ends = np.arange(1, values.size + 1)
    starts = np.maximum(0, ends - window)
    return (total[ends] - total[starts]) / (ends - starts)


def _version(file: Path) -> int:
    return int(file.parent.name.removeprefix("version_"))
