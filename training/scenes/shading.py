"""Light on surfaces: one soft-shadowed lamp or sun, ambient light with occlusion, gloss, haze, sky.

Soft shadows and occlusion take one ray a pixel out of a pattern of 5 x 5 directions; the mean over
5 x 5 pixels of the same face then sees all of them, so flat surfaces come out free of noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

from training.scenes.builder import LIGHTING
from training.scenes.dice import octaves
from training.scenes.materials import MATERIAL
from training.scenes.primitives import Hits, Points, dot, length, unit
from training.scenes.scenes import Scenes
from training.scenes.textures import PATTERNS, Surface

Tracer = Callable[..., Hits]

PATTERN_SIZE = 5
OFFSET = 2e-3  # metres off the surface at which secondary rays start
KEY = 0.24  # mean brightness that the automatic exposure aims at


def light(scenes: Scenes, name: str) -> Tensor:
    """One named part (N, width) of the lighting."""
    start, width = LIGHTING[name]
    return scenes.lighting[:, start : start + width]


def albedo(scenes: Scenes, points: Points) -> tuple[Tensor, Tensor, Tensor]:
    """Colour (Q, 3), gloss (Q,) and emission (Q,) of surface points."""
    table = scenes.materials.view(-1, scenes.materials.shape[-1])
    pattern = table[:, 0].long()[points.material]
    color = torch.zeros_like(points.position)
    for number, texture in enumerate(PATTERNS.values()):
        chosen = (pattern == number).nonzero()[:, 0]
        if len(chosen):
            rows = table[points.material[chosen]]
            column = {name: rows[:, s : s + w] for name, (s, w) in MATERIAL.items()}
            color[chosen] = texture(
                Surface(
                    u=points.u[chosen],
                    v=points.v[chosen],
                    footprint=points.footprint[chosen],
                    a=column["a"],
                    b=column["b"],
                    c=column["c"],
                    scale=column["scale"][:, 0],
                    aspect=column["aspect"][:, 0],
                    contrast=column["contrast"][:, 0],
                    seed=points.seed[chosen],
                )
            )
    gloss, emission = (table[points.material, MATERIAL[k][0]] for k in ("gloss", "emission"))
    return color, gloss, emission


def scatter_directions(height: int, width: int, device: torch.device) -> Tensor:
    """Unit vectors (H * W, 3), the pattern of 25 repeated over the image."""
    y, x = torch.meshgrid(
        torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij"
    )
    k = (x % PATTERN_SIZE + PATTERN_SIZE * (y % PATTERN_SIZE)).reshape(-1).float()
    z = 2 * ((k + 0.5) * 0.7548777).frac() - 1
    turn = 2 * math.pi * ((k + 0.5) * 0.5698403).frac()
    flat = (1 - z * z).sqrt()
    return torch.stack([flat * turn.cos(), flat * turn.sin(), z], dim=1)


def mean_within_part(values: Tensor, part: Tensor) -> Tensor:
    """Mean of (N, C, H, W) over 5 x 5 pixels that show the same part (N, H, W)."""
    r = PATTERN_SIZE // 2
    height, width = part.shape[1:]
    wide = pad(values, (r, r, r, r))
    parts = pad(part.int(), (r, r, r, r), value=-1)
    here = part.int()
    total, weight = torch.zeros_like(values), torch.zeros_like(values[:, :1])
    for dy in range(PATTERN_SIZE):
        for dx in range(PATTERN_SIZE):
            window = (..., slice(dy, dy + height), slice(dx, dx + width))
            same = (parts[window] == here).float()[:, None]
            total.addcmul_(wide[window], same)
            weight += same
    return total / weight


def per_ray(scenes: Scenes, name: str, rays: int) -> Tensor:
    """One named part of the lighting (N * rays, width)."""
    values = light(scenes, name)
    return values[:, None].expand(-1, rays, -1).reshape(-1, values.shape[1])


def visibility(
    scenes: Scenes, points: Points, to_light: Tensor, size: tuple[int, int], tracer: Tracer
) -> tuple[Tensor, Tensor]:
    """How much of the lamp or sun (Q, 1) and of the surroundings (Q, 1) each point sees, 0..1."""
    n, (height, width) = len(scenes), size

    def as_rays(flat: Tensor) -> Tensor:
        return flat.view(n, height * width, 3).transpose(1, 2)

    def spread(name: str) -> Tensor:
        return per_ray(scenes, name, height * width)

    scatter = scatter_directions(height, width, to_light.device).repeat(n, 1)
    start = as_rays(points.position + OFFSET * points.normal)
    beam = to_light + scatter * spread("radius")
    beam = torch.where(spread("is_lamp") > 0, beam, beam * 1e3)  # the sun: as far as it takes
    lit = tracer(scenes, start, as_rays(beam), shell=False).t > 1
    around = unit(points.normal + 0.98 * scatter) * spread("reach")
    near = tracer(scenes, start, as_rays(around)).t.clamp(max=1)
    seen = torch.stack([lit.float(), near.sqrt()], dim=1).view(n, 2, height, width)
    seen = mean_within_part(seen, points.part.view(n, height, width))
    return seen[:, 0].reshape(-1, 1), seen[:, 1].reshape(-1, 1)


def radiance(
    scenes: Scenes,
    points: Points,
    rays: Tensor,
    hits: Hits,
    size: tuple[int, int],
    tracer: Tracer,
) -> Tensor:
    """Light (N, 3, H, W), linear, that comes along the rays from where they end."""
    n, count = hits.t.shape

    def spread(name: str) -> Tensor:
        return per_ray(scenes, name, count)

    is_lamp = spread("is_lamp")
    to_light = spread("position") - is_lamp * (points.position + OFFSET * points.normal)
    distance = length(to_light)
    lit, open_sky = visibility(scenes, points, to_light, size, tracer)

    color, gloss, emission = albedo(scenes, points)
    falloff = torch.where(is_lamp > 0, 4 / (distance * distance + 0.5), 1.0)
    direct = spread("color") * falloff * lit
    up = (points.normal[:, 2:] + 1) / 2
    ambient = torch.lerp(spread("ambient_down"), spread("ambient_up"), up) * open_sky
    facing = (dot(points.normal, to_light) / distance).clamp(min=0)
    linear = color * (direct * facing + ambient)

    view = unit(rays.transpose(1, 2).reshape(-1, 3))
    halfway = unit(to_light / distance - view)
    shine = dot(points.normal, halfway).clamp(min=0) ** 48
    grazing = (1 + dot(points.normal, view)).clamp(0, 1) ** 4
    linear += gloss[:, None] * (0.35 * shine * direct + (0.02 + 0.35 * grazing) * ambient)
    linear += emission[:, None] * color

    if bool(light(scenes, "haze").any()):  # under a sky
        hidden = torch.exp(-spread("haze") * hits.t.reshape(-1, 1).clamp(max=1e4))
        linear = torch.lerp(spread("sky_low"), linear, hidden)
        sky = sky_color(scenes, view.view(n, count, 3)).reshape(-1, 3)
        linear = torch.where(hits.t.isfinite().reshape(-1, 1), linear, sky)
    return linear.view(n, *size, 3).permute(0, 3, 1, 2)


def sky_color(scenes: Scenes, view: Tensor) -> Tensor:
    """Gradient, clouds and a glow about the sun for directions (N, R, 3)."""
    up = view[..., 2:].clamp(min=0)
    low, top, sun = (light(scenes, k)[:, None] for k in ("sky_low", "sky_top", "color"))
    sky = torch.lerp(low, top, up**0.45)
    plane = view[..., :2] / (up + 0.12)
    seed = light(scenes, "seed").int().expand(view.shape[:2])
    cloud = octaves(plane[..., 0], plane[..., 1], seed, torch.zeros_like(seed).float(), 4)
    cover = ((cloud - 0.75 + 0.5 * light(scenes, "clouds")) * 4).clamp(0, 1)[..., None]
    sky = torch.lerp(sky, torch.full_like(sky, 0.85), cover * (up * 6).clamp(max=1))
    glow = (view * light(scenes, "position")[:, None]).sum(-1, keepdim=True).clamp(min=0)
    return sky + sun * (0.15 * glow**8 + 4 * glow**600)


def develop(linear: Tensor) -> Tensor:
    """Automatic exposure, soft shoulder, sRGB transfer curve."""
    level = linear.mean(dim=1).flatten(1)[:, ::7]
    gain = torch.minimum(KEY / level.mean(1), 1.6 / level.quantile(0.95, dim=1))
    x = 1 - torch.exp(-1.25 * linear * gain[:, None, None, None])
    return torch.where(x < 0.0031308, 12.92 * x, 1.055 * x.clamp(min=1e-6) ** (1 / 2.4) - 0.055)
