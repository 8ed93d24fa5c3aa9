"""What the node takes of the processor at 10 Hz, beside ONNX Runtime alone with several settings.

Every one is a process of its own, in turn; once on a machine with nothing else to do, and once
beside a process that keeps one core busy.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bare_engine import SETTINGS
from live import Feed, drive
from options import Options
from ros_helpers import NodeProcess, Tester
from tables import Table, both
from timing import spread

from depth_estimation_ros.engines import resolve_model

RATE_HZ, IMAGES, TURNS, THREADS = 10.0, 30, 2, 2
NODE = "the node, depth only"
BARE_ENGINE = Path(__file__).resolve().parents[1] / "bare_engine.py"


def measure(options: Options) -> dict[str, Any]:
    """Milliseconds of the network and of the processor for one image."""
    model = options.main_model
    runs: dict[tuple[str, bool], list[dict[str, Any]]] = {}
    for busy in (False, True):
        for _ in range(1 if options.quick else TURNS):
            with busy_process(busy):
                for settings in SETTINGS:
                    told = bare(resolve_model(model), settings, options)
                    runs.setdefault((f"bare, {settings}", busy), []).append(told)
                runs.setdefault((NODE, busy), []).append(node(model, options))
    rows = [
        {
            "what": what,
            "beside_a_busy_process": busy,
            "network": spread([ms for told in several for ms in told["ms"]]),
            "processor_ms_per_image": mean(told["processor_ms_per_image"] for told in several),
            "pss_mb": mean(told["pss_mb"] for told in several),
        }
        for (what, busy), several in runs.items()
    ]
    return {"model": model, "threads": THREADS, "rate_hz": RATE_HZ, "rows": rows}


def bare(path: Path, settings: str, options: Options) -> dict[str, Any]:
    """One process of `bare_engine`."""
    command = [sys.executable, BARE_ENGINE, path, settings, THREADS, RATE_HZ]
    command.append(options.rounds(IMAGES))
    words = [str(word) for word in command]
    return json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def node(model: str, options: Options) -> dict[str, Any]:
    """The real node, with one who listens to the depth."""
    from processes import pss_mb

    tester = Tester()
    with NodeProcess(options.folder, model=model, inference_threads=THREADS) as process:
        tester.wait_for_state(process, "active")
        feed = Feed(tester, process, (640, 480), ["depth"])
        result = drive(tester, [feed], RATE_HZ, options.rounds(IMAGES))
        memory = pss_mb(process.process.pid)
    tester.destroy()
    return {
        "ms": [result["engine_p50"]],
        "processor_ms_per_image": result["processor_ms_per_image"],
        "pss_mb": memory,
    }


@contextmanager
def busy_process(wanted: bool) -> Iterator[None]:
    """A process that takes all it gets of one core."""
    if not wanted:
        yield
        return
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def mean(values: Any) -> float:
    several = list(values)
    return sum(several) / len(several)


def tables(numbers: dict[str, Any]) -> list[Table]:
    """All in one table."""
    table = Table(
        f"{numbers['model']} at {numbers['rate_hz']:g} Hz, {numbers['threads']} threads",
        (
            "what",
            "beside a busy process",
            "network, ms p50 / p99",
            "processor, ms an image",
            "memory (PSS), MB",
        ),
        note="Memory of the bare ones is that of Python, NumPy and ONNX Runtime too; the node's "
        "network has a median only.",
    )
    for row in numbers["rows"]:
        table.add(
            row["what"],
            "yes" if row["beside_a_busy_process"] else "no",
            both(row["network"]),
            row["processor_ms_per_image"],
            row["pss_mb"],
        )
    return [table]
