"""What happened when: depth over time and the strip of frames, as inline SVG."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.apps.replay.report.axes import (
    LEFT,
    RIGHT,
    Axis,
    chart,
    round_step,
    x_axis,
    y_axis,
)
from depth_estimation_ros.apps.replay.report.camera_frames import Floats, Frames, Gap
from depth_estimation_ros.apps.replay.report.markup import Markup, element, joined

POINTS = 240  # of a line over time; more frames than that are taken together
COLUMNS = 600  # of the strip


def depth_over_time(frames: Frames, start_ns: int, gaps: Sequence[Gap], name: str) -> Markup:
    """The median depth with the band from the 5th to the 95th percentile of the pixels.

    Args:
        frames: of a camera, with one or more finite depths.
        start_ns: second 0 of the axis.
        gaps: where the line breaks.
        name: of the camera, for those who cannot see the chart.
    """
    top, bottom = 26, 186
    good = np.isfinite(frames.depth_p5 + frames.depth_median + frames.depth_p95)
    seconds = (frames.stamp_ns[good] - start_ns) / 1e9
    runs = _runs(frames.stamp_ns[good], gaps)
    lines = np.stack([frames.depth_p5, frames.depth_median, frames.depth_p95])[:, good]
    last = max(float(seconds[-1]), 1e-3)
    high = float(np.percentile(lines[2], 99.5))
    step = round_step(max(high / 5, 1e-3))
    x = Axis(0.0, last, LEFT, RIGHT)
    y = Axis(0.0, step * math.ceil(high / step), bottom, top)
    drawn = []
    for run in runs:
        t, (p5, p50, p95) = _thinned(seconds[run], lines[:, run], last / POINTS)
        p95 = np.minimum(p95, y.high)
        if len(t) == 1:  # a frame by itself
            t, p5, p50, p95 = (np.repeat(v, 2) for v in (t, p5, p50, p95))
            t = t + np.array([-0.5, 0.5]) * last / POINTS
        upper, lower = _points(x, y, t, p95), _points(x, y, t[::-1], p5[::-1])
        drawn.append(element("path", d=f"M{upper} L{lower} Z", class_="band"))
        drawn.append(element("path", d=f"M{_points(x, y, t, p50)}", class_="line"))
    axes = joined(y_axis(y, LEFT, RIGHT, "m"), x_axis(x, top, bottom, "seconds"))
    label = (
        f"Depth of {name} over {last:.4g} s: the median of the pixels lies between "
        f"{lines[1].min():.3g} m and {lines[1].max():.3g} m"
    )
    return chart(bottom + 40, label, joined(axes, *drawn))


def _runs(stamps: npt.NDArray[np.int64], gaps: Sequence[Gap]) -> list[slice]:
    """Frames between gaps."""
    ends = np.searchsorted(stamps, [gap.end_ns for gap in gaps])
    borders = sorted({0, len(stamps), *(int(end) for end in ends)})
    return [slice(a, b) for a, b in itertools.pairwise(borders)]


def _thinned(seconds: Floats, lines: Floats, width: float) -> tuple[Floats, Floats]:
    """Medians over bins of this many seconds; (M,) and (K, M) of (N,) and (K, N)."""
    bins = (seconds / width).astype(np.int64)
    starts = np.flatnonzero(np.diff(bins, prepend=-1))
    if len(starts) == len(seconds):
        return seconds, lines
    parts = np.split(np.vstack([seconds, lines]), starts[1:], axis=1)
    medians = np.stack([np.median(part, axis=1) for part in parts], axis=1)
    return medians[0], medians[1:]


def _points(x: Axis, y: Axis, xs: Floats, ys: Floats) -> str:
    return " ".join(f"{x(a)},{y(b)}" for a, b in zip(xs, ys, strict=True))


def strip(frames: Frames, start_ns: int, end_ns: int, gaps: Sequence[Gap], name: str) -> Markup:
    """A bar over time: where there were frames, bad ones, and none.

    It has no text, so it may be stretched; a gap or a bad frame is at least 1/600 of it wide.
    """
    span = max(end_ns - start_ns, 1)

    def column(stamp: int) -> int:
        return min(COLUMNS - 1, (stamp - start_ns) * COLUMNS // span)

    states = np.zeros(COLUMNS, np.int8)  # 0 nothing, 1 frames, 2 missing, 3 bad
    states[column(int(frames.stamp_ns[0])) : column(int(frames.stamp_ns[-1])) + 1] = 1
    for gap in gaps:
        a, b = column(gap.start_ns), column(gap.end_ns)
        # Columns whole within the gap; in a gap narrower than one, the column it lies in.
        states[a + 1 if b > a + 1 else a : max(b, a + 1)] = 2 if gap.missing else 0
    for stamp in frames.stamp_ns[~frames.ok]:
        states[column(int(stamp))] = 3
    borders = [0, *(int(i) + 1 for i in np.flatnonzero(np.diff(states))), COLUMNS]
    parts = [
        element("rect", x=a, y=0, width=b - a, height=10, class_=_STATES[states[a]])
        for a, b in itertools.pairwise(borders)
        if states[a]
    ]
    missing = sum(gap.missing for gap in gaps)
    label = (
        f"{name} over time: {len(frames)} frames, {int((~frames.ok).sum())} bad, "
        f"about {missing} missing"
    )
    return element(
        "svg",
        *parts,
        viewBox=f"0 0 {COLUMNS} 10",
        preserveAspectRatio="none",
        class_="strip",
        role="img",
        aria_label=label,
    )


_STATES = ("", "received", "missing", "bad")
