"""The depth in colours: one range for all frames of a run, with its legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from depth_estimation_ros.apps.estimate_depth.lens import Lens
from depth_estimation_ros.errors import MediaError
from depth_estimation_ros.estimation import Depth, DepthEstimator, Rgb, resize_image
from depth_estimation_ros.media.images import Media, MediaFrame, evenly_spaced
from depth_estimation_ros.visualization import ColorScale, add_legend, colorize

SAMPLES = 12  # frames of a run that its range of colours is taken from
SAMPLE_SIZE = (160, 120)


@dataclass(frozen=True)
class Looks:
    """How depth becomes colours.

    Attributes:
        scale: gives the depths at the ends of the colours.
        color_map: one of `COLOR_MAPS`.
        why: where the range comes from, in words.
        limits: metres at the ends of the colours, if they are the same for all frames.
    """

    scale: ColorScale
    color_map: str
    why: str
    limits: tuple[float, float] | None = None

    def colors(self, depth: Depth, stamp_ns: int) -> tuple[Rgb, float, float]:
        """Colours (H, W', 3) of a depth (H, W) with the legend beside, and its ends in metres."""
        near, far = self.scale.range_for(depth, stamp_ns)
        colors = colorize(depth, min_depth=near, max_depth=far, color_map=self.color_map)
        return add_legend(colors, near, far, self.color_map, place="right"), near, far


def side_by_side(rgb: Rgb, colors: Rgb) -> Rgb:
    """The picture, and right of it its depth, which must be as high."""
    return np.hstack([resize_image(rgb, colors.shape[0], rgb.shape[1]), colors])


def choose_looks(
    limits: Sequence[float] | None,
    color_map: str,
    inputs: Sequence[Media],
    pipeline: DepthEstimator,
    lens: Lens,
) -> Looks:
    """The range that the user gave, else what `SAMPLES` frames from all over the inputs show.

    Where one cannot look ahead (cameras and streams alone), the range follows what is seen.

    Raises:
        CalibrationError: a picture is of another shape than the calibration.
        EngineError: the network failed.
        ParameterError: the limits leave no range.
    """
    if limits:
        return _fixed(limits[0], limits[1], color_map, "--range")
    depths = []
    chosen = [inputs[index] for index in evenly_spaced(len(inputs), SAMPLES)]
    for media in chosen:
        for frame in _samples(media, SAMPLES // len(chosen)):
            depth = pipeline.run(frame.rgb, lens.camera(frame)).depth
            depths.append(cv2.resize(depth, SAMPLE_SIZE, interpolation=cv2.INTER_NEAREST))
    if not depths:
        return Looks(ColorScale.percentiles(), color_map, "follows what is seen, within seconds")
    near, far = ColorScale.percentiles().range_for(np.vstack(depths), 0)
    why = f"2nd to 98th percentile of {len(depths)} frames from all over the inputs"
    return _fixed(near, far, color_map, why)


def _samples(media: Media, count: int) -> list[MediaFrame]:
    """None of an input that cannot be read, which is told when its turn comes."""
    try:
        return media.samples(count)
    except MediaError:
        return []


def _fixed(near: float, far: float, color_map: str, why: str) -> Looks:
    return Looks(ColorScale.fixed(near, far), color_map, why, (near, far))
