"""Scenes of textured meshes, ray cast with Embree: furnished rooms and streets seen from the road.

The meshes, textures and skies come from a folder of assets that is not part of this project, see
:class:`Assets`. Each scene and its camera depend on the seed alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from depth_estimation_ros.errors import DatasetError, ParameterError
from training.scenes.cameras import look
from training.scenes.shading import develop

Array = NDArray[np.floating[Any]]
FARTHEST = 130.0  # metres; what lies beyond counts as sky
FURNITURE = ("aws_small_house", "aws_bookstore", "aws_hospital", "aws_warehouse")
LARGEST_FILE = 600_000  # bytes of a mesh: larger ones take long and add little
FACADES = 6  # that the buildings of one street share


@dataclass(frozen=True)
class Part:
    """Triangles with one texture.

    Attributes:
        vertices: (V, 3) metres, z up.
        faces: (F, 3) indices.
        uv: (V, 2) texture coordinates, (0, 0) at the lower left.
        texture: (h, w, 3) uint8 RGB.
        tint: factors of the texture's red, green and blue.
        glow: light that the surface gives by itself, in its own colour.
    """

    vertices: Array
    faces: NDArray[np.integer[Any]]
    uv: Array
    texture: NDArray[np.uint8]
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    glow: float = 0.0


@dataclass
class MeshScene:
    """Parts, light and where a camera may stand.

    Attributes:
        sun: direction to the sun, or None for a lamp at ``lamp``.
        low, high: the volume of the camera, metres.
        yaws: directions that the camera may look at, radians.
        level: a camera on a vehicle, which hardly pitches and rolls.
    """

    parts: list[Part] = field(default_factory=list)
    sun: Array | None = None
    lamp: Array = field(default_factory=lambda: np.zeros(3))
    strength: float = 1.0
    ambient: float = 0.4
    sky: NDArray[np.uint8] | None = None
    low: Sequence[float] = (0.0, 0.0, 0.0)
    high: Sequence[float] = (0.0, 0.0, 0.0)
    yaws: Sequence[float] = ()
    level: bool = False


class Assets:
    """A folder with ``meshes/SET/NAME/*.obj``, ``textures/``, ``skies/`` and ``photos/``.

    ``LICENCES.json`` names the licence of each file, and which textures are tileable.

    Raises:
        DatasetError: the folder has no such file or no meshes.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        listed = self.folder / "LICENCES.json"
        if not listed.is_file():
            raise DatasetError(
                f"{self.folder} is no folder of assets",
                found="no LICENCES.json",
                expected="LICENCES.json, meshes/, textures/, skies/ and photos/",
            )
        about = json.loads(listed.read_text())
        self.tileable = [
            self.folder / name
            for name, entry in sorted(about.items())
            if name.startswith("textures/") and entry.get("tileable") and entry["kind"] == "colour"
        ]
        self.meshes = {
            file.parent.name: file
            for file in sorted(self.folder.glob("meshes/*/*/*.obj"))
            if file.stat().st_size < LARGEST_FILE
        }
        self.skies = sorted(self.folder.glob("skies/*.jpg"))
        self.photos = sorted(self.folder.glob("photos/*.jpg"))
        if not self.meshes or not self.tileable:
            raise DatasetError(f"{self.folder}", found="no meshes or no textures", expected="both")

    def texture(self, rng: np.random.Generator, *words: str) -> NDArray[np.uint8]:
        """Return a random tileable texture with one of ``words`` in its name."""
        fitting = [file for file in self.tileable if any(word in file.name for word in words)]
        return read_texture(_choice(rng, fitting or self.tileable))

    def named(self, *words: str, sets: Sequence[str] = ()) -> list[str]:
        """Return the meshes with one of ``words`` in their names."""
        return [
            name
            for name, file in self.meshes.items()
            if any(word in name for word in words) and (not sets or file.parts[-3] in sets)
        ]


open_assets = lru_cache(maxsize=1)(Assets)


@lru_cache(maxsize=256)
def read_texture(file: Path) -> NDArray[np.uint8]:
    """Return ``file`` as (h, w, 3) uint8 RGB."""
    return cv2.cvtColor(cv2.imread(str(file), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


@lru_cache(maxsize=128)
def load_mesh(file: Path) -> tuple[Part, ...]:
    """Return the parts of an OBJ file, its base centred on the origin.

    Raises:
        ParameterError: trimesh is not installed.
    """
    try:
        import trimesh
    except ImportError as error:
        raise ParameterError(
            "scenes of meshes need the packages trimesh and embreex",
            found=str(error),
            fix="pip install trimesh embreex (they come with the extra train)",
        ) from error
    loaded: Any = trimesh.load(file, process=False)
    parts = []
    for mesh in loaded.geometry.values() if isinstance(loaded, trimesh.Scene) else [loaded]:
        material = getattr(mesh.visual, "material", None)
        image, uv = getattr(material, "image", None), getattr(mesh.visual, "uv", None)
        if image is None or uv is None:
            color = np.asarray(getattr(material, "diffuse", (160, 160, 160, 255)), np.uint8)[:3]
            texture, uv = np.tile(color, (2, 2, 1)), np.zeros((len(mesh.vertices), 2))
        else:
            texture = np.asarray(image.convert("RGB"))
        parts.append(
            Part(np.asarray(mesh.vertices), np.asarray(mesh.faces), np.asarray(uv), texture)
        )
    corners = np.concatenate([part.vertices for part in parts])
    low, high = corners.min(axis=0), corners.max(axis=0)
    base = np.array([*(low + high)[:2] / 2, low[2]])
    return tuple(replace(part, vertices=part.vertices - base) for part in parts)


def mesh_size(parts: Sequence[Part]) -> Array:
    """Return the extent (3,) of parts, metres."""
    corners = np.concatenate([part.vertices for part in parts])
    return corners.max(axis=0) - corners.min(axis=0)


def placed(
    parts: Sequence[Part], at: Sequence[float], yaw: float, scale: float = 1.0, tint: Any = None
) -> list[Part]:
    """Return the parts scaled, turned about z and moved to ``at``."""
    c, s = math.cos(yaw), math.sin(yaw)
    turn = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]]) * scale
    tint = (1.0, 1.0, 1.0) if tint is None else tint
    return [replace(p, vertices=p.vertices @ turn + np.asarray(at), tint=tint) for p in parts]


def quad(
    corner: Sequence[float],
    u: Sequence[float],
    v: Sequence[float],
    texture: NDArray[np.uint8],
    tile: float | None = None,
    **options: Any,
) -> Part:
    """Return a rectangle with sides ``u`` and ``v``; ``tile``: metres a repeat, None stretches."""
    corner, u, v = (np.asarray(side, float) for side in (corner, u, v))
    across, up = (1.0, 1.0) if tile is None else (_norm(u) / tile, _norm(v) / tile)
    vertices = np.array([corner, corner + u, corner + u + v, corner + v])
    uv = np.array([[0, 0], [across, 0], [across, up], [0, up]])
    return Part(vertices, np.array([[0, 1, 2], [0, 2, 3]]), uv, texture, **options)


def box(
    at: Sequence[float],
    size: Sequence[float],
    texture: NDArray[np.uint8],
    tile: float,
    **options: Any,
) -> list[Part]:
    """Return the sides and top of a box that stands centred on ``at``."""
    (x, y, z), (a, b, c) = at, size
    x0, y0, x1, y1 = x - a / 2, y - b / 2, x + a / 2, y + b / 2
    sides = [
        ((x0, y0, z), (a, 0, 0)),
        ((x1, y0, z), (0, b, 0)),
        ((x1, y1, z), (-a, 0, 0)),
        ((x0, y1, z), (0, -b, 0)),
    ]
    top = quad((x0, y0, z + c), (a, 0, 0), (0, b, 0), texture, tile, **options)
    return [top, *(quad(at, u, (0, 0, c), texture, tile, **options) for at, u in sides)]


def room(assets: Assets, rng: np.random.Generator) -> MeshScene:
    """Furnish a room, an office or a hall."""
    hall = rng.random() < 0.15
    w, length = rng.uniform(7, 16, 2) if hall else rng.uniform(2.4, 6.5, 2)
    height = rng.uniform(3, 6) if hall else rng.uniform(2.25, 3.1)
    scene = MeshScene(low=(0.25, 0.25, 0.12), high=(w - 0.25, length - 0.25, height - 0.3))
    floors = ("Wood", "wood", "Floor", "Carpet", "cloth", "Tiles", "marble", "Marble", "Ground")
    flat = ("Wall", "wall", "Ceiling", "concrete", "Stone", "cloth")
    pale = _tint(rng, 0.5, 1.15)
    wall = _faded(assets.texture(rng, *flat), rng)
    ceiling = _faded(assets.texture(rng, "Ceiling", "wall"), rng)
    floor = assets.texture(rng, *floors)
    tile = rng.uniform(0.8, 2.5)
    scene.parts += [
        quad((0, 0, 0), (w, 0, 0), (0, length, 0), floor, tile, tint=_tint(rng, 0.5, 1.2)),
        quad((0, 0, height), (0, length, 0), (w, 0, 0), ceiling, 2.0, tint=_tint(rng, 0.8, 1.2)),
    ]
    walls = [
        ((0.0, 0.0), 0.0, w),
        ((w, 0.0), math.pi / 2, length),
        ((w, length), math.pi, w),
        ((0.0, length), -math.pi / 2, length),
    ]
    large = _warehouse(assets) if hall else _along_walls(assets)
    for (x, y), yaw, extent in walls:
        along = np.array([math.cos(yaw), math.sin(yaw), 0.0])
        inward = np.array([-along[1], along[0], 0.0])
        corner = np.array([x, y, 0.0])
        tint = pale if rng.random() < 0.85 else _tint(rng, 0.3, 1.2)
        scene.parts.append(quad(corner, along * extent, (0, 0, height), wall, 2.0, tint=tint))
        _hang(scene, assets, rng, corner + 0.01 * inward, along, extent, height)
        place = rng.uniform(0.0, 0.8)
        while place < extent - 0.5:
            parts = load_mesh(assets.meshes[_choice(rng, large)])
            size = mesh_size(parts)
            wide, deep = max(size[:2]), min(size[:2])
            if wide < extent - place and size[2] < height and rng.random() < 0.75:
                turn = yaw + (0.0 if size[0] >= size[1] else math.pi / 2)
                turn += math.pi * rng.integers(2)
                at = corner + along * (place + wide / 2) + inward * (deep / 2 + 0.02)
                scene.parts += placed(parts, at, turn, tint=_tint(rng, 0.6, 1.25))
                place += wide
            place += rng.uniform(0.05, 1.2)
    for _ in range(int(rng.integers(0, 4 + int(w * length / 6)))):
        _free_standing(scene, assets, rng, w, length)
    scene.lamp = np.array(
        [w * rng.uniform(0.15, 0.85), length * rng.uniform(0.15, 0.85), height - 0.15]
    )
    scene.strength = rng.uniform(0.3, 1.6) * (w * length) ** 0.5 / 3.0
    scene.ambient = rng.uniform(0.15, 0.6)
    scene.yaws = tuple(rng.uniform(-math.pi, math.pi, 24))
    return scene


def _along_walls(assets: Assets) -> list[str]:
    words = (
        "Wardrobe",
        "KitchenCabinet",
        "Refrigerator",
        "BookshelfB",
        "TVCabinet",
        "Sofa",
        "Bed_",
    )
    more = (
        "ReadingDesk",
        "NightStand",
        "ShoeRack",
        "Curtain",
        "Door_01",
        "BookC",
        "BookA",
        "DeskA",
    )
    return assets.named(*words, *more, "curtain", "DoorB", "Airconditioner", sets=FURNITURE)


def _warehouse(assets: Assets) -> list[str]:
    words = (
        "Shelf",
        "Cluttering",
        "Bucket",
        "DeskC",
        "PalletJack",
        "TrashCan",
        "InfoDesk",
        "DeskB",
    )
    return assets.named(*words, "BookshelfB", "curtain", sets=FURNITURE)


def _free_standing(
    scene: MeshScene, assets: Assets, rng: np.random.Generator, w: float, length: float
) -> None:
    tables = assets.named(
        "CoffeeTable", "KitchenTable", "DeskA", "BalconyTable", "BookD", "cafe_table"
    )
    chairs = assets.named(
        "Chair", "SofaB", "BookshelfC", "Trash", "cardboard_box", "Fitness", "Clutter"
    )
    small = assets.named(
        "Vase", "Tablet", "Tableware", "Computer", "Pillow", "BookE", "Magic", "bowl"
    )
    small += assets.named("SmartSpeaker", "saucepan", "cordless", "Utensils", "TV_", "grey_tote")
    at = np.array([rng.uniform(0.6, w - 0.6), rng.uniform(0.6, length - 0.6), 0.0])
    yaw = rng.uniform(-math.pi, math.pi) if rng.random() < 0.4 else math.pi / 2 * rng.integers(4)
    table = rng.random() < 0.5
    parts = load_mesh(assets.meshes[_choice(rng, tables if table else chairs)])
    scene.parts += placed(parts, at, yaw, tint=_tint(rng, 0.5, 1.3))
    if not table:
        return
    width, depth, top = mesh_size(parts)
    for _ in range(int(rng.integers(0, 6))):
        offset = rng.uniform(-0.4, 0.4, 2) * (width, depth)
        c, s = math.cos(yaw), math.sin(yaw)
        spot = at + (c * offset[0] - s * offset[1], s * offset[0] + c * offset[1], top)
        thing = load_mesh(assets.meshes[_choice(rng, small)])
        shrink = min(1.0, 0.5 / max(mesh_size(thing)))
        turn = rng.uniform(-math.pi, math.pi)
        scene.parts += placed(thing, spot, turn, shrink, _tint(rng, 0.5, 1.3))
    for turn in (math.pi / 2 * k for k in range(4)):
        if rng.random() < 0.4:
            seat = load_mesh(
                assets.meshes[_choice(rng, assets.named("ChairA", "ChairB", "ChairD"))]
            )
            out = (width if abs(math.cos(turn)) > 0.5 else depth) / 2 + rng.uniform(0.0, 0.4)
            spot = at + (out * math.cos(yaw + turn), out * math.sin(yaw + turn), 0.0)
            scene.parts += placed(seat, spot, yaw + turn + rng.uniform(-0.5, 0.5))


def _hang(
    scene: MeshScene,
    assets: Assets,
    rng: np.random.Generator,
    corner: Array,
    along: Array,
    extent: float,
    height: float,
) -> None:
    """Add windows and posters to a wall."""
    for _ in range(int(rng.integers(0, 4))):
        window = rng.random() < 0.3
        size = rng.uniform((0.8, 0.8), (2.0, 1.5)) if window else rng.uniform(0.25, 0.9, 2)
        if size[0] > extent - 0.4 or not assets.photos:
            continue
        low = rng.uniform(0.7, max(0.8, height - size[1] - 0.2))
        place = corner + along * rng.uniform(0.2, extent - size[0] - 0.2)
        photo = read_texture(_choice(rng, assets.photos))
        u, v = along * size[0], (0, 0, size[1])
        glow = rng.uniform(0.5, 2.0) if window else 0.0
        scene.parts.append(
            quad(place + (0, 0, low), u, v, photo, tint=_tint(rng, 0.5, 1.2), glow=glow)
        )


def street(assets: Assets, rng: np.random.Generator) -> MeshScene:
    """Lay out a long street along y with buildings, vehicles, trees and posts."""
    road = rng.uniform(5.5, 14.0)
    walk = rng.uniform(0.5, 4.0)
    scene = MeshScene(level=True)
    asphalt = assets.texture(rng, "road", "concrete", "GroundB")
    grey = _tint(rng, 0.35, 0.9)
    ground = assets.texture(rng, "grass", "Grass", "ground", "concrete", "Stone", "mud")
    begin, end = -60.0, 160.0
    long = (0.0, end - begin, 0.0)
    scene.parts += [
        quad((-300, -300, -0.12), (600, 0, 0), (0, 900, 0), ground, 4.0, tint=_tint(rng, 0.5, 1.1)),
        quad((-road / 2, begin, 0), (road, 0, 0), long, asphalt, rng.uniform(3, 8), tint=grey),
    ]
    pavement = assets.texture(rng, "concrete", "Stone", "brick", "Tiles", "grass")
    for side in (-1.0, 1.0):
        corner = (side * road / 2 - (walk if side < 0 else 0.0), begin, 0.1)
        scene.parts.append(
            quad(corner, (walk, 0, 0), long, pavement, 2.0, tint=_tint(rng, 0.5, 1.1))
        )
    _mark(scene, rng, road, begin, end)
    built = rng.choice([0.1, 0.5, 0.85, 0.95])
    back = road / 2 + walk + rng.uniform(0.0, 6.0)
    houses = _buildings(assets)
    fronts = [facade(assets, rng) for _ in range(FACADES)]
    for side in (-1.0, 1.0):
        y = begin
        while y < end:
            length = rng.uniform(7.0, 24.0)
            if rng.random() < built:
                _build(
                    scene, assets, rng, houses, fronts, side, back + rng.uniform(0, 2), y, length
                )
            y += length + rng.uniform(0.0, 6.0) * (rng.random() < 0.4)
        _line(scene, assets, rng, side, road, walk, begin, end)
    if assets.skies and rng.random() < 0.8:
        names = ("warehouse", "studio", "interior", "night")
        outside = [file for file in assets.skies if not any(name in file.name for name in names)]
        scene.sky = np.roll(read_texture(_choice(rng, outside)), int(rng.integers(1024)), axis=1)
    else:
        top, low = rng.uniform(0.5, 1.0), rng.uniform(0.7, 1.0)
        up = np.linspace(1.0, 0.0, 512)[:, None, None] ** 0.5
        blue = np.array([0.35, 0.55, 0.95]) * top
        shades = up * blue + (1 - up) * np.array([0.9, 0.93, 1.0]) * low
        scene.sky = np.tile(np.uint8(255 * shades), (1, 1024, 1))
    height, azimuth = rng.uniform(0.15, 1.3), rng.uniform(-math.pi, math.pi)
    scene.sun = np.array(look(azimuth, height, 0.0))[:, 2]
    scene.strength = rng.uniform(0.0, 2.0)
    scene.ambient = rng.uniform(0.35, 0.8)
    lane = road / 4 * rng.choice([-1.0, 1.0])
    low = rng.uniform(1.2, 2.1) if rng.random() < 0.85 else rng.uniform(0.3, 1.2)
    scene.low, scene.high = (lane - 1.0, -6.0, low), (lane + 1.0, 6.0, low)
    ahead = math.pi / 2 + rng.normal(0.0, 0.06, 24) + math.pi * (rng.random(24) < 0.15)
    sideways = rng.random(24) < 0.15
    scene.yaws = tuple(np.where(sideways, rng.uniform(-math.pi, math.pi, 24), ahead))
    return scene


def _buildings(assets: Assets) -> list[str]:
    words = ("apartment", "house_", "law_office", "salon", "thrift", "grocery", "post_office")
    more = ("fast_food", "cafe", "police_station", "school", "fire_station", "gas_station")
    return assets.named(*words, *more, "office_building", "industrial", sets=("gazebo_models",))


def _mark(
    scene: MeshScene, rng: np.random.Generator, road: float, begin: float, end: float
) -> None:
    if rng.random() < 0.25:
        return
    white = np.full((2, 2, 3), rng.integers(170, 255), np.uint8)
    dash, gap = rng.uniform(1.5, 6.0), rng.uniform(0.0, 8.0) * (rng.random() < 0.7)
    lines = [0.0] if road < 9 else [-road / 4, 0.0, road / 4]
    for x in lines:
        y = begin
        while y < end:
            step = dash if gap else end - begin
            scene.parts.append(quad((x - 0.07, y, 0.012), (0.14, 0, 0), (0, step, 0), white))
            y += step + gap
    for x in (-road / 2 + 0.25, road / 2 - 0.25):
        if rng.random() < 0.5:
            scene.parts.append(
                quad((x - 0.07, begin, 0.012), (0.14, 0, 0), (0, end - begin, 0), white)
            )


def _build(
    scene: MeshScene,
    assets: Assets,
    rng: np.random.Generator,
    houses: list[str],
    fronts: list[NDArray[np.uint8]],
    side: float,
    back: float,
    y: float,
    length: float,
) -> None:
    """Add one building at a side of the street, its front ``back`` metres from the middle."""
    if houses and rng.random() < 0.45:
        parts = load_mesh(assets.meshes[_choice(rng, houses)])
        size = mesh_size(parts)
        turn = math.pi / 2 * rng.integers(4)
        deep = size[0] if round(turn / (math.pi / 2)) % 2 == 0 else size[1]
        scene.parts += placed(
            parts, (side * (back + deep / 2), y + length / 2, -0.1), turn, tint=_tint(rng, 0.6, 1.2)
        )
        return
    deep, height = rng.uniform(6, 14), rng.integers(1, 7) * rng.uniform(2.7, 3.6)
    front = _choice(rng, fronts)
    at = (side * (back + deep / 2), y + length / 2, -0.1)
    scene.parts += box(
        at, (deep, length, height), front, rng.uniform(10.0, 16.0), tint=_tint(rng, 0.6, 1.2)
    )
    if rng.random() < 0.5:  # a gable roof is a prism of two slopes
        rise = rng.uniform(1.0, 4.0)
        tiles = assets.texture(rng, "brick", "Rock", "slats", "Tiles")
        x0, x1, y0 = at[0] - deep / 2, at[0] + deep / 2, y
        tint = _tint(rng, 0.3, 0.9)
        for x, run in ((x0, deep / 2), (x1, -deep / 2)):
            slope = (run, 0, rise)
            scene.parts.append(
                quad((x, y0, height - 0.1), (0, length, 0), slope, tiles, 3.0, tint=tint)
            )


def facade(assets: Assets, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return 512x512 texels of a wall with four storeys of windows."""
    base = assets.texture(rng, "brick", "Wall", "concrete", "Stone", "plaster", "wall")
    wall = cv2.resize(np.tile(base, (3, 3, 1)), (512, 512), interpolation=cv2.INTER_AREA)
    wall = np.clip(_faded(wall, rng) * np.array(_tint(rng, 0.4, 1.2)), 0, 255).astype(np.uint8)
    columns = int(rng.integers(3, 9))
    wide, high = rng.uniform(0.3, 0.75) * 512 / columns, rng.uniform(0.4, 0.75) * 128
    frame, pane = rng.integers(30, 255, 3), rng.integers(15, 110) + rng.integers(0, 30, 3)
    for row in range(4):
        for column in range(columns):
            x, y = int((column + 0.5) * 512 / columns - wide / 2), int((row + 0.5) * 128 - high / 2)
            corner = (int(x + wide), int(y + high))
            shade = pane * rng.uniform(0.6, 1.6)
            cv2.rectangle(wall, (x, y), corner, np.minimum(shade, 255).tolist(), -1)
            cv2.rectangle(wall, (x, y), corner, frame.tolist(), int(rng.integers(1, 5)))
            if rng.random() < 0.5:
                cv2.line(
                    wall, (int(x + wide / 2), y), (int(x + wide / 2), corner[1]), frame.tolist(), 2
                )
    return wall


def _line(
    scene: MeshScene,
    assets: Assets,
    rng: np.random.Generator,
    side: float,
    road: float,
    walk: float,
    begin: float,
    end: float,
) -> None:
    """Add parked and moving vehicles, trees, posts and hedges along one side."""
    cars = assets.named("hatchback", "suv", "pickup", "prius", sets=("gazebo_models",))
    heavy = assets.named("bus", "ambulance", "fire_truck", sets=("gazebo_models",))
    heavy = [name for name in heavy if name != "bus_stop"]
    posts = assets.named(
        "lamp_post", "telephone_pole", "stop_sign", "speed_limit", "stop_light_post"
    )
    posts += assets.named(
        "fire_hydrant", "mailbox", "postbox", "dumpster", "bus_stop", "barrel", "cone"
    )
    trees = assets.named("oak_tree", "pine_tree")
    parked, moving, green = rng.uniform(0, 0.8), rng.uniform(0, 0.3), rng.uniform(0, 0.6)
    y = begin + rng.uniform(0, 5)
    while cars and y < end:
        for share, x in ((parked, road / 2 - 1.1), (moving, road / 4)):
            if rng.random() < share and not (abs(y) < 9 and x < 3.5):
                name = _choice(rng, heavy) if heavy and rng.random() < 0.12 else _choice(rng, cars)
                parts = load_mesh(assets.meshes[name])
                size = mesh_size(parts)
                # Cars stand along the street; some meshes are a third too large.
                scale = rng.uniform(4.0, 4.9) / max(size[:2]) if name in cars else 1.0
                turn = (0.0 if size[1] >= size[0] else math.pi / 2) + math.pi * rng.integers(2)
                at = (side * x + rng.normal(0, 0.15), y + rng.uniform(-0.5, 0.5), 0.0)
                turn += rng.normal(0, 0.03)
                scene.parts += placed(parts, at, turn, scale, _tint(rng, 0.3, 1.5))
        y += rng.uniform(5.5, 9.0)
    y = begin
    while y < end:
        x = side * (road / 2 + rng.uniform(0.4, max(0.5, walk)))
        if trees and rng.random() < green:
            at = (side * (road / 2 + walk + rng.uniform(0, 10)), y, -0.1)
            tree = load_mesh(assets.meshes[_choice(rng, trees)])
            scene.parts += placed(
                tree, at, rng.uniform(0, 6.3), rng.uniform(0.6, 1.8), _tint(rng, 0.4, 1.2)
            )
        elif posts and rng.random() < 0.4:
            post = load_mesh(assets.meshes[_choice(rng, posts)])
            scene.parts += placed(post, (x, y, 0.1), math.pi / 2 * rng.integers(4))
        elif rng.random() < 0.2:
            hedge = assets.texture(rng, "leaves", "grass", "Grass", "brick", "wall")
            size = (rng.uniform(0.15, 1.2), rng.uniform(2, 14), rng.uniform(0.6, 2.2))
            at = (side * (road / 2 + walk + 0.6), y, -0.1)
            scene.parts += box(at, size, hedge, 2.0, tint=_tint(rng, 0.3, 1.0))
        y += rng.uniform(3.0, 14.0)


MESH_LAYOUTS: dict[str, Callable[[Assets, np.random.Generator], MeshScene]] = {
    "mesh_room": room,
    "mesh_street": street,
}


class RayCaster:
    """Rays against the parts of a scene, by Embree."""

    def __init__(self, parts: Sequence[Part]) -> None:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene

        offsets = np.cumsum([0, *(len(part.vertices) for part in parts)])
        vertices = np.concatenate([part.vertices for part in parts])
        self.parts = parts
        self.faces = np.concatenate([p.faces + o for p, o in zip(parts, offsets, strict=False)])
        self.uv = np.concatenate([part.uv for part in parts])
        self.owner = np.repeat(np.arange(len(parts)), [len(part.faces) for part in parts])
        self.triangles = vertices[self.faces]
        self._scene = EmbreeScene()
        TriangleMesh(self._scene, self.triangles.astype(np.float32))

    def cast(self, origins: Array, directions: Array) -> dict[str, Any]:
        """Return the first hits of (R, 3) rays: ``tfar``, ``primID`` (-1 for none), ``u``, ``v``."""
        rays = (np.ascontiguousarray(a, np.float32) for a in (origins, directions))
        return self._scene.run(*rays, output=True)

    def blocked(self, origins: Array, directions: Array, reach: float) -> NDArray[np.bool_]:
        """Return whether (R, 3) rays meet anything within ``reach`` lengths of their direction."""
        hit = self.cast(origins, directions)
        return (hit["primID"] >= 0) & (hit["tfar"] < reach)


def mesh_frame(
    assets: Assets,
    seed: int,
    height: int,
    width: int,
    kinds: Sequence[str],
    hfov: tuple[float, float],
) -> tuple[torch.Tensor, NDArray[np.float32], list[float]]:
    """Render one frame of one seed.

    Returns:
        rgb (3, H, W) float32 sRGB in 0..1, depth (H, W) float32 metres along Z with +Inf for the
        sky, and [fx, fy, cx, cy] in pixels.
    """
    rng = np.random.default_rng(seed)
    scene = MESH_LAYOUTS[_choice(rng, list(kinds))](assets, rng)
    caster = RayCaster(scene.parts)
    fx = width / 2 / math.tan(math.radians(rng.uniform(*hfov)) / 2)
    cx, cy = (width - 1) / 2, (height - 1) / 2
    v, u = np.mgrid[0:height, 0:width]
    pixels = np.stack([(u - cx) / fx, (v - cy) / fx, np.ones(u.shape)], axis=-1).reshape(-1, 3)
    eye, rotation = _view(scene, caster, rng, pixels)
    rays = pixels @ rotation.T
    hit = caster.cast(np.broadcast_to(eye, rays.shape), rays)
    depth = np.where(hit["primID"] >= 0, hit["tfar"], np.inf).astype(np.float32)
    depth[depth > FARTHEST] = np.inf
    light = _radiance(scene, caster, eye, rays, hit, depth, fx, (height, width), rng)
    rgb = develop(torch.from_numpy(light.reshape(1, height, width, 3)).permute(0, 3, 1, 2))
    return rgb[0], depth.reshape(height, width), [fx, fx, cx, cy]


def _view(
    scene: MeshScene, caster: RayCaster, rng: np.random.Generator, pixels: Array
) -> tuple[Array, Array]:
    """Return position (3,) and rotation (3, 3) of a camera with a free view."""
    best: tuple[float, Array, Array] | None = None
    coarse = pixels[:: max(1, len(pixels) // 300)]
    tries = 0
    for yaw in scene.yaws:
        eye = rng.uniform(scene.low, scene.high)
        if scene.level:
            pitch, roll = rng.normal(-1.0, 2.0), rng.normal(0.0, 1.0)
        else:
            robot = rng.random() < 0.4
            eye[2] = rng.uniform(0.12, 0.7) if robot else rng.uniform(0.8, 1.9)
            pitch = rng.normal(0.0, 7.0) if robot else rng.normal(-10.0, 13.0)
            roll = rng.normal(0.0, 2.0)
        rotation = np.array(look(yaw, math.radians(pitch), math.radians(roll)))
        hit = caster.cast(np.broadcast_to(eye, coarse.shape), coarse @ rotation.T)
        depth = np.where(hit["primID"] >= 0, hit["tfar"], FARTHEST)
        bodies = len(np.unique(caster.owner[hit["primID"][hit["primID"] >= 0]]))
        worth = 0.1 * min(bodies, 12) + np.log(depth).std() + 0.5 * np.log(np.median(depth))
        worth -= 10.0 * (np.mean(depth < 0.3) > 0.02)
        tries += 1
        if best is None or worth > best[0]:
            best = (worth, eye, rotation)
        if tries >= rng.integers(3, 9) and best[0] > -5.0:
            break
    assert best is not None
    return best[1], best[2]


def _radiance(
    scene: MeshScene,
    caster: RayCaster,
    eye: Array,
    rays: Array,
    hit: dict[str, Any],
    depth: NDArray[np.float32],
    focal: float,
    size: tuple[int, int],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Return linear light (R, 3): texture times lamp or sun with shadows, and ambient light."""
    seen = np.flatnonzero(np.isfinite(depth))
    triangle, t = hit["primID"][seen], hit["tfar"][seen].astype(np.float64)
    edges = caster.triangles[triangle]
    normal = np.cross(edges[:, 1] - edges[:, 0], edges[:, 2] - edges[:, 0])
    area = _lengths(normal)
    normal /= np.maximum(area, 1e-12)[:, None]
    normal *= -np.sign((normal * rays[seen]).sum(axis=1))[:, None]  # towards the camera
    points = eye + t[:, None] * rays[seen] + 1e-3 * normal
    color = _albedo(caster, hit, seen, depth, area, focal)
    to_light = (
        np.broadcast_to(scene.sun, points.shape) if scene.sun is not None else scene.lamp - points
    )
    distance = _lengths(to_light)
    facing = np.maximum((normal * to_light).sum(axis=1) / distance, 0.0)
    near = 1e3 if scene.sun is not None else 1.0
    soft = to_light + 0.06 * distance[:, None] * rng.normal(size=points.shape) * 0.5
    lit = 1.0 - caster.blocked(points, soft, near - 0.02 if near == 1.0 else near)
    if scene.sun is None:
        lit = lit * 4.0 / (distance**2 + 0.5)
    around = normal + 0.98 * _unit(rng.normal(size=points.shape))
    reach = 3.0 if scene.sun is not None else 0.7
    open_ = 1.0 - caster.blocked(points, around, reach)
    shade = np.zeros((len(depth), 2), np.float32)
    shade[seen] = np.stack([lit * facing * scene.strength, 0.35 + 0.65 * open_], axis=1)
    shade = cv2.blur(shade.reshape(*size, 2), (5, 5)).reshape(-1, 2)[seen]
    up = 0.7 + 0.3 * normal[:, 2]
    light = np.zeros((len(depth), 3), np.float32)
    glow = np.array([part.glow for part in scene.parts])[caster.owner[triangle]]
    light[seen] = color * (shade[:, :1] + (scene.ambient * up * shade[:, 1] + glow)[:, None])
    if scene.sky is not None:
        beyond = np.flatnonzero(~np.isfinite(depth))
        sky = _sky(scene.sky, rays[beyond])
        light[beyond] = sky
        haze = np.exp(-t * rng.uniform(0.0005, 0.008))[:, None]
        light[seen] = light[seen] * haze + (1 - haze) * (sky.mean(axis=0) if len(sky) else 0.8)
    return light


def _albedo(
    caster: RayCaster,
    hit: dict[str, Any],
    seen: NDArray[np.intp],
    depth: NDArray[np.float32],
    area: Array,
    focal: float,
) -> Array:
    """Return the linear colour (S, 3) of surface points, from textures as coarse as their pixels."""
    triangle = hit["primID"][seen]
    corners = caster.uv[caster.faces[triangle]]
    u, v = hit["u"][seen][:, None], hit["v"][seen][:, None]
    uv = corners[:, 0] * (1 - u - v) + corners[:, 1] * u + corners[:, 2] * v
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    density = np.sqrt(np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / np.maximum(area, 1e-12))
    footprint = density * depth[seen] / focal * 1.5  # of texture coordinates a pixel
    owner = caster.owner[triangle]
    color = np.zeros((len(seen), 3))
    order = np.argsort(owner, kind="stable")
    for mine in np.split(order, np.flatnonzero(np.diff(owner[order])) + 1):
        if not len(mine):
            continue
        part = caster.parts[owner[mine[0]]]
        levels = _levels(part.texture)
        texels = np.maximum(footprint[mine] * max(part.texture.shape[:2]), 1e-6)
        wanted = np.clip(np.rint(np.log2(texels)), 0, len(levels) - 1).astype(int)
        for level in np.unique(wanted):
            chosen = mine[wanted == level]
            image = levels[level]
            color[chosen] = (_bilinear(image, uv[chosen]) / 255.0) ** 2.2 * part.tint
    return color


def _bilinear(image: NDArray[np.uint8], uv: Array) -> Array:
    """Return the colours (R, 3) at texture coordinates, repeated beyond 0..1."""
    h, w = image.shape[:2]
    x, y = uv[:, 0] % 1.0 * w - 0.5, (1.0 - uv[:, 1] % 1.0) * h - 0.5
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    across, down = (x - left)[:, None], (y - top)[:, None]
    rows, columns = (top % h, (top + 1) % h), (left % w, (left + 1) % w)
    upper = image[rows[0], columns[0]] * (1 - across) + image[rows[0], columns[1]] * across
    lower = image[rows[1], columns[0]] * (1 - across) + image[rows[1], columns[1]] * across
    return upper * (1 - down) + lower * down


def _levels(texture: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Return ``texture`` halved again and again."""
    levels = [texture]
    while min(levels[-1].shape[:2]) >= 4:
        h, w = levels[-1].shape[:2]
        levels.append(cv2.resize(levels[-1], (w // 2, h // 2), interpolation=cv2.INTER_AREA))
    return levels


def _sky(panorama: NDArray[np.uint8], rays: Array) -> Array:
    """Return the linear colour (R, 3) of the sky, without what stands at the panorama's horizon."""
    height, width = panorama.shape[:2]
    yaw = np.arctan2(rays[:, 1], rays[:, 0])
    up = np.arctan2(rays[:, 2], np.hypot(rays[:, 0], rays[:, 1])) / (math.pi / 2)
    x = ((yaw / (2 * math.pi) + 0.5) * (width - 1)).astype(int)
    y = (np.clip(0.42 * (1 - np.maximum(up, 0.0)), 0, 1) * (height - 1)).astype(int)
    return (panorama[y, x] / 255.0) ** 2.2 * 1.3


def _faded(texture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a texture that is mostly one pale colour, as painted walls are."""
    keep = rng.uniform(0.05, 0.6)
    return np.clip(keep * texture + (1 - keep) * rng.uniform(150, 245), 0, 255).astype(np.uint8)


def _tint(rng: np.random.Generator, low: float, high: float) -> tuple[float, float, float]:
    base = rng.uniform(low, high)
    r, g, b = base * rng.uniform(0.85, 1.15, 3)
    return r, g, b


def _choice(rng: np.random.Generator, values: Sequence[Any]) -> Any:
    return values[int(rng.integers(len(values)))]


def _norm(vector: Array) -> float:
    return float(np.linalg.norm(vector))


def _lengths(vectors: Array) -> Array:
    return np.sqrt((vectors * vectors).sum(axis=1))


def _unit(vectors: Array) -> Array:
    return vectors / np.maximum(_lengths(vectors), 1e-9)[:, None]
