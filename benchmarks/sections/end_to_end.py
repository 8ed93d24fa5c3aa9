"""The real node in a process of its own: from publishing an image to the callback with its result.

Two crossings of DDS and all that the node does. "Overhead" is that less the network's median.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from live import Feed, drive
from networks import costs_nothing, in_int8
from options import Options
from ros_helpers import NodeProcess, Tester
from tables import Table, both

from depth_estimation_ros.engines import resolve_model

RATE_HZ = 10.0
FRAMES = 60
AIM_MS = {"depth": 5.0, "depth + cloud": 9.0}
VGA = (640, 480)
OUTPUTS = ("depth", "depth + cloud", "depth + cloud + colour")


@dataclass(frozen=True)
class Run:
    """What one run is of."""

    model: str
    precision: str
    threads: int
    size: tuple[int, int]
    outputs: str
    listeners: int = 1


def runs(options: Options) -> Iterator[tuple[Run, Path]]:
    """Every run with the file of its network."""
    nothing = costs_nothing(options.folder)
    for size in options.sizes:
        for outputs in OUTPUTS:
            yield Run(nothing.stem, "fp32", 0, size, outputs), nothing
    for model in options.models:
        for outputs in OUTPUTS[: 1 if options.quick else None]:
            yield Run(model, "fp32", 0, VGA, outputs), resolve_model(model)
    if options.quick:
        return
    main = options.main_model
    int8 = in_int8(main, options.folder)
    for threads in (1, 2):
        yield Run(main, "fp32", threads, VGA, "depth"), resolve_model(main)
        yield Run(main, "int8", threads, VGA, "depth"), int8
    for listeners in (2, 4):
        yield Run(nothing.stem, "fp32", 0, VGA, "depth + cloud", listeners=listeners), nothing


def measure(options: Options) -> dict[str, Any]:
    """All runs, in one process of the node, which is configured again for each."""
    tester = Tester()
    rows = []
    with NodeProcess(options.folder, autostart=False) as node:
        for run, path in runs(options):
            tester.bring(node, "active", model=str(path), inference_threads=run.threads)
            names = run.outputs.split(" + ")
            feed = Feed(tester, node, run.size, names, listeners=run.listeners)
            result = drive(tester, [feed], RATE_HZ, options.rounds(FRAMES))
            (answers,) = result.pop("feeds")
            rows.append({**asdict(run), **answers, **result})
    tester.destroy()
    return {"rate_hz": RATE_HZ, "rows": rows}


def tables(numbers: dict[str, Any]) -> list[Table]:
    """All runs in one table."""
    table = Table(
        f"The node between two processes, raw images at {numbers['rate_hz']:g} Hz",
        (
            *("network", "precision", "threads", "image", "outputs", "listeners", "answered"),
            "network, ms p50",
            "in the node, ms p50 / p99",
            "whole way to the last output, ms p50 / p99",
            "less the network, ms p50",
            "aim",
            "processor, ms an image",
        ),
        note="In the node: image received to depth published, the network included. Threads 0: as "
        "ONNX Runtime chooses.",
    )
    for row in numbers["rows"]:
        width, height = row["size"]
        aim = AIM_MS.get(row["outputs"], "")
        table.add(
            *(row["model"], row["precision"], row["threads"], f"{width}x{height}"),
            row["outputs"],
            row["listeners"],
            f"{row['answered']}/{row['images']}",
            row["engine_p50"],
            both({"p50": row["node_p50"], "p99": row["node_p99"]}),
            both(row["last_output"]),
            row["last_output"]["p50"] - row["engine_p50"],
            f"{aim:g}" if aim and (width, height) == VGA and row["listeners"] == 1 else "",
            row["processor_ms_per_image"],
        )
    return [table]
