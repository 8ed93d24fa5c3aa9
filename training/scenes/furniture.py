"""Furniture and people, composed of unit shapes in a frame on the floor (front towards -y)."""

from __future__ import annotations

from training.scenes import materials as m
from training.scenes import things
from training.scenes.builder import Place, SceneBuilder


def table(b: SceneBuilder, at: Place, width: float, depth: float, height: float) -> int:
    """A table; returns the material of its top."""
    d = b.dice
    top = b.material(m.furniture(d))
    leg = b.material(m.lacquer(d)) if d.chance(0.5) else top
    thick = d.uniform(0.02, 0.05)
    x, y, t = width / 2 - 0.05, depth / 2 - 0.05, d.uniform(0.03, 0.07)
    style = d.uniform()
    if style < 0.12:
        b.cylinder(at, (0, 0, height - thick / 2), min(width, depth) / 2, thick, top)
        b.cylinder(at, (0, 0, height / 2), 0.05, height - thick, leg)
        return top
    b.box(at, (0, 0, height - thick / 2), (width, depth, thick), top)
    if style < 0.65:
        for sx in (-x, x):
            for sy in (-y, y):
                b.box(at, (sx, sy, (height - thick) / 2), (t, t, height - thick), leg)
    else:
        for sx in (-x, x):
            b.box(at, (sx, 0, (height - thick) / 2), (t, depth - 0.1, height - thick), leg)
        if d.chance(0.5):
            b.box(at, (x - 0.2, 0, (height - thick) / 2), (0.4, depth - 0.1, height - thick), leg)
    return top


def chair(b: SceneBuilder, at: Place) -> None:
    d = b.dice
    seat, frame = b.material(m.fabric(d) if d.chance(0.4) else m.furniture(d)), 0
    frame = b.material(m.lacquer(d)) if d.chance(0.5) else seat
    h, w = d.uniform(0.42, 0.5), d.uniform(0.4, 0.5)
    back = d.uniform(0.35, 0.55)
    b.box(at, (0, 0, h - 0.03), (w, w, 0.06), seat)
    if d.chance(0.4):  # an office chair
        b.cylinder(at, (0, 0, h / 2), 0.03, h, frame)
        b.box(at, (0, 0, 0.05), (0.6, 0.06, 0.05), frame, yaw=d.uniform(0, 3))
        b.box(at, (0, 0, 0.05), (0.06, 0.6, 0.05), frame, yaw=d.uniform(0, 3))
    else:
        for x in (-w / 2 + 0.025, w / 2 - 0.025):
            for y in (-w / 2 + 0.025, w / 2 - 0.025):
                b.box(at, (x, y, h / 2), (0.04, 0.04, h), frame)
    low = d.uniform(0.0, 0.15)
    size = (w, d.uniform(0.03, 0.08), back - low)
    b.box(at, (0, w / 2, h + low + size[2] / 2), size, seat, roll=d.uniform(-0.25, 0.0))


def shelf(b: SceneBuilder, at: Place, width: float, height: float) -> None:
    """Open shelves with books and things."""
    d = b.dice
    depth = d.uniform(0.25, 0.4)
    side = b.material(m.furniture(d))
    rows = max(2, round(height / d.uniform(0.32, 0.45)))
    step = height / rows
    b.box(at, (0, depth / 2 - 0.01, height / 2), (width, 0.02, height), side)
    for x in (-width / 2, width / 2):
        b.box(at, (x, 0, height / 2), (0.03, depth, height), side)
    for k in range(rows + 1):
        b.box(at, (0, 0, min(k * step + 0.015, height)), (width, depth, 0.03), side)
    for k in range(rows):
        if d.chance(0.75):
            length = width * d.uniform(0.3, 0.95)
            tall = step * d.uniform(0.5, 0.8)
            spine = m.row(
                *(d, "books", (0.9, 0.9, 0.85), (0.05, 0.05, 0.05)),
                scale=d.uniform(0.03, 0.06),
                aspect=6.0,
            )
            x = d.uniform(-1, 1) * (width - length) / 2
            size = (length, depth * 0.65, tall)
            b.box(at, (x, 0, k * step + 0.03 + tall / 2), size, b.material(spine))


def cabinet(b: SceneBuilder, at: Place, width: float, depth: float, height: float) -> None:
    """A closed cupboard, often with door seams, and something on top."""
    d = b.dice
    body = b.material(m.furniture(d))
    front = body
    if d.chance(0.6):
        color = m.any_color(d) if d.chance(0.4) else m.wood_color(d)
        seam = m.shade(color, 0.35)
        row = m.row(
            *(d, "tiles", color, m.shade(color, 0.95), seam),
            scale=height / d.integer(1, 4) * 0.999,
            aspect=d.uniform(0.5, 1.6),
            contrast=0.2,
            gloss=m.any_gloss(d),
        )
        front = b.material(row)
    b.box(at, (0, 0, height / 2), (width, depth, height), body, front=front)
    if height < 1.4 and d.chance(0.6):
        top = at.inner(d.uniform(-0.3, 0.3) * width, 0, height)
        things.small_thing(b, top)


def sofa(b: SceneBuilder, at: Place) -> None:
    d = b.dice
    cloth = b.material(m.fabric(d))
    w, depth, h = d.uniform(1.2, 2.2), d.uniform(0.8, 1.0), d.uniform(0.38, 0.46)
    b.box(at, (0, 0, h / 2), (w, depth, h), cloth)
    b.box(at, (0, depth / 2 - 0.1, h + 0.2), (w, 0.2, 0.45), cloth, roll=-0.15)
    for x in (-w / 2 + 0.09, w / 2 - 0.09):
        b.box(at, (x, 0, h + 0.09), (0.18, depth, 0.2), cloth)
    if d.chance(0.6):
        cushion = b.material(m.fabric(d))
        x = d.uniform(-0.3, 0.3) * w
        b.box(at, (x, depth / 2 - 0.26, h + 0.2), (0.42, 0.12, 0.4), cushion, roll=-0.4)


def bed(b: SceneBuilder, at: Place) -> None:
    d = b.dice
    w = d.uniform(0.9, 1.8)
    frame, cloth = b.material(m.furniture(d)), b.material(m.fabric(d))
    b.box(at, (0, 0, 0.15), (w, 2.05, 0.3), frame)
    b.box(at, (0, -0.1, 0.38), (w - 0.04, 1.85, 0.18), cloth)
    b.box(at, (0, 1.03, 0.45), (w, 0.06, d.uniform(0.7, 1.1)), frame)
    white = b.material(m.row(d, "carpet", (0.92, 0.91, 0.88), scale=0.1))
    b.ball(at, (0, 0.75, 0.5), (w * 0.7, 0.45, 0.2), white)


def person(b: SceneBuilder, at: Place) -> None:
    d = b.dice
    height = d.uniform(1.5, 1.9)
    skin = d.choice(((0.93, 0.76, 0.66), (0.8, 0.6, 0.47), (0.5, 0.34, 0.25), (0.35, 0.24, 0.18)))
    skin_id = b.material(m.row(d, "paint", skin))
    legs, shirt = b.material(m.fabric(d)), b.material(m.fabric(d))
    hair = b.material(m.row(d, "carpet", m.shade(d.choice(m.WOODS), 0.5), scale=0.02))
    hip, shoulder = height * 0.5, height * 0.82
    for x in (-0.1, 0.1):
        b.cylinder(at, (x, d.uniform(-0.1, 0.1), hip / 2), 0.08, hip, legs)
    b.ball(at, (0, 0, (hip + shoulder) / 2), (0.44, 0.28, (shoulder - hip) * 1.35), shirt)
    for x in (-0.24, 0.24):
        b.cylinder(at, (x, 0, height * 0.62), 0.05, height * 0.36, shirt, roll=d.uniform(-0.5, 0.5))
    b.ball(at, (0, 0, height - 0.12), (0.17, 0.2, 0.25), skin_id)
    b.ball(at, (0, 0.02, height - 0.06), (0.18, 0.21, 0.17), hair)


def plant(b: SceneBuilder, at: Place) -> None:
    d = b.dice
    pot, green = b.material(m.lacquer(d)), b.material(m.leaves(d, d.uniform(0.05, 0.15)))
    size = d.uniform(0.3, 0.9)
    b.cylinder(at, (0, 0, 0.18), 0.14, 0.36, pot)
    for _ in range(d.integer(1, 3)):
        s = size * d.uniform(0.6, 1.0)
        x, y = d.uniform(-0.15, 0.15), d.uniform(-0.15, 0.15)
        b.ball(at, (x, y, 0.4 + size * d.uniform(0.3, 0.8)), (s, s, s * d.uniform(0.7, 1.4)), green)


def floor_lamp(b: SceneBuilder, at: Place) -> None:
    d = b.dice
    metal = b.material(m.lacquer(d))
    height = d.uniform(1.3, 1.8)
    b.cylinder(at, (0, 0, 0.015), 0.15, 0.03, metal)
    b.cylinder(at, (0, 0, height / 2), 0.015, height, metal)
    glow = b.material(m.glowing(d, (0.98, 0.93, 0.8), d.uniform(0.0, 1.2)))
    b.cylinder(at, (0, 0, height), d.uniform(0.12, 0.22), 0.25, glow)


def bin_or_box(b: SceneBuilder, at: Place) -> None:
    d = b.dice
    if d.chance(0.4):
        b.cylinder(at, (0, 0, 0.2), d.uniform(0.12, 0.2), 0.4, b.material(m.lacquer(d)))
        return
    z = 0.0
    for _ in range(d.integer(1, 3)):
        size = (d.uniform(0.25, 0.6), d.uniform(0.25, 0.5), d.uniform(0.15, 0.45))
        card = (0.72, 0.56, 0.4)
        skin = (
            m.row(d, "mottled", card, m.shade(card, 0.85)) if d.chance(0.5) else m.printed(d, 0.4)
        )
        b.box(at, (0, 0, z + size[2] / 2), size, b.material(skin), yaw=d.uniform(-0.4, 0.4))
        z += size[2]
