"""The report's charts: lines, strip and gaps lie where the numbers say."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from depth_estimation_ros.apps.replay.report import charts
from depth_estimation_ros.apps.replay.report.charts import BAD, MISSING, NOTHING, RECEIVED
from depth_estimation_ros.apps.replay.report.frames import (
    Frames,
    Gap,
    find_gaps,
    percentiles,
    period_ns,
)

MS = 1_000_000
S = 1_000_000_000
COLUMNS = charts.STRIP_COLUMNS


def frames(seconds: list[float], median: list[float], bad: tuple[int, ...] = ()) -> Frames:
    """Frames at these seconds with these depths, from half to twice of it."""
    stamps = np.array([round(s * S) for s in seconds], np.int64)
    depth = np.array(median, np.float64)
    depth[list(bad)] = np.nan
    ok = ~np.isnan(depth)
    ones = np.ones(len(stamps))
    return Frames(
        stamps,
        stamps,
        ok,
        ones,
        ones,
        depth / 2,
        depth,
        depth * 2,
        ones,
        np.full_like(ones, np.nan),
    )


def test_depth_lies_at_its_second_and_its_metres() -> None:
    ((seconds, lines),) = charts.depth_lines(frames([1.0, 2.0, 5.0], [2.0, 4.0, 1.0]), 0, [])
    np.testing.assert_allclose(seconds, [1, 2, 5])
    np.testing.assert_allclose(lines, [[1, 2, 0.5], [2, 4, 1], [4, 8, 2]])


def test_line_breaks_where_frames_are_missing() -> None:
    shown = frames([0.0, 0.1, 0.2, 1.0, 1.1], [2.0] * 5)
    gaps = find_gaps(shown.stamp_ns, period_ns(shown.stamp_ns))
    assert [len(seconds) for seconds, _ in charts.depth_lines(shown, 0, gaps)] == [3, 2]


def test_long_recording_is_drawn_with_few_points() -> None:
    shown = frames([i / 30 for i in range(20_000)], [2.0] * 20_000)
    ((seconds, lines),) = charts.depth_lines(shown, 0, [])
    assert len(seconds) <= charts.LINE_POINTS + 1
    np.testing.assert_allclose(lines[1], 2.0)


def test_charts_say_their_numbers() -> None:
    shown = frames([1.0, 2.0, 5.0], [2.0, 4.0, 1.0], bad=(1,))
    svg = charts.draw_depth_over_time(shown, 0, [], "/camera")
    assert 'aria-label="Depth of /camera over time: medians from 1 m to 2 m"' in svg
    svg = charts.draw_histogram(np.linspace(50.0, 150.0, 101), 200.0, "engine")
    numbers = "p50 100 ms, p90 140 ms, p99 149 ms, max 150 ms"
    assert f'aria-label="Histogram of the engine time of 101 frames: {numbers}"' in svg
    for mark in ("p50 100", "p90 140", "p99 149"):
        assert f">{mark}</text>" in svg


def test_one_slow_frame_does_not_squeeze_the_others() -> None:
    values = np.array([10.0] * 999 + [5000.0])
    assert charts.time_axis_end(values) < 20


def runs(states: np.ndarray) -> list[tuple[int, float, float]]:
    """State, beginning and end of the parts of a strip, as shares of its length."""
    borders = [0, *(np.flatnonzero(np.diff(states)) + 1), len(states)]
    return [
        (int(states[a]), a / COLUMNS, b / COLUMNS)
        for a, b in itertools.pairwise(borders)
        if states[a] != NOTHING
    ]


def test_strip_shows_gaps_and_bad_frames() -> None:
    shown = frames([float(i) for i in range(101) if i not in (20, 21)], [1.0] * 99, bad=(48,))
    found = runs(charts.strip_states(shown, 0, 100 * S, find_gaps(shown.stamp_ns, S)))
    expected = [
        (RECEIVED, 0.0, 0.19),
        (MISSING, 0.19, 0.22),
        (RECEIVED, 0.22, 0.50),
        (BAD, 0.50, 0.50),
        (RECEIVED, 0.50, 1.0),
    ]
    assert [state for state, _, _ in found] == [state for state, _, _ in expected]
    for (_, a, b), (_, start, end) in zip(found, expected, strict=True):
        assert (a, b) == pytest.approx((start, end), abs=2 / COLUMNS)


def test_strip_of_a_camera_that_began_late_and_paused() -> None:
    shown = frames([100.0, 101.0, 102.0, 198.0, 199.0, 200.0], [1.0] * 6)
    gaps = find_gaps(shown.stamp_ns, S)
    assert gaps == [Gap(102 * S, 198 * S, 0)]
    found = runs(charts.strip_states(shown, 0, 200 * S, gaps))
    assert [state for state, _, _ in found] == [RECEIVED, RECEIVED]
    assert found[0][1] == 0.5


def test_short_gap_in_a_long_recording_is_one_column() -> None:
    shown = frames([i / 10 for i in range(100_000) if i != 50_000], [1.0] * 99_999)
    gaps = find_gaps(shown.stamp_ns, 100.0 * MS)
    found = runs(charts.strip_states(shown, 0, 9999 * S, gaps))
    assert [state for state, _, _ in found] == [RECEIVED, MISSING, RECEIVED]
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


def test_percentiles_leave_out_unknown_values() -> None:
    found = percentiles(np.array([np.nan, 1.0, 3.0]))
    assert found == pytest.approx({"p50": 2.0, "p90": 2.8, "p99": 2.98, "max": 3.0})
    assert percentiles(np.array([np.nan])) == {}
