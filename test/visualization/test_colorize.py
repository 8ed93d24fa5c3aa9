"""Depth and error as colours."""

from __future__ import annotations

import numpy as np
import pytest

from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.visualization.colorize import (
    COLOR_MAPS,
    UNKNOWN_ERROR,
    color_table,
    colorize,
    colorize_error,
)


def row(*values: float) -> np.ndarray:
    return np.array([values], np.float32)


@pytest.mark.parametrize("color_map", COLOR_MAPS)
def test_range_ends_have_the_end_colours(color_map: str) -> None:
    far, near = colorize(row(10.0, 1.0), max_depth=10.0, min_depth=1.0, color_map=color_map)[0]
    np.testing.assert_array_equal([far, near], color_table(color_map)[[0, 255], 0])


@pytest.mark.parametrize("color_map", ["spectral", "turbo"])
def test_near_is_warm_and_far_is_cold(color_map: str) -> None:
    near, far = colorize(row(0.4, 8.0), max_depth=10.0, color_map=color_map)[0].astype(int)
    assert near[0] > near[2] + 50  # red
    assert far[2] > far[0] + 50  # blue


def test_equal_ratios_are_equal_steps() -> None:
    levels = colorize(
        row(1.0, 2.0, 4.0, 8.0, 16.0), max_depth=16.0, min_depth=1.0, color_map="gray"
    )
    steps = np.diff(levels[0, :, 0].astype(int))
    np.testing.assert_allclose(steps, -63.75, atol=1.0)


def test_infinity_has_end_colour_and_nan_is_black() -> None:
    colors = colorize(row(np.inf, 10.0, 99.0, -np.inf, 0.0, 1.0, np.nan), max_depth=10, min_depth=1)
    far, near = colors[0, 1], colors[0, 5]
    np.testing.assert_array_equal(colors[0], [far, far, far, near, near, near, (0, 0, 0)])
    assert not np.array_equal(far, near)


def test_colorize_leaves_its_input() -> None:
    depth = row(np.nan, np.inf, 0.5)
    before = depth.copy()
    colorize(depth, max_depth=10.0)
    np.testing.assert_array_equal(depth, before)


@pytest.mark.parametrize(
    "arguments",
    [{"max_depth": 1.0, "min_depth": 2.0}, {"max_depth": 0.0}, {"max_depth": 5, "color_map": "x"}],
)
def test_invalid_range_or_map_is_refused(arguments: dict) -> None:
    with pytest.raises(ParameterError):
        colorize(row(1.0), **arguments)


def test_error_is_blue_near_white_right_red_far() -> None:
    near, right, far, beyond = colorize_error(row(1.0, 2.0, 3.0, np.inf), row(2.0, 2.0, 2.0, 2.0))[
        0
    ].astype(int)
    assert near[2] > near[0] + 60
    assert right.min() >= 245
    assert far[0] > far[2] + 60
    np.testing.assert_array_equal(beyond, far)  # 50 % is where the colours end


def test_error_without_truth_or_depth_is_grey() -> None:
    colors = colorize_error(row(1.0, 1.0, 1.0, np.nan), row(0.0, np.nan, np.inf, 1.0))
    np.testing.assert_array_equal(colors[0], [UNKNOWN_ERROR] * 4)
