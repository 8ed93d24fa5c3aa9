"""Which images of a recording are replayed."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import demo_recordings as recordings
import pytest
from replay_runs import run, written

from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.apps.replay.plan import SECOND, Selection

DEPTH = "/camera/depth_estimation/depth/image"
FRAMES = 12  # at 8 Hz


def chosen(tmp_path: Path, **more: Any) -> list[int]:
    """Indices of the images of a recording at 8 Hz that gave depth."""
    bag = tmp_path / "bag"
    if not bag.exists():
        recordings.standard_bag(bag, FRAMES)
    run(bag, tmp_path / "out", overwrite=True, outputs=("depth",), **more)
    times = recordings.stamps(FRAMES)
    return [times.index(time) for _, _, time, _ in written(tmp_path / "out", DEPTH)]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, [*range(12)]),
        ({"start_s": 0.5}, [*range(4, 12)]),
        ({"end_s": 0.5}, [0, 1, 2, 3]),
        ({"start_s": 0.25, "end_s": 0.75}, [2, 3, 4, 5]),
        ({"every": 5}, [0, 5, 10]),
        ({"rate_hz": 4.0}, [0, 2, 4, 6, 8, 10]),
        ({"rate_hz": 100.0}, [*range(12)]),
        ({"start_s": 0.25, "every": 4}, [2, 6, 10]),
    ],
    ids=str,
)
def test_images_are_chosen_by_time_rate_and_number(
    tmp_path: Path, more: dict[str, Any], expected: list[int]
) -> None:
    assert chosen(tmp_path, **more) == expected


def test_copied_messages_are_not_thinned(tmp_path: Path) -> None:
    bag = recordings.standard_bag(tmp_path / "bag", FRAMES)

    run(bag, tmp_path / "out", start_s=0.25, end_s=0.75, every=4, copy=("/camera/camera_info",))

    times = [time for _, _, time, _ in written(tmp_path / "out", "/camera/camera_info")]
    assert times == recordings.stamps(FRAMES)[2:6]


@pytest.mark.parametrize("more", [{}, {"every": 3}, {"rate_hz": 3.0}, {"copy": "all"}], ids=str)
def test_windows_one_after_the_other_are_the_whole(tmp_path: Path, more: dict[str, Any]) -> None:
    bag = recordings.standard_bag(tmp_path / "bag", FRAMES)
    first, cut, last = recordings.START_NS, recordings.stamps(FRAMES)[7], 2**62

    run(bag, tmp_path / "whole", **more)
    run(bag, tmp_path / "one", window_ns=(first, cut), **more)
    run(bag, tmp_path / "two", window_ns=(cut, last), **more)

    parts = written(tmp_path / "one") + written(tmp_path / "two")
    assert parts == written(tmp_path / "whole")


def test_rate_is_kept_with_jitter() -> None:
    selection = Selection(ReplayOptions(rate_hz=10.0), 0)
    jitter = [0, 2_000_000, -2_000_000, 1_000_000, -1_000_000, 2_500_000, -2_500_000]
    times = [i * SECOND // 30 + jitter[i % 7] for i in range(900)]  # 30 s at 30 Hz

    wanted = [time for time in times if selection.wants_image("/image", time)]

    assert len(wanted) == 300
    assert min(b - a for a, b in itertools.pairwise(wanted)) > 0.09 * SECOND
