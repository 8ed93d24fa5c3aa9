"""One row per data set: images, their depth, how depth is spread, and what the network will see."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from depth_estimation_ros.visualization import colorize
from training.check_data.survey import SetSurvey
from training.data.sample import Sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SPARSE = 0.3  # below this share of valid pixels, depth is drawn as points on the image
WIDE = 2.0  # from this aspect ratio on, two frames stand above each other
SAMPLES_IN, HISTOGRAM_IN, VIEW_IN = 8.4, 3.0, 4.2  # widths of the parts of a row, inches
TITLE_IN, LINE_IN, BELOW_IN, GAP_IN = 0.46, 0.19, 0.5, 0.12
HEADING_IN = 0.5
SHOWN_PX = 600  # about the width at which an image is shown
INK, FAINT, WARNING = "#26262a", "#77777d", "#b45309"


@dataclass(frozen=True, eq=False)
class Row:
    """A set in the image.

    Attributes:
        title: which set this is.
        facts: its numbers in one line.
        warnings: what looks wrong.
        shown: one or two samples.
        view: what the network would be given of the first, or None.
    """

    title: str
    facts: str
    warnings: Sequence[str]
    found: SetSurvey
    shown: Sequence[Sample]
    view: Sample | None

    @property
    def title_in(self) -> float:
        """Return height of the words above the images, inches."""
        return TITLE_IN + (LINE_IN if self.warnings else 0.0)

    @property
    def height_in(self) -> float:
        """Return height of the images, inches."""
        aspect = _aspect(self.shown[0])
        images = 2 * _half(SAMPLES_IN) / aspect if aspect > WIDE else SAMPLES_IN / 4 / aspect
        if self.view is None:
            return max(images, 1.5)
        aspect = _aspect(self.view)
        view = 2 * VIEW_IN / aspect if aspect > WIDE else _half(VIEW_IN) / aspect
        return max(images, view, 1.5)


def draw_sheet(rows: Sequence[Row], heading: str, dpi: int = 140) -> bytes:
    """Return the rows as a PNG.

    Colours go from near (red) to far (blue) of each set, and are those of the bars of its
    histogram: the bars are the legend. Where depth is sparse, its points are drawn larger than a
    pixel and on the image, so that they can be compared with what is under them.
    """
    from matplotlib.figure import Figure

    with_views = any(row.view is not None for row in rows)
    width = SAMPLES_IN + HISTOGRAM_IN + (VIEW_IN if with_views else 0.0) + 5 * GAP_IN
    heights = [row.title_in + row.height_in + BELOW_IN for row in rows]
    total = sum(heights) + HEADING_IN
    figure = Figure(figsize=(width, total), dpi=dpi, facecolor="white")
    figure.text(
        GAP_IN / width, 1 - 0.14 / total, heading, size=13, weight="bold", color=INK, va="top"
    )
    top = total - HEADING_IN
    for row, height in zip(rows, heights, strict=True):
        _Page(figure, width, total).draw(row, top)
        top -= height
    data = io.BytesIO()
    figure.savefig(data, format="png")
    return data.getvalue()


class _Page:
    """Places things in inches from the left and from the bottom."""

    def __init__(self, figure: Figure, width: float, height: float) -> None:
        self._figure, self._width, self._height = figure, width, height

    def draw(self, row: Row, top: float) -> None:
        near, far = color_limits(row.found)
        rule = self._axes(GAP_IN, top, self._width - 2 * GAP_IN, 0.01)
        rule.set_facecolor("#d9d9de")
        rule.set(xticks=[], yticks=[])
        rule.spines[:].set_visible(False)
        self._text(row.title, GAP_IN, top - 0.07, size=10.5, weight="bold", color=INK)
        self._text(row.facts, GAP_IN, top - 0.07 - LINE_IN, size=8.5, color=FAINT)
        if row.warnings:
            more = f"  (and {len(row.warnings) - 1} more)" if len(row.warnings) > 1 else ""
            words = f"! {row.warnings[0]}{more}"
            self._text(words, GAP_IN, top - 0.07 - 2 * LINE_IN, size=8.5, color=WARNING)
        top -= row.title_in
        self._samples(row, top, near, far)
        left = SAMPLES_IN + 2 * GAP_IN
        axes = self._axes(left + 0.1, top, HISTOGRAM_IN - 0.2, row.height_in - 0.05)
        draw_histogram(axes, row.found, near, far)
        if row.view is not None:
            self._view(row.view, top, near, far)

    def _samples(self, row: Row, top: float, near: float, far: float) -> None:
        wide = _aspect(row.shown[0]) > WIDE
        width = _half(SAMPLES_IN) if wide else (SAMPLES_IN - 3 * GAP_IN / 2) / 4
        left = GAP_IN
        for sample in row.shown:
            height = width / _aspect(sample)
            self._place_image(sample.rgb, left, top, width, height)
            depth = draw_depth(sample, near, far)
            self._place_image(depth, left + width + GAP_IN / 2, top, width, height)
            if wide:
                top -= height + GAP_IN / 2
            else:
                left += 2 * (width + GAP_IN / 2)

    def _view(self, view: Sample, top: float, near: float, far: float) -> None:
        left = SAMPLES_IN + HISTOGRAM_IN + 3.5 * GAP_IN
        wide = _aspect(view) > WIDE
        width = VIEW_IN if wide else _half(VIEW_IN)
        height = width / _aspect(view)
        caption = f"to the network, {view.rgb.shape[1]}x{view.rgb.shape[0]}"
        self._place_image(view.rgb, left, top, width, height)
        down, right = (height + GAP_IN / 2, 0.0) if wide else (0.0, width + GAP_IN / 2)
        self._place_image(draw_depth(view, near, far), left + right, top - down, width, height)
        self._text(caption, left, top - down - height - 0.04, size=8, color=FAINT)

    def _place_image(
        self, image: npt.NDArray, left: float, top: float, width: float, height: float
    ) -> None:
        axes = self._axes(left, top, width, height)
        axes.imshow(image, aspect="auto", interpolation="antialiased")
        axes.set_axis_off()

    def _axes(self, left: float, top: float, width: float, height: float) -> Axes:
        x, y = left / self._width, (top - height) / self._height
        return self._figure.add_axes((x, y, width / self._width, height / self._height))

    def _text(self, words: str, left: float, top: float, **style: Any) -> None:
        x, y = left / self._width, top / self._height
        self._figure.text(x, y, words, va="top", **style)


def draw_depth(sample: Sample, near: float, far: float) -> npt.NDArray[np.uint8]:
    """Return depth as colours, ``(H, W, 3)`` uint8; sparse depth as points on the dimmed image."""
    known = np.isfinite(sample.depth)
    if known.mean() > SPARSE:
        return colorize(sample.depth, min_depth=near, max_depth=far)
    # Just large enough to be seen when the image is shrunk; the nearest point is drawn on top.
    size = max(3, 2 * int(known.shape[1] / SHOWN_PX / 2.0) + 1)
    filled = np.where(known, sample.depth, np.float32(np.inf))
    filled = cv2.erode(filled, np.ones((size, size), np.uint8)).astype(np.float32)
    grey = cv2.cvtColor(cv2.cvtColor(sample.rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    drawn = (0.55 * grey).astype(np.uint8)
    points = np.isfinite(filled)
    drawn[points] = colorize(filled, min_depth=near, max_depth=far)[points]
    return drawn


def color_limits(found: SetSurvey) -> tuple[float, float]:
    """Near and far end of a set's colours, metres: most of its depths lie between."""
    near, far = found.percentiles((2, 98))
    if not np.isfinite(near):
        return 0.1, found.samples.cap_m
    return max(near, 1e-3), max(far, 1.05 * near, 2e-3)


def draw_histogram(axes: Axes, found: SetSurvey, near: float, far: float) -> None:
    """Return how depth is spread, on a logarithmic axis, with the median and the scored cap."""
    from matplotlib.ticker import FuncFormatter, LogLocator

    depths = found.depths[found.depths > 0]
    axes.set_xscale("log")
    if depths.size:
        low, high = np.percentile(depths, (0.1, 99.9))
        low, high = min(low, 0.9 * near), max(high, 1.1 * far)
        edges = np.geomspace(low, high, 49)
        shares = 100.0 * np.histogram(depths, edges)[0] / depths.size
        middles = np.sqrt(edges[:-1] * edges[1:]).astype(np.float32)
        colors = colorize(middles[np.newaxis], min_depth=near, max_depth=far)[0] / 255.0
        axes.bar(edges[:-1], shares, np.diff(edges), align="edge", color=colors)
        median = float(np.median(depths))
        axes.axvline(median, color=INK, linewidth=1.0)
        _mark(axes, median, f" median {median:.3g} m")
        cap = found.samples.cap_m
        if low < cap < high:
            axes.axvline(cap, color=INK, linewidth=1.0, linestyle=":")
        axes.set_xlim(low, high)
        axes.set_ylim(0, 1.22 * shares.max())
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(lambda *_: "")
    axes.tick_params(labelsize=8, colors=FAINT)
    axes.set_yticks([])
    axes.set_xlabel("metres", size=8, color=FAINT, labelpad=1)
    for side in ("top", "left", "right"):
        axes.spines[side].set_visible(False)


def _mark(axes: Axes, x: float, words: str) -> None:
    left, right = np.log(axes.get_xlim())
    ahead = (np.log(x) - left) / (right - left) < 0.6
    axes.text(
        x,
        0.99,
        words if ahead else f"{words.strip()} ",
        size=8,
        color=INK,
        transform=axes.get_xaxis_transform(),
        va="top",
        ha="left" if ahead else "right",
    )


def _aspect(sample: Sample) -> float:
    return sample.rgb.shape[1] / sample.rgb.shape[0]


def _half(width: float) -> float:
    return (width - GAP_IN / 2) / 2
