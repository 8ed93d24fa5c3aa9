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
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

TEST = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TEST), str(TEST.parent), str(TEST / "bench")]

AIM_MS = {"depth": 5.0, "depth + cloud": 12.0}
WARM_UP_FRAMES = 15


@dataclass(frozen=True)
class Result:
    """Times in milliseconds of one run of the node.

    Attributes:
        model: name of the model.
        outputs: what was subscribed to.
        frames: images published.
        answered: images whose last output came back.
        engine_p50: inside the network, by the node's own account.
        node_p50, node_p99: image received to depth published, by the node's own account.
        depth_p50, depth_p99: whole way to the callback with the depth image.
        last_p50, last_p99: whole way to the callback with the last output subscribed to.
    """

    model: str
    outputs: str
    frames: int
    answered: int
    engine_p50: float
    node_p50: float
    node_p99: float
    depth_p50: float
    depth_p99: float
    last_p50: float
    last_p99: float

    @property
    def overhead_p50(self) -> float:
        """The whole way to the last output, less the network."""
        return self.last_p50 - self.engine_p50

    @property
    def overhead_p99(self) -> float:
        """As `overhead_p50`; the network's own jitter is in it."""
        return self.last_p99 - self.engine_p50


def main() -> int:
    """Runs the bench; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--model",
        action="append",
        help="model to run; may be repeated (default: one that costs nothing, and the bundled one)",
    )
    parser.add_argument("--seconds", type=float, default=15.0, help="per run (default: 15)")
    parser.add_argument("--rate", type=float, default=15.0, help="images per second (default: 15)")
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--json", type=Path, help="write the numbers to this file too")
    args = parser.parse_args()

    from depth_estimation_ros.memory import keep_freed_memory

    keep_freed_memory()  # so that the subscriber here costs no more than it must
    with tempfile.TemporaryDirectory() as folder:
        from depth_estimation_ros.demo.environment import environment

        os.environ.update(environment(None, Path(folder)))  # before anything imports rclpy
        models = args.model or _default_models(Path(folder), args.width, args.height)
        results, steps = _run_all(models, args, Path(folder))
    console = Console()
    console.print(_node_table(results, args))
    for model, times in steps.items():
        console.print(_stage_table(model, times))
    if args.json:
        stages = {model: _medians(times) for model, times in steps.items()}
        numbers = {"runs": [asdict(result) for result in results], "stages_p50": stages}
        args.json.write_text(json.dumps(numbers, indent=1))
    return 0 if all(result.answered for result in results) else 1


def _default_models(folder: Path, width: int, height: int) -> list[str]:
    from tiny_models import constant_depth, tiny_card, with_size

    from depth_estimation_ros.engines import bundled_models

    card = with_size(tiny_card(), 240, 320, 16)
    return [str(constant_depth(folder / "costs-nothing.onnx", 2.0, card)), *bundled_models()]


def _run_all(
    models: list[str], args: argparse.Namespace, folder: Path
) -> tuple[list[Result], dict[str, dict[str, list[float]]]]:
    import rclpy
    from ros_helpers import Tester
    from stages import stages

    from depth_estimation_ros.engines import open_engine

    frames = WARM_UP_FRAMES + round(args.seconds * args.rate)
    results, steps = [], {}
    rclpy.init()
    tester = Tester()
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        transient=True,
    )
    with bar:
        for model in models:
            name = Path(model).stem
            for outputs in AIM_MS:
                task = bar.add_task(f"{name}: {outputs}", total=frames)
                run = folder / f"{name}-{len(results)}"
                run.mkdir()
                result = _run_node(model, outputs, frames, args, run, tester, bar, task)
                results.append(result)
            task = bar.add_task(f"{name}: steps alone", total=1)
            engine = open_engine(model)
            steps[name] = stages(engine, args.width, args.height, rounds=60)
            bar.advance(task)
    tester.destroy()
    rclpy.try_shutdown()
    return results, steps


def _run_node(
    model: str,
    outputs: str,
    frames: int,
    args: argparse.Namespace,
    folder: Path,
    tester: Any,
    bar: Progress,
    task: Any,
) -> Result:
    from builtin_interfaces.msg import Time
    from ros_helpers import BEST_EFFORT, NodeProcess, info_of
    from sensor_msgs.msg import CameraInfo, Image, PointCloud2
    from stages import picture
    from std_msgs.msg import Header

    from depth_estimation_ros.geometry import CameraModel
    from depth_estimation_ros.messages import color_image

    sent: dict[int, float] = {}
    arrived: dict[str, dict[int, float]] = {"depth": {}, "cloud": {}}
    pictures = [
        color_image(picture(args.width, args.height, seed), Header(frame_id="camera"))
        for seed in range(4)
    ]
    info = info_of(CameraModel.from_hfov(args.width, args.height, 60.0))
    with NodeProcess(folder, model=model, autostart=True) as node:

        def listen(kind: type, topic: str, name: str) -> None:
            def arrive(message: Any) -> None:
                arrived[name][message.header.stamp.sec] = time.perf_counter()

            tester.ros.create_subscription(kind, node.topic(topic), arrive, BEST_EFFORT)

        tester.wait_for_state(node, "active")
        listen(Image, "~/depth/image", "depth")
        if "cloud" in outputs:
            listen(PointCloud2, "~/points", "cloud")
        images = tester.ros.create_publisher(Image, node.topic("image"), BEST_EFFORT)
        infos = tester.ros.create_publisher(CameraInfo, node.topic("camera_info"), BEST_EFFORT)
        ready = (images.get_subscription_count, infos.get_subscription_count)
        tester.wait_until(lambda: all(count() for count in ready), "its subscriptions", node)
        tester.spin(1.0)  # discovery of this process's subscriptions by the node

        start = time.perf_counter()
        for number in range(frames):
            image = pictures[number % len(pictures)]
            image.header.stamp = info.header.stamp = Time(sec=number)
            infos.publish(info)
            sent[number] = time.perf_counter()
            images.publish(image)
            tester.spin(max(0.0, start + (number + 1) / args.rate - time.perf_counter()))
            bar.advance(task)
        tester.spin(1.0)
        told = tester.diagnostics(node)
        tester.forget_topics()

    last = arrived["cloud" if "cloud" in outputs else "depth"]
    depth_p50, depth_p99 = _percentiles(sent, arrived["depth"])
    last_p50, last_p99 = _percentiles(sent, last)
    return Result(
        model=Path(model).stem,
        outputs=outputs,
        frames=frames,
        answered=len(last),
        engine_p50=float(told["engine_ms_p50"]),
        node_p50=float(told["latency_ms_p50"]),
        node_p99=float(told["latency_ms_p99"]),
        depth_p50=depth_p50,
        depth_p99=depth_p99,
        last_p50=last_p50,
        last_p99=last_p99,
    )


def _percentiles(sent: dict[int, float], arrived: dict[int, float]) -> tuple[float, float]:
    ways = [1e3 * (arrived[n] - sent[n]) for n in arrived if n >= WARM_UP_FRAMES]
    if not ways:
        return float("nan"), float("nan")
    return float(np.percentile(ways, 50)), float(np.percentile(ways, 99))


def _medians(times: dict[str, list[float]]) -> dict[str, float]:
    return {name: float(np.median(values)) for name, values in times.items()}


def _node_table(results: list[Result], args: argparse.Namespace) -> Table:
    size = f"{args.width}x{args.height}"
    table = Table(
        title=f"The node between two processes: {size} rgb8 at {args.rate:g} Hz, clouds of "
        f"{args.width * args.height:,} points. Milliseconds, p50 / p99",
        caption="overhead = whole way to the last output, less the network's p50. "
        "node = image received to depth published, the network included",
    )
    for column in ("model", "outputs", "answered", "network", "node", "whole way: depth",
                   "whole way: last", "overhead", "aim"):  # fmt: skip
        table.add_column(column, justify="left" if column in ("model", "outputs") else "right")
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
