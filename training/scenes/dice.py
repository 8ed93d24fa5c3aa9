"""Seeded draws for the scene builder: one stream for each seed and purpose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch

T = TypeVar("T")

STREAMS = ("scene", "camera", "path", "sensor", "noise", "file")


def generator(seed: int, stream: str) -> torch.Generator:
    """A CPU generator for one purpose of one seed (the streams of a seed never share numbers).

    torch's CPU generator keeps 32 bits of its seed, so seeds are distinct below 2**29.
    """
    return torch.Generator().manual_seed((seed * 8 + STREAMS.index(stream)) % 2**32)


class SeededRandom:
    """Scalar draws from a torch.Generator, taken in blocks because single draws are slow."""

    def __init__(self, seed: int, stream: str) -> None:
        self._generator = generator(seed, stream)
        self._block: list[float] = []

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        if not self._block:
            self._block = torch.rand(512, generator=self._generator, dtype=torch.float64).tolist()
        return low + (high - low) * self._block.pop()

    def chance(self, probability: float) -> bool:
        return self.uniform() < probability

    def integer(self, low: int, high: int) -> int:
        """An integer in low..high, both included."""
        return low + min(int(self.uniform() * (high - low + 1)), high - low)

    def choice(self, items: Sequence[T]) -> T:
        return items[self.integer(0, len(items) - 1)]

    def log_uniform(self, low: float, high: float) -> float:
        return low * (high / low) ** self.uniform()
