"""Workers that were left hanging: how many there are, and whether to go on with another."""

from __future__ import annotations

from depth_estimation_ros.node.diagnostics.statistics import Statistics
from depth_estimation_ros.node.subscriptions import Frame
from depth_estimation_ros.node.worker import Worker

MAX_HANGS = 3
"""So many times in a row, without a frame published between, a network is opened anew; and so many
threads that hang are left, each with the memory of its network."""


class Recovery:
    """Remembers the workers that hung; they are noted in one thread, and looked at in another.

    Args:
        statistics: tells whether frames were published between two hangs.
    """

    def __init__(self, statistics: Statistics) -> None:
        self._statistics = statistics
        self._left: list[Worker[Frame]] = []
        self._in_a_row = 0
        self._published = ""

    def hung(self, worker: Worker[Frame]) -> None:
        """Note a worker that was abandoned."""
        published = self._statistics.values()["frames_published"]
        self._in_a_row = self._in_a_row + 1 if published == self._published else 1
        self._published = published
        self._left = [*self._running(), worker]

    def restart(self, statistics: Statistics) -> None:
        """Somebody asks for a new attempt: what was counted so far is forgiven."""
        self._statistics = statistics
        self._in_a_row = 0

    @property
    def threads_left(self) -> bool:
        """Whether a worker that hung still does."""
        return bool(self._running())

    @property
    def worth_it(self) -> bool:
        """Whether another network is worth the attempt."""
        return self._in_a_row <= MAX_HANGS and len(self._running()) <= MAX_HANGS

    def _running(self) -> list[Worker[Frame]]:
        return [worker for worker in self._left if worker.is_running]
