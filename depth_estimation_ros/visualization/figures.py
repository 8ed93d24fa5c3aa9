"""Figures with matplotlib: a sheet of depth images, and a point cloud in perspective.

The node never imports this module. `STYLE` is the style of every figure of the project.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import matplotlib
import numpy as np
import numpy.typing as npt
from cycler import cycler
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from depth_estimation_ros.visualization.colorize import (
    DEFAULT_COLOR_MAP,
    MAX_RELATIVE_ERROR,
    UNKNOWN_ERROR,
    Depth,
    Rgb,
    color_limits,
    color_table,
    colorize,
    colorize_error,
    error_table,
)
from depth_estimation_ros.visualization.legend import depth_label, round_depths

Points = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

INK, FAINT = "#22262e", "#5f6773"
COLORS = ("#14589c", "#d1603d", "#3f9b6c", "#8e5ea8", "#b58900", "#3aa6b9", "#8c6d4f")
STYLE: Any = {
    "font.size": 12,
    "text.color": INK,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.labelcolor": INK,
    "axes.edgecolor": "#9aa2ae",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=COLORS),
    "grid.color": "#e4e7ec",
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "savefig.dpi": 110,
    "svg.fonttype": "none",
}
DPI = 100

MARGIN, GAP = 20, 8  # pixels of a sheet
TITLE_HEIGHT, CAPTION_HEIGHT, LEGEND_HEIGHT = 30, 30, 76
BAR_HEIGHT = 16

CLOUD_BACKGROUND = "#16181e"
CLOUD_GRID, CLOUD_TEXT, CAMERA = "#3a3f4a", "#aab0bc", "#ffc43c"
CLOUD_MARGIN, LABEL_WIDTH, LABEL_DISTANCE = 24, 56, 20  # pixels
MAX_POINTS = 80_000


@dataclass(frozen=True, eq=False)
class PreviewRow:
    """One row of a sheet.

    Attributes:
        rgb: (H, W, 3) uint8.
        depth: (h, w) float32 metres, of any size.
        truth: (h, w) float32 metres, of any size; None leaves out truth and error.
        caption: a short line below, such as the time and the metrics.
    """

    rgb: Rgb
    depth: Depth
    truth: Depth | None = None
    caption: str = ""


def render_sheet(
    rows: Sequence[PreviewRow],
    *,
    max_depth: float,
    min_depth: float = 0.0,
    color_map: str = DEFAULT_COLOR_MAP,
    panel_width: int = 320,
) -> Rgb:
    """Return camera | depth | ground truth | relative error, one row an image, (H, W, 3) uint8 RGB.

    Depth and ground truth share the colours of `colorize` from min_depth to max_depth, in metres.
    The columns of truth and error exist if any row has a truth.

    Raises:
        ValueError: no rows.
    """
    if not rows:
        raise ValueError("render_sheet needs at least one row")
    near, far = color_limits(min_depth, max_depth)
    titles = ["camera", "depth"]
    if any(row.truth is not None for row in rows):
        titles += ["ground truth", "relative error"]
    heights = [round(panel_width * row.rgb.shape[0] / row.rgb.shape[1]) for row in rows]
    below = [GAP + (CAPTION_HEIGHT if row.caption else 0) for row in rows]
    width = 2 * MARGIN + len(titles) * (panel_width + GAP) - GAP
    height = MARGIN + TITLE_HEIGHT + sum(heights) + sum(below) + LEGEND_HEIGHT
    lefts = [MARGIN + i * (panel_width + GAP) for i in range(len(titles))]
    with matplotlib.rc_context({**STYLE, "axes.grid": False}):
        page = _Page(width, height)
        for left, title in zip(lefts, titles, strict=True):
            page.write(left, MARGIN + 12, title)
        y = MARGIN + TITLE_HEIGHT
        for row, row_height, space in zip(rows, heights, below, strict=True):
            panels = _panels(row, (panel_width, row_height), near, far, color_map)
            for left, panel in zip(lefts, panels, strict=False):
                page.draw_image(left, y, panel)
            if row.truth is None and len(titles) == 4:
                page.write(lefts[2], y + row_height // 2, "no ground truth", color=FAINT)
            if row.caption:
                page.write(MARGIN, y + row_height + 15, row.caption, color=FAINT)
            y += row_height + space
        scale_width = (panel_width if len(titles) == 2 else 2 * panel_width + GAP) - 2 * MARGIN
        page.draw_depth_scale(lefts[1], y + 6, scale_width, near, far, color_map)
        if len(titles) == 4:
            page.draw_error_scale(lefts[3], y + 6, panel_width)
        return page.rgb()


def _panels(
    row: PreviewRow, size: tuple[int, int], near: float, far: float, color_map: str
) -> list[Rgb]:
    """Return the images of a row at this size (width, height)."""

    def fit(depth: Depth) -> Depth:
        # Nearest pixels: a blend of two depths is a depth that was never measured.
        return np.asarray(cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST), np.float32)

    def colors(depth: Depth) -> Rgb:
        return colorize(depth, max_depth=far, min_depth=near, color_map=color_map)

    camera = np.asarray(cv2.resize(row.rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
    depth = fit(row.depth)
    if row.truth is None:
        return [camera, colors(depth)]
    truth = fit(row.truth)
    return [camera, colors(depth), colors(truth), colorize_error(depth, truth)]


class _Page:
    """A figure in whole pixels, with the origin at its upper left corner."""

    def __init__(self, width: int, height: int, background: str = "white") -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=background)
        self._canvas = FigureCanvasAgg(self.figure)

    def axes(self, x: int, y: int, width: int, height: int) -> Any:
        """Return axes in this rectangle."""
        bottom = self.height - y - height
        return self.figure.add_axes(
            (x / self.width, bottom / self.height, width / self.width, height / self.height)
        )

    def write(self, x: float, y: float, text: str, **style: Any) -> None:
        """Write text with its left end at x and its middle at y."""
        style = {"va": "center"} | style
        self.figure.text(x / self.width, 1.0 - y / self.height, text, **style)

    def draw_image(self, x: int, y: int, rgb: Rgb) -> None:
        """Draw an image pixel by pixel."""
        self.figure.figimage(rgb, x, self.height - y - rgb.shape[0], origin="upper")

    def draw_depth_scale(
        self, x: int, y: int, width: int, near: float, far: float, color_map: str
    ) -> None:
        """Draw the colours from near to far with ticks in metres, and that of unknown depth."""
        colors = ListedColormap(color_table(color_map)[::-1, 0] / 255.0)
        ticks = round_depths(near, far, width, lambda text: 12 * len(text))
        self._draw_scale(x, y, width, LogNorm(near, far), colors, ticks, map(depth_label, ticks))
        self._draw_key(x, y, width, "unknown", "black")

    def draw_error_scale(self, x: int, y: int, width: int) -> None:
        """Draw the colours of relative errors."""
        end = MAX_RELATIVE_ERROR
        colors = ListedColormap(error_table()[:, 0] / 255.0)
        percent = round(100 * end)
        labels = (f"{percent} % too near", "0", f"{percent} % too far")
        self._draw_scale(x, y, width, Normalize(-end, end), colors, (-end, 0.0, end), labels)
        self._draw_key(x, y, width, "unknown", tuple(c / 255 for c in UNKNOWN_ERROR))

    def _draw_scale(
        self, x: int, y: int, width: int, norm: Any, colors: Any, ticks: Any, labels: Any
    ) -> None:
        axes = self.axes(x, y, width, BAR_HEIGHT)
        mappable = matplotlib.cm.ScalarMappable(norm, colors)
        bar = self.figure.colorbar(mappable, cax=axes, orientation="horizontal")
        bar.minorticks_off()
        bar.set_ticks(list(ticks), labels=list(labels))
        bar.outline.set_visible(False)
        texts = axes.get_xticklabels()
        if texts:  # a label at an end stays above its own bar
            low, high = norm(ticks[0]), norm(ticks[-1])
            texts[0].set_horizontalalignment("left" if low < 0.03 else "center")
            texts[-1].set_horizontalalignment("right" if high > 0.97 else "center")

    def _draw_key(self, x: int, y: int, width: int, text: str, color: Any) -> None:
        self.figure.legend(
            handles=[Patch(facecolor=color, label=text)],
            loc="upper center",
            bbox_to_anchor=((x + width / 2) / self.width, 1.0 - (y + 38) / self.height),
            handlelength=0.9,
            borderpad=0,
            fontsize=11,
            labelcolor=FAINT,
        )

    def rgb(self) -> Rgb:
        """Return the pixels, (height, width, 3) uint8."""
        self._canvas.draw()
        return np.array(self._canvas.buffer_rgba())[..., :3].copy()


def render_cloud(
    points: Points,
    rgb: Rgb,
    *,
    width: int = 1120,
    height: int = 700,
    yaw_deg: float = 28.0,
    pitch_deg: float = 18.0,
    frame: Points | None = None,
    grid: bool = True,
) -> Rgb:
    """Return a coloured cloud as seen from behind, above and to the right of its camera.

    A grid in metres lies at the height of the lowest points; the yellow pyramid is the camera. All
    points but the farthest 0.5 % are in view.

    Args:
        points: (H, W, 3) or (N, 3) float32 metres in the optical frame (x right, y down, z
            forward); points that are not finite are left out.
        rgb: colours, uint8, one a point.
        width: of the result, pixels.
        height: of the result, pixels.
        yaw_deg: how far the viewer stands to the right of the camera's axis.
        pitch_deg: how far the viewer looks down.
        frame: points that set the view and the grid, so that several clouds have the same; as
            default `points`.
        grid: draw the grid and the camera; False gives the points all the room.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    page = _Page(width, height, CLOUD_BACKGROUND)
    xyz, colors, spacing = _finite_points(points, rgb)
    whole = xyz if frame is None else _finite_points(frame, None)[0]
    if not len(xyz) or not len(whole):
        return page.rgb()
    view = _CloudView(whole, width, height, yaw_deg, pitch_deg, grid)
    axes = page.axes(0, 0, width, height)
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    if grid:
        axes.add_collection(
            LineCollection(view.grid_lines(), colors=CLOUD_GRID, linewidths=1.0, zorder=0)
        )
        axes.add_collection(LineCollection(view.camera_lines(), colors=CAMERA, linewidths=1.6))
        for (x, y), metres in view.grid_labels():
            axes.text(x, y, f"{metres:g} m", color=CLOUD_TEXT, size=11, va="center")
    pixels, distance = view.project(xyz)
    order = np.argsort(-distance)  # far first: near points are drawn over them
    sizes = np.clip(1.2 * spacing * view.focal / distance, 1.5, 12.0) * 72.0 / DPI
    axes.scatter(
        *pixels[order].T,
        s=sizes[order] ** 2,
        c=colors[order] / 255.0,
        marker="s",
        linewidths=0,
        antialiased=False,
    )
    return page.rgb()


def _finite_points(points: Points, rgb: Rgb | None) -> tuple[Floats, Rgb, Floats]:
    """Return points (N, 3), their colours (N, 3), and metres from each to its neighbours (N,)."""
    organised = points.ndim == 3
    grid = points if organised else points[np.newaxis]
    colors = np.zeros(grid.shape, np.uint8) if rgb is None else rgb.reshape(grid.shape)
    columns, share = grid.shape[1], max(1.0, grid[..., 0].size / MAX_POINTS)
    step = math.ceil(math.sqrt(share) if organised else share)
    thin = (slice(None, None, step if organised else 1), slice(0, columns, step))
    colors = colors[thin]
    xyz = grid[thin].astype(np.float64)
    kept = np.isfinite(xyz).all(axis=-1)
    spacing: Floats = 0.003 * xyz[..., 2]
    if organised and kept.any() and min(kept.shape) > 1:
        right = np.diff(xyz, axis=1, append=np.nan)
        below = np.diff(xyz, axis=0, append=np.nan)
        flat = np.nanmedian(np.abs(right[..., 0]) / xyz[..., 2]) * xyz[..., 2]
        gaps = np.fmax(np.linalg.norm(right, axis=-1), np.linalg.norm(below, axis=-1))
        # A slanted surface has wider gaps than a flat one; what is wider still is an edge.
        spacing = np.where((gaps > flat) & (gaps < 10.0 * flat), gaps, flat)
    return xyz[kept], colors[kept], spacing[kept]


class _CloudView:
    """A pinhole camera that has all of a cloud, its grid and its camera in view."""

    def __init__(
        self, xyz: Floats, width: int, height: int, yaw: float, pitch: float, grid: bool
    ) -> None:
        xyz = xyz[xyz[:, 2] <= np.percentile(xyz[:, 2], 99.5)]
        low, high = xyz.min(axis=0), xyz.max(axis=0)
        self._target = (low + high) / 2.0
        self._distance = 1.1 * float(np.linalg.norm(high - low)) + 0.3 * float(high[2])
        self._rotation = _rotation(math.radians(yaw), math.radians(pitch))
        self._camera_size = 0.06 * float(np.median(xyz[:, 2]))
        self._z = MaxNLocator(7, steps=[1, 2, 5, 10]).tick_values(0.0, high[2])
        step = self._z[1] - self._z[0]
        ends = step * np.floor(low[0] / step), step * np.ceil(high[0] / step)
        self._x = np.arange(ends[0], ends[1] + step / 2, step)
        self._level = float(np.percentile(xyz[:, 1], 98))
        corners = [(x, self._level, z) for x in ends for z in (self._z[0], self._z[-1])]
        # First with focal length 1 and no shift; then both such that everything fits.
        self.focal, self._shift = 1.0, np.zeros(2)
        everything = np.vstack([xyz, corners, np.zeros((1, 3))]) if grid else xyz
        pixels = self.project(everything)[0]
        least, most = pixels.min(axis=0), pixels.max(axis=0)
        room = np.array([width - LABEL_WIDTH * grid, height]) - 2.0 * CLOUD_MARGIN
        self.focal = float(np.min(room / np.maximum(most - least, 1e-6)))
        self._shift = CLOUD_MARGIN + room / 2.0 - self.focal * (least + most) / 2.0

    def project(self, xyz: Floats) -> tuple[Floats, Floats]:
        """Return pixels (N, 2) and distances along the viewer's axis (N,)."""
        seen = (xyz - self._target) @ self._rotation.T
        distance = np.maximum(seen[:, 2] + self._distance, 1e-3)
        return seen[:, :2] / distance[:, np.newaxis] * self.focal + self._shift, distance

    def grid_lines(self) -> list[Floats]:
        """Return the grid as lines of pixels."""
        lines = [[(x, self._level, z) for z in (self._z[0], self._z[-1])] for x in self._x]
        lines += [[(x, self._level, z) for x in (self._x[0], self._x[-1])] for z in self._z]
        return [self.project(np.array(line))[0] for line in lines]

    def grid_labels(self) -> list[tuple[Floats, float]]:
        """Return the pixel of each distance label, and its metres."""
        places = np.array([(self._x[-1], self._level, z) for z in self._z])
        labels: list[tuple[Floats, float]] = []
        for place, metres in zip(self.project(places)[0] + (6.0, 4.0), self._z, strict=True):
            # Far labels must not cover each other.
            if not labels or np.linalg.norm(place - labels[-1][0]) > LABEL_DISTANCE:
                labels.append((place, metres))
        return labels

    def camera_lines(self) -> list[Floats]:
        """Return the pyramid of the camera as lines of pixels."""
        signs = ((-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1))
        corners = self._camera_size * np.array([(x, 0.75 * y, 1.2) for x, y in signs])
        rays = [np.array([(0.0, 0.0, 0.0), corner]) for corner in corners[:4]]
        return [self.project(line)[0] for line in (corners, *rays)]


def _rotation(yaw: float, pitch: float) -> Floats:
    """Return the rotation from the optical frame to that of a viewer to the right, looking down."""
    cy, sy, cp, sp = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)
    about_y = np.array([[cy, 0.0, sy], [0.0, 1.0, 0.0], [-sy, 0.0, cy]])
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, cp, -sp], [0.0, sp, cp]])
    return about_x @ about_y
