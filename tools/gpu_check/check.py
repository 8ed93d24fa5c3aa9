"""Everything that needs an NVIDIA GPU: the tests marked gpu, then a table of times.

    make gpu-check                           # all of it, within 15 minutes or so
    make gpu-check ARGS="--skip torch"       # without PyTorch's rows
    make gpu-check ARGS="--skip tests --batch 1 --rounds 1000 --minutes 60"

What tells most comes first, each with a line of verdict: the bundled model built in fp32, fp16 and
int8 and compared with ONNX Runtime; the tests of memory, threads, graphs, engines (10,000 frames)
and the node; then a table of the times of Enc-Dec-IRv2 and of the compact network as TensorRT
engines (fp16, fp32, int8; batches of 1, 2 and 4), against PyTorch eager and compiled with CUDA
graphs, and against DINOv2-S with a DPT head at the same input size. When the minutes are used up,
nothing more begins. Verdicts and times are written to a file as they come.

Where something is missing, this installs it (pycuda compiles, so the CUDA toolkit's bin
directory must be on PATH), by the CUDA that `nvidia-smi` shows:
.venv-test/bin/python -m pip install -e '.[tensorrt-cu12]'    (or '.[tensorrt-cu13]')

Exit code: 0 if everything ran and was right, 1 if something was wrong, 77 if nothing was wrong but
this machine lacks what a part needs, or the time for it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
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
    from parts import Outcome, Wanted, build_bundled, machine, measure, run_tests
    from rows import table

    args = _arguments(argv)
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(machine())
    outcome = Outcome(args.out, console, time.monotonic() + 60.0 * args.minutes)
    args.out.write_text("")
    outcome.write(machine=machine())
    wanted = Wanted(args.batch, args.rounds, args.size, args.skip)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "tensorrt" not in args.skip:
            build_bundled(folder, outcome)
        if "tests" not in args.skip:
            run_tests(outcome)
        rows = list(measure(wanted, folder, outcome))
    if rows:
        console.print(table(rows, f"From bytes to depth in host memory, {args.rounds} calls each"))
    if outcome.wrong:
        console.print(f"wrong: {', '.join(outcome.wrong)}", markup=False)
    if outcome.lacking:
        console.print(f"not run: {', '.join(outcome.lacking)}", markup=False)
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
    parser.add_argument(
        "--minutes", type=float, default=15.0, help="after which nothing more begins (default: 15)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("gpu_check.jsonl"),
        help="file of verdicts and times (default: gpu_check.jsonl)",
    )
    return parser.parse_args(argv)


def _size(text: str) -> tuple[int, int]:
    height, width = text.split("x")
    return int(height), int(width)


if __name__ == "__main__":
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    sys.exit(main())
