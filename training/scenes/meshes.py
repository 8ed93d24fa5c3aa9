"""Scenes of textured meshes, ray cast with Embree.

The meshes, textures and skies come from a folder of assets that is not part of this project, see
:class:`Assets`. Each scene and its camera depend on the seed alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from depth_estimation_ros.errors import DatasetError, ParameterError
from training.scenes.cameras import look
from training.scenes.shading import develop

Array = NDArray[np.floating[Any]]
FARTHEST = 130.0  # metres; what lies beyond counts as sky
LARGEST_FILE = 600_000  # bytes of a mesh: larger ones take long and add little


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
        return read_texture(choose(rng, fitting or self.tileable))

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
    bgr = np.asarray(cv2.imread(str(file), cv2.IMREAD_COLOR))
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


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
    parts: Sequence[Part], at: ArrayLike, yaw: float, scale: float = 1.0, tint: Any = None
) -> list[Part]:
    """Return the parts scaled, turned about z and moved to ``at``."""
    c, s = math.cos(yaw), math.sin(yaw)
    turn = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]]) * scale
    tint = (1.0, 1.0, 1.0) if tint is None else tint
    return [replace(p, vertices=p.vertices @ turn + np.asarray(at), tint=tint) for p in parts]


def quad(
    corner: ArrayLike,
    u: ArrayLike,
    v: ArrayLike,
    texture: NDArray[np.uint8],
    tile: float | None = None,
    **options: Any,
) -> Part:
    """Return a rectangle with sides ``u`` and ``v``; ``tile``: metres a repeat, None stretches."""
    at, right, up = (np.asarray(side, float) for side in (corner, u, v))
    across, along = (1.0, 1.0) if tile is None else (_norm(right) / tile, _norm(up) / tile)
    vertices = np.array([at, at + right, at + right + up, at + up])
    uv = np.array([[0, 0], [across, 0], [across, along], [0, along]])
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
        """Return the first hits of (R, 3) rays: tfar, primID (-1 for none), u and v of each."""
        rays = (np.ascontiguousarray(a, np.float32) for a in (origins, directions))
        return self._scene.run(*rays, output=True)

    def blocked(self, origins: Array, directions: Array, reach: float) -> NDArray[np.bool_]:
        """Return whether (R, 3) rays meet anything within ``reach`` lengths of their direction."""
        hit = self.cast(origins, directions)
        return (hit["primID"] >= 0) & (hit["tfar"] < reach)


def render_meshes(
    scene: MeshScene,
    rng: np.random.Generator,
    height: int,
    width: int,
    hfov_deg: tuple[float, float],
) -> tuple[torch.Tensor, NDArray[np.float32], list[float]]:
    """Render one frame of a scene from a camera with a free view.

    Args:
        hfov_deg: range of the field of view across, degrees.

    Returns:
        rgb (3, H, W) float32 sRGB in 0..1, depth (H, W) float32 metres along Z with +Inf for the
        sky, and [fx, fy, cx, cy] in pixels.
    """
    caster = RayCaster(scene.parts)
    fx = width / 2 / math.tan(math.radians(rng.uniform(*hfov_deg)) / 2)
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
    enough = rng.integers(3, 9)
    for tries, yaw in enumerate(scene.yaws):
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
        if best is None or worth > best[0]:
            best = (worth, eye, rotation)
        if tries + 1 >= enough and best[0] > -5.0:
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
    sharp = np.zeros((len(depth), 2), np.float32)
    sharp[seen] = np.stack([lit * facing * scene.strength, 0.35 + 0.65 * open_], axis=1)
    shade = np.asarray(cv2.blur(sharp.reshape(*size, 2), (5, 5))).reshape(-1, 2)[seen]
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
    """Return the linear colour (S, 3) of surface points; distant textures are averaged."""
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
        half = cv2.resize(levels[-1], (w // 2, h // 2), interpolation=cv2.INTER_AREA)
        levels.append(np.asarray(half, np.uint8))
    return levels


def _sky(panorama: NDArray[np.uint8], rays: Array) -> Array:
    """Return the linear colour (R, 3) of the sky, without what stands at the panorama's horizon."""
    height, width = panorama.shape[:2]
    yaw = np.arctan2(rays[:, 1], rays[:, 0])
    up = np.arctan2(rays[:, 2], np.hypot(rays[:, 0], rays[:, 1])) / (math.pi / 2)
    x = ((yaw / (2 * math.pi) + 0.5) * (width - 1)).astype(int)
    y = (np.clip(0.42 * (1 - np.maximum(up, 0.0)), 0, 1) * (height - 1)).astype(int)
    return (panorama[y, x] / 255.0) ** 2.2 * 1.3


def choose(rng: np.random.Generator, values: Sequence[Any]) -> Any:
    """Return one of ``values``."""
    return values[int(rng.integers(len(values)))]


def _norm(vector: Array) -> float:
    return float(np.linalg.norm(vector))


def _lengths(vectors: Array) -> Array:
    return np.sqrt((vectors * vectors).sum(axis=1))


def _unit(vectors: Array) -> Array:
    return vectors / np.maximum(_lengths(vectors), 1e-9)[:, None]
