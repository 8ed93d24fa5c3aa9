"""Seeded draws for the scene builder: one stream for each seed and purpose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor

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


def hash01(x: Tensor, y: Tensor, seed: Tensor) -> Tensor:
    """Uniform numbers in [0, 1) from integer coordinates and an integer seed (all int32)."""
    h = x * 374761393 + y * 668265263 + seed * 974634777
    h = (h ^ (h >> 13)) * 1274126177
    h = (h ^ (h >> 15)) * 1103515245
    return (h & 0x7FFFFF).float() * (1.0 / 0x800000)


def cells(x: Tensor) -> tuple[Tensor, Tensor]:
    """Integer cell (int32) and the position within it in [0, 1)."""
    floor = x.floor()
    return floor.int(), x - floor


def value_noise(u: Tensor, v: Tensor, seed: Tensor) -> Tensor:
    """Smooth noise in [0, 1) with one lattice point a unit."""
    i, x = cells(u)
    j, y = cells(v)
    x = x * x * (3 - 2 * x)
    y = y * y * (3 - 2 * y)
    low = torch.lerp(hash01(i, j, seed), hash01(i + 1, j, seed), x)
    high = torch.lerp(hash01(i, j + 1, seed), hash01(i + 1, j + 1, seed), x)
    return torch.lerp(low, high, y)


def octaves(u: Tensor, v: Tensor, seed: Tensor, footprint: Tensor, count: int) -> Tensor:
    """Fractal noise about 0.5, each octave twice as fine and half as strong.

    An octave finer than a pixel fades to its mean instead of aliasing.

    Args:
        u, v: coordinates in units of the coarsest octave.
        footprint: size of a pixel in the same units.
    """
    total = torch.full_like(u, 0.5)
    scale, weight = 1.0, 0.5
    for octave in range(count):
        visible = (2 - 3 * scale * footprint).clamp_(0, 1)
        total += weight * visible * (value_noise(u * scale, v * scale, seed + octave) - 0.5)
        scale, weight = scale * 2.03, weight * 0.5
    return total
