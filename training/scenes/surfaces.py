"""What lies at the end of a ray: normal, face, material and surface coordinates."""

from __future__ import annotations

from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor

from training.scenes.builder import SHAPES, SLOTS
from training.scenes.materials import MATERIAL
from training.scenes.primitives import Hits
from training.scenes.scenes import Scenes

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
