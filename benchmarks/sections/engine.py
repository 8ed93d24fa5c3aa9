"""The network as the node runs it, beside ONNX Runtime called bare; its backends and precisions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from images import draw_image
from networks import in_int8
from options import Options
from tables import Table, both
from timing import alternating, processor_milliseconds, spread

from depth_estimation_ros.engines import EngineOptions, open_engine, resolve_model
from depth_estimation_ros.engines.model_card import InputSpec
from depth_estimation_ros.estimation import network_size, resize_image, to_input

AIM_PERCENT = 3.0
TURNS, BLOCK, PAUSE_S = 8, 10, 0.05
ENLARGED = (1.0, 1.5, 2.0)  # times the height and width that a network was made for
ORDINARY = ("onnxruntime", "fp32")
WAYS = (
    *(ORDINARY, ("onnxruntime", "int8")),
    *(("openvino", "fp32"), ("openvino", "16 bits"), ("openvino", "int8")),
)
NODE, SAME, DEFAULTS = "as the node runs it", "bare, same settings", "bare, its defaults"


def measure(options: Options) -> dict[str, Any]:
    """Milliseconds of one image, by network, precision and threads."""
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
    by_size = [
        entry
        for model in options.models
        for enlarged in ENLARGED[: 1 if options.quick else None]
        for threads in (1, 2)
        for entry in ways(model, enlarged, threads, options)
    ]
    return {"rows": rows, "by_size": by_size}


def ways(model: str, enlarged: float, threads: int, options: Options) -> list[dict[str, Any]]:
    """Backends and precisions of one network in turn: milliseconds, and those of the processor."""
    files = {"fp32": resolve_model(model), "int8": in_int8(model, options.folder)}
    engines = {
        (backend, precision): open_engine(
            files["int8" if precision == "int8" else "fp32"],
            EngineOptions(
                backend=backend,
                precision="fp32" if precision == "fp32" else "fp16",
                threads=threads,
            ),
        )
        for backend, precision in WAYS
        if find_spec(backend)
    }
    spec = engines[ORDINARY].card.input
    height, width = (int(enlarged * length) for length in (spec.height, spec.width))
    batch = batch_of_one(spec, height, width)
    steps = {name: partial(engine.infer, batch) for name, engine in engines.items()}
    turns = max(3, options.rounds(TURNS))
    times = alternating(steps, turns, BLOCK, PAUSE_S)
    processor = {name: processor_milliseconds(step, 2 * BLOCK) for name, step in steps.items()}
    for engine in engines.values():
        engine.close()
    return [
        {
            "network": Path(model).stem,
            "backend": way[0],
            "precision": way[1],
            "threads": threads,
            "input": f"{width}x{height}",
            "times": spread(times[way]),
            "processor_ms": processor[way],
        }
        for way in engines
    ]


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
    """An image as the network takes it."""
    return to_input(resize_image(draw_image(640, 480), height, width), spec)


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
    """Ways to call a network in one table, fp32 and int8 in another."""
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
    compared = Table(
        "Backends, and precisions of the file or of the arithmetic",
        (
            *("network", "input", "threads", "backend", "precision"),
            *("ms, p50 / p99", "processor, ms", "of ONNX Runtime's fp32"),
        ),
        note="int8 files as `training export` writes them; 16 bits of the kind OpenVINO takes.",
    )
    ordinary = {
        (row["network"], row["input"], row["threads"]): row["times"]["p50"]
        for row in numbers["by_size"]
        if (row["backend"], row["precision"]) == ORDINARY
    }
    for row in numbers["by_size"]:
        facts = (row["network"], row["input"], row["threads"])
        ratio = row["times"]["p50"] / ordinary[facts]
        way = (row["backend"], row["precision"])
        compared.add(*facts, *way, both(row["times"]), row["processor_ms"], ratio)
    return [table, compared]
