"""What fp16 and int8 cost in accuracy, on recorded images, all of them on ONNX Runtime.

    python benchmarks/engine_parity.py --calibration FOLDER --images ANOTHER_FOLDER

Prints a table in Markdown: depth of each precision against that of float32. Calibrates int8 on up
to 100 images of the first folder and compares on all of the second, which should be of other
places: what `build_engine` compares on is of the same ones.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from depth_estimation_ros.apps.build_engine.calibration_images import (
    CALIBRATED,
    network_batch,
    read_images,
)
from depth_estimation_ros.apps.build_engine.parity import LIMITS, compare
from depth_estimation_ros.engines import resolve_model
from depth_estimation_ros.engines.onnxruntime import OnnxRuntimeEngine
from depth_estimation_ros.engines.precision.graph import load
from depth_estimation_ros.engines.precision.half import to_half
from depth_estimation_ros.engines.precision.quantize import to_int8
from depth_estimation_ros.errors import DepthEstimationError

console = Console(stderr=True)


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="compact", help="default: compact")
    parser.add_argument("--calibration", type=Path, required=True, help="folder, for int8")
    parser.add_argument("--pictures", type=Path, required=True, help="folder, to compare on")
    options = parser.parse_args()
    try:
        measure(options)
    except DepthEstimationError as error:
        console.print(f"error: {error}", markup=False, soft_wrap=True)
        return 1
    return 0


def measure(options: argparse.Namespace) -> None:
    """Converts, compares and prints a line for each precision."""
    path = resolve_model(options.model)
    reference = OnnxRuntimeEngine(path)
    spec = reference.card.input
    calibration = read_images(options.calibration, CALIBRATED)
    batches = (network_batch(rgb, spec, nominal=True) for rgb in calibration)
    conversions = {
        "fp16": lambda: to_half(load(path)),
        "int8": lambda: to_int8(load(path), batches),
    }
    print("| network | precision | images | AbsRel (limit) | delta1 (limit) | largest error |")
    print("|---|---|---:|---:|---:|---:|", flush=True)
    for precision, convert in conversions.items():
        with tempfile.TemporaryDirectory() as folder, console.status(f"measuring {precision}"):
            converted = Path(folder) / f"{precision}.onnx"
            converted.write_bytes(convert().SerializeToString())
            candidate = OnnxRuntimeEngine(converted, optimize=False)
            parity = compare(reference, candidate, read_images(options.pictures, sys.maxsize))
        limit = LIMITS[precision]
        print(
            f"| {reference.card.name} | {precision} | {parity.images} | "
            f"{parity.abs_rel:.4f} ({limit.abs_rel:g}) | {parity.delta1:.5f} ({limit.delta1:g}) | "
            f"{100 * parity.max_rel:.0f} % |",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
