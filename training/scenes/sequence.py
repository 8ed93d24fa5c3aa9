"""What one camera records while it moves through one scene."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from training.scenes.cameras import Cameras
from training.scenes.render import render
from training.scenes.scenes import Scenes
from training.scenes.sensor import sensor


def scaled(cameras: Cameras, factor: float) -> Cameras:
    """The same cameras with pictures `factor` times the size (pixel centres at integers)."""
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
        path: cameras for pictures of height x width.
        sensor_seed: what the camera does to the picture.
        depth_divisor: d; depth is rendered, not resized, at its own size.
    """
    for k in range(len(path)):
        camera = path[k : k + 1]
        picture = render(scene, camera, height, width)
        rgb = sensor(picture.rgb, [sensor_seed], noise_seeds=[k])[0].permute(1, 2, 0)
        depth = picture.depth
        if depth_divisor > 1:
            small = scaled(camera, 1 / depth_divisor)
            depth = render(scene, small, height // depth_divisor, width // depth_divisor).depth
        yield (rgb * 255).round().to(torch.uint8).cpu().numpy(), depth[0].cpu().numpy()
