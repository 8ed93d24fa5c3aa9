"""Charts as inline SVG, and images as data URIs, for the report of a replay."""

from __future__ import annotations

import base64
import io
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from depth_estimation_ros.apps.replay.report.footage import Depth, Rgb
from depth_estimation_ros.apps.replay.report.frames import Floats, Frames, Gap, percentiles
from depth_estimation_ros.visualization import add_legend, colorize, colorize_error
from depth_estimation_ros.visualization.figures import STYLE, render_cloud

LINE_POINTS = 240  # of a line over time; more frames than that are put together
STRIP_COLUMNS = 600
NOTHING, RECEIVED, MISSING, BAD = range(4)
STATE_COLORS = ("#ffffff", "#3f9b6c", "#d3364c", "#e08a00")
HISTOGRAM_BINS = 48

PANEL_WIDTH = 360  # pixels
CLOUD_SIZE = (540, 360)
JPEG_QUALITY = 82


@dataclass(frozen=True)
class Image:
    """An image of the page.

    Attributes:
        caption: below it.
        alt: what is to be seen, in words.
        uri: of the JPEG; empty where the page is full.
        width, height: pixels.
    """

    caption: str
    alt: str
    uri: str
    width: int
    height: int


class Album:
    """Encodes images as long as the page has room for them.

    Args:
        max_bytes: of all images together.
    """

    def __init__(self, max_bytes: int) -> None:
        self.bytes_left = max_bytes
        self.left_out = 0

    def add(self, rgb: Rgb, alt: str, caption: str) -> Image:
        """Return an (H, W, 3) uint8 RGB image for the page, without pixels where it is full."""
        bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
        _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        uri = "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
        if len(uri) > self.bytes_left:
            self.left_out += 1
            uri = ""
        self.bytes_left -= len(uri)
        return Image(caption, alt, uri, rgb.shape[1], rgb.shape[0])


def camera_panel(rgb: Rgb) -> Rgb:
    """Return the camera image at the width of a panel."""
    size = _panel_size(rgb.shape)
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def depth_panel(depth: Depth, near: float, far: float, color_map: str) -> Rgb:
    """Return depth in colours from near to far (metres), with a legend."""
    colors = colorize(_fit(depth), min_depth=near, max_depth=far, color_map=color_map)
    return add_legend(colors, near, far, color_map)


def error_panel(depth: Depth, truth: Depth) -> Rgb:
    """Return the relative error in colours: blue too near, white right, red too far."""
    return colorize_error(_fit(depth), _fit(truth))


def cloud_panel(points: Depth, rgb: Rgb) -> Rgb | None:
    """Return a cloud as seen from next to its camera; None if it has no finite point."""
    if not np.isfinite(points).all(axis=-1).any():
        return None
    if points.shape[0] == 1:
        points, rgb = points[0], rgb[0]  # not organised
    return render_cloud(points, rgb, width=CLOUD_SIZE[0], height=CLOUD_SIZE[1])


def _panel_size(shape: tuple[int, ...]) -> tuple[int, int]:
    return PANEL_WIDTH, max(1, round(PANEL_WIDTH * shape[0] / shape[1]))


def _fit(depth: Depth) -> Depth:
    # Nearest pixels: a blend of two depths is a depth that was never measured.
    size = _panel_size(depth.shape)
    return np.asarray(cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST), np.float32)


def draw_depth_over_time(frames: Frames, start_ns: int, gaps: Sequence[Gap], name: str) -> str:
    """Return the median depth over time with the band from its 5th to its 95th percentile, as SVG.

    Args:
        frames: of a camera, with at least one finite depth.
        start_ns: second 0 of the axis.
        gaps: where the line breaks.
        name: of the camera.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.0, 2.6), layout="constrained")
        axes = figure.add_subplot(xlabel="seconds", ylabel="metres")
        for seconds, (p5, p50, p95) in depth_lines(frames, start_ns, gaps):
            axes.fill_between(seconds, p5, p95, color="#b7d1ee", linewidth=0)
            axes.plot(seconds, p50, color="#14589c", marker="." if len(seconds) == 1 else "")
        known = frames.depth_p95[np.isfinite(frames.depth_p95)]
        axes.set_ylim(0.0, 1.05 * float(np.percentile(known, 99.5)))
        median = frames.depth_median[np.isfinite(frames.depth_median)]
        words = f"from {median.min():.3g} m to {median.max():.3g} m"
        return _svg(figure, f"Depth of {name} over time: medians {words}")


def draw_scale_over_time(frames: Frames, start_ns: int, name: str) -> str:
    """Return the measured scale of the depth over time as SVG.

    Args:
        frames: of a camera, with at least one finite scale.
        start_ns: second 0 of the axis.
        name: of the camera.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.0, 2.0), layout="constrained")
        axes = figure.add_subplot(xlabel="seconds", ylabel="scale")
        axes.plot((frames.stamp_ns - start_ns) / 1e9, frames.scale, color="#14589c")
        axes.set_ylim(0.0, 1.2 * float(np.nanmax(frames.scale)))
        words = f"from {np.nanmin(frames.scale):.3g} to {np.nanmax(frames.scale):.3g}"
        return _svg(figure, f"Scale of {name} over time: {words}")


def depth_lines(frames: Frames, start_ns: int, gaps: Sequence[Gap]) -> list[tuple[Floats, Floats]]:
    """Return seconds (M,) and percentiles 5, 50, 95 in metres (3, M), one pair a run without gaps.

    Of long recordings the frames of a bin of time are put together by their median.
    """
    percentile = np.stack([frames.depth_p5, frames.depth_median, frames.depth_p95])
    good = np.isfinite(percentile).all(axis=0)
    stamps = frames.stamp_ns[good]
    table = np.vstack([(stamps - start_ns) / 1e9, percentile[:, good]])
    width = max(float(table[0, -1]), 1e-3) / LINE_POINTS
    ends = np.searchsorted(stamps, [gap.end_ns for gap in gaps])
    lines = []
    for run in np.split(table, np.unique(ends), axis=1):
        if run.size:
            bins = np.flatnonzero(np.diff((run[0] / width).astype(np.int64)))
            parts = np.split(run, bins + 1, axis=1)
            thinned = np.stack([np.median(part, axis=1) for part in parts], axis=1)
            lines.append((thinned[0], thinned[1:]))
    return lines


def draw_strip(frames: Frames, start_ns: int, end_ns: int, gaps: Sequence[Gap], name: str) -> str:
    """Return a bar over time as SVG: frames received, missing and bad."""
    states = strip_states(frames, start_ns, end_ns, gaps)
    with matplotlib.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(9.6, 0.75), layout="constrained")
        axes = figure.add_subplot(xlabel="seconds", yticks=[])
        axes.spines[:].set_visible(False)
        axes.imshow(
            states[np.newaxis],
            cmap=ListedColormap(STATE_COLORS),
            vmin=NOTHING,
            vmax=BAD,
            aspect="auto",
            interpolation="nearest",
            extent=(0.0, (end_ns - start_ns) / 1e9, 0.0, 1.0),
        )
        missing = sum(gap.missing for gap in gaps)
        words = f"{len(frames)} frames, {int((~frames.ok).sum())} bad, about {missing} missing"
        return _svg(figure, f"{name} over time: {words}")


def strip_states(
    frames: Frames, start_ns: int, end_ns: int, gaps: Sequence[Gap]
) -> npt.NDArray[np.int8]:
    """Return (STRIP_COLUMNS,) NOTHING, RECEIVED, MISSING or BAD.

    A gap or a bad frame takes at least one column, however long the recording is.
    """
    span = max(end_ns - start_ns, 1)

    def column(stamp: int) -> int:
        return min(STRIP_COLUMNS - 1, (int(stamp) - start_ns) * STRIP_COLUMNS // span)

    states = np.full(STRIP_COLUMNS, NOTHING, np.int8)
    states[column(frames.stamp_ns[0]) : column(frames.stamp_ns[-1]) + 1] = RECEIVED
    for gap in gaps:
        a, b = column(gap.start_ns), column(gap.end_ns)
        # The columns inside the gap; of a gap narrower than one, the column it lies in.
        states[a + 1 if b > a + 1 else a : max(b, a + 1)] = MISSING if gap.missing else NOTHING
    for stamp in frames.stamp_ns[~frames.ok]:
        states[column(stamp)] = BAD
    return states


def draw_histogram(values: Floats, high: float, name: str) -> str:
    """Return how often a time was how long, with p50, p90 and p99 marked, as SVG.

    Args:
        values: (N,) milliseconds, finite, N > 0.
        high: end of the axis, milliseconds; longer times are counted in the last bar.
        name: of the times.
    """
    found = percentiles(values)
    low = min(float(values.min()), high)
    low = 0.0 if low < 0.4 * high else low
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.0, 2.4), layout="constrained")
        axes = figure.add_subplot(xlabel=f"{name} time, ms", ylabel="frames")
        axes.hist(np.minimum(values, high), bins=HISTOGRAM_BINS, range=(low, high), color="#8fb5df")
        for mark, line in (("p50", "-"), ("p90", "--"), ("p99", ":")):
            at = min(found[mark], high)
            axes.axvline(at, color="#22262e", linestyle=line, label=f"{mark} {found[mark]:.4g}")
        axes.legend(fontsize=10)
        numbers = ", ".join(f"{mark} {value:.4g} ms" for mark, value in found.items())
        return _svg(figure, f"Histogram of the {name} time of {len(values)} frames: {numbers}")


def time_axis_end(*series: Floats) -> float:
    """Return the end of an axis in milliseconds that holds all times but the longest 0.5 %."""
    known = np.concatenate([values[np.isfinite(values)] for values in series])
    return max(1.05 * float(np.percentile(known, 99.5)), 1e-3)


_ids = itertools.count()


def _svg(figure: Figure, label: str) -> str:
    """Return the figure as an <svg> that can stand in a page with others."""
    FigureCanvasSVG(figure)
    text = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": f"{label} {next(_ids)}"}):
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)
    used = set(re.findall(r'[("]#([^)"]+)', svg))
    svg = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", svg)
    words = label.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return svg.replace("<svg", f'<svg role="img" aria-label="{words}"', 1)
