"""A camera that moves through a scene."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from training.scenes.cameras import (
    Cameras,
    clearance,
    look,
    probe,
    probe_intrinsics,
    sample_intrinsics,
    within,
)
from training.scenes.dice import SeededRandom
from training.scenes.render import render
from training.scenes.scenes import Scenes
from training.scenes.sensor import sensor

MARGIN = 0.22  # metres a moving robot keeps from bodies
ATTEMPTS = 60


def camera_path(
    scene: Scenes,
    seed: int,
    frames: int,
    rate_hz: float,
    *,
    height: int,
    width: int,
    hfov_deg: float | None = None,
    camera_height: float | None = None,
) -> Cameras:
    """A robot that drives forward with slow turns, a little bob and sway.

    Args:
        scene: a batch of one scene.
        hfov_deg: field of view across; None draws it. With a value the principal point is central.
        camera_height: metres over the floor; None draws 0.25 to 1.2.

    Returns:
        `frames` cameras with one set of intrinsics and stamps k / rate_hz.

    Raises:
        RuntimeError: no drive without collision was found; take another seed.
    """
    dice = SeededRandom(seed, "path")
    intrinsics = sample_intrinsics(dice, height, width)
    if hfov_deg is not None:
        focal = width / 2 / math.tan(math.radians(hfov_deg) / 2)
        intrinsics = [focal, focal, (width - 1) / 2, (height - 1) / 2]
    grid = probe_intrinsics(intrinsics, height, width)
    device = scene.to_unit.device
    scene = scene.to("cpu")
    for attempt in range(ATTEMPTS):
        position, rotation = _drive(dice, scene, frames, rate_hz, camera_height, attempt)
        if not bool(within(scene.volume[0], position).all()):
            continue
        if bool((clearance(scene, position) > MARGIN).all()):
            near = probe(scene, position, rotation, grid).t.quantile(0.03, dim=1)
            if bool((near > 0.3).all()):
                return Cameras(
                    position,
                    rotation,
                    torch.tensor(intrinsics).expand(frames, 4),
                    torch.arange(frames, dtype=torch.float64) / rate_hz,
                ).to(device)
    raise RuntimeError(f"no free drive of {frames} frames with seed {seed}; take another seed")


def _drive(
    dice: SeededRandom,
    scene: Scenes,
    frames: int,
    rate_hz: float,
    camera_height: float | None,
    attempt: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions (F, 3) and rotations (F, 3, 3) of one try; later tries are slower."""
    low, high = scene.volume[0].tolist()
    x, y = dice.uniform(low[0], high[0]), dice.uniform(low[1], high[1])
    z = dice.uniform(0.25, 1.2) if camera_height is None else camera_height
    z = min(max(z, low[2] + 0.02), high[2] - 0.02)
    speed = dice.uniform(0.25, 0.8) * (1 - 0.9 * attempt / ATTEMPTS)
    yaw, pitch = dice.uniform(-math.pi, math.pi), math.radians(dice.uniform(-12, 2))
    swing, pace = dice.uniform(0.1, 0.45), dice.uniform(0.08, 0.25)
    phase = dice.uniform(0, 2 * math.pi)
    positions, rotations = [], []
    for k in range(frames):
        t = k / rate_hz
        bob = math.sin(2 * math.pi * 1.3 * t + phase)
        positions.append([x, y, z + 0.004 * bob])
        rotations.append(look(yaw, pitch + 0.008 * bob, 0.008 * math.sin(5 * t)))
        yaw += swing * math.sin(2 * math.pi * pace * t + phase) / rate_hz
        x += speed * math.cos(yaw) / rate_hz
        y += speed * math.sin(yaw) / rate_hz
    return torch.tensor(positions), torch.tensor(rotations)


def scaled(cameras: Cameras, factor: float) -> Cameras:
    """The same cameras with images `factor` times the size (pixel centres at integers)."""
    fx, fy, cx, cy = cameras.intrinsics.unbind(dim=1)
    centre = ((c + 0.5) * factor - 0.5 for c in (cx, cy))
    intrinsics = torch.stack([fx * factor, fy * factor, *centre], dim=1)
    return replace(cameras, intrinsics=intrinsics)


def record(
    scene: Scenes,
    path: Cameras,
    height: int,
    width: int,
    *,
    sensor_seed: int,
    depth_divisor: int = 1,
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float32]]]:
    """Frames of a path, in order: RGB (H, W, 3) uint8 and depth (H / d, W / d) float32 metres.

    All frames share one lens and exposure; noise is new in each.

    Args:
        scene: a batch of one.
        path: cameras for images of height x width.
        sensor_seed: what the camera does to the image.
        depth_divisor: d; depth is rendered, not resized, at its own size.
    """
    for k in range(len(path)):
        camera = path[k : k + 1]
        image = render(scene, camera, height, width)
        rgb = sensor(image.rgb, [sensor_seed], noise_seeds=[k])[0].permute(1, 2, 0)
        depth = image.depth
        if depth_divisor > 1:
            small = scaled(camera, 1 / depth_divisor)
            depth = render(scene, small, height // depth_divisor, width // depth_divisor).depth
        yield (rgb * 255).round().to(torch.uint8).cpu().numpy(), depth[0].cpu().numpy()
