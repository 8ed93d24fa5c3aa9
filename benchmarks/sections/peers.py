"""The same depth, or the same network, through what one would use instead.

Every one is a process of its own, in turn. OpenVINO and Open3D are large and optional: `make
bench-peers` puts them into an environment of their own; what is missing is named and left out.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from options import SIZES, Options
from peer import CLOUDS, NETWORKS, THREADS
from tables import Table, both
from timing import spread

ROUNDS, TURNS = 30, 3
BACKEND_AIM = 1.3
PEER = Path(__file__).resolve().parents[1] / "peer.py"
OTHER_PYTHON = PEER.parents[2] / ".venv-peers" / "bin" / "python"


def measure(options: Options) -> dict[str, Any]:
    """Milliseconds of each."""
    tasks: list[tuple[str, str, str]] = [
        (name, f"{width}x{height}", options.main_model)
        for width, height in SIZES[:1]
        for name in CLOUDS
    ]
    tasks += [(name, "640x480", model) for model in options.models for name in NETWORKS]
    told: dict[tuple[str, str, str], list[dict[str, Any]]] = {task: [] for task in tasks}
    for _ in range(1 if options.quick else TURNS):
        for task, several in told.items():
            if not several or "missing" not in several[0]:
                several.append(run(task, options.rounds(ROUNDS)))
    return {"rows": [row(task, several) for task, several in told.items()]}


def run(task: tuple[str, str, str], rounds: int) -> dict[str, Any]:
    """One process; of the other environment if this one lacks something."""
    missing = {}
    for python in (Path(sys.executable), OTHER_PYTHON):
        if not python.exists():
            continue
        command = [str(word) for word in (python, PEER, *task, rounds)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            missing = {"missing": done.stderr.strip().splitlines()[-1]}
            continue
        answer = json.loads(done.stdout.splitlines()[-1])
        if "missing" not in answer:
            return answer
        missing = answer
    return missing


def row(task: tuple[str, str, str], several: list[dict[str, Any]]) -> dict[str, Any]:
    """One line of the table."""
    what, size, model = task
    facts = {"what": what, "of": model if what in NETWORKS else size}
    if "missing" in several[0]:
        return {**facts, "missing": several[0]["missing"]}
    times = [ms for told in several for ms in told["ms"]]
    return {**facts, "version": several[0]["version"], "times": spread(times)}


def tables(numbers: dict[str, Any]) -> list[Table]:
    """Each beside this package's way of the same."""
    table = Table(
        "This package and others, each in a process of its own",
        ("what", "of", "version", "ms, p50 / p99", "times as long as this package"),
        note=f"Networks with {THREADS} threads. Another backend is worth its upkeep if it is "
        f"{BACKEND_AIM:g} times as fast.",
    )
    here = {
        (row["what"].split(":")[0], row["of"]): row["times"]["p50"]
        for row in numbers["rows"]
        if row["what"].endswith("this package")
    }
    for row in numbers["rows"]:
        if "missing" in row:
            table.add(row["what"], row["of"], "", f"left out: {row['missing']}", "")
            continue
        ratio = row["times"]["p50"] / here[row["what"].split(":")[0], row["of"]]
        table.add(row["what"], row["of"], row["version"], both(row["times"]), ratio)
    return [table]
