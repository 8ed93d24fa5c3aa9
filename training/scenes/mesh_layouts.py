"""Furnished rooms and streets, laid out of the meshes and textures of a folder of assets."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from training.scenes.cameras import look
from training.scenes.meshes import (
    Array,
    Assets,
    MeshScene,
    box,
    choose,
    load_mesh,
    mesh_size,
    placed,
    quad,
    read_texture,
)

FURNITURE = ("aws_small_house", "aws_bookstore", "aws_hospital", "aws_warehouse")
FACADES = 6  # that the buildings of one street share


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
            parts = load_mesh(assets.meshes[choose(rng, large)])
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
    parts = load_mesh(assets.meshes[choose(rng, tables if table else chairs)])
    scene.parts += placed(parts, at, yaw, tint=_tint(rng, 0.5, 1.3))
    if not table:
        return
    width, depth, top = mesh_size(parts)
    for _ in range(int(rng.integers(0, 6))):
        offset = rng.uniform(-0.4, 0.4, 2) * (width, depth)
        c, s = math.cos(yaw), math.sin(yaw)
        spot = at + np.array([c * offset[0] - s * offset[1], s * offset[0] + c * offset[1], top])
        thing = load_mesh(assets.meshes[choose(rng, small)])
        shrink = min(1.0, 0.5 / max(mesh_size(thing)))
        turn = rng.uniform(-math.pi, math.pi)
        scene.parts += placed(thing, spot, turn, shrink, _tint(rng, 0.5, 1.3))
    for turn in (math.pi / 2 * k for k in range(4)):
        if rng.random() < 0.4:
            seat = load_mesh(assets.meshes[choose(rng, assets.named("ChairA", "ChairB", "ChairD"))])
            out = (width if abs(math.cos(turn)) > 0.5 else depth) / 2 + rng.uniform(0.0, 0.4)
            spot = at + out * np.array([math.cos(yaw + turn), math.sin(yaw + turn), 0.0])
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
        place[2] = low
        photo = read_texture(choose(rng, assets.photos))
        u, v = along * size[0], (0, 0, size[1])
        glow = rng.uniform(0.5, 2.0) if window else 0.0
        scene.parts.append(quad(place, u, v, photo, tint=_tint(rng, 0.5, 1.2), glow=glow))


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
        scene.sky = np.roll(read_texture(choose(rng, outside)), int(rng.integers(1024)), axis=1)
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
        parts = load_mesh(assets.meshes[choose(rng, houses)])
        size = mesh_size(parts)
        turn = math.pi / 2 * rng.integers(4)
        deep = size[0] if round(turn / (math.pi / 2)) % 2 == 0 else size[1]
        scene.parts += placed(
            parts, (side * (back + deep / 2), y + length / 2, -0.1), turn, tint=_tint(rng, 0.6, 1.2)
        )
        return
    deep, height = rng.uniform(6, 14), rng.integers(1, 7) * rng.uniform(2.7, 3.6)
    front = choose(rng, fronts)
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
    tiled = cv2.resize(np.tile(base, (3, 3, 1)), (512, 512), interpolation=cv2.INTER_AREA)
    wall = np.asarray(tiled, np.uint8)
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
                name = choose(rng, heavy) if heavy and rng.random() < 0.12 else choose(rng, cars)
                parts = load_mesh(assets.meshes[name])
                size = mesh_size(parts)
                # Cars stand along the street; some meshes are a third too large.
                scale = rng.uniform(4.0, 4.9) / max(size[:2]) if name in cars else 1.0
                turn = (0.0 if size[1] >= size[0] else math.pi / 2) + math.pi * rng.integers(2)
                spot = (side * x + rng.normal(0, 0.15), y + rng.uniform(-0.5, 0.5), 0.0)
                turn += rng.normal(0, 0.03)
                scene.parts += placed(parts, spot, turn, scale, _tint(rng, 0.3, 1.5))
        y += rng.uniform(5.5, 9.0)
    y = begin
    while y < end:
        x = side * (road / 2 + rng.uniform(0.4, max(0.5, walk)))
        if trees and rng.random() < green:
            root = (side * (road / 2 + walk + rng.uniform(0, 10)), y, -0.1)
            tree = load_mesh(assets.meshes[choose(rng, trees)])
            scene.parts += placed(
                tree, root, rng.uniform(0, 6.3), rng.uniform(0.6, 1.8), _tint(rng, 0.4, 1.2)
            )
        elif posts and rng.random() < 0.4:
            post = load_mesh(assets.meshes[choose(rng, posts)])
            scene.parts += placed(post, (x, y, 0.1), math.pi / 2 * rng.integers(4))
        elif rng.random() < 0.2:
            hedge = assets.texture(rng, "leaves", "grass", "Grass", "brick", "wall")
            extent = (rng.uniform(0.15, 1.2), rng.uniform(2, 14), rng.uniform(0.6, 2.2))
            edge = (side * (road / 2 + walk + 0.6), y, -0.1)
            scene.parts += box(edge, extent, hedge, 2.0, tint=_tint(rng, 0.3, 1.0))
        y += rng.uniform(3.0, 14.0)


MESH_LAYOUTS: dict[str, Callable[[Assets, np.random.Generator], MeshScene]] = {
    "mesh_room": room,
    "mesh_street": street,
}


def _faded(texture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a texture that is mostly one pale colour, as painted walls are."""
    keep = rng.uniform(0.05, 0.6)
    return np.clip(keep * texture + (1 - keep) * rng.uniform(150, 245), 0, 255).astype(np.uint8)


def _tint(rng: np.random.Generator, low: float, high: float) -> tuple[float, float, float]:
    base = rng.uniform(low, high)
    r, g, b = base * rng.uniform(0.85, 1.15, 3)
    return r, g, b
