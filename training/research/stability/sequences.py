"""Sequences with known motion: rendered drives, approaches, turns, obstacles; recorded ones."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.geometry.camera_model import CameraModel
from training.bags import recorded_frames
from training.research.stability.motion import Matrix, Moment, estimate_motion
from training.scenes.cameras import Cameras, clearance, look, sample_cameras, within
from training.scenes.paths import MARGIN, camera_path
from training.scenes.primitives import FIRST_SLOT
from training.scenes.render import render
from training.scenes.scenes import Scenes, sample_scenes
from training.scenes.sensor import sensor

FIRST_SEED = 900_015  # of validation's, which no training frame has; eight rooms with a way ahead
SIZE = (240, 320)
RATE_HZ = 15.0
TURN_DEG_PER_S = 60.0
APPROACH_M_PER_S = 1.0
APPEARS_AT = 6  # the frame with the obstacle
_OBSTACLE_M = 1.0  # before the camera
_BOX = 1  # its place among the counted shapes


@dataclass(frozen=True)
class FrameSequence:
    """A sequence that is made or read when asked for.

    Attributes:
        name: unique within a measurement.
        kind: "drive", "approach", "turn", "appear" or "recorded".
        frames: how many.
        seed: of the scene, for rendered ones.
        folder: of the files, for recorded ones.
    """

    name: str
    kind: str
    frames: int
    seed: int = 0
    folder: Path | None = None

    def moments(self) -> Iterator[Moment]:
        """Return the frames in order.

        Raises:
            ParameterError: there is no free way through the scene; take another seed.
            BagError: a recording that cannot be read.
        """
        if self.folder is not None:
            return recorded_moments(self.folder, self.frames)
        return rendered_moments(self.kind, self.seed, self.frames)


def rendered_sequences(kind: str, count: int, frames: int, first_seed: int) -> list[FrameSequence]:
    """`count` sequences through rooms, of the seeds from `first_seed` on."""
    seeds = range(first_seed, first_seed + count)
    return [FrameSequence(f"{kind}_{seed}", kind, frames, seed=seed) for seed in seeds]


def rendered_moments(kind: str, seed: int, frames: int) -> Iterator[Moment]:
    """Return a room, 320 x 240, 15 frames a second, with the noise of a sensor.

    drive: forward with slow turns. approach: straight ahead, 1 m/s. turn: 60 degrees a second on
    the spot. appear: the camera stands, and at frame `APPEARS_AT` a box stands 1 m before it.
    """
    height, width = SIZE
    try:
        path, scenes = _path_and_scenes(kind, seed, frames)
    except RuntimeError as error:
        message = f"the room of seed {seed} does not do for {kind!r}: {error}"
        raise ParameterError(message, fix="Choose another --first-seed.") from error
    fx, fy, cx, cy = path.intrinsics[0].tolist()
    camera = CameraModel.from_intrinsics(fx, fy, cx, cy, width, height)
    for k in range(frames):
        image = render(scenes[k], path[k : k + 1], height, width)
        photograph = sensor(image.rgb, [seed], noise_seeds=[k])[0].permute(1, 2, 0)
        rgb = (photograph * 255).round().to(torch.uint8).numpy()
        motion = None if k == 0 else to_previous(path, k)
        yield Moment(rgb, image.depth[0].numpy(), camera, motion, round(k / RATE_HZ * 1e9))


def _path_and_scenes(kind: str, seed: int, frames: int) -> tuple[Cameras, list[Scenes]]:
    """Return where the camera is at each frame, and what stands there then."""
    height, width = SIZE
    scene = sample_scenes([seed], ["room"])
    if kind == "drive":
        path = camera_path(scene, seed, frames, RATE_HZ, height=height, width=width)
        return path, [scene] * frames
    still = sample_cameras(scene, [seed], height, width)
    if kind == "approach":
        path = approaching(scene, still, frames, APPROACH_M_PER_S / RATE_HZ)
        return path, [scene] * frames
    path = turning(still, frames, TURN_DEG_PER_S / RATE_HZ if kind == "turn" else 0.0)
    scenes = [scene] * frames
    if kind == "appear":
        scenes[APPEARS_AT:] = [with_obstacle(scene, path)] * (frames - APPEARS_AT)
    return path, scenes


def turning(still: Cameras, frames: int, degrees: float) -> Cameras:
    """Return a camera that stays where it is and turns about the vertical by so much a frame."""
    rotations = []
    for k in range(frames):
        c, s = math.cos(math.radians(k * degrees)), math.sin(math.radians(k * degrees))
        about_z = torch.tensor([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        rotations.append(about_z @ still.rotation[0])
    return Cameras(
        still.position.expand(frames, 3),
        torch.stack(rotations),
        still.intrinsics.expand(frames, 4),
        torch.arange(frames, dtype=torch.float64) / RATE_HZ,
    )


def approaching(scene: Scenes, still: Cameras, frames: int, step: float) -> Cameras:
    """Return a camera that goes level ahead, `step` metres a frame, where there is room for it.

    It looks the way it goes: the first of 24 directions whose way is free.

    Raises:
        RuntimeError: no way is free.
    """
    for k in range(24):
        yaw = math.radians(15.0 * k)
        ahead = torch.tensor([math.cos(yaw), math.sin(yaw), 0.0])
        positions = still.position[0] + step * torch.arange(frames)[:, None] * ahead
        # A robot stops 0.6 m before a wall.
        beyond = torch.cat([positions, positions[-1:] + 0.6 * ahead])
        if within(scene.volume[0], positions).all() and (clearance(scene, beyond) > MARGIN).all():
            rotation = torch.tensor(look(yaw, 0.0, 0.0)).expand(frames, 3, 3)
            stamps = torch.arange(frames, dtype=torch.float64) / RATE_HZ
            return Cameras(positions, rotation, still.intrinsics.expand(frames, 4), stamps)
    raise RuntimeError("no free way ahead")


def with_obstacle(scene: Scenes, cameras: Cameras) -> Scenes:
    """Return the scene with a box of 0.3 m, 1 m before the first camera.

    Raises:
        RuntimeError: the scene has no room for one more box.
    """
    place = FIRST_SLOT["box"] + int(scene.counts[0, _BOX])
    if place >= FIRST_SLOT["cylinder"]:
        raise RuntimeError("the scene is full of boxes")
    half = torch.full((3,), 0.15)
    centre = cameras.position[0] + _OBSTACLE_M * cameras.rotation[0, :, 2]
    to_unit, halves, counts = scene.to_unit.clone(), scene.half.clone(), scene.counts.clone()
    to_unit[0, place, :, :3] = torch.diag(1.0 / half)
    to_unit[0, place, :, 3] = -centre / half
    halves[0, place] = half
    counts[0, _BOX] += 1
    return replace(scene, to_unit=to_unit, half=halves, counts=counts)


def to_previous(path: Cameras, k: int) -> Matrix:
    """(4, 4) from the optical frame of camera k to that of camera k - 1."""
    before, now = (path.rotation[i].double().numpy() for i in (k - 1, k))
    shift = (path.position[k] - path.position[k - 1]).double().numpy()
    motion = np.eye(4)
    motion[:3, :3], motion[:3, 3] = before.T @ now, before.T @ shift
    return motion


def recorded_sequence(folder: Path, frames: int) -> FrameSequence:
    """Return the first frames of a folder that `training bag folder` reads, too."""
    return FrameSequence(folder.name, "recorded", frames, folder=folder)


def recorded_moments(folder: Path, frames: int) -> Iterator[Moment]:
    """Return frames of a recording with measured depth; `estimate_motion` gives their motion."""
    camera, recorded = recorded_frames(folder)
    before = None
    for _, frame in zip(range(frames), recorded, strict=False):
        rgb = frame.rgb
        truth = np.full(rgb.shape[:2], np.nan, np.float32) if frame.depth is None else frame.depth
        motion = None if before is None else estimate_motion(before, rgb, truth, camera)
        yield Moment(rgb, truth, camera, motion, frame.stamp_ns)
        before = rgb
