"""What building engines costs: time, memory and size, by TensorRT-RTX, which needs no GPU for it.

    python benchmarks/engine_builds.py                  (about ten minutes on two cores)

Prints a table in Markdown. The networks are the bundled one at its own size and Enc-Dec-IRv2 with
random weights at 480x640, each in float32, float16 and int8 (calibrated on drawn images: the
cost of a build does not depend on them). Every build is a process of its own, so that its peak of
memory is its own; Python and the loaded libraries are in it.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean

from rich.console import Console

from depth_estimation_ros.apps.build_engine.calibration_images import drawn_images, network_batch
from depth_estimation_ros.engines import resolve_model
from depth_estimation_ros.engines.model_card import InputSpec, ModelCard, OutputSpec
from depth_estimation_ros.engines.precision.graph import load
from depth_estimation_ros.engines.precision.quantize import to_int8
from depth_estimation_ros.engines.tensorrt.api import find_tensorrt
from depth_estimation_ros.engines.tensorrt.builder import build_plan
from depth_estimation_ros.engines.tensorrt.engine_file import PRECISIONS
from depth_estimation_ros.engines.tensorrt.make import in_precision, read_model_file, wanted_engine
from depth_estimation_ros.engines.tensorrt.profile import make_profile

ROOT = Path(__file__).resolve().parents[1]
GPUS = ("7.5", "8.0", "8.6", "8.9", "12.0")
IRV2_SIZE = 480, 640
CALIBRATED_ON = 2  # images
console = Console(stderr=True)


@dataclass(frozen=True)
class Build:
    """What one build took and gave."""

    seconds: float
    processor_seconds: float
    peak_mb: float
    engine_mb: float
    input: str


def main() -> int:
    """Builds everything and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gpus", nargs="+", default=GPUS, help="compute capabilities")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(asdict(measure(Path(options.one[0]), options.one[1]))))
        return 0
    print(f"Built by {find_tensorrt('tensorrt_rtx').title}, one engine for each GPU.\n")
    gpus = " | ".join(f"MB for {gpu}" for gpu in options.gpus)
    print(f"| network | input | precision | s | processor, s | peak memory, MB | {gpus} |")
    print("|---|---|---|---:|---:|---:|" + "---:|" * len(options.gpus), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for model in (resolve_model("compact"), export_irv2(Path(folder) / "enc_dec_irv2.onnx")):
            for precision in PRECISIONS:
                path = convert(model, precision, Path(folder))
                print_row(model.stem, precision, [run(path, gpu) for gpu in options.gpus])
    return 0


def run(path: Path, gpu: str) -> Build:
    """One build in a process of its own."""
    command = [sys.executable, __file__, "--one", str(path), gpu]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return Build(**json.loads(done.stdout))


def print_row(network: str, precision: str, builds: list[Build]) -> None:
    """One line: means of the times, the largest peak, and every size."""
    sizes = " | ".join(f"{build.engine_mb:.1f}" for build in builds)
    print(
        f"| {network} | {builds[0].input} | {precision} | "
        f"{mean(build.seconds for build in builds):.1f} | "
        f"{mean(build.processor_seconds for build in builds):.1f} | "
        f"{max(build.peak_mb for build in builds):.0f} | {sizes} |",
        flush=True,
    )


def measure(path: Path, gpu: str) -> Build:
    """Builds one engine for one image at the size on the card."""
    spec = read_model_file(path).card.input
    profile = make_profile(spec)
    api = find_tensorrt("tensorrt_rtx")
    network = path.read_bytes()
    began, processor = time.perf_counter(), time.process_time()
    plan = build_plan(api, network, path, spec, profile, compute_capabilities=[gpu])
    return Build(
        seconds=time.perf_counter() - began,
        processor_seconds=time.process_time() - processor,
        peak_mb=peak_mb(),
        engine_mb=len(plan) / 1e6,
        input=f"{spec.height}x{spec.width}",
    )


def peak_mb() -> float:
    """The most memory that this process ever had; getrusage would count its parent's too."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1e3


def convert(path: Path, precision: str, folder: Path) -> Path:
    """The network in a precision, in a file of its own."""
    out = folder / f"{path.stem}_{precision}.onnx"
    model = read_model_file(path)
    spec = model.card.input
    with console.status(f"converting {path.stem} to {precision}"):
        if precision == "int8":
            images = drawn_images(spec, CALIBRATED_ON)
            batches = (network_batch(rgb, spec, nominal=True) for rgb in images)
            out.write_bytes(to_int8(load(path), batches).SerializeToString())
        else:
            wanted = wanted_engine(model, precision, make_profile(spec))
            out.write_bytes(in_precision(model, wanted))
    return out


def export_irv2(path: Path) -> Path:
    """The paper's network with random weights."""
    sys.path.insert(0, str(ROOT))
    import torch

    from training.export import export
    from training.networks import build_network

    with console.status("exporting Enc-Dec-IRv2"):
        torch.manual_seed(0)
        network = build_network("enc_dec_irv2", pretrained=False)
        card = ModelCard(
            name="enc_dec_irv2",
            licence="MIT",
            input=InputSpec(*IRV2_SIZE, "rgb", "uint8", "NHWC", network.multiple_of),
            output=OutputSpec("metric_depth", "m", 0.1, 10.0),
            encoder=network.encoder_name,
        )
        export(network, card, path)
    return path


if __name__ == "__main__":
    sys.exit(main())
