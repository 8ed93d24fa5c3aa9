"""The three times of a training loop: its loader, its step, and both together."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from training_loops import Loop


@dataclass(frozen=True)
class Speed:
    """Seconds a batch of ``images``: the loader alone, the step alone, both together."""

    name: str
    precision: str
    images: int
    loader: float
    step: float
    both: float

    @property
    def waiting(self) -> float:
        """The share of a step that is spent waiting for images, 0..1."""
        return max(0.0, 1.0 - self.step / self.both)


def measure(loop: Loop, images: int, steps: int, warm_up: int) -> Speed:
    """The three times of one loop."""
    count = warm_up + steps
    clock = Clock(count, warm_up)
    for _ in loop.loader(count):
        clock.tick()
    alone = clock.seconds
    first = next(iter(loop.loader(1)))
    clock = Clock(count, warm_up)
    loop.train(Repeated(first, count), count, clock.tick)
    step = clock.seconds
    clock = Clock(count, warm_up)
    loop.train(loop.loader(count), count, clock.tick)
    return Speed(loop.name, loop.precision, images, alone, step, clock.seconds)


class Repeated:
    """One batch again and again. Not a list, which Lightning takes for several loaders."""

    def __init__(self, batch: dict[str, Tensor], count: int) -> None:
        self.batch, self.count = batch, count

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        return itertools.repeat(self.batch, self.count)


class Clock:
    """Seconds a tick, from the end of the warm-up to the last tick."""

    def __init__(self, count: int, warm_up: int) -> None:
        self.count, self.warm_up = count, warm_up
        self.ticks = 0
        self.start = self.seconds = 0.0

    def tick(self) -> None:
        """After each step; waits for the GPU only where the time is taken."""
        self.ticks += 1
        if self.ticks == self.warm_up:
            self.start = now()
        elif self.ticks == self.count:
            self.seconds = (now() - self.start) / (self.count - self.warm_up)


def now() -> float:
    """Seconds, once the GPU has done all it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
