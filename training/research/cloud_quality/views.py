"""Images with dense true depth: rendered from seeds, or of a data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch

from depth_estimation_ros.geometry.camera_model import CameraModel
from training.data.sample import SampleSet
from training.evaluation.score import camera_of
from training.scenes.cameras import Cameras, pixel_rays, sample_cameras
from training.scenes.paths import scaled
from training.scenes.primitives import Hits, surface_points
from training.scenes.render import render, trace_chunked
from training.scenes.scenes import Scenes, sample_scenes
from training.scenes.sensor import sensor

Rgb = npt.NDArray[np.uint8]
FIRST_SEED = 900_001  # validation's seeds: no training frame has them
SIZE = (480, 640)
_SHADED_AT = 2  # images are shaded at 1 / 2 of the size
_ROUND = 6  # surface_points' number for what is not flat, in a body's eight


@dataclass(frozen=True, eq=False)
class Faces:
    """What the tracer knows of each pixel.

    Attributes:
        surface: (H, W) int64, differs between faces of bodies.
        flat: (H, W) bool, whether that face is flat.
        level: (H, W) bool, whether it lies level (floors, ceilings, table tops); else it is upright
            or tilted.
    """

    surface: npt.NDArray[np.int64]
    flat: npt.NDArray[np.bool_]
    level: npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class TrueView:
    """An image and its truth.

    Attributes:
        name: unique within its set.
        rgb: (H, W, 3) uint8.
        truth: (H, W) float32 metres along Z; NaN not measured, +Inf sky.
        camera: of the image; None where it is not known.
        faces: of rendered images.
    """

    name: str
    rgb: Rgb
    truth: npt.NDArray[np.float32]
    camera: CameraModel | None
    faces: Faces | None = None


@dataclass(frozen=True)
class ViewSet:
    """Views that are made or read when asked for.

    Attributes:
        name: of the set, for tables.
        count: of its views.
        view: makes the view of an index below `count`.
    """

    name: str
    count: int
    view: Callable[[int], TrueView]


def rendered_views(count: int, first_seed: int = FIRST_SEED) -> ViewSet:
    """Return one scene for each of the seeds from `first_seed` on, 640 x 480."""
    return ViewSet("synthetic", count, lambda index: render_view(first_seed + index, *SIZE))


def recorded_views(samples: SampleSet) -> ViewSet:
    """Return the frames of a data set."""

    def view(index: int) -> TrueView:
        sample = samples[index]
        name = samples.frame_name(index)
        return TrueView(name, sample.rgb, sample.depth, camera_of(sample))

    return ViewSet(samples.name, len(samples), view)


def render_view(seed: int, height: int, width: int) -> TrueView:
    """Return the scene of a seed with exact depth and faces.

    Truth is traced at the full size. The image is shaded at half of it and enlarged: a network of
    256 pixels across sees no difference, and shading takes most of the time.
    """
    scenes = sample_scenes([seed])
    small = sample_cameras(scenes, [seed], height // _SHADED_AT, width // _SHADED_AT)
    shaded = render(scenes, small, height // _SHADED_AT, width // _SHADED_AT).rgb
    photograph = sensor(shaded, [seed])[0].permute(1, 2, 0)
    rgb = (photograph * 255).round().to(torch.uint8).numpy()
    cameras = scaled(small, _SHADED_AT)
    truth, faces = trace_faces(scenes, cameras, height, width)
    fx, fy, cx, cy = cameras.intrinsics[0].tolist()
    return TrueView(
        f"{scenes.kinds[0]}_{seed}",
        np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8),
        truth,
        CameraModel.from_intrinsics(fx, fy, cx, cy, width, height),
        faces,
    )


@torch.no_grad()
def trace_faces(
    scenes: Scenes, cameras: Cameras, height: int, width: int
) -> tuple[npt.NDArray[np.float32], Faces]:
    """Exact depth and faces of a single scene, (H, W) each."""
    rays = cameras.rotation @ pixel_rays(cameras.intrinsics, height, width)
    origin = cameras.position[:, :, None]
    hits: Hits = trace_chunked(scenes, origin, rays)
    points = surface_points(scenes, origin, rays, hits, 1.0 / cameras.intrinsics[:, :1])
    sky = hits.t[0].isinf()
    surface = torch.where(sky, -1, points.part).view(height, width).numpy()
    level = (points.normal[:, 2].abs() > 0.999).view(height, width).numpy()
    flat = (surface % 8 != _ROUND) & (surface >= 0)
    return hits.t.view(height, width).numpy(), Faces(surface, flat, level & flat)
