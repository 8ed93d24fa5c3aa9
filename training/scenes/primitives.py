"""Rays against unit shapes.

A ray is origin + t * direction with any length of direction; t keeps its meaning through the affine
map into a body's unit space, so the t of a camera ray with direction z = 1 is the depth itself.
"""

from __future__ import annotations

from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor

from training.scenes.builder import SHAPES, SLOTS
from training.scenes.materials import MATERIAL
from training.scenes.scenes import Scenes

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


FIRST_SLOT = dict(zip(SHAPES, accumulate([0, *SLOTS.values()]), strict=False))


class Points(NamedTuple):
    """Surface points, flat over N * R; rays that hit nothing hold harmless values.

    position, normal (Q, 3); part (Q,) int64 tells faces of bodies apart; material (Q,) int64 is an
    index into the flattened (N * K) rows; u, v (Q,) metres on the surface; footprint (Q,) metres
    that a pixel covers; seed (Q,) int32 differs between faces.
    """

    position: Tensor
    normal: Tensor
    part: Tensor
    material: Tensor
    u: Tensor
    v: Tensor
    footprint: Tensor
    seed: Tensor


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner products (Q, 1) of (Q, 3): a matrix product is several times as fast as a sum."""
    return (a * b) @ a.new_ones(3, 1)


def length(a: Tensor) -> Tensor:
    """Lengths (Q, 1) of (Q, 3)."""
    return dot(a, a).sqrt()


def unit(a: Tensor) -> Tensor:
    """(Q, 3) scaled to length 1."""
    return a / length(a).clamp(min=1e-12)


def surface_points(
    scenes: Scenes, origin: Tensor, rays: Tensor, hits: Hits, pixel: Tensor
) -> Points:
    """The points that `hits` found.

    Args:
        origin: (N, 3, 1), or (N, 3, R) where each ray starts elsewhere.
        rays: (N, 3, R).
        pixel: (N, 1) width of a pixel at depth 1.
    """
    n, slots = scenes.to_unit.shape[:2]
    device = rays.device
    t = torch.where(hits.t.isfinite(), hits.t, 1.0)
    position = (origin + rays * t[:, None]).transpose(1, 2).reshape(-1, 3)
    scene = torch.arange(n, device=device)[:, None]
    body = hits.body.reshape(-1)
    row = (hits.body + scene * slots).reshape(-1)
    maps = scenes.to_unit.view(n * slots, 3, 4)[row]
    half = scenes.half.view(n * slots, 3)[row]
    local = (maps[..., :3] * position[:, None]).sum(-1) + maps[..., 3]

    is_ball = body >= FIRST_SLOT["ball"]
    is_round = (body >= FIRST_SLOT["cylinder"]) & ~is_ball
    axis = local.abs().argmax(dim=1)
    cap = local[:, 2].square() >= local[:, 0].square() + local[:, 1].square()
    axis = torch.where(is_round, torch.where(cap, 2, 3), torch.where(is_ball, 4, axis))

    flat = torch.nn.functional.one_hot(axis.clamp(max=2), 3).float() * local.sign()
    around = local * torch.tensor([1.0, 1.0, 0.0], device=device)
    normal = torch.where((axis == 3)[:, None], around, flat)
    normal = torch.where((axis == 4)[:, None], local, normal)
    positive = torch.where(axis < 3, (local.gather(1, axis.clamp(max=2)[:, None])[:, 0] > 0), False)
    normal = (maps[..., :3] * normal[:, :, None]).sum(1)
    normal = unit(normal)
    normal = torch.where((body == FIRST_SLOT["shell"])[:, None], -normal, normal)
    face = torch.where(axis < 3, 2 * axis + positive, 0)

    turn = torch.atan2(local[:, 1], local[:, 0]) * half[:, 0]
    local = local * half
    u = torch.where(axis == 0, local[:, 1], torch.where(axis < 3, local[:, 0], turn))
    v = torch.where(axis == 2, local[:, 1], local[:, 2])
    ray = rays.transpose(1, 2).reshape(-1, 3)
    slant = (dot(normal, ray) / length(ray)).abs()[:, 0]
    size = (t * pixel).reshape(-1) / slant.clamp(min=0.06) ** 0.7

    material = scenes.faces.view(n * slots, 6)[row, face]
    width = scenes.materials.shape[1]
    seed = scenes.materials[..., MATERIAL["seed"][0]].reshape(-1)
    index = material + (scene * width).expand_as(hits.body).reshape(-1)
    return Points(
        position=position,
        normal=normal,
        part=body * 8 + torch.where(axis < 3, face, 6),
        material=index,
        u=u,
        v=v,
        footprint=size,
        seed=(seed[index] + 13 * body + 5 * face).int(),
    )
