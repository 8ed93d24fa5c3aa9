"""From the start of the node's process to the first depth message here, over DDS.

The camera runs already, at 30 Hz; listener and camera are in this process.
"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

from live import Feed
from options import Options
from processes import processor_seconds
from ros_helpers import NodeProcess, Tester
from tables import Table, both
from timing import spread

AIM_S = 2.0
STARTS = 7
CAMERA_HZ = 30.0
LONGEST_S = 30.0


def measure(options: Options) -> dict[str, Any]:
    """Seconds of each start, by model, and of the imports alone."""
    rows = []
    for model in options.models:
        starts = [start(model, options) for _ in range(max(3, options.rounds(STARTS)))]
        rows.append(
            {
                "model": model,
                "first_depth_ms": spread([1e3 * taken for taken, _ in starts]),
                "processor_ms": spread([1e3 * taken for _, taken in starts]),
            }
        )
    imports = [import_seconds() for _ in range(max(3, options.rounds(STARTS)))]
    return {"rows": rows, "imports_ms": spread([1e3 * taken for taken in imports])}


def start(model: str, options: Options) -> tuple[float, float]:
    """Seconds to the first depth, and seconds of the processor until then."""
    tester = Tester()
    began = time.perf_counter()
    with NodeProcess(options.folder, model=model, autostart=True) as node:
        feed = Feed(tester, node, (640, 480), ["depth"])
        number = 0
        while not feed.arrived["depth"]:
            if time.perf_counter() - began > LONGEST_S or not node.is_alive:
                raise RuntimeError(f"no depth after {LONGEST_S:g} s; the node's log:\n{node.log}")
            feed.publish(number)
            number += 1
            tester.spin(1.0 / CAMERA_HZ)
        taken = min(feed.arrived["depth"].values()) - began
        processor = processor_seconds(node.process.pid)
    tester.destroy()
    return taken, processor


def import_seconds() -> float:
    """A Python that imports the node and ends."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", "import depth_estimation_ros.node.lifecycle_node"], check=True
    )
    return time.perf_counter() - began


def tables(numbers: dict[str, Any]) -> list[Table]:
    """One line for each model."""
    table = Table(
        "Start of the node: from the start of its process to its first depth, milliseconds",
        ("model", "to the first depth, p50 / p99", "of the processor until then, p50"),
        note=f"Aim: {1e3 * AIM_S:g} ms. A Python that only imports the node takes "
        f"{both(numbers['imports_ms'])} ms.",
    )
    for row in numbers["rows"]:
        table.add(row["model"], both(row["first_depth_ms"]), row["processor_ms"]["p50"])
    return [table]
