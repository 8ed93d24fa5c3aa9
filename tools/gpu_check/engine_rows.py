"""The times of TensorRT engines, with and without what the host does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from builds import build
from random_networks import export_random, size_for
from rows import Row, times_of

from depth_estimation_ros.engines.tensorrt.engine import open_engine_file

if TYPE_CHECKING:
    from parts import Wanted

NETWORKS = ("compact", "enc_dec_irv2")
PRECISIONS = ("fp16", "fp32", "int8")


def engine_rows(wanted: Wanted, folder: Path) -> Iterator[Row]:
    """A row for each batch, precision and network, as different as can be at first.

    Each batch has an engine of its own.
    """
    for batch in wanted.batches:
        for precision in PRECISIONS:
            for name in NETWORKS:
                height, width = size_for(name, *wanted.size)
                model = folder / f"{name}.onnx"
                if not model.exists():
                    export_random(name, height, width, folder)
                path = build(model, precision, (batch, batch, batch), (height, width), folder)
                yield measure(path, name, precision, batch, wanted.rounds)


def measure(path: Path, name: str, precision: str, batch: int, rounds: int) -> Row:
    """Times of one engine for a full batch."""
    engine = open_engine_file(path, 0)
    try:
        spec = engine.card.input
        shape = (batch, spec.height, spec.width, 3)
        image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        times = times_of(lambda: engine.infer(image), rounds)
        return Row(
            network=name,
            size=f"{spec.height}x{spec.width}",
            runtime="TensorRT" + (" graph" if "no CUDA graph" not in engine.description else ""),
            precision=precision,
            batch=batch,
            p50=float(np.percentile(times, 50)),
            p99=float(np.percentile(times, 99)),
            gpu=engine.time_alone(rounds),
        )
    finally:
        engine.close()
