"""Everything that is measured of the speed of the node and of `replay`, on this machine.

    make bench ARGS=--help

Each section writes one JSON file, with the command and the facts of the machine first; tables and
plots are made of these files alone.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shlex
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from rich.console import Console

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
# The tests' helpers; the package here.
HELPERS = [ROOT / "test" / "helpers", ROOT / "tools" / "gpu_check"]
sys.path[:0] = [str(BENCH), *map(str, HELPERS), str(ROOT)]

SECTIONS = (
    *("startup", "stages", "engine", "ladder", "processor", "end_to_end", "cameras"),
    *("replay", "peers"),
)
KEPT = ROOT / "docs" / "benchmarks"


def main() -> int:
    """Runs the bench; 1 if a section failed."""
    args = _arguments()
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)  # a file or pipe has no width; the tables must not be cut
    if args.summary:
        from summary import fill

        fill(ROOT / "docs" / "speed.md", KEPT)
        return 0
    if args.render:
        _render(args.render, console)
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the nodes are stopped on the way out
    with tempfile.TemporaryDirectory() as folder:
        failed = _measure(args, Path(folder), console)
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=SECTIONS, help="these sections")
    parser.add_argument(
        "--models",
        nargs="+",
        help="bundled names or .onnx files (default: every bundled one in float32)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="less than two minutes; writes nothing without --out"
    )
    parser.add_argument("--out", type=Path, help=f"folder of the results (default: {KEPT})")
    parser.add_argument(
        "--summary",
        action="store_true",
        help=f"measure nothing: put the numbers in {KEPT.relative_to(ROOT)} into docs/speed.md",
    )
    parser.add_argument(
        "--render",
        type=Path,
        metavar="FOLDER",
        help="measure nothing: make the tables and plots of the JSON files in a folder again",
    )
    args = parser.parse_args()
    if args.out is None and not args.quick:
        args.out = KEPT
    return args


def _measure(args: argparse.Namespace, folder: Path, console: Console) -> list[str]:
    from depth_estimation_ros.apps.demo.session import environment
    from depth_estimation_ros.utils.memory import keep_freed_memory

    # A graph of its own, before DDS starts here and in the nodes.
    os.environ.update(environment(None, folder))
    keep_freed_memory()  # so that the listener here costs no more than it must

    import rclpy
    from machine import facts
    from options import Options
    from rclpy.signals import SignalHandlerOptions

    from depth_estimation_ros.engines import bundled_models

    in_float32 = [name for name in bundled_models() if not name.endswith("_int8")]
    options = Options(args.models or in_float32, args.quick, folder)
    about = {"command": f"make bench ARGS={shlex.quote(shlex.join(sys.argv[1:]))}"}
    about |= {"date": time.strftime("%Y-%m-%d"), "quick": args.quick, "machine": facts()}
    failed = []
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)  # a signal ends the bench
    for name in args.only or SECTIONS:
        began = time.perf_counter()
        console.print(f"{name} ...")
        section = importlib.import_module(f"sections.{name}")
        try:
            numbers = section.measure(options)
        except Exception:
            console.print(traceback.format_exc(), markup=False)
            failed.append(name)
            continue
        taken = round(time.perf_counter() - began, 1)
        _show(section.tables(numbers), console)
        console.print(f"{name}: {taken:g} s")
        if args.out is not None:
            _write(args.out / f"{name}.json", {**about, "seconds": taken, "numbers": numbers})
    rclpy.try_shutdown()
    if args.out is not None:
        _render(args.out, console, quiet=True)
    if failed:
        console.print(f"failed: {', '.join(failed)}")
    return failed


def _show(tables: list[Any], console: Console) -> None:
    for table in tables:
        console.print(table.for_terminal())


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")


def _render(folder: Path, console: Console, quiet: bool = False) -> None:
    """README.md and the plots of a folder, from its JSON files."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = ["# Measured speed\n\nMade by `make bench` of the JSON files beside it.\n"]
    for name in SECTIONS:
        path = folder / f"{name}.json"
        if not path.exists():
            continue
        content = json.loads(path.read_text())
        tables = importlib.import_module(f"sections.{name}").tables(content["numbers"])
        if not quiet:
            _show(tables, console)
        parts.append(_heading(name, content))
        parts += [table.markdown() for table in tables]
    from plots import plot_all

    parts += [f"![{path.stem.replace('_', ' ')}]({path.name})\n" for path in plot_all(folder)]
    (folder / "README.md").write_text("\n".join(parts))


def _heading(name: str, content: dict[str, Any]) -> str:
    machine = content["machine"]
    return (
        f"## {name.replace('_', ' ')}\n\n`{content['command']}`, {content['date']}"
        f"{', quick' if content['quick'] else ''}, commit {machine['commit']}; "
        f"{machine['cores']} cores of {machine['processor']}, Python {machine['python']}, ONNX "
        f"Runtime {machine['onnxruntime']}, OpenCV {machine['opencv-python-headless']}; load "
        f"before: {machine['load_1min_before']}\n"
    )


if __name__ == "__main__":
    sys.exit(main())
