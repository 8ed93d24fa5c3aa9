"""Layouts of rooms, corridors and table tops."""

from __future__ import annotations

import math

from training.scenes import furniture as f
from training.scenes import materials as m
from training.scenes import things
from training.scenes.builder import Place, SceneBuilder
from training.scenes.dice import SeededRandom

WALL_YAW = (math.pi / 2, -math.pi / 2, math.pi, 0.0)  # furniture against -x +x -y +y looks inward


def warm_white(dice: SeededRandom) -> tuple[float, float, float]:
    """Lamp and daylight colours from 2700 K to 7000 K, roughly."""
    t = dice.uniform()
    return (1.0 - 0.12 * t, 0.86 + 0.08 * t, 0.66 + 0.4 * t)


def indoor_light(b: SceneBuilder, size: tuple[float, float, float]) -> None:
    d = b.dice
    w, depth, h = size
    power = d.uniform(0.6, 1.4)
    lamp = warm_white(d)
    fill = d.log_uniform(0.12, 0.7)
    tint = m.pale_color(d)
    b.lighting = {
        "position": (
            d.uniform(-0.4, 0.4) * w,
            d.uniform(-0.4, 0.4) * depth,
            h * d.uniform(0.75, 0.96),
        ),
        "is_lamp": (1.0,),
        "radius": (d.uniform(0.05, 0.5),),
        "color": tuple(power * c for c in lamp),
        "ambient_up": tuple(fill * c for c in tint),
        "ambient_down": tuple(fill * d.uniform(0.6, 1.0) * c for c in tint),
        "reach": (d.uniform(0.4, 1.0),),
        "seed": (float(d.integer(0, 60000)),),
    }


def wall_place(size: tuple[float, float, float], wall: int, along: float, off: float) -> Place:
    """A frame on the floor `off` metres before a wall (0..3 = -x +x -y +y), facing inward."""
    w, depth, _ = size
    if wall < 2:
        side = -1.0 if wall == 0 else 1.0
        return Place(side * (w / 2 - off), along * (depth / 2 - 0.3), 0.0, WALL_YAW[wall])
    side = -1.0 if wall == 2 else 1.0
    return Place(along * (w / 2 - 0.3), side * (depth / 2 - off), 0.0, WALL_YAW[wall])


def wall_things(b: SceneBuilder, size: tuple[float, float, float], count: int) -> None:
    """Doors, windows, posters, mirrors, boards and pillars on the walls."""
    d = b.dice
    h = size[2]
    for _ in range(count):
        place = wall_place(size, d.integer(0, 3), d.uniform(-1, 1), 0.0)
        kind = d.uniform()
        if kind < 0.2:
            door = b.material(m.furniture(d))
            frame = b.material(m.lacquer(d))
            b.box(place, (0, 0, 1.05), (1.02, 0.06, 2.1), frame)
            b.box(place, (0, -0.01, 1.02), (0.88, 0.07, 2.03), door)
            b.ball(place, (0.36, -0.08, 1.0), (0.1, 0.05, 0.03), frame)
        elif kind < 0.45:
            w, t = d.uniform(0.7, 2.0), d.uniform(0.8, 1.5)
            z = 0.9 + t / 2
            frame = b.material(m.lacquer(d))
            pane = b.material(m.window(d, t))
            b.box(place, (0, 0, z), (w + 0.12, 0.08, t + 0.12), frame)
            b.box(place, (-w / 4, -0.01, z), (w / 2 - 0.04, 0.08, t), pane)
            b.box(place, (w / 4, -0.01, z), (w / 2 - 0.04, 0.08, t), pane)
            if d.chance(0.5):
                b.box(
                    place,
                    (0, -0.06, 0.45),
                    (w, 0.12, 0.6),
                    b.material(
                        m.row(d, "stripes", (0.9, 0.9, 0.88), (0.55, 0.55, 0.55), scale=0.06)
                    ),
                )
        elif kind < 0.8:
            w, t = d.log_uniform(0.2, 1.2), d.log_uniform(0.25, 1.2)
            skin = m.printed(d, max(w, t)) if d.chance(0.75) else m.paper(d)
            if d.chance(0.12):
                skin = m.looking_glass(d)
            b.box(place, (0, 0, d.uniform(1.2, 1.7)), (w, 0.02, t), b.material(skin))
        elif kind < 0.9:
            white = m.row(d, "paint", (0.93, 0.94, 0.95), contrast=0.2, gloss=0.6)
            b.box(place, (0, 0, 1.5), (d.uniform(1.0, 2.2), 0.03, 1.1), b.material(white))
        else:
            pillar = b.material(m.wall(d))
            s = d.uniform(0.1, 0.45)
            b.box(place, (0, 0, h / 2), (s, s, h), pillar)


def shell(b: SceneBuilder, size: tuple[float, float, float]) -> None:
    d = b.dice
    main = b.material(m.wall(d))
    walls = [main if d.chance(0.8) else b.material(m.wall(d)) for _ in range(4)]
    white = d.uniform(0.75, 0.97)
    ceiling = m.row(d, "paint", (white,) * 3, contrast=0.2)
    if d.chance(0.35):
        joint = (white * 0.8,) * 3
        ceiling = m.row(d, "tiles", (white,) * 3, None, joint, scale=0.6, contrast=0.1)
    b.shell(size, walls, b.material(m.polished(d, m.floor(d))), b.material(ceiling))
    if d.chance(0.6):
        skirting = b.material(m.lacquer(d))
        t = d.uniform(0.06, 0.12)
        for wall, length in ((0, size[1]), (1, size[1]), (2, size[0]), (3, size[0])):
            place = wall_place(size, wall, 0.0, 0.0)
            b.box(place, (0, 0, t / 2), (length, 0.03, t), skirting)


def empty_room(b: SceneBuilder, size: tuple[float, float, float]) -> None:
    """Walls, floor, ceiling, and a lamp."""
    shell(b, size)
    indoor_light(b, size)


def floor_things(b: SceneBuilder, size: tuple[float, float, float], count: int) -> None:
    """Furniture along the walls and in the middle of a room."""
    d = b.dice
    w, depth, h = size
    for _ in range(count):
        kind = d.uniform()
        if kind < 0.42:  # against a wall
            wide = d.uniform(0.6, 1.6)
            wall = d.integer(0, 3)
            along = d.uniform(-1, 1)
            probe = wall_place(size, wall, along, 0.35)
            if any(math.hypot(probe.x - x, probe.y - y) < wide / 2 + r for x, y, r in b.footprints):
                continue
            b.footprints.append((probe.x, probe.y, wide / 2))
            which = d.uniform()
            if which < 0.3:
                f.shelf(b, wall_place(size, wall, along, 0.22), wide, d.uniform(0.9, min(2.2, h)))
            elif which < 0.7:
                deep = d.uniform(0.3, 0.65)
                tall = min(d.log_uniform(0.5, 2.1), h)
                f.cabinet(b, wall_place(size, wall, along, deep / 2), wide, deep, tall)
            elif which < 0.85:
                f.sofa(b, wall_place(size, wall, along, 0.5))
            else:
                desk_scene(b, wall_place(size, wall, along, 0.42), d.integer(2, 5))
            continue
        spot = b.free_spot((-w / 2 + 0.5, -depth / 2 + 0.5), (w / 2 - 0.5, depth / 2 - 0.5), 0.45)
        if spot is None:
            continue
        at = Place(spot[0], spot[1], 0.0, d.uniform(0, 2 * math.pi))
        if kind < 0.52:
            desk_scene(b, at, d.integer(1, 4))
        elif kind < 0.70:
            f.chair(b, at)
        elif kind < 0.80:
            f.bin_or_box(b, at)
        elif kind < 0.86:
            f.person(b, at)
        elif kind < 0.92:
            f.plant(b, at)
        elif kind < 0.95:
            f.floor_lamp(b, at)
        elif kind < 0.97 and min(w, depth) > 4:
            f.bed(b, at)
        else:
            f.cabinet(b, at, d.uniform(0.4, 1.2), d.uniform(0.3, 0.6), d.uniform(0.4, 1.2))


def desk_scene(b: SceneBuilder, at: Place, count: int) -> None:
    """A table with a chair before it and things on it."""
    d = b.dice
    w, depth, h = d.uniform(0.8, 1.7), d.uniform(0.6, 0.9), d.uniform(0.68, 0.78)
    f.table(b, at, w, depth, h)
    if d.chance(0.7):
        f.chair(b, at.inner(d.uniform(-0.3, 0.3), -depth / 2 - 0.25, 0, math.pi + d.uniform(-1, 1)))
    for _ in range(count):
        x, y = d.uniform(-0.42, 0.42) * w, d.uniform(-0.35, 0.35) * depth
        top = at.inner(x, y, h, d.uniform(-0.6, 0.6))
        if d.chance(0.25):
            things.monitor(b, top)
        else:
            things.small_thing(b, top)


def room(b: SceneBuilder) -> None:
    d = b.dice
    size = (d.log_uniform(2.5, 10), d.log_uniform(2.5, 10), d.uniform(2.3, 3.3))
    empty_room(b, size)
    wall_things(b, size, d.integer(2, 6))
    floor_things(b, size, d.integer(3, 6 + int(size[0] * size[1] / 6)))
    b.volume = inner_volume(size, 0.12, 1.75)


def corridor(b: SceneBuilder) -> None:
    d = b.dice
    size = (d.uniform(1.2, 3.2), d.log_uniform(8, 40), d.uniform(2.2, 3.2))
    empty_room(b, size)
    b.lighting["radius"] = (d.uniform(0.2, 0.8),)
    d_frame = b.material(m.lacquer(d))
    doors = b.material(m.furniture(d))
    for _ in range(d.integer(2, 8)):
        place = wall_place(size, d.integer(0, 1), d.uniform(-1, 1), 0.0)
        b.box(place, (0, 0, 1.05), (1.0, 0.06, 2.1), d_frame)
        b.box(place, (0, -0.01, 1.02), (0.88, 0.07, 2.03), doors)
    glow = b.material(m.glowing(d, (1, 1, 0.97), d.uniform(0.8, 2.0)))
    step = d.uniform(2.0, 5.0)
    for k in range(int(size[1] / step)):
        y = -size[1] / 2 + (k + 0.5) * step
        b.box(Place(), (0, y, size[2] - 0.02), (0.3, min(1.2, step * 0.5), 0.04), glow)
    wall_things(b, size, d.integer(1, 5))
    for _ in range(d.integer(0, 5)):
        side = d.choice((-1.0, 1.0))
        y = d.uniform(-0.48, 0.48) * size[1]
        at = Place(side * (size[0] / 2 - 0.25), y, 0.0, d.uniform(0, 6.3))
        b.dice.choice((f.bin_or_box, f.chair, f.person, f.plant))(b, at)
    b.volume = inner_volume(size, 0.3, 1.75)


def tabletop(b: SceneBuilder) -> None:
    """A table with many things on it, seen from near; the room is behind it."""
    d = b.dice
    size = (d.log_uniform(2.8, 8), d.log_uniform(2.8, 8), d.uniform(2.3, 3.2))
    empty_room(b, size)
    w, depth, h = d.uniform(0.9, 2.0), d.uniform(0.6, 1.2), d.uniform(0.68, 0.9)
    if d.chance(0.6):
        at = wall_place(size, d.integer(0, 3), d.uniform(-0.6, 0.6), depth / 2 + 0.02)
    else:
        at = Place(d.uniform(-0.5, 0.5), d.uniform(-0.5, 0.5), 0, d.uniform(0, 6.3))
    b.footprints.append((at.x, at.y, max(w, depth) / 2))
    f.table(b, at, w, depth, h)
    if d.chance(0.5):
        things.monitor(b, at.inner(d.uniform(-0.3, 0.3) * w, depth * 0.25, h, d.uniform(-0.4, 0.4)))
        things.keyboard(b, at.inner(d.uniform(-0.1, 0.1), -depth * 0.15, h, d.uniform(-0.2, 0.2)))
    for _ in range(d.integer(2, 15)):
        x, y = d.uniform(-0.45, 0.45) * w, d.uniform(-0.42, 0.42) * depth
        things.small_thing(b, at.inner(x, y, h, d.uniform(-3, 3)))
    if d.chance(0.5):
        f.chair(b, at.inner(d.uniform(-0.3, 0.3), -depth / 2 - 0.3, 0, math.pi + d.uniform(-1, 1)))
    wall_things(b, size, d.integer(1, 3))
    floor_things(b, size, d.integer(0, 4))
    x, y, z = at.point(d.uniform(-0.25, 0.25) * w, d.uniform(-0.2, 0.2) * depth, h)
    b.focus = (x, y, z + d.uniform(0.0, 0.15), 1.0)
    b.volume = inner_volume(size, h + 0.15, h + 1.1)


def inner_volume(
    size: tuple[float, float, float], low: float, high: float
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """The part of a room where a camera may be."""
    x, y = size[0] / 2 - 0.15, size[1] / 2 - 0.15
    return (-x, -y, low), (x, y, min(high, size[2] - 0.15))
