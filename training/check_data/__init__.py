"""`python -m training check-data`: look at data sets before a training run is spent on them.

Reads some frames of each set, prints their numbers and warnings, and draws them:

  python -m training check-data --config config/training/compact.yaml --data DIR --out check.png
  python -m training check-data --layout kitti_raw --path DIR --option cameras=[2] --out check.png

Ends with 1 if a set cannot be opened or a frame cannot be read (all others are still looked at),
else with 0. Warnings do not change that.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from depth_estimation_ros.errors import DepthEstimationError, ParameterError
from training.check_data.figure import Row, draw_sheet
from training.check_data.survey import SetSurvey, Source, choose_frames, find_issues, leaks, survey
from training.config import DataConfig, DataSetConfig, load_config
from training.data.augment import NO_AUGMENTATION, random_view
from training.data.layouts import LAYOUTS, open_dataset
from training.data.sample import Sample, SampleSet
from training.evaluation.inputs import parse_options
from training.evaluation.score import frames_with_progress
from training.evaluation.tables import write_file

PERCENTILES = (1, 50, 99)


@dataclass
class Checked:
    """A data set of the run, and what was found: either ``found`` or ``error`` is set.

    Attributes:
        role: ``training``, ``validation``, or ``-`` without a configuration.
        share: of the training images; None where the set has no share.
    """

    role: str
    entry: DataSetConfig
    path: Path
    share: float | None = None
    found: SetSurvey | None = None
    error: str | None = None
    warnings: list[str] = field(default_factory=list)


def as_table(sets: list[Checked]) -> Table:
    """Return one line a set; the numbers are of the frames that were read."""
    table = Table(title="Data sets, depth in metres", title_justify="left")
    table.add_column("role", no_wrap=True)
    for name in ("set", "layout"):
        table.add_column(name, overflow="fold")
    for name in ("share", "read", "size", "valid", "p1", "median", "p99", "camera"):
        table.add_column(name, justify="right", no_wrap=True)
    for checked in sets:
        names = (checked.role, escape(checked.entry.path), _layout(checked.entry))
        table.add_row(*names, _share(checked), *_numbers(checked))
    return table


def _layout(entry: DataSetConfig) -> str:
    chosen = [f"{name}={value}" for name, value in entry.options.items()]
    return escape(" ".join([entry.layout, *chosen]))


def _share(checked: Checked) -> str:
    return "" if checked.share is None else f"{checked.share:.0%}"


def _numbers(checked: Checked) -> list[str]:
    found = checked.found
    if found is None:
        return ["[red]not opened[/]"]
    read = f"{len(found.frames)} of {len(found.samples)}"
    if found.unreadable:
        read += f" [red]({len(found.unreadable)} unreadable)[/]"
    if not found.frames:
        return [read]
    valid = f"{np.mean([f.valid for f in found.frames]):.1%}"
    beyond = float(np.mean([f.beyond for f in found.frames]))
    if beyond > 0.0005:
        valid += f" + {beyond:.1%} sky"
    depths = ["-" if math.isnan(d) else f"{d:.3g}" for d in found.percentiles(PERCENTILES)]
    return [read, size_of(found), valid, *depths, camera_of(found)]


def size_of(found: SetSurvey) -> str:
    """``640x480``, or the range of widths and heights."""
    heights, widths = zip(*(frame.size for frame in found.frames), strict=True)
    return "x".join(
        str(min(sides)) if min(sides) == max(sides) else f"{min(sides)}-{max(sides)}"
        for sides in (widths, heights)
    )


def camera_of(found: SetSurvey) -> str:
    """Return the horizontal field of view in degrees, or that the camera is unknown."""
    views = [frame.hfov_deg for frame in found.frames if frame.hfov_deg is not None]
    if not views:
        return "unknown"
    low, high = round(min(views)), round(max(views))
    return f"{low} deg" if low == high else f"{low}-{high} deg"


def facts(checked: Checked, found: SetSurvey) -> str:
    """Return the numbers of a set in one line, for the image."""
    near, _, far = found.percentiles(PERCENTILES)
    valid = np.mean([frame.valid for frame in found.frames])
    parts = [
        checked.entry.layout,
        f"{len(found.samples)} frames",
        size_of(found),
        f"camera {camera_of(found)}",
        f"{valid:.1%} of the pixels valid",
        f"99% of them beyond {near:.3g} m, 99% nearer than {far:.3g} m",
    ]
    if checked.share is not None:
        parts.append(f"{checked.share:.0%} of the training images")
    return "  ·  ".join(parts)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = __doc__
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--config", type=Path, help="a training configuration: all of its sets")
    which.add_argument("--layout", choices=sorted(LAYOUTS), help="one set: how its files lie")
    parser.add_argument("--data", type=Path, help="with --config: what its paths are relative to")
    parser.add_argument("--path", type=Path, help="with --layout: where the set is")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="with --layout: an option of the layout, for instance split=val; may be repeated",
    )
    many = parser.add_mutually_exclusive_group()
    many.add_argument("--frames", type=int, default=50, help="frames read of each set (50)")
    many.add_argument("--all", action="store_true", help="read every frame of every set")
    parser.add_argument("--seed", type=int, default=0, help="chooses the frames (0)")
    parser.add_argument("--out", type=Path, help="an image of the sets (.png); none by default")


def run(args: argparse.Namespace) -> int:
    """Read, print and draw; return the exit code."""
    data, sets = _sets(args)
    wanted = None if args.all else args.frames
    if wanted is not None and wanted < 1:
        raise ParameterError("--frames", found=wanted, expected="at least 1")
    if args.out is not None and args.out.suffix.lower() != ".png":
        raise ParameterError("--out", found=str(args.out), expected="a name that ends with .png")
    for checked in sets:
        _look(checked, wanted, args.seed)
    console = Console()
    # A file or pipe has no width of its own; the table must not be cut there.
    console = console if console.is_terminal else Console(width=150)
    console.print(as_table(sets))
    _tell(console, sets, list(leaks(_sources(sets, "training"), _sources(sets, "validation"))))
    if args.out is not None:
        rows = [row for i, c in enumerate(sets) for row in _row(c, data, args.seed + i)]
        if rows:
            write_file(args.out, draw_sheet(rows, _heading(args)))
            console.print(f"image: {args.out}", soft_wrap=True)
    failed = any(checked.error or (checked.found and checked.found.unreadable) for checked in sets)
    return 1 if failed else 0


def _sets(args: argparse.Namespace) -> tuple[DataConfig | None, list[Checked]]:
    if args.config is None:
        if args.path is None:
            raise ParameterError("--layout needs --path", fix="Name the folder of the set.")
        entry = DataSetConfig(args.path.name, args.layout, 1.0, parse_options(args.option))
        return None, [Checked("-", entry, args.path)]
    if args.data is None or args.path is not None or args.option:
        fix = "Its sets and their options are in the file; --data names the folder of their paths."
        raise ParameterError("--config goes with --data, not with --path or --option", fix=fix)
    data = load_config(args.config).data
    total = sum(entry.weight for entry in data.training)
    sets = [
        Checked("training", entry, args.data / entry.path, entry.weight / total)
        for entry in data.training
    ]
    sets += [Checked("validation", entry, args.data / entry.path) for entry in data.validation]
    return data, sets


def _look(checked: Checked, wanted: int | None, seed: int) -> None:
    entry = checked.entry
    try:
        samples: SampleSet = open_dataset(entry.layout, checked.path, **entry.options)
        indices = choose_frames(len(samples), wanted, seed)
    except DepthEstimationError as error:
        checked.error = str(error)
        return
    progress = frames_with_progress(len(indices), entry.path)
    checked.found = survey(samples, (indices[i] for i in progress), seed)
    checked.warnings = find_issues(checked.found)


def _tell(console: Console, sets: list[Checked], leaked: list[str]) -> None:
    for checked in sets:
        name = f"{checked.entry.path} ({checked.entry.layout})"
        if checked.error:
            console.print(f"[red]error[/] {escape(name)}: {escape(checked.error)}", soft_wrap=True)
        for frame, error in list(checked.found.unreadable.items())[:3] if checked.found else []:
            words = f"[red]error[/] {escape(name)}, frame {escape(frame)}: {escape(error)}"
            console.print(words, soft_wrap=True)
        for warning in checked.warnings:
            words = f"[yellow]warning[/] {escape(name)}: {escape(warning)}"
            console.print(words, soft_wrap=True)
    for warning in leaked:
        console.print(f"[yellow]warning[/] {escape(warning)}", soft_wrap=True)


def _sources(sets: list[Checked], role: str) -> list[Source]:
    return [
        Source(checked.entry.path, checked.entry.layout, checked.path, checked.found)
        for checked in sets
        if checked.role == role and checked.found is not None
    ]


def _row(checked: Checked, data: DataConfig | None, seed: int) -> Iterator[Row]:
    found = checked.found
    if found is None or not found.frames:
        return
    # Two frames from a third and two thirds of those read: rarely alike, never only the first.
    read = [frame.index for frame in found.frames]
    chosen = dict.fromkeys(read[len(read) * third // 3] for third in (1, 2))
    shown = [found.samples[index] for index in chosen]
    title = checked.entry.path if checked.role == "-" else f"{checked.role}: {checked.entry.path}"
    view = None if data is None else _network_view(shown[0], data, checked.role, seed)
    yield Row(title, facts(checked, found), checked.warnings, found, shown, view)


def _network_view(sample: Sample, data: DataConfig, role: str, seed: int) -> Sample:
    how = data.augmentation if role == "training" else NO_AUGMENTATION
    return random_view(sample, data.height, data.width, how, np.random.default_rng(seed))


def _heading(args: argparse.Namespace) -> str:
    return f"Data of {args.config.name}" if args.config else f"{args.layout}: {args.path}"
