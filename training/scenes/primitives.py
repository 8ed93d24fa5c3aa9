"""Rays against unit shapes.

A ray is origin + t * direction with any length of direction; t keeps its meaning through the affine
map into a body's unit space, so the t of a camera ray with direction z = 1 is the depth itself.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from training.scenes.builder import SHAPES, SLOTS

INF = float("inf")
TINY = 1e-9  # keeps an axis-parallel direction from dividing by zero


class Hits(NamedTuple):
    """First bodies along rays: t (N, R), +inf where nothing is hit, and body (N, R) int64."""

    t: Tensor
    body: Tensor


def box_interval(o: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    """Where rays (N, 3, B, R) are inside the cube [-1, 1]^3: enter and leave (N, B, R)."""
    inverse = (d + TINY).reciprocal_()
    middle = inverse * -o
    spread = inverse.abs_()
    low, high = middle - spread, middle.add_(spread)
    enter = torch.maximum(torch.maximum(low[:, 0], low[:, 1]), low[:, 2])
    leave = torch.minimum(torch.minimum(high[:, 0], high[:, 1]), high[:, 2])
    return enter, leave


def round_interval(a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Where a t^2 + 2 b t + c <= 0; an empty interval (+inf, -inf) where it never is."""
    a = a + TINY
    root = (b * b - a * c).sqrt()  # NaN where the ray misses
    inverse = a.reciprocal_()
    enter = (-b - root).mul_(inverse).nan_to_num_(nan=INF, posinf=INF, neginf=-INF)
    leave = (root - b).mul_(inverse).nan_to_num_(nan=-INF, posinf=INF, neginf=-INF)
    return enter, leave


def cylinder_interval(o: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    """Inside x^2 + y^2 <= 1, |z| <= 1."""
    enter, leave = round_interval(
        d[:, 0] * d[:, 0] + d[:, 1] * d[:, 1],
        o[:, 0] * d[:, 0] + o[:, 1] * d[:, 1],
        o[:, 0] * o[:, 0] + o[:, 1] * o[:, 1] - 1,
    )
    inverse = (d[:, 2] + TINY).reciprocal_()
    middle = inverse * -o[:, 2]
    spread = inverse.abs_()
    return torch.maximum(enter, middle - spread), torch.minimum(leave, middle + spread)


def ball_interval(o: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    """Inside the unit ball."""
    return round_interval((d * d).sum(1), (o * d).sum(1), (o * o).sum(1) - 1)


INTERVALS = {
    "shell": box_interval,
    "box": box_interval,
    "cylinder": cylinder_interval,
    "ball": ball_interval,
}


def trace(
    to_unit: Tensor,
    used: tuple[int, ...],
    origins: Tensor,
    directions: Tensor,
    *,
    shell: bool = True,
    nearest: float = 1e-4,
) -> Hits:
    """First body that each ray meets from outside (from inside for a shell) beyond `nearest`.

    Args:
        to_unit: (N, P, 3, 4) in the slots of `builder.SLOTS`.
        used: how many slots of each shape to look at.
        origins: (N, 3, 1) or (N, 3, R).
        directions: (N, 3, R).
        shell: whether shells are looked at.
        nearest: smallest t that counts, in units of `directions`.
    """
    n, _, rays = directions.shape
    best = torch.full((n, rays), INF, device=directions.device)
    body = torch.zeros((n, rays), dtype=torch.int64, device=directions.device)
    start = 0
    for shape, count in zip(SHAPES, used, strict=True):
        if count and (shell or shape != "shell"):
            maps = to_unit[:, start : start + count].transpose(1, 2)  # (N, 3, B, 4)
            linear = maps[..., :3].reshape(n, 3 * count, 3)
            d = (linear @ directions).view(n, 3, count, rays)
            o = (linear @ origins).view(n, 3, count, -1) + maps[..., 3:]
            enter, leave = INTERVALS[shape](o, d)
            if shape == "shell":
                t = torch.where((leave > nearest) & (leave > enter), leave, INF)
            else:
                t = torch.where((enter > nearest) & (leave > enter), enter, INF)
            first = t.min(dim=1)
            closer = first.values < best
            best = torch.where(closer, first.values, best)
            body = torch.where(closer, first.indices + start, body)
        start += SLOTS[shape]
    return Hits(best, body)


def used_slots(counts: Tensor) -> tuple[int, ...]:
    """The number of slots of each shape that a batch (N, 4) of counts needs."""
    return tuple(int(count) for count in counts.amax(dim=0))
