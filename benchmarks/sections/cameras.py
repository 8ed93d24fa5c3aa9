"""Several cameras: in one node, and in as many nodes; and whether batches of images pay.

Every camera sends raw 640x480 images at 10 Hz, in turn, and somebody listens to each depth.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np
from live import Feed, drive
from options import Options
from processes import pss_mb
from ros_helpers import NodeProcess, Tester
from tables import Table, both
from timing import alternating, spread

from depth_estimation_ros.engines import open_engine
from depth_estimation_ros.estimation import network_size
from sections.engine import batch_of_one

RATE_HZ, FRAMES, SIZE = 10.0, 40, (640, 480)
COUNTS, BATCHES = (1, 2, 4), (1, 2, 4)
TURNS, BLOCK, PAUSE_S = 6, 5, 0.05


def measure(options: Options) -> dict[str, Any]:
    """Memory, processor and times of one node and of several; milliseconds of batches."""
    counts = COUNTS[-1:] if options.quick else COUNTS
    rows = [run(count, 1, options) for count in counts] + [run(COUNTS[-1], COUNTS[-1], options)]
    return {
        "model": options.main_model,
        "rate_hz": RATE_HZ,
        "rows": rows,
        "batches": {
            model: batches(model, max(3, options.rounds(TURNS))) for model in options.models
        },
    }


def run(cameras: int, nodes: int, options: Options) -> dict[str, Any]:
    """Cameras divided among nodes."""
    tester = Tester()
    names = [f"camera{number}" for number in range(cameras // nodes)]
    parameters = {} if len(names) == 1 else {"cameras": names}
    with ExitStack() as stack:
        processes = []
        for number in range(nodes):
            folder = options.folder / f"{cameras}_{nodes}_{number}"
            folder.mkdir()
            process = NodeProcess(folder, model=options.main_model, **parameters)
            processes.append(stack.enter_context(process))
        for process in processes:
            tester.wait_for_state(process, "active")
        feeds = [
            Feed(tester, process, SIZE, ["depth"], name if parameters else "")
            for process in processes
            for name in names
        ]
        result = drive(tester, feeds, RATE_HZ, options.rounds(FRAMES))
        memory = sum(pss_mb(process.process.pid) for process in processes)
    tester.destroy()
    answers = result["feeds"]
    return {
        "cameras": cameras,
        "nodes": nodes,
        "images": sum(answer["images"] for answer in answers),
        "answered": sum(answer["answered"] for answer in answers),
        "whole_way": {
            "p50": sum(answer["last_output"]["p50"] for answer in answers) / len(answers),
            "p99": max(answer["last_output"]["p99"] for answer in answers),
        },
        "processor_ms_per_image": result["processor_ms_per_image"],
        "pss_mb": memory,
    }


def batches(model: str, turns: int) -> dict[str, dict[str, float]]:
    """Milliseconds of one image, by the size of the batch that it comes in."""
    engine = open_engine(model)
    spec = engine.card.input
    one = batch_of_one(spec, *network_size(SIZE[1], SIZE[0], spec))
    sizes = [size for size in BATCHES if engine.max_batch is None or size <= engine.max_batch]
    steps = {str(size): partial(engine.infer, np.concatenate([one] * size)) for size in sizes}
    times = alternating(steps, turns, BLOCK, PAUSE_S)
    engine.close()
    return {size: spread([ms / int(size) for ms in values]) for size, values in times.items()}


def tables(numbers: dict[str, Any]) -> list[Table]:
    """Nodes in one table, batches in another."""
    shared = Table(
        f"Cameras at {numbers['rate_hz']:g} Hz each, with {numbers['model']}",
        (
            "cameras",
            "nodes",
            "answered",
            "whole way to the depth, ms p50 / p99",
            "processor, ms an image",
            "memory (PSS) of all nodes, MB",
        ),
        note="p50: the mean of the cameras'; p99: the worst camera's.",
    )
    for row in numbers["rows"]:
        shared.add(
            row["cameras"],
            row["nodes"],
            f"{row['answered']}/{row['images']}",
            both(row["whole_way"]),
            row["processor_ms_per_image"],
            row["pss_mb"],
        )
    sizes = [str(size) for size in BATCHES]
    batched = Table(
        "Images in one run of the network: milliseconds of one image, p50 / p99",
        ("network", *(f"batch of {size}" for size in sizes)),
        note="The node gives the network one image at a time: a batch pays only if an image "
        "takes less in it, and its first image waits for the last.",
    )
    for model, times in numbers["batches"].items():
        batched.add(model, *(both(times[size]) if size in times else "" for size in sizes))
    return [shared, batched]
