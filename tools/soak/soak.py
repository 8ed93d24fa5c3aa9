"""The real node at the rate of a camera for a long time, with faults, and what it holds meanwhile.

    python tools/soak/soak.py --minutes 20

The node, a camera and a listener run in processes of their own. Every few seconds one fault begins,
ends some seconds later, and the node must answer again. Exit code 1 if memory, threads, handles or
shared memory grow, a bad image is answered, a good one that the node took is not, or the node does
not come back within 10 s of the end of a fault. Writes soak.json and soak.png (needs matplotlib).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from result_file import write
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
# The tests' helpers, and the package as it is here.
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "test" / "helpers"), str(ROOT)]

if TYPE_CHECKING:
    from schedule import World

RECOVERY_S = 10.0
Verdict = tuple[str, float, float]


def main() -> int:
    """Runs the soak; 1 if anything was not as it should be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=20.0, help="how long (default: 20)")
    parser.add_argument("--rate", type=float, default=15.0, help="images per second (default: 15)")
    parser.add_argument("--width", type=int, default=640, help="of the images (default: 640)")
    parser.add_argument("--height", type=int, default=480, help="of the images (default: 480)")
    parser.add_argument(
        "--model", default="compact", help="bundled name or file (default: compact)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("soak_out"), help="folder of results (default: soak_out)"
    )
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        result = _run(args, Path(folder))
    write(result, args.out / "soak.json")
    console = Console(width=None if sys.stdout.isatty() else 100)
    console.print(_table(result), f"Results: {args.out.absolute()}")
    return 0 if all(value <= limit for _, value, limit in result["verdicts"]) else 1


def _run(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    from depth_estimation_ros.apps.demo.session import environment

    os.environ.update(environment(None, folder))  # before DDS starts, here and in the others

    import rclpy
    from plot import draw
    from ros_helpers import NodeProcess, Tester
    from samples import Sampler, verdicts
    from schedule import World

    rclpy.init()
    tester = Tester()
    with NodeProcess(folder, autostart=True, model=args.model, diagnostics_period=0.5) as node:
        tester.wait_for_state(node, "active")
        world = World(tester, node, (args.width, args.height, args.rate))
        sampler = Sampler(node.process.pid)
        try:
            tester.wait_until(lambda: world.answers, "the first depth", node)
            events, recoveries = _faults(world, 60.0 * args.minutes)
            world.count()
        finally:
            samples = sampler.stop()
            world.stop()
            (args.out / "node.log").write_text(node.log)
            tester.destroy()
            rclpy.try_shutdown()
    draw(samples, events, args.out / "soak.png")
    return {
        "minutes": args.minutes,
        "rate_hz": args.rate,
        "load": os.getloadavg(),
        "faults": len(events),
        "recovery_s": {name: max(times) for name, times in recoveries.items()},
        "counts": dict(world.counts),
        "answers": world.answers,
        "verdicts": [*verdicts(samples), *_account(world, recoveries)],
        "samples": asdict(samples),
    }


def _faults(world: World, seconds: float) -> tuple[list[tuple[float, str]], dict[str, list[float]]]:
    """Makes faults until the time is over; when each began, and the seconds to come back."""
    from schedule import faults

    events: list[tuple[float, str]] = []
    recoveries: dict[str, list[float]] = {}
    start = time.monotonic()
    while True:
        for name, fault in faults(world).items():
            if time.monotonic() - start > seconds:
                return events, recoveries
            world.tester.spin(2.0)
            events.append((time.monotonic() - start, name))
            next(fault)
            world.tester.spin(2.5)
            next(fault, None)
            recoveries.setdefault(name, []).append(_recovery(world))
            print(f"{events[-1][0]:7.0f} s  {name}: {recoveries[name][-1]:.2f} s", flush=True)


def _recovery(world: World) -> float:
    """Seconds from the end of a fault to the next answer; infinite beyond `RECOVERY_S`."""
    ended = time.monotonic()
    while time.monotonic() < ended + RECOVERY_S:
        world.tester.spin(0.05)
        assert world.node.is_alive, world.node.log[-3000:]
        if world.last_answer > ended:
            return world.last_answer - ended
    return float("inf")


def _account(world: World, recoveries: dict[str, list[float]]) -> list[Verdict]:
    return [
        ("frames taken and neither answered nor counted", float(abs(world.missing)), 0.0),
        ("bad images answered", float(world.answered_bad), 0.0),
        ("longest way back, s", max(map(max, recoveries.values())), RECOVERY_S),
    ]


def _table(result: dict[str, Any]) -> Table:
    counts = ", ".join(f"{name} {value}" for name, value in result["counts"].items() if value)
    table = Table(
        title=f"{result['minutes']:g} minutes at {result['rate_hz']:g} Hz", caption=counts
    )
    table.add_column("what")
    for column in ("found", "limit"):
        table.add_column(column, justify="right")
    for name, value, limit in result["verdicts"]:
        style = "green" if value <= limit else "red"
        table.add_row(name, f"[{style}]{value:.2f}[/]", f"{limit:g}")
    return table


if __name__ == "__main__":
    sys.exit(main())
