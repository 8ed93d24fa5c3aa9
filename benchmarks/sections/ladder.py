"""From DINOv2-S with a DPT head and Enc-Dec-IRv2 down to the bundled networks, at one input.

All run as the node runs them, in turn, in one process, each at the size nearest to 320x240 that it
takes. Networks that nobody has trained for this package have random weights, on which neither time
nor operations depend; those need PyTorch and timm, which make the files. int8 is calibrated on
drawn images, on which time does not depend either.
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

from accuracy import read_equal_budget, scores_of_card
from macs import count_macs
from networks import in_int8, random_network
from options import Options
from tables import Table, both
from timing import alternating, spread

from depth_estimation_ros.engines import EngineOptions, open_engine, resolve_model
from depth_estimation_ros.engines.model_card import InputSpec
from sections.engine import batch_of_one

HEIGHT, WIDTH = 240, 320
RIVAL = "dinov2_dpt"
UNTRAINED = (RIVAL, "enc_dec_irv2")
TURNS, BLOCK, PAUSE_S = 10, 2, 0.05
AIM, AIMED_AT = 23.0, "nano"


def measure(options: Options) -> dict[str, Any]:
    """Operations, milliseconds by threads, and known accuracy of each network and precision."""
    files, missing = untrained(options.folder)
    files |= {Path(model).stem: resolve_model(model) for model in options.models}
    networks = [(name, "fp32", path) for name, path in files.items()]
    networks += [
        (name, "int8", in_int8(str(path), options.folder))
        for name, path in files.items()
        if not (options.quick and name in UNTRAINED)  # their calibration takes half a minute
    ]
    rows = [row(*network) for network in networks]
    for threads in (1, 2):
        paths = [path for _, _, path in networks]
        times = timed(paths, threads, max(3, options.rounds(TURNS)))
        for entry, taken in zip(rows, times, strict=True):
            entry[f"threads_{threads}"] = taken
    return {"rows": rows, "missing": missing}


def untrained(folder: Path) -> tuple[dict[str, Path], str]:
    """Files of the networks with random weights, and in words why there are none."""
    try:
        return {name: random_network(name, folder) for name in UNTRAINED}, ""
    except ImportError as error:
        return {}, f"{' and '.join(UNTRAINED)} left out, and so the ratios: {error}"


def row(name: str, precision: str, path: Path) -> dict[str, Any]:
    """What does not take time to know."""
    with closing(open_engine(path, EngineOptions(backend="onnxruntime"))) as engine:
        card = engine.card
    height, width = nearest_size(card.input)
    return {
        "network": name,
        "precision": precision,
        "random_weights": name in UNTRAINED,
        "input": f"{width}x{height}",
        "gmacs": count_macs(path, batch_of_one(card.input, height, width)) / 1e9,
        "mb": path.stat().st_size / 1e6,
        "accuracy": scores_of_card(card.metrics),
        "equal_budget": read_equal_budget(name) if precision == "fp32" else {},
    }


def nearest_size(spec: InputSpec) -> tuple[int, int]:
    """Height and width; halves go up."""
    step = spec.multiple_of
    if step is None:
        return spec.height, spec.width
    return int(HEIGHT / step + 0.5) * step, int(WIDTH / step + 0.5) * step


def timed(paths: list[Path], threads: int, turns: int) -> list[dict[str, float]]:
    """Milliseconds of each network, all in turn."""
    with ExitStack() as stack:
        steps = {}
        for number, path in enumerate(paths):
            settings = EngineOptions(backend="onnxruntime", threads=threads)
            engine = stack.enter_context(closing(open_engine(path, settings)))
            batch = batch_of_one(engine.card.input, *nearest_size(engine.card.input))
            steps[str(number)] = partial(engine.infer, batch)
        return [spread(taken) for taken in alternating(steps, turns, BLOCK, PAUSE_S).values()]


def tables(numbers: dict[str, Any]) -> list[Table]:
    """One line for each network and precision."""
    table = Table(
        f"A ladder of networks, at the size nearest to {WIDTH}x{HEIGHT} that each takes",
        (
            *("network", "weights", "precision", "input", "GMACs", "file, MB"),
            *("1 thread, ms p50 / p99", f"{RIVAL} takes", "2 threads, ms p50 / p99"),
            f"{RIVAL} takes",
        ),
        note=f"'{RIVAL} takes': so many times as long, by medians, in fp32. Aim: {AIM:g} times for "
        f"{AIMED_AT} in fp32 with 2 threads. {numbers['missing']}".strip(),
    )
    rivals = [r for r in numbers["rows"] if r["network"] == RIVAL and r["precision"] == "fp32"]
    for entry in numbers["rows"]:
        times = [entry[f"threads_{threads}"] for threads in (1, 2)]
        ratios = [
            rivals[0][f"threads_{threads}"]["p50"] / taken["p50"] if rivals else float("nan")
            for threads, taken in zip((1, 2), times, strict=True)
        ]
        weights = "random" if entry["random_weights"] else "trained"
        table.add(
            *(entry["network"], weights, entry["precision"], entry["input"]),
            *(entry["gmacs"], entry["mb"]),
            *(both(times[0]), ratios[0], both(times[1]), ratios[1]),
        )
    return [table]
