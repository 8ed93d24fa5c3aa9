"""Noise against everything that comes from outside: messages, models, sidecars, parameters.

    python tools/fuzz/run.py [--help]

Each target runs in a process of its own: a crash, a hang or a leak is that target's. A case fails
if it raises anything but the package's own errors, says nothing or too much in one, takes more than
a second of the processor or 512 MB, answers in a wrong shape, or changes its input.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "test" / "helpers"), str(ROOT)]

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENCV_LOG_LEVEL"] = "SILENT"
GIGABYTES = 6  # of address space, beyond what is there at first; so no bomb takes the machine along

DECODERS = ("libpng", "Corrupt JPEG")  # they say what is wrong on stderr, whoever asks

SHARES = {
    "images": 0.36,
    "compressed": 0.2,
    "rclpy": 0.06,
    "onnx": 0.08,
    "cards": 0.12,
    "sidecars": 0.1,
    "parameters": 0.04,
    "files": 0.04,
}
"""The targets, and which part of the cases each has."""


def target(name: str) -> tuple[object, Callable[..., None]]:
    """Budget and property of a target; imports what it needs."""
    from budget import Budget

    budget = Budget()
    if name in ("images", "compressed", "rclpy"):
        from frame_cases import Frames

        from depth_estimation_ros.messages import ROS, ROSBAGS

        frames = Frames(budget, ROS if name == "rclpy" else ROSBAGS)
        ways = {"images": frames.raw, "compressed": frames.compressed, "rclpy": frames.any}
        return budget, ways[name]
    if name in ("onnx", "cards", "sidecars"):
        from model_cases import Models

        models = Models(budget)
        return budget, getattr(models, name)
    from parameter_cases import Parameters

    return budget, getattr(Parameters(budget), name)


def run_here(name: str, cases: int, seed: int | None) -> dict[str, object]:
    """One target in this process; raises what its first failing case raises, shrunk."""
    import hypothesis
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st

    budget, check = target(name)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + (GIGABYTES << 30), resource.RLIM_INFINITY))
    faulthandler.enable()
    logging.disable()

    @settings(
        max_examples=cases,
        derandomize=seed is None,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(st.data())
    def one(data: st.DataObject) -> None:
        check(data)

    if seed is not None:
        one = hypothesis.seed(seed)(one)
    start = time.perf_counter()
    one()
    return asdict(budget.tally) | {"seconds": time.perf_counter() - start}


def run_apart(name: str, cases: int, seed: int | None, limit_s: float) -> tuple[dict | None, str]:
    """One target in a process of its own: its tally, or None, and what it said."""
    command = [sys.executable, __file__, "--only", name, "--cases", str(cases), "--inside"]
    command += [] if seed is None else ["--seed", str(seed)]
    with tempfile.TemporaryFile("w+") as said:
        try:
            done = subprocess.run(
                command, stdout=subprocess.PIPE, stderr=said, text=True, timeout=limit_s
            )
        except subprocess.TimeoutExpired:
            return None, f"still running after {limit_s:.0f} s"
        said.seek(0)
        lines = [line for line in said.read().splitlines() if not line.startswith(DECODERS)]
        words = "\n".join(line[:160] for line in lines[-150:])
    if done.returncode != 0:
        return None, f"ended with {done.returncode}\n{words}"
    return json.loads(done.stdout.splitlines()[-1]), words


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=50_000, help="of all targets (default: 50000)")
    parser.add_argument("--seed", type=int, help="of the noise (default: the same cases each time)")
    parser.add_argument("--only", choices=SHARES, action="append", help="these targets; repeatable")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.inside:
        print(json.dumps(run_here(chosen.only[0], chosen.cases, chosen.seed)))
        return 0

    names = chosen.only or list(SHARES)
    whole = sum(SHARES[name] for name in names)
    total, failed = 0, []
    print(f"{'target':<12}{'cases':>7}{'per s':>7}{'slowest':>10}{'memory':>9}  outcomes")
    for name in names:
        cases = max(1, round(chosen.cases * SHARES[name] / whole + 0.5))
        tally, words = run_apart(name, cases, chosen.seed, 60 + cases * 0.5)
        if tally is None:
            failed.append(name)
            print(f"{name:<12} FAILED: {words}", flush=True)
            continue
        total += tally["cases"]
        outcomes = ", ".join(f"{n} {o}" for o, n in Counter(tally["outcomes"]).most_common())
        print(
            f"{name:<12}{tally['cases']:>7}{tally['cases'] / tally['seconds']:>7.0f}"
            f"{1e3 * tally['slowest']:>7.0f} ms{tally['megabytes']:>6.0f} MB  {outcomes}",
            flush=True,
        )
    print(f"{total} cases; {'failed: ' + ', '.join(failed) if failed else 'all good'}")
    return 1 if failed or total < chosen.cases else 0


if __name__ == "__main__":
    sys.exit(main())
