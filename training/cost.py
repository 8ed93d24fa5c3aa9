"""What a network costs: parameters, multiplications, time on a processor."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from depth_estimation_ros.engines.onnxruntime import OnnxRuntimeEngine
from training.networks import DepthNetwork

WARM_UP, ROUNDS = 3, 40


@dataclass(frozen=True)
class Cost:
    """For one picture.

    Attributes:
        height, width: of the network's input, pixels.
        parameters: that are trained.
        macs: multiply-accumulates in convolutions and matrix products.
        cpu_ms: on ONNX Runtime, one thread; the fastest of 40 runs, which other work on the
            machine disturbs least.
    """

    height: int
    width: int
    parameters: int
    macs: int
    cpu_ms: float


def measure(network: DepthNetwork, model: Path, height: int, width: int) -> Cost:
    """The cost of ``network``, exported as ``model``, at a size it takes."""
    parameters = sum(p.numel() for p in network.parameters() if p.requires_grad)
    macs = count_macs(network, height, width)
    return Cost(height, width, parameters, macs, time_on_cpu(model, height, width))


@torch.no_grad()
def count_macs(network: DepthNetwork, height: int, width: int) -> int:
    """Multiply-accumulates for one picture; nothing is computed."""
    # Attention as plain matrix products: the counter does not know the CPU's fused one.
    with (
        FakeTensorMode(allow_non_fake_inputs=True),
        sdpa_kernel(SDPBackend.MATH),
        FlopCounterMode(display=False) as counter,
    ):
        network.eval()(torch.zeros(1, 3, height, width))
    return counter.get_total_flops() // 2  # it counts a multiplication and an addition as two


def time_on_cpu(model: Path, height: int, width: int) -> float:
    """Milliseconds of one picture on ONNX Runtime with one thread: the fastest after a warm-up."""
    engine = OnnxRuntimeEngine(model, threads=1)
    image = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8)
    times = []
    for _ in range(WARM_UP + ROUNDS):
        start = time.perf_counter()
        engine.infer(image)
        times.append(1e3 * (time.perf_counter() - start))
    engine.close()
    return min(times[WARM_UP:])
