"""The network as the node runs it, beside ONNX Runtime called bare."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from networks import in_int8
from options import Options
from pictures import picture
from tables import Table, both
from timing import alternating, spread

from depth_estimation_ros.engines import EngineOptions, open_engine, resolve_model
from depth_estimation_ros.model_card import InputSpec
from depth_estimation_ros.pipeline import network_size, resize_image, to_input

AIM_PERCENT = 3.0
TURNS, BLOCK, PAUSE_S = 8, 10, 0.05
NODE, SAME, DEFAULTS = "as the node runs it", "bare, same settings", "bare, its defaults"


def measure(options: Options) -> dict[str, Any]:
    """Milliseconds of one picture, by network, precision and threads."""
    rows = []
    for model in options.models:
        files = {"fp32": resolve_model(model), "int8": in_int8(model, options.folder)}
        for precision, path in files.items():
            for threads in (2,) if options.quick else (1, 2):
                rows.append(run(path, precision, threads, options))
    if not options.quick:
        from engine_builds import export_irv2

        irv2 = export_irv2(options.folder / "enc_dec_irv2.onnx")
        rows += [run(irv2, "fp32", threads, options, calls=2) for threads in (1, 2)]
    return {"rows": rows}


def run(
    path: Path, precision: str, threads: int, options: Options, calls: int = BLOCK
) -> dict[str, Any]:
    """The three ways to call one network, in turn."""
    engine = open_engine(path, EngineOptions(backend="onnxruntime", threads=threads))
    spec = engine.card.input
    height, width = network_size(480, 640, spec)
    batch = batch_of_one(spec, height, width)
    steps: dict[str, Callable[[], Any]] = {
        NODE: lambda: engine.infer(batch),
        SAME: bare(path, threads, batch, spinning=False),
        DEFAULTS: bare(path, threads, batch, spinning=True),
    }
    times = alternating(steps, max(3, options.rounds(TURNS)), calls, PAUSE_S)
    engine.close()
    return {
        "network": path.stem.removesuffix("_int8"),
        "precision": precision,
        "threads": threads,
        "input": f"{width}x{height}",
        "times": {name: spread(values) for name, values in times.items()},
    }


def batch_of_one(spec: InputSpec, height: int, width: int) -> np.ndarray:
    """A picture as the network takes it."""
    return to_input(resize_image(picture(640, 480), height, width), spec)


def bare(path: Path, threads: int, batch: np.ndarray, *, spinning: bool) -> Callable[[], Any]:
    """One run of ONNX Runtime without this package."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.log_severity_level = 4
    if not spinning:
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(
        str(path), sess_options=settings, providers=["CPUExecutionProvider"]
    )
    feed = {session.get_inputs()[0].name: batch}
    return lambda: session.run(None, feed)


def tables(numbers: dict[str, Any]) -> list[Table]:
    """All networks in one table."""
    table = Table(
        "The network, by the node and bare; milliseconds, p50 / p99",
        ("network", "precision", "threads", "input", NODE, SAME, DEFAULTS, "node against same, %"),
        note=f"Aim: the node's use at most {AIM_PERCENT:g} % slower than the same settings bare.",
    )
    for row in numbers["rows"]:
        times = row["times"]
        slower = 100 * (times[NODE]["p50"] / times[SAME]["p50"] - 1)
        shown = [both(times[name]) for name in (NODE, SAME, DEFAULTS)]
        facts = [row[name] for name in ("network", "precision", "threads", "input")]
        table.add(*facts, *shown, f"{slower:+.1f}")
    return [table]
