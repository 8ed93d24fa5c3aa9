"""When another network is opened in place of one that hangs, and when no more."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

from depth_estimation_ros.node.diagnostics.statistics import Statistics
from depth_estimation_ros.node.recovery import MAX_HANGS, Recovery


def worker(*, is_running: bool = False) -> Any:
    return SimpleNamespace(is_running=is_running)


def test_hangs_in_a_row_end_the_attempts_until_somebody_asks_for_more() -> None:
    recovery = Recovery(statistics := Statistics())
    for _ in range(MAX_HANGS):
        recovery.hung(worker())
        assert recovery.worth_it
    recovery.hung(worker())
    assert not recovery.worth_it
    recovery.restart(statistics)
    recovery.hung(worker())
    assert recovery.worth_it


def test_hangs_with_frames_between_them_are_no_row() -> None:
    recovery = Recovery(statistics := Statistics())
    for _ in range(10 * MAX_HANGS):
        statistics.published(1.0)
        recovery.hung(worker())
        assert recovery.worth_it


def test_threads_that_never_come_back_are_left_a_few_times_only() -> None:
    recovery = Recovery(statistics := Statistics())
    left = [worker(is_running=True) for _ in range(MAX_HANGS + 1)]
    for number, each in enumerate(left, start=1):
        statistics.published(1.0)
        recovery.hung(each)
        assert recovery.worth_it is (number <= MAX_HANGS)
    assert recovery.threads_left
    left[0].is_running = False  # it came back after all
    assert recovery.worth_it
    for each in left:
        each.is_running = False
    assert not recovery.threads_left
