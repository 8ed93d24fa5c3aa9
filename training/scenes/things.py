"""Small things that stand on tables, in a frame on the table's top (front towards -y)."""

from __future__ import annotations

import math

from training.scenes import materials as m
from training.scenes import things
from training.scenes.builder import Place, SceneBuilder, part_of


@part_of("clutter")
def small_thing(b: SceneBuilder, at: Place) -> None:
    """Something that stands on a table: package, can, mug, bottle, books, paper, fruit, screen."""
    d = b.dice
    kind = d.uniform()
    if kind < 0.26:
        size = (d.uniform(0.06, 0.25), d.uniform(0.04, 0.12), d.uniform(0.05, 0.3))
        skin = m.printed(d, max(size)) if d.chance(0.8) else m.lacquer(d)
        lying = d.chance(0.25)
        z = (size[1] if lying else size[2]) / 2
        b.box(at, (0, 0, z), size, b.material(skin), roll=math.pi / 2 if lying else 0.0)
    elif kind < 0.42:
        radius, height = d.uniform(0.03, 0.055), d.uniform(0.08, 0.18)
        skin = m.printed(d, 0.12) if d.chance(0.6) else m.lacquer(d)
        lid = b.material(m.lacquer(d))
        b.cylinder(at, (0, 0, height / 2), radius, height, b.material(skin), top=lid)
    elif kind < 0.52:
        glass = b.material(m.lacquer(d))
        radius, height = d.uniform(0.03, 0.045), d.uniform(0.18, 0.26)
        b.cylinder(at, (0, 0, height * 0.35), radius, height * 0.7, glass)
        b.cylinder(at, (0, 0, height * 0.85), radius * 0.4, height * 0.3, glass)
    elif kind < 0.66:
        z = 0.0
        for _ in range(d.integer(1, 3)):
            thick = d.uniform(0.015, 0.05)
            cover = b.material(m.printed(d, 0.2))
            size = (d.uniform(0.13, 0.22), d.uniform(0.18, 0.3), thick)
            b.box(at, (0, 0, z + thick / 2), size, cover, yaw=d.uniform(-0.5, 0.5))
            z += thick
    elif kind < 0.78:
        sheet = b.material(m.paper(d))
        b.box(at, (0, 0, 0.002), (0.21, 0.297, 0.004), sheet)
        if d.chance(0.5):
            b.box(at, (0.15, 0.06, 0.003), (0.21, 0.297, 0.006), sheet, yaw=d.uniform(-1, 1))
    elif kind < 0.88:
        s = d.uniform(0.05, 0.16)
        b.ball(at, (0, 0, s * 0.5), (s, s, s), b.material(m.lacquer(d)))
    elif kind < 0.97:
        laptop(b, at)
    else:
        pot, green = b.material(m.lacquer(d)), b.material(m.leaves(d, 0.03))
        b.cylinder(at, (0, 0, 0.06), 0.06, 0.12, pot)
        b.ball(at, (0, 0, 0.22), (0.2, 0.2, 0.24), green)


def keyboard(b: SceneBuilder, at: Place) -> None:
    d = b.dice
    grey = d.choice((0.1, 0.2, 0.8, 0.9))
    keys = m.row(
        *(d, "tiles", (grey,) * 3, None, (abs(grey - 0.45),) * 3),
        scale=0.019,
        contrast=0.3,
    )
    b.box(at, (0, 0, 0.012), (0.44, 0.14, 0.024), b.material(keys))


def screen_material(b: SceneBuilder) -> int:
    d = b.dice
    if d.chance(0.5):
        return b.material(m.row(d, "paint", (0.03, 0.03, 0.04), contrast=0.3, gloss=1.0))
    bright = m.printed(d, 0.4) if d.chance(0.5) else m.paper(d)
    bright[m.MATERIAL["emission"][0]] = d.uniform(0.2, 0.8)
    return b.material(bright)


def monitor(b: SceneBuilder, at: Place) -> None:
    d = b.dice
    dark = b.material(m.row(d, "paint", (d.choice((0.06, 0.1, 0.6)),) * 3, contrast=0.2))
    w = d.uniform(0.42, 0.65)
    h = w * d.uniform(0.56, 0.75)
    b.cylinder(at, (0, 0.05, 0.01), 0.12, 0.02, dark)
    b.box(at, (0, 0.06, 0.1), (0.06, 0.04, 0.2), dark)
    b.box(at, (0, 0, 0.12 + h / 2), (w, 0.04, h), dark, roll=-0.08)
    face = screen_material(b)
    b.box(at, (0, -0.019, 0.12 + h / 2), (w - 0.03, 0.01, h - 0.03), face, roll=-0.08)


def laptop(b: SceneBuilder, at: Place) -> None:
    d = b.dice
    grey = d.choice((0.1, 0.3, 0.7))
    case = b.material(m.row(d, "paint", (grey,) * 3, contrast=0.2, gloss=0.3))
    b.box(at, (0, 0, 0.01), (0.33, 0.23, 0.02), case)
    b.box(at, (0, 0.15, 0.12), (0.33, 0.01, 0.22), case, roll=-0.3, front=screen_material(b))


def cluttered_top(
    b: SceneBuilder, at: Place, width: float, depth: float, height: float, count: int
) -> None:
    """`count` small things on a top of this size and height, whose frame is that of a table."""
    d = b.dice
    for _ in range(count):
        x, y = d.uniform(-0.46, 0.46) * width, d.uniform(-0.4, 0.4) * depth
        things.small_thing(b, at.inner(x, y, height, d.uniform(-math.pi, math.pi)))


def any_skin(b: SceneBuilder, size: float) -> int:
    """Any material that a body of this size may have."""
    d = b.dice
    kind = d.uniform()
    if kind < 0.35:
        return b.material(m.printed(d, size))
    if kind < 0.6:
        return b.material(m.lacquer(d))
    if kind < 0.8:
        return b.material(m.fabric(d))
    return b.material(m.wooden(d) if kind < 0.9 else m.tile(d, size / 3))


def any_body(b: SceneBuilder, at: Place, size: float) -> None:
    """A box, cylinder or ball about `size` metres large, turned any way, standing at `at`."""
    d = b.dice
    skin = any_skin(b, size)
    w, deep, h = (size * d.log_uniform(0.3, 1.2) for _ in range(3))
    kind = d.uniform()
    if kind < 0.6:
        tilt = d.uniform(-0.6, 0.6) if d.chance(0.35) else 0.0
        b.box(at, (0, 0, h / 2), (w, deep, h), skin, yaw=d.uniform(0, math.pi), roll=tilt)
    elif kind < 0.8:
        lying = d.chance(0.3)
        b.cylinder(
            at,
            (0, 0, w / 2 if lying else h / 2),
            w / 2,
            h,
            skin,
            yaw=d.uniform(0, math.pi),
            roll=math.pi / 2 if lying else 0.0,
        )
    else:
        b.ball(at, (0, 0, h / 2), (w, deep, h), skin)


@part_of("clutter")
def heap(b: SceneBuilder, at: Place, size: float, count: int) -> None:
    """Bodies of any shape upon and beside each other."""
    d = b.dice
    for _ in range(count):
        reach = d.uniform(0.0, 0.8) * size
        turn = d.uniform(0, 2 * math.pi)
        place = at.inner(reach * math.cos(turn), reach * math.sin(turn), d.uniform(0, 0.5) * size)
        any_body(b, place, size * d.log_uniform(0.15, 0.9))
