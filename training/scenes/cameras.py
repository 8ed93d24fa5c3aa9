"""Cameras in scenes: where they stand, where they look, and how they move.

A camera's frame is optical: x right, y down, z forward. Pixel centres have integer coordinates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from training.scenes.dice import SeededRandom
from training.scenes.factors import Without
from training.scenes.primitives import Hits, trace, used_slots
from training.scenes.scenes import Scenes

CLEARANCE = 0.12  # metres between a camera and any body
INF = float("inf")
PROBE_GRID = (12, 16)  # rays that judge a view
HFOV_DEG = (45.0, 95.0)  # fields of view across that robots' cameras have
ROBOTS = 0.5  # share of cameras on robots; people hold the others
ROBOT_HEIGHT = (0.12, 1.4)  # metres over the floor, from vacuum cleaners to masts
HAND_HEIGHT = (0.6, 1.9)


@dataclass(frozen=True)
class Cameras:
    """N pinhole cameras.

    Attributes:
        position: (N, 3) in the world, metres.
        rotation: (N, 3, 3) from the optical frame to the world.
        intrinsics: (N, 4) fx, fy, cx, cy in pixels.
        stamps: (N,) float64 seconds, zero unless the camera moves.
    """

    position: Tensor
    rotation: Tensor
    intrinsics: Tensor
    stamps: Tensor

    def __len__(self) -> int:
        return len(self.position)

    def __getitem__(self, index: slice) -> Cameras:
        return Cameras(*(getattr(self, field.name)[index] for field in fields(self)))

    def to(self, device: torch.device | str) -> Cameras:
        return Cameras(*(getattr(self, field.name).to(device) for field in fields(self)))


def look(yaw: float, pitch: float, roll: float) -> list[list[float]]:
    """Rotation from the optical frame to the world; pitch is up, roll clockwise in the image."""
    cy, sy, cp, sp = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)
    cr, sr = math.cos(roll), math.sin(roll)
    forward = (cy * cp, sy * cp, sp)
    right = (sy, -cy, 0.0)
    down = (cy * sp, sy * sp, -cp)
    x = [cr * r + sr * d for r, d in zip(right, down, strict=True)]
    y = [cr * d - sr * r for r, d in zip(right, down, strict=True)]
    return [[x[k], y[k], forward[k]] for k in range(3)]


def pixel_rays(intrinsics: Tensor, height: int, width: int) -> Tensor:
    """Directions (N, 3, H * W) with z = 1 in the optical frame."""
    v, u = torch.meshgrid(
        torch.arange(height, device=intrinsics.device, dtype=torch.float32),
        torch.arange(width, device=intrinsics.device, dtype=torch.float32),
        indexing="ij",
    )
    fx, fy, cx, cy = (intrinsics[:, k, None] for k in range(4))
    x, y = (u.reshape(1, -1) - cx) / fx, (v.reshape(1, -1) - cy) / fy
    return torch.stack([x, y, torch.ones_like(x)], dim=1)


def sample_intrinsics(
    dice: SeededRandom, height: int, width: int, hfov_deg: tuple[float, float] = HFOV_DEG
) -> list[float]:
    """Square pixels within 1 %, a field of view in the range, principal point near the middle."""
    fx = width / 2 / math.tan(math.radians(dice.uniform(*hfov_deg)) / 2)
    return [
        fx,
        fx * dice.uniform(0.99, 1.01),
        (width - 1) / 2 + dice.uniform(-0.03, 0.03) * width,
        (height - 1) / 2 + dice.uniform(-0.03, 0.03) * height,
    ]


def sample_pose(
    dice: SeededRandom, volume: list[list[float]], focus: list[float], without: Without = ()
) -> tuple[list[float], list[list[float]]]:
    """A position in the volume and a rotation, like those of robots and hands."""
    low, high = volume
    roll = math.radians(dice.uniform(-4, 4) if dice.chance(0.75) else dice.uniform(-30, 30))
    if "roll" in without:
        roll = 0.0
    if focus[3] and "close" not in without:
        distance, turn = dice.log_uniform(0.35, 1.6), dice.uniform(-math.pi, math.pi)
        tilt = math.radians(dice.uniform(8, 75))
        position = [
            focus[0] - distance * math.cos(tilt) * math.cos(turn),
            focus[1] - distance * math.cos(tilt) * math.sin(turn),
            focus[2] + distance * math.sin(tilt),
        ]
        yaw, pitch = turn + dice.uniform(-0.25, 0.25), -tilt + dice.uniform(-0.15, 0.25)
        return position, look(yaw, pitch, roll)
    position = [dice.uniform(low[k], high[k]) for k in range(2)]
    robot = dice.chance(ROBOTS)
    height = dice.log_uniform(*ROBOT_HEIGHT) if robot else dice.uniform(*HAND_HEIGHT)
    if "heights" in without:
        height = 1.4
    height = min(max(height, low[2]), high[2])
    # People look down on what they film; the mean of two draws is a triangle about its middle.
    down = (dice.uniform(-70, 25) + dice.uniform(-40, 15)) / 2
    pitch = dice.uniform(-28, 16) if robot else down
    if "tilt" in without:
        pitch = 0.0
    yaw = dice.uniform(-math.pi, math.pi)
    return [*position, height], look(yaw, math.radians(pitch), roll)


def clearance(scene: Scenes, positions: Tensor) -> Tensor:
    """Metres (Q,) from positions (Q, 3) to the nearest bounding box of a body of one scene.

    The distance is along the box's worst axis; below zero is inside. The shell is left out.
    """
    unit = scene.to_unit[0, 1:, :, :3] @ positions.T + scene.to_unit[0, 1:, :, 3:]  # (P, 3, Q)
    return ((unit.abs() - 1) * scene.half[0, 1:, :, None]).amax(dim=1).amin(dim=0)


def probe(scene: Scenes, positions: Tensor, rotations: Tensor, intrinsics: Tensor) -> Hits:
    """Coarse depth and bodies (Q, rays) in views of one scene; `intrinsics` suit `PROBE_GRID`."""
    rows, columns = PROBE_GRID
    rays = rotations @ pixel_rays(intrinsics[None], rows, columns)
    origins = positions[:, :, None].expand_as(rays)
    flat = (t.transpose(0, 1).reshape(1, 3, -1) for t in (origins, rays))
    hits = trace(scene.to_unit, used_slots(scene.counts), *flat)
    return Hits(hits.t.view(len(positions), -1), hits.body.view(len(positions), -1))


def view_worth(views: Hits) -> Tensor:
    """How much views (Q, rays) show: bodies, depth, its variety; less if something is too near."""
    depth = views.t.clamp(max=80)
    ordered = views.body.sort(dim=1).values
    bodies = (ordered.diff(dim=1) != 0).sum(dim=1) + 1
    near = depth.quantile(0.03, dim=1)
    sky = views.t.isinf().float().mean(dim=1)
    worth = 0.25 * bodies + depth.median(dim=1).values.log() + 2 * depth.log().std(dim=1)
    return worth - 10 * (near < 0.22) - 10 * (sky > 0.7)


def probe_intrinsics(intrinsics: Sequence[float], height: int, width: int) -> Tensor:
    rows, columns = PROBE_GRID
    sx, sy = columns / width, rows / height
    fx, fy, cx, cy = intrinsics
    return torch.tensor([fx * sx, fy * sy, (cx + 0.5) * sx - 0.5, (cy + 0.5) * sy - 0.5])


def within(volume: Tensor, positions: Tensor) -> Tensor:
    """Whether positions (Q, 3) lie in the volume (2, 3)."""
    return ((positions >= volume[0] - 1e-4) & (positions <= volume[1] + 1e-4)).all(dim=1)


def sample_cameras(
    scenes: Scenes,
    seeds: Sequence[int],
    height: int,
    width: int,
    candidates: int = 16,
    hfov_deg: tuple[float, float] = HFOV_DEG,
    without: Without = (),
) -> Cameras:
    """One camera for each scene: the first candidate in free space with a view worth having.

    Args:
        hfov_deg: fields of view across are drawn from this range, degrees.
        without: factors that are left out, see `factors`.

    Raises:
        ValueError: the numbers of scenes and seeds differ.
        RuntimeError: a scene has no free space (its layout is at fault).
    """
    if len(seeds) != len(scenes):
        raise ValueError(f"{len(scenes)} scenes need as many seeds, found {len(seeds)}")
    device = scenes.to_unit.device
    scenes = scenes.to("cpu")
    hfov_deg = (60.0, 60.0) if "lenses" in without else hfov_deg
    chosen = []
    for n, seed in enumerate(seeds):
        dice = SeededRandom(seed, "camera")
        intrinsics = sample_intrinsics(dice, height, width, hfov_deg)
        grid = probe_intrinsics(intrinsics, height, width)
        pose = _sample_view(scenes[n : n + 1], dice, grid, candidates, without)
        chosen.append((*pose, torch.tensor(intrinsics)))
    position, rotation, lens = (torch.stack(part) for part in zip(*chosen, strict=True))
    stamps = torch.zeros(len(seeds), dtype=torch.float64)
    return Cameras(position, rotation, lens, stamps).to(device)


def _sample_view(
    scene: Scenes, dice: SeededRandom, grid: Tensor, candidates: int, without: Without
) -> tuple[Tensor, Tensor]:
    """Position and rotation of the best of a few views of one scene; `grid` suits `PROBE_GRID`."""
    volume, focus = scene.volume[0].tolist(), scene.focus[0].tolist()
    for _ in range(20):
        poses = [sample_pose(dice, volume, focus, without) for _ in range(candidates)]
        position = torch.tensor([p for p, _ in poses])
        rotation = torch.tensor([r for _, r in poses])
        free = within(scene.volume[0], position) & (clearance(scene, position) > CLEARANCE)
        worth = torch.where(free, view_worth(probe(scene, position, rotation, grid)), -INF)
        worth[dice.integer(3, candidates) :] = -INF  # dull views happen, so they stay possible
        best = int(worth.argmax())
        if worth[best] > -INF:
            return position[best], rotation[best]
    raise RuntimeError(f"no free space for a camera in a scene of kind {scene.kinds[0]}")
