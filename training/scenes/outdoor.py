"""Outdoor layouts: streets, yards and parks under a sky."""

from __future__ import annotations

import math

from training.scenes import materials as m
from training.scenes.builder import Place, SceneBuilder
from training.scenes.furniture import bin_or_box, person

EXTENT = 70.0  # metres from the origin to the end of the ground: nothing is farther than 80 m


def daylight(b: SceneBuilder) -> None:
    d = b.dice
    height = d.uniform(0.2, 1.4)
    azimuth = d.uniform(0, 2 * math.pi)
    overcast = d.uniform() ** 1.5
    low = 1 - min(height / 0.6, 1.0)  # a low sun is redder
    sun = 2.2 * (1 - 0.85 * overcast)
    blue = m.hsv(0.58 + d.uniform(-0.03, 0.03), 0.55 * (1 - overcast), d.uniform(0.6, 0.95))
    pale = m.hsv(0.57, 0.15 * (1 - overcast), d.uniform(0.8, 1.0))
    fill = d.uniform(0.35, 0.8)
    b.lighting = {
        "position": (
            math.cos(azimuth) * math.cos(height),
            math.sin(azimuth) * math.cos(height),
            math.sin(height),
        ),
        "radius": (d.uniform(0.005, 0.03) + 0.3 * overcast,),
        "color": (sun, sun * (0.95 - 0.2 * low), sun * (0.88 - 0.4 * low)),
        "ambient_up": tuple(fill * (0.4 + 0.6 * c) for c in m.linear(blue)),
        "ambient_down": (fill * 0.4, fill * 0.38, fill * 0.34),
        "sky_top": m.linear(blue),
        "sky_low": m.linear(pale),
        "clouds": (d.uniform(),),
        "haze": (d.log_uniform(0.0005, 0.012),),
        "reach": (d.uniform(0.6, 2.0),),
        "seed": (float(d.integer(0, 60000)),),
    }


def ground_material(b: SceneBuilder) -> int:
    d = b.dice
    kind = d.uniform()
    if kind < 0.4:
        grey = d.uniform(0.25, 0.6)
        scale = d.log_uniform(0.02, 0.3)
        return b.material(m.row(d, "carpet", (grey,) * 3, scale=scale, contrast=d.uniform(0.3, 1)))
    if kind < 0.65:
        green = m.hsv(d.uniform(0.16, 0.33), d.uniform(0.3, 0.6), d.uniform(0.3, 0.55))
        return b.material(m.row(d, "foliage", green, m.shade(green, 0.6), scale=0.4, contrast=0.8))
    if kind < 0.85:
        return b.material(m.tile(d, d.uniform(0.15, 0.8)))
    soil = m.hsv(d.uniform(0.06, 0.12), d.uniform(0.2, 0.5), d.uniform(0.35, 0.7))
    return b.material(m.row(d, "mottled", soil, scale=d.uniform(0.3, 2), contrast=0.8))


def building(b: SceneBuilder, at: Place, size: tuple[float, float, float]) -> None:
    d = b.dice
    if d.chance(0.7):
        skin = m.row(
            *(d, "facade", m.pale_color(d) if d.chance(0.6) else m.any_color(d)),
            *((0.05, 0.07, 0.1), (0.6, 0.7, 0.8)),
            scale=d.uniform(2.6, 3.6),
            aspect=d.uniform(0.5, 1.4),
            contrast=d.uniform(0.2, 0.4),
        )
    else:
        skin = m.brick(d) if d.chance(0.5) else m.wall(d)
    roof = b.material(m.lacquer(d))
    b.box(at, (0, 0, size[2] / 2), size, b.material(skin), top=roof)
    if d.chance(0.4):
        door = b.material(m.furniture(d))
        b.box(at, (d.uniform(-0.3, 0.3) * size[0], 0, 1.1), (1.1, size[1] + 0.08, 2.2), door)


def car(b: SceneBuilder, at: Place) -> None:
    d = b.dice
    body = b.material(m.row(d, "paint", m.any_color(d), contrast=0.2, gloss=1.0))
    glass = b.material(m.row(d, "paint", (0.08, 0.1, 0.12), contrast=0.2, gloss=1.0))
    tyre = b.material(m.row(d, "paint", (0.06, 0.06, 0.06), contrast=0.3))
    long, w = d.uniform(3.6, 4.8), d.uniform(1.65, 1.9)
    b.box(at, (0, 0, 0.62), (long, w, 0.6), body)
    b.box(at, (-0.15, 0, 1.15), (long * 0.52, w * 0.88, 0.5), glass, top=body)
    for x in (-long * 0.31, long * 0.31):
        b.cylinder(at, (x, 0, 0.32), 0.32, w * 1.01, tyre, roll=math.pi / 2)


def tree(b: SceneBuilder, at: Place, green: int) -> None:
    d = b.dice
    bark = m.row(d, "mottled", (0.35, 0.27, 0.2), (0.2, 0.16, 0.13), scale=0.1, contrast=1.0)
    trunk, crown = d.uniform(1.5, 4.0), d.uniform(1.5, 5.0)
    b.cylinder(at, (0, 0, trunk / 2), d.uniform(0.08, 0.3), trunk + 0.6, b.material(bark))
    for _ in range(d.integer(1, 2)):
        s = crown * d.uniform(0.7, 1.0)
        x, y = d.uniform(-0.2, 0.2) * crown, d.uniform(-0.2, 0.2) * crown
        b.ball(at, (x, y, trunk + s * 0.45), (s, s, s * d.uniform(0.8, 1.4)), green)


def pole(b: SceneBuilder, at: Place) -> None:
    d = b.dice
    metal = b.material(m.lacquer(d))
    height = d.uniform(0.8, 7.0)
    b.cylinder(at, (0, 0, height / 2), d.uniform(0.03, 0.12), height, metal)
    if height > 2 and d.chance(0.5):
        sign = b.material(m.printed(d, 0.6))
        b.box(at, (0, -0.08, height - 0.4), (d.uniform(0.4, 0.9), 0.03, 0.6), sign)


def fence(b: SceneBuilder, at: Place) -> None:
    d = b.dice
    skin = d.choice((m.brick, m.wall, m.plank, lambda dice: m.leaves(dice, 0.12)))(d)
    size = (d.log_uniform(2, 25), d.uniform(0.15, 0.8), d.uniform(0.5, 2.4))
    b.box(at, (0, 0, size[2] / 2), size, b.material(skin))


def outdoor(b: SceneBuilder) -> None:
    d = b.dice
    daylight(b)
    ground = ground_material(b)
    b.cylinder(Place(), (0, 0, -0.5), EXTENT, 1.0, ground)
    green = b.material(m.leaves(d, d.uniform(0.2, 0.6)))
    street = d.chance(0.65)
    b.footprints.append((0.0, 0.0, 1.2))
    if street:
        width = d.uniform(5, 16)
        road = b.material(m.row(d, "carpet", (d.uniform(0.2, 0.45),) * 3, scale=0.05))
        b.box(Place(), (0, 0, 0.0), (width * 0.6, 2 * EXTENT * 0.98, 0.02), road)
        if d.chance(0.6):
            paint = b.material(m.row(d, "paint", (0.9, 0.9, 0.88)))
            for k in range(6):
                b.box(Place(), (0, -30 + k * 11.0, 0.01), (0.12, 3.0, 0.02), paint)
        for side in (-1.0, 1.0):
            y = -EXTENT + 8
            while y < EXTENT - 12:
                length = d.uniform(6, 22)
                if d.chance(0.75):
                    deep = d.uniform(5, 12)
                    at = Place(side * (width / 2 + deep / 2 + d.uniform(0, 2)), y + length / 2)
                    building(b, at, (deep, length * 0.97, d.log_uniform(2.5, 16)))
                y += length
    else:
        for _ in range(d.integer(1, 5)):
            r, turn = d.uniform(12, 55), d.uniform(0, 6.3)
            at = Place(r * math.cos(turn), r * math.sin(turn), 0, d.uniform(0, 6.3))
            b.footprints.append((at.x, at.y, 6.0))
            size = (d.uniform(5, 14), d.uniform(5, 14), d.log_uniform(2.5, 16))
            building(b, at, size)
    spread = 8.0 if street else 20.0
    for _ in range(d.integer(10, 28)):
        near = d.log_uniform(2.0, 45)
        x, y = d.uniform(-1, 1) * min(near, spread), d.choice((-1.0, 1.0)) * near
        if any(math.hypot(x - p, y - q) < 0.8 + r for p, q, r in b.footprints):
            continue
        b.footprints.append((x, y, 0.8))
        at = Place(x, y, 0.0, d.choice((0.0, math.pi / 2)) if street else d.uniform(0, 6.3))
        kind = d.uniform()
        if kind < 0.22:
            pole(b, at)
        elif kind < 0.42:
            tree(b, at, green)
        elif kind < 0.62:
            car(b, at)
        elif kind < 0.74:
            person(b, at)
        elif kind < 0.84:
            bin_or_box(b, at)
        elif kind < 0.92:
            b.ball(
                at, (0, 0, 0.4), (d.uniform(0.6, 2), d.uniform(0.6, 2), d.uniform(0.6, 1.6)), green
            )
        else:
            fence(b, at)
    b.volume = (-2.0, -8.0, 0.12), (2.0, 8.0, 1.75)
