"""Layouts of rooms that people work in: offices, laboratories, workshops, kitchens."""

from __future__ import annotations

import math

from training.scenes import furniture as f
from training.scenes import materials as m
from training.scenes import things
from training.scenes.builder import Place, SceneBuilder
from training.scenes.indoor import empty_room, inner_volume, wall_place, wall_things


def desk(b: SceneBuilder, at: Place, width: float) -> None:
    """A desk that somebody works at: screens, papers, a chair; sometimes a screen behind it."""
    d = b.dice
    depth, height = d.uniform(0.6, 0.9), d.uniform(0.66, 0.8)
    f.table(b, at, width, depth, height)
    for k in range(d.integer(0, 2)):
        x = (k - 0.5) * 0.6 + d.uniform(-0.15, 0.15)
        things.monitor(b, at.inner(x, depth * d.uniform(0.1, 0.3), height, d.uniform(-0.5, 0.5)))
    if d.chance(0.7):
        things.keyboard(b, at.inner(d.uniform(-0.3, 0.3), -depth * 0.2, height))
    things.cluttered_top(b, at, width, depth, height, d.integer(2, 10))
    if d.chance(0.75):
        turn = math.pi + d.uniform(-1.2, 1.2)
        f.chair(b, at.inner(d.uniform(-0.3, 0.3), -depth / 2 - d.uniform(0.1, 0.5), 0, turn))
    if d.chance(0.35):
        size = (width, 0.05, d.uniform(1.1, 1.7))
        b.box(at, (0, depth / 2 + 0.03, size[2] / 2), size, b.material(m.fabric(d)))


def office(b: SceneBuilder) -> None:
    """Rows of desks with their clutter, cupboards and shelves along the walls."""
    d = b.dice
    size = (d.log_uniform(3.2, 11), d.log_uniform(3.2, 11), d.uniform(2.4, 3.4))
    empty_room(b, size)
    width = d.uniform(1.1, 1.8)
    desks: list[Place] = []
    for _ in range(d.integer(2, 5)):
        if d.chance(0.6):
            at = wall_place(size, d.integer(0, 3), d.uniform(-1, 1), 0.45)
        else:
            x, y = d.uniform(-0.35, 0.35) * size[0], d.uniform(-0.35, 0.35) * size[1]
            at = Place(x, y, 0.0, d.integer(0, 3) * math.pi / 2)
        if all(math.hypot(at.x - o.x, at.y - o.y) > width for o in desks):
            desks.append(at)
            b.footprints.append((at.x, at.y, 0.9))
            desk(b, at, width)
    for _ in range(d.integer(1, 3)):
        wall, along = d.integer(0, 3), d.uniform(-1, 1)
        if d.chance(0.5):
            f.shelf(b, wall_place(size, wall, along, 0.22), d.uniform(0.8, 1.6), 1.9)
        else:
            tall = d.log_uniform(0.7, 2.0)
            f.cabinet(b, wall_place(size, wall, along, 0.25), d.uniform(0.8, 1.6), 0.5, tall)
    wall_things(b, size, d.integer(4, 12))
    if d.chance(0.5):
        spot = b.free_spot((-size[0] / 2.5, -size[1] / 2.5), (size[0] / 2.5, size[1] / 2.5), 0.4)
        if spot is not None:
            f.person(b, Place(*spot, 0.0, d.uniform(0, 6.3)))
    if desks and d.chance(0.5):
        at = d.choice(desks)
        x, y, z = at.point(d.uniform(-0.4, 0.4), d.uniform(-0.2, 0.2), d.uniform(0.7, 1.0))
        b.focus = (x, y, z, 1.0)
    b.volume = inner_volume(size, 0.12, 1.9)


def kitchen(b: SceneBuilder) -> None:
    """Counters with cupboards under and over them, things on them, a table with chairs."""
    d = b.dice
    size = (d.log_uniform(2.6, 7), d.log_uniform(2.6, 7), d.uniform(2.3, 3.0))
    empty_room(b, size)
    front_color = m.any_color(d) if d.chance(0.6) else m.wood_color(d)
    seams = m.row(
        *(d, "tiles", front_color, m.shade(front_color, 0.95), m.shade(front_color, 0.3)),
        scale=d.uniform(0.4, 0.85),
        aspect=d.uniform(0.5, 1.2),
        contrast=0.2,
        gloss=m.any_gloss(d),
    )
    front, top = b.material(seams), b.material(m.furniture(d))
    focus: Place | None = None
    high = d.uniform(0.86, 0.95)
    for wall in (d.integer(0, 1), d.integer(2, 3))[: d.integer(1, 2)]:
        long = (size[1] if wall < 2 else size[0]) * d.uniform(0.5, 0.98)
        at = wall_place(size, wall, d.uniform(-0.2, 0.2), 0.31)
        b.box(at, (0, 0, high / 2), (long, 0.6, high), front)
        b.box(at, (0, -0.01, high + 0.02), (long + 0.02, 0.64, 0.04), top)
        things.cluttered_top(b, at, long, 0.5, high + 0.04, d.integer(4, 14))
        if d.chance(0.6):
            tall = d.uniform(0.5, 0.8)
            b.box(at, (0, 0.12, high + 0.55 + tall / 2), (long * 0.9, 0.34, tall), front)
        if d.chance(0.5):
            dark = b.material(m.row(d, "paint", (0.05, 0.05, 0.06), contrast=0.2, gloss=1.0))
            b.box(at, (d.uniform(-0.3, 0.3) * long, -0.31, 0.5), (0.56, 0.02, 0.5), dark)
        b.footprints.append((at.x, at.y, 0.8))
        focus = at
    if d.chance(0.5):
        steel = b.material(m.lacquer(d))
        at = wall_place(size, d.integer(0, 3), d.uniform(-1, 1), 0.32)
        b.box(at, (0, 0, 0.9), (0.6, 0.62, 1.8), steel)
    if d.chance(0.75):
        x, y = d.uniform(-0.25, 0.25) * size[0], d.uniform(-0.25, 0.25) * size[1]
        at = Place(x, y, 0.0, d.uniform(0, 6.3))
        w, deep, h = d.uniform(0.8, 1.8), d.uniform(0.7, 1.0), d.uniform(0.7, 0.78)
        f.table(b, at, w, deep, h)
        things.cluttered_top(b, at, w, deep, h, d.integer(2, 9))
        for side in range(d.integer(1, 4)):
            turn = side * math.pi / 2
            reach = (deep if side % 2 == 0 else w) / 2 + d.uniform(0.0, 0.4)
            f.chair(b, at.inner(-reach * math.sin(turn), reach * math.cos(turn), 0, turn))
        focus = at if d.chance(0.5) else focus
    wall_things(b, size, d.integer(2, 6))
    if focus is not None and d.chance(0.45):
        x, y, z = focus.point(d.uniform(-0.4, 0.4), 0.0, d.uniform(0.75, 1.1))
        b.focus = (x, y, z, 1.0)
    b.volume = inner_volume(size, 0.12, 1.9)


def jumble(b: SceneBuilder) -> None:
    """A room with heaps of bodies that are nothing in particular: for shape without habit."""
    d = b.dice
    size = (d.log_uniform(2.5, 9), d.log_uniform(2.5, 9), d.uniform(2.3, 3.6))
    empty_room(b, size)
    wall_things(b, size, d.integer(1, 5))
    for _ in range(d.integer(6, 14)):
        x, y = d.uniform(-0.45, 0.45) * size[0], d.uniform(-0.45, 0.45) * size[1]
        things.heap(b, Place(x, y, 0.0), d.log_uniform(0.4, 2.2), d.integer(2, 9))
    b.volume = inner_volume(size, 0.12, 1.9)


def hall(b: SceneBuilder) -> None:
    """A large room with pillars, bright windows, machines and stacks of boxes."""
    d = b.dice
    size = (d.log_uniform(7, 30), d.log_uniform(7, 30), d.uniform(2.8, 7.0))
    empty_room(b, size)
    b.lighting["color"] = tuple(c * max(1.0, size[0] * size[1] / 60) for c in b.lighting["color"])
    wall_things(b, size, d.integer(3, 8))
    skin = b.material(m.wall(d))
    step = d.uniform(3.0, 7.0)
    thick = d.uniform(0.12, 0.6)
    for i in range(-1, 2):
        for j in range(-1, 2):
            if d.chance(0.5):
                at = Place(i * step + 0.5, j * step + 0.5)
                if d.chance(0.5):
                    b.box(at, (0, 0, size[2] / 2), (thick, thick, size[2]), skin)
                else:
                    b.cylinder(at, (0, 0, size[2] / 2), thick / 2, size[2], skin)
    for _ in range(d.integer(3, 14)):
        reach, turn = d.log_uniform(1.5, 0.45 * min(size[:2])), d.uniform(0, 6.3)
        at = Place(reach * math.cos(turn), reach * math.sin(turn), 0.0, d.uniform(0, 6.3))
        kind = d.uniform()
        if kind < 0.35:
            things.heap(b, at, d.log_uniform(0.4, 2.0), d.integer(1, 4))
        elif kind < 0.55:
            f.cabinet(b, at, d.uniform(0.8, 2.5), d.uniform(0.5, 1.2), d.uniform(0.8, 2.2))
        elif kind < 0.7:
            f.person(b, at)
        elif kind < 0.85:
            f.bin_or_box(b, at)
        else:
            desk(b, at, d.uniform(1.1, 2.0))
    b.volume = inner_volume(size, 0.12, 1.9)
