"""Collects the bodies, materials and lights of one scene while a layout places them."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import wraps

from training.scenes.dice import SeededRandom
from training.scenes.materials import MATERIAL, MATERIAL_SLOTS
from training.scenes.textures import PATTERN_NUMBER

Vector = tuple[float, float, float]
Matrix = tuple[Vector, Vector, Vector]

SHAPES = ("shell", "box", "cylinder", "ball")
SLOTS = {"shell": 1, "box": 80, "cylinder": 32, "ball": 24}

# Columns of Scenes.lighting: first column and width.
LIGHTING = {
    "position": (0, 3),  # lamp position, or the direction to the sun
    "is_lamp": (3, 1),
    "radius": (4, 1),  # of the lamp in metres; of the sun as a sine
    "color": (5, 3),
    "ambient_up": (8, 3),  # light that falls from above on a horizontal surface
    "ambient_down": (11, 3),
    "sky_top": (14, 3),
    "sky_low": (17, 3),
    "clouds": (20, 1),
    "haze": (21, 1),  # 1 / metres
    "reach": (22, 1),  # metres within which neighbouring bodies darken a surface
    "seed": (23, 1),
}


@dataclass(frozen=True)
class Body:
    """A unit shape scaled by `half`, turned by `rotation`, moved to `centre`."""

    centre: Vector
    half: Vector
    rotation: Matrix
    faces: tuple[int, int, int, int, int, int]


@dataclass(frozen=True)
class Place:
    """A floor-aligned frame that furniture is built in: x to the right, y away, z up."""

    x: float = 0.0
    y: float = 0.0
    z: float = 0.0
    yaw: float = 0.0

    def point(self, x: float, y: float, z: float) -> Vector:
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        return (self.x + c * x - s * y, self.y + s * x + c * y, self.z + z)

    def inner(self, x: float, y: float, z: float = 0.0, yaw: float = 0.0) -> Place:
        """A frame given relative to this one."""
        return Place(*self.point(x, y, z), self.yaw + yaw)


def rotation_matrix(yaw: float, roll: float) -> Matrix:
    """Rz(yaw) Rx(roll)."""
    c, s = math.cos(yaw), math.sin(yaw)
    a, b = math.cos(roll), math.sin(roll)
    return ((c, -s * a, s * b), (s, c * a, -c * b), (0.0, b, a))


class SceneBuilder:
    """The scene under construction.

    A shape whose slots are full takes no more bodies: layouts place what matters first.

    Args:
        without: what is left out, see `factors`.
    """

    def __init__(self, kind: str, dice: SeededRandom, without: Collection[str] = ()) -> None:
        self.kind = kind
        self.dice = dice
        self.without = without
        self.is_hidden = False  # what is placed now is left out, though its numbers are drawn
        self.bodies: dict[str, list[Body]] = {shape: [] for shape in SHAPES}
        self.materials: list[list[float]] = []
        self.lighting: dict[str, Sequence[float]] = {}
        self.volume: tuple[Vector, Vector] = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
        self.focus: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
        self.footprints: list[tuple[float, float, float]] = []

    def material(self, row: Sequence[float]) -> int:
        """Add a material (a row made in `materials`) and return its number."""
        if len(self.materials) < MATERIAL_SLOTS:
            self.materials.append(self._allowed(row))
        return len(self.materials) - 1

    def _allowed(self, row: Sequence[float]) -> list[float]:
        row = list(row)
        if "mirrors" in self.without:
            row[MATERIAL["mirror"][0]] = 0.0
        if "textures" in self.without:
            row[MATERIAL["pattern"][0]] = float(PATTERN_NUMBER["paint"])
            row[MATERIAL["contrast"][0]] = 0.0
        return row

    def add(self, shape: str, body: Body) -> None:
        if self.is_hidden:
            return
        if "shapes" in self.without and shape in ("cylinder", "ball"):
            shape = "box"
        if len(self.bodies[shape]) < SLOTS[shape]:
            self.bodies[shape].append(body)

    def box(
        self,
        place: Place,
        centre: Vector,
        size: Vector,
        material: int,
        *,
        yaw: float = 0.0,
        roll: float = 0.0,
        front: int | None = None,
        top: int | None = None,
    ) -> None:
        """A box of full `size`; `front` is the material of its -y and +y faces."""
        self._solid("box", place, centre, size, material, yaw, roll, front, top)

    def cylinder(
        self,
        place: Place,
        centre: Vector,
        radius: float,
        height: float,
        material: int,
        *,
        yaw: float = 0.0,
        roll: float = 0.0,
        top: int | None = None,
    ) -> None:
        """An upright cylinder (lying along y with roll = pi / 2)."""
        size = (2 * radius, 2 * radius, height)
        self._solid("cylinder", place, centre, size, material, yaw, roll, None, top)

    def ball(self, place: Place, centre: Vector, size: Vector, material: int) -> None:
        """An ellipsoid of full `size`."""
        self._solid("ball", place, centre, size, material, 0.0, 0.0, None, None)

    def _solid(
        self,
        shape: str,
        place: Place,
        centre: Vector,
        size: Vector,
        material: int,
        yaw: float,
        roll: float,
        front: int | None,
        top: int | None,
    ) -> None:
        side = material if front is None else front
        cap = material if top is None else top
        body = Body(
            centre=place.point(*centre),
            half=(size[0] / 2, size[1] / 2, size[2] / 2),
            rotation=rotation_matrix(place.yaw + yaw, roll),
            faces=(material, material, side, side, material, cap),
        )
        self.add(shape, body)

    def shell(self, size: Vector, walls: Sequence[int], floor: int, ceiling: int) -> None:
        """The room itself, seen from inside, its floor centred on the origin at z = 0.

        `walls` are the materials at -x, +x, -y and +y.
        """
        half = (size[0] / 2, size[1] / 2, size[2] / 2)
        left, right, near, far = walls
        faces = (left, right, near, far, floor, ceiling)
        self.add("shell", Body((0.0, 0.0, half[2]), half, rotation_matrix(0.0, 0.0), faces))

    def free_spot(
        self, low: tuple[float, float], high: tuple[float, float], radius: float
    ) -> tuple[float, float] | None:
        """A place on the floor not yet taken by another footprint, or None; it is then taken."""
        for _ in range(12):
            x, y = self.dice.uniform(low[0], high[0]), self.dice.uniform(low[1], high[1])
            if all(math.hypot(x - a, y - b) > radius + r for a, b, r in self.footprints):
                self.footprints.append((x, y, radius))
                return x, y
        return None

    def lighting_row(self) -> list[float]:
        row = [0.0] * sum(width for _, width in LIGHTING.values())
        plain = self._plain_light() if "lighting" in self.without else {}
        for name, values in {**self.lighting, **plain}.items():
            start, width = LIGHTING[name]
            if len(values) != width:
                raise ValueError(f"lighting {name!r} has {len(values)} values, expected {width}")
            row[start : start + width] = values
        return row

    def _plain_light(self) -> dict[str, Sequence[float]]:
        """White and of middling strength, from where it comes anyhow."""
        white, fill = (1.0, 1.0, 1.0), (0.4, 0.4, 0.4)
        return {"radius": (0.1,), "color": white, "ambient_up": fill, "ambient_down": fill}


def part_of(factor: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Marks a function that places bodies: without the factor it draws its numbers in vain."""

    def mark(place: Callable[..., None]) -> Callable[..., None]:
        @wraps(place)
        def placed(b: SceneBuilder, *args: object, **options: object) -> None:
            before = b.is_hidden
            b.is_hidden = before or factor in b.without
            place(b, *args, **options)
            b.is_hidden = before

        return placed

    return mark
