"""PyTorch's times: as it comes, and compiled with CUDA graphs, which is its best."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from random_networks import OPTIONS, random_network, size_for
from rows import Row, times_of

PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16}


def torch_rows(
    device: str,
    batches: Sequence[int],
    rounds: int,
    size: tuple[int, int],
    compiled: bool,
    names: Sequence[str] = tuple(OPTIONS),
) -> Iterator[Row]:
    """A row for each network, precision and batch.

    Args:
        device: "cuda", or "cpu" to try this code where there is no GPU.
        batches: images at once.
        rounds: calls that are timed.
        size: height and width; each network gets the nearest that it takes.
        compiled: torch.compile with CUDA graphs, instead of eager.
        names: of `networks.OPTIONS`.
    """
    torch.backends.cudnn.allow_tf32 = False  # fp32 is fp32, as in the engines
    for name in names:
        height, width = size_for(name, *size)
        network = random_network(name).to(device, memory_format=torch.channels_last)
        for precision, dtype in PRECISIONS.items():
            call = _caller(network, device, dtype, compiled)
            for batch in batches:
                picture = np.random.default_rng(0).integers(
                    0, 256, (batch, height, width, 3), dtype=np.uint8
                )
                source = torch.from_numpy(picture)
                if device == "cuda":
                    source = source.pin_memory()
                times = times_of(lambda call=call, source=source: call(source), rounds)  # type: ignore[misc]
                yield Row(
                    network=name,
                    size=f"{height}x{width}",
                    runtime="torch.compile" if compiled else "torch eager",
                    precision=precision,
                    batch=batch,
                    p50=float(np.percentile(times, 50)),
                    p99=float(np.percentile(times, 99)),
                )


def _caller(
    network: torch.nn.Module, device: str, dtype: torch.dtype, compiled: bool
) -> Callable[[torch.Tensor], np.ndarray]:
    """From (N, H, W, 3) uint8 on the host to (N, H, W) float32 on the host; fp16 by autocast."""

    def forward(image: torch.Tensor) -> torch.Tensor:
        with torch.autocast(device, dtype, enabled=dtype != torch.float32):
            return network(image.permute(0, 3, 1, 2).float() / 255.0).float()

    fast = torch.compile(forward, mode="reduce-overhead") if compiled else forward

    def call(source: torch.Tensor) -> np.ndarray:
        with torch.inference_mode():
            return fast(source.to(device, non_blocking=True)).cpu().numpy()

    return call
