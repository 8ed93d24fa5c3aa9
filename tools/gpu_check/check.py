"""Everything that needs an NVIDIA GPU: the tests marked gpu, then a table of times.

    make gpu-check                           # all of it, about 15 minutes
    make gpu-check ARGS="--skip torch"       # without PyTorch's rows
    make gpu-check ARGS="--skip tests --batch 1 --rounds 1000"

The tests build engines, compare them with ONNX Runtime, run 10,000 frames, and look for threads,
graphs and memory that are not let go of. The table has the times of Enc-Dec-IRv2 and of the compact
network as TensorRT engines (fp32, fp16, int8; batches of 1, 2 and 4), against PyTorch eager and
compiled with CUDA graphs, and against DINOv2-S with a DPT head at the same input size.

Where something is missing, this installs it (pycuda compiles, so the CUDA toolkit's bin
directory must be on PATH), by the CUDA that `nvidia-smi` shows:
.venv-test/bin/python -m pip install -e '.[tensorrt-cu12]'    (or '.[tensorrt-cu13]')

Exit code: 0 if everything ran and was right, 1 if something was wrong, 77 if nothing was wrong but
this machine lacks what a part needs (that part, and why, is named last).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

HERE = Path(__file__).resolve().parent
# This folder, the tests' helpers, and the package as it is here.
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "test" / "helpers"), str(ROOT)]

NOTHING_WRONG_BUT_INCOMPLETE = 77  # what automake's tests say when they could not run


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the parts; returns the exit code."""
    from parts import Outcome, Wanted, machine, measure, run_tests
    from rows import table

    args = _arguments(argv)
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(machine())
    outcome = Outcome()
    if "tests" not in args.skip:
        run_tests(outcome)
    wanted = Wanted(args.batch, args.rounds, args.size, args.skip)
    with tempfile.TemporaryDirectory() as folder:
        rows = list(measure(wanted, Path(folder), outcome, console))
    if rows:
        console.print(table(rows, f"From bytes to depth in host memory, {args.rounds} calls each"))
    for part, why in outcome.lacking.items():
        console.print(f"not run: {part}: {why}", soft_wrap=True, markup=False)
    for part, why in outcome.wrong.items():
        console.print(f"wrong: {part}: {why}", soft_wrap=True, markup=False)
    if not (outcome.lacking or outcome.wrong):
        console.print("everything ran and was right")
    return 1 if outcome.wrong else NOTHING_WRONG_BUT_INCOMPLETE if outcome.lacking else 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--skip",
        nargs="+",
        default=[],
        choices=("tests", "tensorrt", "torch"),
        help="parts to leave out",
    )
    parser.add_argument(
        "--batch", nargs="+", type=int, default=[1, 2, 4], help="images at once (default: 1 2 4)"
    )
    parser.add_argument("--rounds", type=int, default=300, help="timed calls (default: 300)")
    parser.add_argument(
        "--size",
        type=_size,
        default=(480, 640),
        metavar="HxW",
        help="input in pixels (default: 480x640); each network gets the nearest that it takes",
    )
    return parser.parse_args(argv)


def _size(text: str) -> tuple[int, int]:
    height, width = text.split("x")
    return int(height), int(width)


if __name__ == "__main__":
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    sys.exit(main())
