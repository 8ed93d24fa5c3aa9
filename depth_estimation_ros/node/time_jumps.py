"""Detection of time that jumps back: a bag that loops or is played again, a restarted simulation.

What the node keeps from one image to the next then belongs to the old time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from rclpy.clock import JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.node import Node

from depth_estimation_ros.node.diagnostics.statistics import SILENCE_S

MIN_BACKWARD_S = 0.1  # less is a camera whose stamps jitter, or an image that overtook another
CLOCK, STAMPS = "/clock", "the stamps of the images"


class TimeJumps:
    """Detects jumps back of simulated time and of the stamps of the images.

    Mostly both jump, and either may be seen first, as messages of two topics overtake each other:
    what the second one sees is then the same jump. Used in the executor's thread only.

    Args:
        node: whose clock is meant; it jumps only while use_sim_time is true.
        on_jump: called once per jump with a text that says what jumped by how much, before the
            first image of the new time is handled.
    """

    def __init__(self, node: Node, on_jump: Callable[[str], None]) -> None:
        self._node = node
        self._on_jump = on_jump
        self._seen_by = {CLOCK, STAMPS}
        self._last_stamp_ns: int | None = None
        self._without_clock_since = math.inf  # time.monotonic()
        self.count = 0
        """Number of jumps."""
        threshold = JumpThreshold(
            min_forward=None,
            min_backward=Duration(seconds=-MIN_BACKWARD_S),
            on_clock_change=False,
        )
        self._handle = node.get_clock().create_jump_callback(
            threshold, post_callback=self._on_clock_jump
        )

    def image(self, stamp: Any) -> None:
        """Check the stamp (builtin_interfaces/Time) of an image, before it is handled."""
        now = stamp.sec * 1_000_000_000 + stamp.nanosec
        before, self._last_stamp_ns = self._last_stamp_ns, now
        if before is not None and before - now >= MIN_BACKWARD_S * 1e9:
            self._jumped(STAMPS, (before - now) / 1e9)

    def no_clock(self) -> str:
        """Return why the node's time has been zero for a while; empty if it has not."""
        simulated = self._node.get_parameter("use_sim_time").value
        if not simulated or self._node.get_clock().now().nanoseconds > 0:
            self._without_clock_since = math.inf
            return ""
        self._without_clock_since = min(self._without_clock_since, time.monotonic())
        if time.monotonic() - self._without_clock_since < SILENCE_S:
            return ""
        return (
            "use_sim_time is true, but nothing is received on /clock. Depth goes on, with the "
            "stamps of the images. Play the bag with --clock, start the simulation, or set "
            "use_sim_time to false"
        )

    def close(self) -> None:
        """Stop watching the clock."""
        self._handle.unregister()

    def _on_clock_jump(self, jump: TimeJump) -> None:
        self._jumped(CLOCK, -jump.delta.nanoseconds / 1e9)

    def _jumped(self, source: str, seconds: float) -> None:
        if source not in self._seen_by:
            self._seen_by.add(source)
            return
        self._seen_by = {source}
        self.count += 1
        self._on_jump(f"time jumped back by {seconds:.3f} s ({source})")
