"""From a sample of any size to a training example of the network's size.

Geometry is one affine map of pixels (crop, zoom, flip, roll about the optical axis), and the
intrinsics follow it; depth along Z does not change under any of these. Colour changes touch the
image alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from training.data.sample import Sample

SPARSE = 0.2  # share of pixels with depth under which it is taken for that of a LiDAR


@dataclass(frozen=True)
class Augmentation:
    """How far a training image may be moved from the recorded one.

    Attributes:
        zoom: largest magnification; 1 keeps as much of the image as the aspect ratio allows.
        min_zoom: smallest magnification; below 1 the image ends in a black border without depth.
        shift: how far the crop may lie from the middle; 1 is as far as the image goes.
        roll_deg: largest roll about the optical axis, in degrees.
        stretch: largest relative change of the aspect ratio.
        shear: how far a row may be shifted against the row below, in pixels: rows that are exposed
            one after the other while the camera turns (turn rate * readout time of all rows).
        flip: share of images that are mirrored.
        color: strength of colour changes, 0 for none.
    """

    zoom: float = 1.6
    min_zoom: float = 1.0
    shift: float = 1.0
    roll_deg: float = 6.0
    stretch: float = 0.06
    shear: float = 0.0
    flip: float = 0.5
    color: float = 1.0


NO_AUGMENTATION = Augmentation(zoom=1.0, shift=0.0, roll_deg=0.0, stretch=0.0, flip=0.0, color=0.0)


def random_view(
    sample: Sample, height: int, width: int, how: Augmentation, rng: np.random.Generator
) -> Sample:
    """A random crop of ``sample``, zoomed to ``(height, width)``, with colours changed."""
    moved = warp(sample, random_affine(sample, height, width, how, rng), height, width)
    if how.color == 0.0:
        return moved
    return replace(moved, rgb=_random_color(moved.rgb, how.color, rng))


def warp(sample: Sample, affine: np.ndarray, height: int, width: int) -> Sample:
    """``sample`` seen through a pixel map.

    Args:
        affine: ``(2, 3)`` float64; output pixel = affine @ (source pixel, 1), in coordinates
            where the centre of the first pixel is (0, 0).
        height, width: size of the result.

    Depth is taken from the nearest pixel, never blended across an edge, and every point of sparse
    depth is moved; outside the source it is NaN. The intrinsics of the result are exact for flips,
    crops and zooms; a small shear leaves them. A roll rotates the camera about its axis, which is
    exact where fx = fy.
    """
    shrink = np.sqrt(abs(np.linalg.det(affine[:, :2])))
    # An image that shrinks much is smoothed first, or fine texture turns into false edges.
    rgb = cv2.GaussianBlur(sample.rgb, (0, 0), 0.4 / shrink) if shrink < 0.7 else sample.rgb
    size = (width, height)
    rgb = cv2.warpAffine(rgb, affine, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    if np.count_nonzero(np.isfinite(sample.depth)) < SPARSE * sample.depth.size:
        depth = _splat(sample.depth, affine, height, width)
    else:
        depth = cv2.warpAffine(
            sample.depth, affine, size, flags=cv2.INTER_NEAREST, borderValue=float("nan")
        )
    return Sample(rgb, depth, _moved_intrinsics(sample.intrinsics, affine), sample.metric)


def _splat(depth: np.ndarray, affine: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the measured points at the pixels they move to, ``(height, width)``, else NaN.

    Sampling would lose most points of a LiDAR in an image that shrinks. Where several points meet
    in one pixel the nearest is kept.
    """
    v, u = np.nonzero(np.isfinite(depth))
    x, y = np.rint(affine[:, :2] @ (u, v) + affine[:, 2:]).astype(np.intp)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    splatted = np.full((height, width), np.inf, np.float32)
    np.minimum.at(splatted, (y[inside], x[inside]), depth[v[inside], u[inside]])
    splatted[np.isinf(splatted)] = np.nan
    return splatted


def _moved_intrinsics(
    camera: tuple[float, float, float, float] | None, affine: np.ndarray
) -> tuple[float, float, float, float] | None:
    if camera is None:
        return None
    fx, fy, cx, cy = camera
    scale_x, scale_y = np.linalg.norm(affine[:, :2], axis=1)
    cx, cy = affine @ (cx, cy, 1.0)
    return (fx * float(scale_x), fy * float(scale_y), float(cx), float(cy))


def random_affine(
    sample: Sample, height: int, width: int, how: Augmentation, rng: np.random.Generator
) -> np.ndarray:
    """A map ``(2, 3)`` for :func:`warp`, drawn within the bounds of ``how``."""
    source_h, source_w = sample.depth.shape
    zoom = np.exp(rng.uniform(np.log(how.min_zoom), np.log(how.zoom)))
    stretch = np.exp(rng.uniform(-1.0, 1.0) * np.log1p(how.stretch) / 2.0)
    # The largest window of the wanted aspect ratio inside the source, divided by the zoom.
    window_w = min(source_w, source_h * width / height) / zoom
    window_h = min(source_h, source_w * height / width) / zoom
    scale_x, scale_y = width / window_w * stretch, height / window_h / stretch
    left = (source_w - window_w) * (0.5 + how.shift * rng.uniform(-0.5, 0.5))
    top = (source_h - window_h) * (0.5 + how.shift * rng.uniform(-0.5, 0.5))
    centre_x, centre_y = left + window_w / 2.0 - 0.5, top + window_h / 2.0 - 0.5
    roll = np.deg2rad(rng.uniform(-how.roll_deg, how.roll_deg))
    mirror = -1.0 if rng.random() < how.flip else 1.0
    cos, sin = np.cos(roll), np.sin(roll)
    shear = rng.uniform(-how.shear, how.shear)
    turned = np.array([[cos, -sin], [sin, cos]]) @ [[1.0, shear], [0.0, 1.0]]
    linear = np.array([[scale_x * mirror, 0.0], [0.0, scale_y]]) @ turned
    target = np.array([width / 2.0 - 0.5, height / 2.0 - 0.5])
    shift = target - linear @ (centre_x, centre_y)
    return np.column_stack([linear, shift])


def _random_color(rgb: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    image = rgb.astype(np.float32) / 255.0
    image = image ** np.exp(rng.normal(0.0, 0.2 * strength))
    image *= np.exp(rng.normal(0.0, 0.15 * strength, 3)).astype(np.float32)
    grey = image.mean(axis=2, keepdims=True)
    image = grey + (image - grey) * np.float32(rng.uniform(1.0 - 0.6 * strength, 1.0 + 0.3))
    image = 0.5 + (image - 0.5) * np.float32(np.exp(rng.normal(0.0, 0.15 * strength)))
    image *= np.float32(np.exp(rng.normal(0.0, 0.2 * strength)))
    if rng.random() < 0.3 * strength:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.2))
    noise = rng.uniform(0.0, 0.03 * strength)
    image += rng.normal(0.0, noise, image.shape).astype(np.float32)
    return (np.clip(image, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
