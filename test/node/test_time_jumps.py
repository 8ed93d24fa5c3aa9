"""What counts as a jump of time: the clock and the stamps of the images together."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

import rclpy
from builtin_interfaces.msg import Time as Stamp
from rclpy.parameter import Parameter
from rclpy.time import Time
from ros_helpers import Tester

from depth_estimation_ros.node.time_jumps import TimeJumps


class Replay:
    """A node with simulated time, whose clock and images can be moved at will."""

    def __init__(self) -> None:
        simulated = [Parameter("use_sim_time", value=True)]
        self._ros = rclpy.create_node("replay", parameter_overrides=simulated)
        self._clock = self._ros.get_clock()
        self.said: list[str] = []
        self.jumps = TimeJumps(self._ros, self.said.append)

    def clock(self, seconds: float) -> None:
        self._clock.set_ros_time_override(
            Time(nanoseconds=int(seconds * 1e9), clock_type=self._clock.clock_type)
        )

    def image(self, seconds: float) -> None:
        self.jumps.image(Stamp(sec=int(seconds), nanosec=round(seconds % 1 * 1e9)))

    def close(self) -> None:
        self.jumps.close()
        self._ros.destroy_node()


@pytest.fixture
def replay(tester: Tester) -> Iterator[Replay]:
    replay = Replay()
    yield replay
    replay.close()


def test_time_that_goes_on_or_leaps_ahead_is_no_jump(replay: Replay) -> None:
    for seconds in (1.0, 1.1, 1.1, 2000.0):
        replay.clock(seconds)
        replay.image(seconds)
    assert (replay.jumps.count, replay.said) == (0, [])


def test_less_than_a_tenth_of_a_second_back_is_jitter(replay: Replay) -> None:
    for seconds in (50.0, 49.91, 50.0, 49.95, 50.1):
        replay.clock(seconds)
        replay.image(seconds)
    assert replay.jumps.count == 0


def test_a_jump_that_clock_and_stamps_both_make_counts_once_whoever_is_first(
    replay: Replay,
) -> None:
    replay.clock(100.0)
    replay.image(100.0)
    replay.clock(40.0)
    assert replay.said == ["time jumped back by 60.000 s (/clock)"]
    replay.image(40.0)
    replay.image(100.0)
    replay.clock(100.0)
    assert replay.jumps.count == 1
    replay.image(70.5)
    assert replay.said[1:] == ["time jumped back by 29.500 s (the stamps of the images)"]
    replay.clock(70.5)
    assert replay.jumps.count == 2


def test_an_image_that_comes_late_out_of_the_old_time_is_no_second_jump(replay: Replay) -> None:
    replay.clock(100.0)
    replay.image(100.0)
    replay.clock(40.0)
    replay.image(100.1)
    replay.image(40.0)
    assert replay.jumps.count == 1


@pytest.mark.parametrize("source", ["clock", "image"])
def test_each_loop_counts_where_only_one_of_the_two_jumps(replay: Replay, source: str) -> None:
    for _ in range(4):
        for seconds in (10.0, 10.5, 11.0):
            getattr(replay, source)(seconds)
    assert replay.jumps.count == len(replay.said) == 3
