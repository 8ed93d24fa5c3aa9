"""What the node costs beside the network: the real node, real images, real DDS between processes.

    python test/bench/node_overhead.py [--help]

This process publishes images at a fixed rate and subscribes to the results; the node runs in a
process of its own. "Whole way" is the time from publishing an image here to the callback with its
result here: two crossings of DDS and all that the node does.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

TEST = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TEST), str(TEST.parent)]  # the tests' helpers, and the package as it is here

if TYPE_CHECKING:
    from live import Result

AIM_MS = {"depth": 5.0, "depth + cloud": 12.0}
STAGE_ROUNDS = 60


def main() -> int:
    """Runs the bench; 1 if the node left a run without an answer."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--model",
        action="append",
        help="bundled name or .onnx file; may be repeated (default: a network that costs nothing, "
        "and every bundled one)",
    )
    parser.add_argument("--seconds", type=float, default=15.0, help="of each run (default: 15)")
    parser.add_argument("--rate", type=float, default=15.0, help="images per second (default: 15)")
    parser.add_argument("--width", type=int, default=640, help="of the images (default: 640)")
    parser.add_argument("--height", type=int, default=480, help="of the images (default: 480)")
    parser.add_argument("--json", type=Path, help="write the numbers to this file too")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        results, steps = _run_all(args, Path(folder))
    console = Console()
    if not console.is_terminal:
        console = Console(width=120)  # a file or pipe has no width; the table must not be cut
    console.print(_node_table(results, args))
    for model, times in steps.items():
        console.print(_stage_table(model, times))
    if args.json:
        medians = {
            model: {step: float(np.median(values)) for step, values in times.items()}
            for model, times in steps.items()
        }
        numbers = {"runs": [asdict(result) for result in results], "steps_p50": medians}
        args.json.write_text(json.dumps(numbers, indent=1))
    return 0 if all(result.answered for result in results) else 1


def _run_all(
    args: argparse.Namespace, folder: Path
) -> tuple[list[Result], dict[str, dict[str, list[float]]]]:
    from depth_estimation_ros.demo.environment import environment
    from depth_estimation_ros.memory import keep_freed_memory

    os.environ.update(environment(None, folder))  # before DDS starts, here and in the node
    keep_freed_memory()  # so that the subscriber here costs no more than it must

    import rclpy
    from live import WARM_UP_FRAMES, run_node
    from ros_helpers import Tester
    from stages import stages

    from depth_estimation_ros.engines import open_engine

    models = args.model or _default_models(folder)
    frames = WARM_UP_FRAMES + round(args.seconds * args.rate)
    results, steps = [], {}
    rclpy.init()
    tester = Tester()
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        transient=True,
    ) as progress:
        for model in models:
            for outputs in AIM_MS:
                task = progress.add_task(f"{Path(model).stem}: {outputs}", total=frames)
                run = folder / str(len(results))
                run.mkdir()
                result = run_node(
                    tester,
                    model,
                    cloud="cloud" in outputs,
                    size=(args.width, args.height),
                    rate=args.rate,
                    frames=frames,
                    folder=run,
                    advance=lambda task=task: progress.advance(task),
                )
                results.append(result)
            task = progress.add_task(f"{Path(model).stem}: steps alone", total=1)
            engine = open_engine(model)
            steps[Path(model).stem] = stages(engine, args.width, args.height, STAGE_ROUNDS)
            engine.close()
            progress.advance(task)
    tester.destroy()
    rclpy.try_shutdown()
    return results, steps


def _default_models(folder: Path) -> list[str]:
    from tiny_models import constant_depth, tiny_card, with_size

    from depth_estimation_ros.engines import bundled_models

    card = with_size(tiny_card(), 240, 320, 16)
    return [str(constant_depth(folder / "costs nothing.onnx", 2.0, card)), *bundled_models()]


def _node_table(results: list[Result], args: argparse.Namespace) -> Table:
    table = Table(
        title=f"The node between two processes: {args.width}x{args.height} rgb8 at {args.rate:g} "
        f"Hz, clouds of {args.width * args.height:,} points. Milliseconds, p50 / p99",
        caption="node: image received to depth published, the network included.  "
        "overhead: whole way to the last output, less the network's p50.",
    )
    for name in ("model", "outputs"):
        table.add_column(name)
    for name in ("answered", "network", "node", "whole way: depth", "last", "overhead", "aim"):
        table.add_column(name, justify="right")
    for r in results:
        aim = AIM_MS[r.outputs]
        style = "green" if r.overhead_p50 <= aim else "yellow"
        table.add_row(
            r.model,
            r.outputs,
            f"{r.answered}/{r.frames}",
            f"{r.engine_p50:.1f}",
            f"{r.node_p50:.1f} / {r.node_p99:.1f}",
            f"{r.depth_p50:.1f} / {r.depth_p99:.1f}",
            f"{r.last_p50:.1f} / {r.last_p99:.1f}",
            f"[{style}]{r.overhead_p50:.1f} / {r.overhead_p99:.1f}[/]",
            f"{aim:g}",
        )
    return table


def _stage_table(model: str, times: dict[str, list[float]]) -> Table:
    table = Table(title=f"{model}: the steps of one frame, alone in one process. Milliseconds")
    table.add_column("step")
    for column in ("p50", "p99"):
        table.add_column(column, justify="right")
    for name, values in times.items():
        p50, p99 = np.percentile(values, (50, 99))
        table.add_row(name, f"{p50:.2f}", f"{p99:.2f}")
    return table


if __name__ == "__main__":
    sys.exit(main())
