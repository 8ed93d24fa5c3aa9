"""Much on little space: counters full of things, and heaps of bodies of no particular kind."""

from __future__ import annotations

import math

from training.scenes import materials as m
from training.scenes import things
from training.scenes.builder import Place, SceneBuilder, part_of


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
