"""Material rows and the palettes that they are drawn from.

Colours are chosen in sRGB, as one sees them on photographs, and stored linear.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

from training.scenes.dice import SeededRandom
from training.scenes.textures import PATTERN_NUMBER

MATERIAL_SLOTS = 72

# Columns of Scenes.materials: first column and width.
MATERIAL = {
    "pattern": (0, 1),
    "a": (1, 3),
    "b": (4, 3),
    "c": (7, 3),
    "scale": (10, 1),
    "aspect": (11, 1),
    "contrast": (12, 1),
    "seed": (13, 1),
    "gloss": (14, 1),
    "emission": (15, 1),
    "mirror": (16, 1),  # share of the light that it reflects like a mirror
}

Color = tuple[float, float, float]

WOODS: Sequence[Color] = (
    (0.78, 0.62, 0.42),
    (0.85, 0.74, 0.58),
    (0.62, 0.42, 0.26),
    (0.45, 0.28, 0.17),
    (0.72, 0.50, 0.30),
    (0.33, 0.22, 0.15),
    (0.87, 0.79, 0.68),
)


def linear(color: Color) -> Color:
    r, g, b = (max(c, 0.0) ** 2.2 for c in color)
    return (r, g, b)


def shade(color: Color, factor: float) -> Color:
    r, g, b = (min(c * factor, 1.0) for c in color)
    return (r, g, b)


def row(
    dice: SeededRandom,
    pattern: str,
    a: Color,
    b: Color | None = None,
    c: Color | None = None,
    *,
    scale: float = 1.0,
    aspect: float = 1.0,
    contrast: float = 0.5,
    gloss: float = 0.0,
    emission: float = 0.0,
    mirror: float = 0.0,
) -> list[float]:
    """One row in the order of `MATERIAL`; b and c default to shades of a."""
    return [
        float(PATTERN_NUMBER[pattern]),
        *linear(a),
        *linear(shade(a, 0.8) if b is None else b),
        *linear(shade(a, 0.6) if c is None else c),
        *(scale, aspect, contrast, float(dice.integer(0, 60000)), gloss, emission),
        mirror,
    ]


def hsv(hue: float, saturation: float, value: float) -> Color:
    return colorsys.hsv_to_rgb(hue % 1.0, saturation, value)


def any_color(dice: SeededRandom) -> Color:
    """From greys through muted to vivid, dark to light."""
    saturation = 0.9 * dice.uniform() ** 1.8
    hue = dice.uniform() if dice.chance(0.5) else dice.uniform(-0.03, 0.17)  # browns are common
    return hsv(hue, saturation, dice.uniform(0.12, 0.95))


def pale_color(dice: SeededRandom) -> Color:
    return hsv(dice.uniform(0.05, 0.7), 0.22 * dice.uniform() ** 1.5, dice.uniform(0.7, 0.97))


def wood_color(dice: SeededRandom) -> Color:
    return shade(dice.choice(WOODS), dice.uniform(0.75, 1.12))


def any_gloss(dice: SeededRandom) -> float:
    return dice.uniform(0.2, 1.0) if dice.chance(0.4) else 0.0


def wall(dice: SeededRandom) -> list[float]:
    kind = dice.uniform()
    color = pale_color(dice) if dice.chance(0.82) else any_color(dice)
    if kind < 0.68:
        return row(dice, "paint", color, shade(color, 0.85), contrast=dice.uniform(0.1, 0.7))
    if kind < 0.74:
        return row(dice, "stripes", color, shade(color, 0.88), scale=dice.log_uniform(0.06, 0.4))
    if kind < 0.80:
        return brick(dice)
    if kind < 0.86:
        return tile(dice, dice.log_uniform(0.08, 0.4))
    if kind < 0.92:
        return row(dice, "mottled", color, shade(color, 0.75), scale=dice.log_uniform(0.05, 0.8))
    if kind < 0.97:
        return plank(dice)
    return row(dice, "picture", color, scale=dice.uniform(0.3, 0.8), contrast=0.35)


def brick(dice: SeededRandom) -> list[float]:
    a = dice.choice(((0.6, 0.3, 0.22), (0.7, 0.45, 0.33), (0.85, 0.82, 0.78), (0.5, 0.45, 0.42)))
    mortar = dice.choice(((0.7, 0.68, 0.64), (0.4, 0.38, 0.36)))
    size = dice.uniform(0.065, 0.12)
    return row(dice, "bricks", a, shade(a, 0.7), mortar, scale=size, aspect=dice.uniform(2.5, 3.5))


def tile(dice: SeededRandom, size: float) -> list[float]:
    color = pale_color(dice) if dice.chance(0.6) else any_color(dice)
    joint = dice.choice(((0.85, 0.85, 0.83), (0.45, 0.44, 0.42), (0.25, 0.25, 0.25)))
    return row(
        *(dice, "tiles", color, shade(color, dice.uniform(0.6, 0.95)), joint),
        scale=size,
        aspect=dice.choice((1.0, 1.0, 2.0)),
        contrast=dice.uniform(0.1, 1.0),
        gloss=any_gloss(dice),
    )


def plank(dice: SeededRandom) -> list[float]:
    color = wood_color(dice)
    return row(
        *(dice, "planks", color, shade(color, 0.68), shade(color, 0.4)),
        scale=dice.uniform(0.06, 0.2),
        aspect=dice.uniform(5.0, 12.0),
        contrast=dice.uniform(0.3, 1.0),
        gloss=any_gloss(dice),
    )


def floor(dice: SeededRandom) -> list[float]:
    kind = dice.uniform()
    if kind < 0.28:
        return plank(dice)
    if kind < 0.48:
        return tile(dice, dice.log_uniform(0.15, 0.9))
    color = (
        any_color(dice)
        if dice.chance(0.35)
        else hsv(dice.uniform(0.05, 0.65), dice.uniform(0, 0.25), dice.uniform(0.25, 0.8))
    )
    if kind < 0.72:
        size = dice.log_uniform(0.008, 0.05)
        return row(dice, "carpet", color, shade(color, 0.6), scale=size, contrast=dice.uniform())
    if kind < 0.90:
        return row(
            *(dice, "mottled", color, shade(color, dice.uniform(0.6, 0.92))),
            scale=dice.log_uniform(0.1, 1.5),
            contrast=dice.uniform(0.3, 1.0),
            gloss=any_gloss(dice),
        )
    if kind < 0.95:
        return row(dice, "checker", color, any_color(dice), scale=dice.log_uniform(0.15, 0.6))
    return row(dice, "picture", color, scale=dice.uniform(0.2, 0.6), contrast=0.5)


def wooden(dice: SeededRandom) -> list[float]:
    color = wood_color(dice)
    return row(
        *(dice, "wood", color, shade(color, 0.66)),
        contrast=dice.uniform(0.2, 1.0),
        gloss=any_gloss(dice),
    )


def lacquer(dice: SeededRandom) -> list[float]:
    """Plain paint, plastic or metal of any colour."""
    color = any_color(dice)
    if dice.chance(0.35):
        grey = dice.choice((0.06, 0.1, 0.2, 0.5, 0.75, 0.92))
        color = (grey, grey, grey)
    return row(dice, "paint", color, shade(color, 0.8), contrast=0.4, gloss=any_gloss(dice))


def fabric(dice: SeededRandom) -> list[float]:
    color = any_color(dice)
    if dice.chance(0.25):
        other = any_color(dice)
        pattern = dice.choice(("stripes", "checker"))
        return row(dice, pattern, color, other, scale=dice.log_uniform(0.03, 0.15))
    pattern = dice.choice(("carpet", "mottled"))
    return row(dice, pattern, color, shade(color, 0.6), scale=dice.log_uniform(0.006, 0.1))


def printed(dice: SeededRandom, size: float) -> list[float]:
    """A poster, picture or package whose larger side is `size` metres."""
    return row(
        *(dice, "picture", any_color(dice), any_color(dice)),
        dice.choice(((0.05, 0.05, 0.06), (0.95, 0.94, 0.92))),
        scale=size * dice.uniform(0.35, 1.1),
        aspect=dice.uniform(0.6, 1.6),
        contrast=dice.uniform(0.15, 0.7),
        gloss=any_gloss(dice),
    )


def paper(dice: SeededRandom) -> list[float]:
    white = dice.uniform(0.8, 0.97)
    return row(
        *(dice, "text", (white, white, white * dice.uniform(0.9, 1.0)), (0.12, 0.12, 0.15)),
        scale=dice.uniform(0.005, 0.014),
        contrast=dice.uniform(0, 0.3),
    )


def furniture(dice: SeededRandom) -> list[float]:
    return wooden(dice) if dice.chance(0.5) else lacquer(dice)


def leaves(dice: SeededRandom, scale: float) -> list[float]:
    color = hsv(dice.uniform(0.17, 0.4), dice.uniform(0.25, 0.65), dice.uniform(0.25, 0.6))
    return row(
        *(dice, "foliage", color, shade(color, 0.3), shade(color, 1.5)),
        scale=scale,
        contrast=dice.uniform(0.6, 1.2),
    )


def window(dice: SeededRandom, height: float) -> list[float]:
    """A pane of this height by day or night: what is outside, or a blind before it."""
    light = dice.log_uniform(0.15, 3.0)
    if dice.chance(0.3):
        return glowing(dice, any_color(dice), light / 2, "mottled")
    sky = hsv(0.58, 0.35 * dice.uniform() ** 2, dice.uniform(0.8, 1.0))
    green = hsv(dice.uniform(0.2, 0.4), dice.uniform(0.1, 0.5), dice.uniform(0.15, 0.5))
    grey = shade(pale_color(dice), dice.uniform(0.3, 0.8))
    return row(
        *(dice, "view", sky, green, grey),
        scale=height * dice.uniform(0.3, 0.9),
        contrast=dice.uniform(0.2, 1.0),
        emission=light,
    )


def looking_glass(dice: SeededRandom) -> list[float]:
    """A mirror, perhaps an old one."""
    return row(dice, "paint", (0.1, 0.11, 0.1), contrast=0.2, mirror=dice.uniform(0.6, 0.95))


def polished(dice: SeededRandom, floor_row: list[float]) -> list[float]:
    """A floor in which the room is seen, as a seventh of the floors of `floor` may be."""
    if dice.chance(0.15) and floor_row[0] != PATTERN_NUMBER["carpet"]:
        floor_row[MATERIAL["mirror"][0]] = dice.uniform(0.05, 0.3)
    return floor_row


def glowing(
    dice: SeededRandom, color: Color, strength: float, pattern: str = "paint"
) -> list[float]:
    return row(dice, pattern, color, scale=0.4, contrast=0.4, emission=strength)
