"""Images and exact depth of scenes: a primary, a shadow and an occlusion ray for each pixel."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from training.scenes.cameras import Cameras, pixel_rays
from training.scenes.materials import MATERIAL
from training.scenes.primitives import Hits, Points, dot, surface_points, trace, used_slots
from training.scenes.scenes import Scenes
from training.scenes.shading import OFFSET, develop, radiance

CPU_ELEMENTS = 2**18  # bodies * rays at once: fits a core's cache
GPU_ELEMENTS = 2**27


class Render(NamedTuple):
    """rgb (N, 3, H, W) in 0..1, sRGB; depth (N, H, W) float32 metres along Z, +inf for the sky."""

    rgb: Tensor
    depth: Tensor


def render(
    scenes: Scenes, cameras: Cameras, height: int, width: int, group: int | None = None
) -> Render:
    """Render each scene with its camera.

    Memory stays bounded: scenes go in groups, rays in chunks.

    Args:
        group: scenes at once; None takes one on a CPU, where caches matter, and many on a GPU.

    Raises:
        ValueError: the numbers of scenes and cameras differ.
    """
    if len(scenes) != len(cameras):
        raise ValueError(f"{len(scenes)} scenes with {len(cameras)} cameras")
    if group is None:
        on_cpu = scenes.to_unit.device.type == "cpu"
        group = 1 if on_cpu else max(1, GPU_ELEMENTS // (height * width * 32))
    parts = [
        _render_group(scenes[k : k + group], cameras[k : k + group], height, width)
        for k in range(0, len(scenes), group)
    ]
    return Render(torch.cat([p.rgb for p in parts]), torch.cat([p.depth for p in parts]))


@torch.no_grad()
def _render_group(scenes: Scenes, cameras: Cameras, height: int, width: int) -> Render:
    rays = cameras.rotation @ pixel_rays(cameras.intrinsics, height, width)
    origin = cameras.position[:, :, None]
    hits = trace_chunked(scenes, origin, rays)
    pixel = 1.0 / cameras.intrinsics[:, :1]
    points = surface_points(scenes, origin, rays, hits, pixel)
    light = radiance(scenes, points, rays, hits, (height, width), trace_chunked)
    mirror = scenes.materials[..., MATERIAL["mirror"][0]].reshape(-1)[points.material]
    mirror = (mirror * hits.t.isfinite().reshape(-1)).view(-1, 1, height, width)
    if bool(mirror.any()):
        light = torch.lerp(light, reflected(scenes, points, rays, pixel, (height, width)), mirror)
    return Render(develop(light), hits.t.view(-1, height, width))


def reflected(
    scenes: Scenes, points: Points, rays: Tensor, pixel: Tensor, size: tuple[int, int]
) -> Tensor:
    """Light (N, 3, H, W) that a mirror at each point would throw along its ray; depth is as before.

    Mirrors in mirrors are dark.
    """
    flat = rays.transpose(1, 2).reshape(-1, 3)
    mirrored = flat - 2 * dot(points.normal, flat) * points.normal
    start = points.position + OFFSET * points.normal
    rays, start = (t.view(len(scenes), -1, 3).transpose(1, 2) for t in (mirrored, start))
    hits = trace_chunked(scenes, start, rays)
    seen = surface_points(scenes, start, rays, hits, pixel)
    return radiance(scenes, seen, rays, hits, size, trace_chunked)


def trace_chunked(
    scenes: Scenes, origins: Tensor, directions: Tensor, *, shell: bool = True
) -> Hits:
    """`trace` over rays in chunks that bound the memory."""
    used = used_slots(scenes.counts)
    elements = CPU_ELEMENTS if directions.device.type == "cpu" else GPU_ELEMENTS
    step = max(256, elements // (max(sum(used), 1) * len(scenes)))
    parts = [
        trace(
            scenes.to_unit,
            used,
            origins if origins.shape[2] == 1 else origins[:, :, k : k + step],
            directions[:, :, k : k + step],
            shell=shell,
        )
        for k in range(0, directions.shape[2], step)
    ]
    return Hits(torch.cat([p.t for p in parts], 1), torch.cat([p.body for p in parts], 1))
