"""Pictures within the page: sample frames and errors as data URIs, within a budget of bytes."""

from __future__ import annotations

import base64

import cv2
import numpy as np

from depth_estimation_ros.apps.replay.report.footage import Depth, Picture, Sample
from depth_estimation_ros.apps.replay.report.markup import Markup, element
from depth_estimation_ros.visualization import add_legend, colorize, colorize_error
from depth_estimation_ros.visualization.figures import render_cloud

PANEL_WIDTH = 360
CLOUD_SIZE = (540, 360)
JPEG_QUALITY = 82


class Album:
    """Makes pictures as long as there is room for them.

    Args:
        bytes_left: of the page, for all pictures together.
    """

    def __init__(self, bytes_left: int) -> None:
        self.bytes_left = bytes_left
        self.left_out = 0

    def figure(self, rgb: Picture, alt: str, caption: str) -> Markup:
        """A picture with its caption; only the caption where the page is full.

        Args:
            rgb: (H, W, 3) uint8.
            alt: what is to be seen, for those who cannot see it.
            caption: below it.
        """
        _, data = cv2.imencode(
            ".jpg",
            cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR),
            [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY],
        )
        text = base64.b64encode(data.tobytes()).decode()
        picture = None
        if len(text) <= self.bytes_left:
            self.bytes_left -= len(text)
            picture = element(
                "img",
                src=f"data:image/jpeg;base64,{text}",
                alt=alt,
                width=rgb.shape[1],
                height=rgb.shape[0],
            )
        else:
            self.left_out += 1
        return element("figure", picture, element("figcaption", caption))


def camera_panel(rgb: Picture) -> Picture:
    """The camera's picture at the width of a panel."""
    return np.asarray(
        cv2.resize(rgb, _panel_size(rgb.shape), interpolation=cv2.INTER_AREA), np.uint8
    )


def depth_panel(depth: Depth, near: float, far: float, color_map: str) -> Picture:
    """Depth in colours from near to far (metres), with a legend."""
    colors = colorize(_fitted(depth), min_depth=near, max_depth=far, color_map=color_map)
    return add_legend(colors, near, far, color_map)


def error_panel(depth: Depth, truth: Depth, largest: float) -> Picture:
    """Relative error in colours: blue too near, white right, red too far, grey unknown."""
    return colorize_error(_fitted(depth), _fitted(truth))


def cloud_panel(sample: Sample) -> Picture | None:
    """The points of a frame seen from beside its camera; None if it has none."""
    if sample.cloud is None or not np.isfinite(sample.cloud[0]).all(axis=-1).any():
        return None
    points, rgb = sample.cloud
    if points.shape[0] == 1:
        points, rgb = points[0], rgb[0]  # not organised
    return render_cloud(points, rgb, width=CLOUD_SIZE[0], height=CLOUD_SIZE[1])


def _panel_size(shape: tuple[int, ...]) -> tuple[int, int]:
    return PANEL_WIDTH, max(1, round(PANEL_WIDTH * shape[0] / shape[1]))


def _fitted(depth: Depth) -> Depth:
    """Nearest pixels: a blend of two depths is a depth that nobody measured."""
    size = _panel_size(depth.shape)
    return np.asarray(cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST), np.float32)
