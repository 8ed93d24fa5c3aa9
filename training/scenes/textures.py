"""Procedural surfaces: colour from surface coordinates in metres.

Each pattern is a function of `Surface` to linear colours (R, 3). Patterns fade to their mean where
they are finer than a pixel, which is what a lens and a sensor would do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from training.scenes.dice import cells, hash01, octaves, value_noise


class Surface(NamedTuple):
    """R points that share a pattern; u, v in metres; a, b, c linear colours (R, 3)."""

    u: Tensor
    v: Tensor
    footprint: Tensor  # metres that a pixel covers here
    a: Tensor
    b: Tensor
    c: Tensor
    scale: Tensor  # metres
    aspect: Tensor
    contrast: Tensor
    seed: Tensor  # int32


def mix(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    return torch.lerp(a, b, weight[:, None])


def fade(surface: Surface, cell: Tensor) -> Tensor:
    """1 where a pattern with cells of this size is seen sharply, 0 where it is a blur."""
    return (2 - 2.5 * surface.footprint / cell).clamp(0, 1)


def line(distance: Tensor, width: Tensor, footprint: Tensor) -> Tensor:
    """Coverage in 0..1 of a line of half width `width` at `distance` from its middle."""
    return ((width - distance) / footprint + 0.5).clamp(0, 1)


def paint(s: Surface) -> Tensor:
    """Plain colour with faint unevenness."""
    return mix(s.a, s.b, s.contrast * octaves(s.u, s.v, s.seed, s.footprint, 2))


def mottled(s: Surface) -> Tensor:
    n = octaves(s.u / s.scale, s.v / s.scale, s.seed, s.footprint / s.scale, 4)
    return mix(s.a, s.b, ((n - 0.5) * 3 * s.contrast + 0.5).clamp(0, 1))


def carpet(s: Surface) -> Tensor:
    fine = octaves(s.u / s.scale, s.v / s.scale, s.seed, s.footprint / s.scale, 2)
    coarse = octaves(s.u, s.v, s.seed + 7, s.footprint, 2)
    return mix(s.a, s.b, (0.5 + s.contrast * (2.5 * (fine - 0.5) + coarse - 0.5)).clamp(0, 1))


def grain(s: Surface, u: Tensor, v: Tensor) -> Tensor:
    """Wood grain in 0..1, stretched along u."""
    warp = octaves(u / 0.9, v / 0.12, s.seed, s.footprint / 0.12, 3)
    rings = (v / 0.02 + 9 * warp) % 1.0
    soft = (2 - 4 * s.footprint / 0.02).clamp(0, 1)
    return 0.65 * warp + 0.35 * torch.lerp(torch.full_like(rings, 0.5), rings, soft)


def wood(s: Surface) -> Tensor:
    return mix(s.a, s.b, (0.5 + s.contrast * 2.5 * (grain(s, s.u, s.v) - 0.5)).clamp(0, 1))


def courses(s: Surface, shift: Tensor | float) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of equal pieces: a random number for each piece, joint coverage, and sharpness."""
    height = s.scale
    width = s.scale * s.aspect
    row, y = cells(s.v / height)
    offset = shift * (row % 2) if isinstance(shift, float) else hash01(row, row, s.seed) * shift
    column, x = cells(s.u / width + offset)
    gap = torch.minimum(torch.minimum(x, 1 - x) * width, torch.minimum(y, 1 - y) * height)
    sharp = fade(s, height)
    joint = line(gap, 0.01 * s.scale.sqrt(), s.footprint) * sharp
    return hash01(column, row, s.seed), joint, sharp


def tiles(s: Surface) -> Tensor:
    piece, joint, sharp = courses(s, 0.0)
    uneven = octaves(s.u / 0.4, s.v / 0.4, s.seed, s.footprint / 0.4, 3)
    tone = s.contrast * (0.6 * piece * sharp + 0.8 * (uneven - 0.3))
    return mix(mix(s.a, s.b, tone.clamp(0, 1)), s.c, joint)


def bricks(s: Surface) -> Tensor:
    piece, joint, sharp = courses(s, 0.5)
    rough = octaves(s.u / 0.05, s.v / 0.05, s.seed, s.footprint / 0.05, 2)
    tone = torch.lerp(torch.full_like(piece, 0.5), piece, sharp) + (rough - 0.5)
    return mix(mix(s.a, s.b, tone.clamp(0, 1)), s.c, joint)


def planks(s: Surface) -> Tensor:
    piece, joint, _ = courses(s, torch.ones_like(s.u))
    tone = 0.5 + s.contrast * (1.6 * (grain(s, s.u + 31 * piece, s.v) - 0.5) + piece - 0.5)
    return mix(mix(s.a, s.b, tone.clamp(0, 1)), s.c, 0.7 * joint)


def stripes(s: Surface) -> Tensor:
    x = (s.u / s.scale) % 1.0
    edge = line((x - 0.5).abs() * s.scale, 0.5 * s.contrast * s.scale, s.footprint)
    return mix(s.a, s.b, torch.lerp(s.contrast, edge, fade(s, s.scale)))


def checker(s: Surface) -> Tensor:
    i, _ = cells(s.u / s.scale)
    j, _ = cells(s.v / s.scale)
    parity = ((i + j) % 2).float()
    return mix(s.a, s.b, torch.lerp(torch.full_like(parity, 0.5), parity, fade(s, s.scale)))


def random_color(i: Tensor, j: Tensor, seed: Tensor) -> Tensor:
    """A colour (R, 3) for each cell, vivid or grey, dark or light."""
    tone = hash01(i, j, seed + 11) ** 1.6
    hue = torch.stack([hash01(i, j, seed + k) for k in (1, 2, 3)], dim=1) ** 1.5
    vivid = hash01(i, j, seed + 5)
    return mix(tone[:, None].expand_as(hue), hue, vivid)


def picture(s: Surface) -> Tensor:
    """Posters and packages: fields that are plain, photographs, blocks of colour, or print."""
    i, x = cells(s.u / s.scale)
    j, y = cells(s.v / (s.scale * s.aspect))
    kind = hash01(i, j, s.seed)
    field = torch.where((hash01(i, j, s.seed + 1) < 0.5)[:, None], s.a, s.b)
    other = mix(random_color(i, j, s.seed + 60), s.c, hash01(i, j, s.seed + 2))
    blobs = octaves(s.u / s.scale * 3, s.v / s.scale * 3, s.seed, s.footprint / s.scale * 3, 4)
    photo = mix(field, other, ((blobs - 0.5) * 5 + 0.5).clamp(0, 1))
    bi, bj = cells(s.u / s.scale * 1.7 + 0.3)[0], cells(s.v / s.scale * 2.3)[0]
    filled = (hash01(bi, bj, s.seed + 3) < 0.45)[:, None]
    blocks = torch.where(filled, mix(random_color(bi, bj, s.seed + 40), s.b, 1 - s.contrast), field)
    color = torch.where((kind < 0.45)[:, None], photo, blocks)
    color = torch.where((kind > 0.7)[:, None], field, color)
    printed = (kind > 0.55).float() * ((x > 0.1) & (x < 0.9) & (y > 0.08) & (y < 0.9)).float()
    pitch = s.scale * (0.06 + 0.12 * hash01(i, j, s.seed + 9))
    return mix(color, s.c, printed * ink(s, pitch) * 0.9)


def ink(s: Surface, pitch: Tensor) -> Tensor:
    """Coverage in 0..1 of lines of print with this line pitch in metres."""
    row, y = cells(s.v / pitch)
    word = value_noise(s.u / (1.1 * pitch), row.float() + 0.5, s.seed + 21)
    letters = hash01(cells(s.u / (0.22 * pitch))[0], row, s.seed + 22)
    length = hash01(row // 5, row, s.seed + 23)
    dark = (y > 0.3) & (y < 0.75) & (word > 0.36) & (length > 0.12)
    mark = dark.float() * (0.5 + 0.5 * (letters > 0.35).float())
    return torch.lerp(torch.full_like(mark, 0.18), mark, fade(s, pitch))


def text(s: Surface) -> Tensor:
    """Print on paper, now and then a grey figure."""
    i, j = cells(s.u / (s.scale * 6))[0], cells(s.v / (s.scale * 9))[0]
    figure = (hash01(i, j, s.seed) < s.contrast).float()
    shade = octaves(s.u / s.scale, s.v / s.scale, s.seed, s.footprint / s.scale, 3)
    printed = mix(s.a, s.b, ink(s, s.scale))
    return mix(printed, mix(s.b, s.c, shade), figure)


def books(s: Surface) -> Tensor:
    """Spines standing side by side, of random colour, width and height."""
    column, x = cells(s.u / s.scale)
    edge = 0.6 * hash01(column, column, s.seed + 1)
    column = column - (x < edge).int()
    row, y = cells(s.v / (s.scale * s.aspect))
    color = random_color(column, row, s.seed)
    label = (y > 0.6) & (y < 0.72) & (hash01(column, row, s.seed + 8) < 0.5)
    color = torch.where(label[:, None], s.a, color)
    above = y > 0.72 + 0.27 * hash01(column, row, s.seed + 6)
    gap = line((x - edge).abs() * s.scale, 0.03 * s.scale, s.footprint)
    color = mix(color, s.b, torch.maximum(above.float(), gap))
    average = torch.full_like(color, 0.22)
    return mix(average, color, fade(s, s.scale))


def foliage(s: Surface) -> Tensor:
    n = octaves(s.u / s.scale, s.v / s.scale, s.seed, s.footprint / s.scale, 4)
    leaves = ((n - 0.42) * 6 * s.contrast).clamp(0, 1)
    return mix(s.b, mix(s.a, s.c, (n * 2 - 0.8).clamp(0, 1)), leaves)


def facade(s: Surface) -> Tensor:
    """A wall with rows of windows, some bright."""
    i, x = cells(s.u / (s.scale * s.aspect))
    j, y = cells(s.v / s.scale)
    inside = torch.minimum(
        line((x - 0.5).abs() * s.scale, 0.3 * s.scale, s.footprint),
        line((y - 0.55).abs() * s.scale, s.contrast * s.scale, s.footprint),
    )
    pane = mix(s.b, s.c, hash01(i, j, s.seed) ** 2)
    rough = octaves(s.u, s.v, s.seed, s.footprint, 3)
    return mix(s.a * (0.7 + 0.6 * rough)[:, None], pane, inside)


def view(s: Surface) -> Tensor:
    """What is seen through a window: sky a, roofs and trees b and c below an uneven horizon."""
    skyline = s.scale * (value_noise(s.u / (0.6 * s.scale), s.v * 0, s.seed) - 0.5)
    blocks, _ = cells(s.u / (0.35 * s.scale))
    roofs = s.scale * 0.5 * (hash01(blocks, blocks, s.seed + 1) - 0.5)
    horizon = torch.lerp(skyline, roofs, hash01(s.seed, s.seed, s.seed))
    below = line(s.v - horizon, torch.zeros_like(s.v), s.footprint)
    leaves = octaves(s.u / 0.12, s.v / 0.12, s.seed + 2, s.footprint / 0.12, 3)
    ground = mix(s.b, s.c, ((leaves - 0.5) * 4 * s.contrast + 0.5).clamp(0, 1))
    return mix(s.a, ground, below)


PATTERNS: dict[str, Callable[[Surface], Tensor]] = {
    f.__name__: f
    for f in (
        *(paint, mottled, carpet, wood, tiles, bricks, planks, stripes, checker),
        *(picture, text, books, foliage, facade, view),
    )
}
PATTERN_NUMBER = {name: number for number, name in enumerate(PATTERNS)}
