"""How long frames took: a histogram with percentiles, as inline SVG."""

from __future__ import annotations

import math

import numpy as np

from depth_estimation_ros.apps.replay.report.axes import (
    LEFT,
    RIGHT,
    Axis,
    chart,
    round_step,
    x_axis,
    y_axis,
)
from depth_estimation_ros.apps.replay.report.camera_frames import Floats, percentiles
from depth_estimation_ros.apps.replay.report.markup import Markup, element, joined

BINS = 48
MARKED = ("p50", "p90", "p99")
LABEL_WIDTH = 80


def histogram(values: Floats, low: float, high: float, name: str) -> Markup:
    """How often a time was how long, with p50, p90 and p99 marked.

    Args:
        values: (N,) milliseconds, finite, one or more.
        low, high: ends of the axis, milliseconds; what is longer is counted in the last bar.
        name: of the times, for those who cannot see the chart.
    """
    top, bottom = 58, 168
    counts, edges = np.histogram(np.minimum(values, high), bins=BINS, range=(low, high))
    step = max(1.0, round_step(counts.max() / 3))
    x = Axis(low, high, LEFT, RIGHT)
    y = Axis(0, step * math.ceil(counts.max() / step), bottom, top)
    bars = [
        element(
            "rect",
            x=x(edges[i]),
            y=y(count),
            width=round(x(edges[i + 1]) - x(edges[i]) - 0.6, 1),
            height=round(bottom - y(count), 1),
            class_="bar",
        )
        for i, count in enumerate(counts)
        if count
    ]
    found = percentiles(values)
    lines, labels = [], []
    for i, mark in enumerate(MARKED):
        place, baseline = x(min(found[mark], high)), 14 + 15 * i
        at_right = place < RIGHT - LABEL_WIDTH
        ends = {"x1": place, "x2": place, "y1": baseline - 10, "y2": bottom}
        lines.append(element("line", **ends, class_=f"mark {mark}"))
        at = {"x": place + (4 if at_right else -4), "y": baseline}
        anchor = "start" if at_right else "end"
        text = f"{mark} {found[mark]:.4g}"
        labels.append(element("text", text, **at, text_anchor=anchor, class_="strong"))
    numbers = ", ".join(f"{mark} {value:.4g} ms" for mark, value in found.items())
    axes = joined(
        y_axis(y, LEFT, RIGHT, "frames", min(3, int(y.high))), x_axis(x, top, bottom, "ms")
    )
    return chart(
        bottom + 40,
        f"Histogram of the {name} of {len(values)} frames: {numbers}",
        joined(axes, *bars, *lines, *labels),  # labels last, as lines of others pass below them
    )


def time_range(*series: Floats) -> tuple[float, float]:
    """Ends of an axis, round, that hold all values but the longest 0.5 %: (low, high)."""
    known = np.concatenate([values[np.isfinite(values)] for values in series])
    low, high = float(known.min()), float(np.percentile(known, 99.5))
    step = round_step(max((high - low) / 8, high / 100, 1e-3))
    low = 0.0 if low < 0.4 * high else step * math.floor(low / step)
    high = step * math.ceil(high / step)
    return low, high if high > low else low + step
