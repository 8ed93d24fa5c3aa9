"""`python -m training evaluate`: any model measured through the runtime, as a robot runs it.

Each frame goes through the same engine and pipeline as in the node: checkpoints, ONNX files of this
package or others, built engines. Next to the model's numbers are those of a constant: the median
depth of the whole data set (to compare with unaligned depth), and of each frame (to compare with
median-scaled depth).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.estimation import DepthEstimator, EstimatorSettings
from depth_estimation_ros.utils.files import sha256
from training.data.crops import CROPS
from training.data.layouts import LAYOUTS
from training.evaluation.alignment import EXPECTED, Alignment
from training.evaluation.inputs import (
    Subject,
    add_model_arguments,
    open_model,
    parse_options,
    subjects_of_config,
    subjects_of_paths,
)
from training.evaluation.report import Report, draw_frames
from training.evaluation.score import SetResult, evaluate_set
from training.evaluation.tables import (
    as_card_entries,
    as_csv,
    as_json,
    as_tables,
    intervals_in_words,
    print_tables,
    write_file,
)

EXAMPLES = """\
examples:
  python -m training evaluate --model compact --data recordings/desk recordings/hall
  python -m training evaluate --model runs/nyu/checkpoints/final.ckpt --layout nyu_labelled \\
      --data nyu_depth_v2_labeled.mat --option split=test --out report/
  python -m training evaluate --model my.onnx --config config/training/compact.yaml --data DATA

A third-party network needs its card next to it: my.onnx and my.card.yaml (docs/models.md).
Exit code 1 says that something could not be read; what could be is scored all the same.
"""
NAMED_UNREADABLE = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    add_model_arguments(parser)
    add_data_arguments(parser)
    parser.add_argument(
        "--cap", type=float, help="farthest scored depth, metres (default: the data set's own)"
    )
    parser.add_argument(
        "--crop", choices=CROPS, help="the part that is scored (default: the data set's own)"
    )
    parser.add_argument(
        "--distances",
        type=float,
        nargs="+",
        metavar="M",
        help="where to cut the table by distance, metres (default: 1 2 4 7 up to a cap of 20 m, "
        "10 20 40 80 above)",
    )
    parser.add_argument(
        "--flip",
        action="store_true",
        help="average each prediction with that for the mirrored image (takes twice as long)",
    )
    parser.add_argument(
        "--align",
        help="score each frame also as a robot would anchor it, from ground truth: "
        f"{EXPECTED}; see docs/scale.md",
    )
    parser.add_argument(
        "--assumed-hfov",
        type=float,
        default=EstimatorSettings().assumed_hfov_deg,
        help="field of view in degrees for data without intrinsics (default: %(default)s)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write report.md, report.json, per_image.csv and images here",
    )
    parser.add_argument("--csv", type=Path, help="write the metrics of every frame here")
    parser.add_argument("--json", type=Path, help="write entries for a model card here")


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options that name the data."""
    parser.add_argument(
        "--data",
        type=Path,
        nargs="+",
        required=True,
        help="the data sets, all of one layout; with --config the folder that its paths start at",
    )
    parser.add_argument(
        "--layout", choices=sorted(LAYOUTS), help="how their files lie (default: folder)"
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the layout, such as split=test; may be repeated",
    )
    parser.add_argument(
        "--config", type=Path, help="score the validation sets of this training configuration"
    )
    parser.add_argument(
        "--split",
        help="for the record: which part of the data this is (default: the option split, "
        "'validation' with --config, else 'all frames')",
    )


def run(args: argparse.Namespace) -> int:
    """Measure, print and write; return the exit code."""
    if not 0 < args.assumed_hfov < 180:
        raise ParameterError(
            "--assumed-hfov", found=f"{args.assumed_hfov:g}", expected="degrees between 0 and 180"
        )
    subjects = _subjects(args)
    engine = open_model(args)
    print(f"measuring {engine.description}")
    relative = not engine.card.output.unit
    settings = EstimatorSettings(
        assumed_hfov_deg=args.assumed_hfov, scale_required=relative and bool(args.align)
    )
    pipeline = DepthEstimator(engine, settings)
    align = Alignment(args.align) if args.align else None
    if align is not None and args.flip:
        raise ParameterError("--align with --flip", fix="Leave one of them out")
    how = {
        "cap": args.cap,
        "crop": args.crop,
        "flip": args.flip,
        "distances": args.distances,
        "align": align,
    }
    measured = []
    for subject in subjects:
        result = evaluate_set(pipeline, subject.samples, **how)
        figure = draw_frames(pipeline, subject.samples, result) if args.out else None
        measured.append((subject, result, figure))
        _print(subject, result)
    engine.close()
    results = [(result, subject.split) for subject, result, _ in measured]
    if args.csv:
        write_file(args.csv, as_csv(results))
    if args.json:
        entries = [
            {**entry, "engine": engine.description}
            for result, split in results
            for entry in as_card_entries(result, split)
        ]
        write_file(args.json, as_json(entries))
    if args.out:
        digest = sha256(engine.path)
        Report(args.model, digest, engine.description, engine.card, measured).write(args.out)
        print(f"wrote {args.out / 'report.md'}")
    return _complain([result for result, _ in results])


def _subjects(args: argparse.Namespace) -> list[Subject]:
    if args.config is None:
        options = parse_options(args.option)
        return subjects_of_paths(args.data, args.layout or "folder", options, args.split)
    if args.layout or args.option:
        raise ParameterError(
            "--config with --layout or --option", fix="The configuration says these; leave them out"
        )
    if len(args.data) != 1:
        raise ParameterError(
            "--config with several --data",
            found=len(args.data),
            expected="one folder, which the configuration's paths start at",
        )
    return subjects_of_config(args.config, args.data[0], args.split)


def _print(subject: Subject, result: SetResult) -> None:
    print_tables(as_tables(result, subject.split))
    print(intervals_in_words(result))
    speed = len(result.frames) / result.seconds
    print(f"{speed:.1f} frames/s; network {result.engine_ms:.1f} ms a frame (median)\n")


def _complain(results: list[SetResult]) -> int:
    """Name what could not be read; return the exit code."""
    for result in results:
        if result.unreadable:
            print(
                f"error: {result.dataset}: {len(result.unreadable)} of "
                f"{len(result.unreadable) + len(result.frames)} frames cannot be read; "
                "the numbers are of the others",
                file=sys.stderr,
            )
        for name, error in result.unreadable[:NAMED_UNREADABLE]:
            print(f"  {name}: {error}", file=sys.stderr)
        if len(result.unreadable) > NAMED_UNREADABLE:
            print("  and more: all are named in the report of --out", file=sys.stderr)
    return int(any(result.unreadable for result in results))
