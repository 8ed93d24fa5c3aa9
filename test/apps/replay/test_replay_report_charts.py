"""The report's charts: what is drawn lies where the numbers say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from html_page import Element, Page

from depth_estimation_ros.apps.replay.report.axes import LEFT, RIGHT, Axis, round_step
from depth_estimation_ros.apps.replay.report.camera_frames import (
    Frames,
    Gap,
    find_gaps,
    percentiles,
    period_ns,
)
from depth_estimation_ros.apps.replay.report.histogram import histogram, time_range
from depth_estimation_ros.apps.replay.report.markup import Markup, element
from depth_estimation_ros.apps.replay.report.timeline import COLUMNS, depth_over_time, strip

MS = 1_000_000
S = 1_000_000_000


def drawn(markup: Markup, folder: Path) -> Element:
    """The chart as its elements."""
    path = folder / "chart.html"
    path.write_text(markup)
    return Page(path).root.children[0]


def frames(seconds: list[float], median: list[float], bad: tuple[int, ...] = ()) -> Frames:
    """Frames at these seconds with these depths, from half to twice of it."""
    stamps = np.array([round(s * S) for s in seconds], np.int64)
    depth = np.array(median, np.float64)
    depth[list(bad)] = np.nan
    ok = ~np.isnan(depth)
    ones = np.ones(len(stamps))
    return Frames(stamps, stamps, ok, ones, ones, depth / 2, depth, depth * 2, ones)


def points(path: Element) -> np.ndarray:
    """(N, 2) pixels of a path of straight lines."""
    words = path.attributes["d"].replace("M", "").replace("L", "").replace("Z", "").split()
    return np.array([[float(v) for v in word.split(",")] for word in words])


def test_bars_count_the_frames(tmp_path: Path) -> None:
    values = np.array([10.0] * 6 + [20.0] * 3 + [30.0])
    chart = drawn(histogram(values, 0.0, 48.0, "engine time"), tmp_path)  # a bar is 1 ms wide
    bars = chart.all("rect", "bar")
    x = Axis(0.0, 48.0, LEFT, RIGHT)
    assert [bar.numbers("x")[0] for bar in bars] == [x(10), x(20), x(30)]
    heights = [bar.numbers("height")[0] for bar in bars]
    np.testing.assert_allclose(heights, 110 * np.array([6, 3, 1]) / 6, atol=0.1)
    assert [bar.numbers("y")[0] + h for bar, h in zip(bars, heights, strict=True)] == [168.0] * 3


def test_percentiles_are_marked_where_they_are(tmp_path: Path) -> None:
    values = np.linspace(50.0, 150.0, 101)
    chart = drawn(histogram(values, 0.0, 200.0, "engine time"), tmp_path)
    x = Axis(0.0, 200.0, LEFT, RIGHT)
    marks = [mark.numbers("x1", "x2") for mark in chart.all("line", "mark")]
    assert marks == [[x(v)] * 2 for v in (100.0, 140.0, 149.0)]
    words = [text.text for text in chart.all("text", "strong")]
    assert words == ["p50 100", "p90 140", "p99 149"]
    assert chart.attributes["aria-label"] == (
        "Histogram of the engine time of 101 frames: p50 100 ms, p90 140 ms, p99 149 ms, max 150 ms"
    )


def test_what_is_longer_than_the_axis_is_in_the_last_bar(tmp_path: Path) -> None:
    values = np.array([10.0, 10.0, 500.0])
    bars = drawn(histogram(values, 0.0, 48.0, "engine time"), tmp_path).all("rect", "bar")
    x = Axis(0.0, 48.0, LEFT, RIGHT)
    assert [bar.numbers("x")[0] for bar in bars] == [x(10), x(47)]


@pytest.mark.parametrize(
    ("values", "ends"),
    [
        ([1.0, 9.0], (0.0, 9.0)),
        ([80.0, 95.0], (80.0, 96.0)),
        ([100.0, 100.0], (100.0, 101.0)),
        ([0.0, 0.0], (0.0, 0.001)),
    ],
)
def test_the_axis_of_times_is_round(values: list[float], ends: tuple[float, float]) -> None:
    assert time_range(np.array(values)) == pytest.approx(ends)


def test_one_slow_frame_does_not_squeeze_the_others() -> None:
    values = np.array([10.0] * 999 + [5000.0])
    assert time_range(values)[1] < 20


def test_depth_lies_at_its_second_and_its_metres(tmp_path: Path) -> None:
    chart = drawn(
        depth_over_time(frames([1.0, 2.0, 5.0], [2.0, 4.0, 1.0]), 0, [], "/camera"), tmp_path
    )
    x, y = Axis(0.0, 5.0, LEFT, RIGHT), Axis(0.0, 8.0, 186, 26)
    line = points(chart.all("path", "line")[0])
    np.testing.assert_allclose(line, [[x(1), y(2)], [x(2), y(4)], [x(5), y(1)]])
    band = points(chart.all("path", "band")[0])
    upper, lower = [y(4), y(8), y(2)], [y(0.5), y(2), y(1)]
    np.testing.assert_allclose(band[:3, 1], upper, atol=0.35)  # the farthest 0.5 % are cut off
    np.testing.assert_allclose(band[3:, 1], lower)


def test_the_line_breaks_where_frames_are_missing(tmp_path: Path) -> None:
    shown = frames([0.0, 0.1, 0.2, 1.0, 1.1], [2.0] * 5)
    gaps = find_gaps(shown.stamp_ns, period_ns(shown.stamp_ns))
    lines = drawn(depth_over_time(shown, 0, gaps, "/camera"), tmp_path).all("path", "line")
    assert [len(points(line)) for line in lines] == [3, 2]


def test_a_long_recording_is_drawn_with_few_points(tmp_path: Path) -> None:
    seconds = [i / 30 for i in range(20_000)]
    shown = frames(seconds, [2.0] * 20_000)
    lines = drawn(depth_over_time(shown, 0, [], "/camera"), tmp_path).all("path", "line")
    assert len(lines) == 1
    assert len(points(lines[0])) <= 241
    np.testing.assert_allclose(points(lines[0])[:, 1], points(lines[0])[0, 1])


def states(chart: Element) -> list[tuple[str, float, float]]:
    """State, beginning and end of the parts of a strip, as shares of its length."""
    found = []
    for rect in chart.all("rect"):
        x, width = rect.numbers("x", "width")
        found.append((rect.attributes["class"], x / COLUMNS, (x + width) / COLUMNS))
    return found


def test_the_strip_shows_gaps_and_bad_frames_at_their_time(tmp_path: Path) -> None:
    shown = frames([float(i) for i in range(101) if i not in (20, 21)], [1.0] * 99, bad=(48,))
    gaps = find_gaps(shown.stamp_ns, S)
    chart = drawn(strip(shown, 0, 100 * S, gaps, "/camera"), tmp_path)
    expected = [
        ("received", 0.0, 0.19),
        ("missing", 0.19, 0.22),
        ("received", 0.22, 0.50),
        ("bad", 0.50, 0.50),
        ("received", 0.50, 1.0),
    ]
    found = states(chart)
    assert [name for name, _, _ in found] == [name for name, _, _ in expected]
    for (_, a, b), (_, start, end) in zip(found, expected, strict=True):
        assert (a, b) == pytest.approx((start, end), abs=2 / COLUMNS)
    words = "/camera over time: 99 frames, 1 bad, about 2 missing"
    assert chart.attributes["aria-label"] == words


def test_the_strip_of_a_camera_that_began_late_and_paused(tmp_path: Path) -> None:
    shown = frames([100.0, 101.0, 102.0, 198.0, 199.0, 200.0], [1.0] * 6)
    gaps = find_gaps(shown.stamp_ns, S)
    assert gaps == [Gap(102 * S, 198 * S, 0)]
    found = states(drawn(strip(shown, 0, 200 * S, gaps, "/camera"), tmp_path))
    assert [name for name, _, _ in found] == ["received", "received"]
    assert found[0][1] == 0.5


def test_a_short_gap_in_a_long_recording_can_still_be_seen(tmp_path: Path) -> None:
    shown = frames([i / 10 for i in range(100_000) if i != 50_000], [1.0] * 99_999)
    gaps = find_gaps(shown.stamp_ns, 100.0 * MS)
    found = states(drawn(strip(shown, 0, 9999 * S, gaps, "/camera"), tmp_path))
    assert [name for name, _, _ in found] == ["received", "missing", "received"]
    assert found[1][2] - found[1][1] == pytest.approx(1 / COLUMNS)


@pytest.mark.parametrize(
    ("stamps", "rate", "gaps"),
    [
        ([0, 33, 66, 99], 0.0, []),
        ([0, 33, 66, 115, 148, 181], 0.0, []),  # 49 ms: late, but none is missing
        ([0, 33, 66, 132, 165], 0.0, [(66, 132, 1)]),
        ([0, 100, 100, 200, 300], 0.0, []),
        # Frames of 30 Hz chosen at 20 Hz are now one, now two periods apart.
        ([0, 33, 66, 133, 166, 199], 20.0, []),
        ([0, 33, 66, 133, 166, 199], 0.0, [(66, 133, 1)]),
        ([5], 0.0, []),
        ([], 0.0, []),
    ],
)
def test_gaps(stamps: list[int], rate: float, gaps: list[tuple[int, int, int]]) -> None:
    ns = np.array(stamps, np.int64) * MS
    found = find_gaps(ns, period_ns(ns, rate))
    assert found == [Gap(a * MS, b * MS, missing) for a, b, missing in gaps]


def test_percentiles_leave_out_what_is_not_known() -> None:
    found = percentiles(np.array([np.nan, 1.0, 3.0]))
    assert found == pytest.approx({"p50": 2.0, "p90": 2.8, "p99": 2.98, "max": 3.0})
    assert percentiles(np.array([np.nan])) == {}


@pytest.mark.parametrize(
    ("least", "step"), [(0.03, 0.05), (1.0, 1.0), (1.2, 2.0), (2.1, 5.0), (7.0, 10.0)]
)
def test_round_steps(least: float, step: float) -> None:
    assert round_step(least) == pytest.approx(step)


def test_ticks_are_round_and_within_the_axis() -> None:
    assert Axis(0.0, 10.0, 0, 100).ticks(5) == [0, 2, 4, 6, 8, 10]
    assert Axis(82.0, 121.0, 0, 100).ticks(5) == [90, 100, 110, 120]
    assert Axis(0.0, 0.3, 0, 100).ticks(3) == [0, 0.1, 0.2, 0.3]


def test_text_is_escaped_and_markup_is_not() -> None:
    inner = element("b", "1 < 2")
    assert element("p", inner, ' & "', title='a"b') == (
        '<p title="a&quot;b"><b>1 &lt; 2</b> &amp; "</p>'
    )
