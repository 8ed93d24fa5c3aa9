"""Colour settings, and the colour images that they give."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.visualization import ColorSettings, DepthColors, add_legend, colorize

SECOND = 1_000_000_000
DEPTH = np.geomspace(1.0, 8.0, 120 * 160).reshape(120, 160).astype(np.float32)
PERCENTILE = ColorSettings(color_range="percentile")


def test_default_is_the_models_range() -> None:
    np.testing.assert_array_equal(DepthColors().draw(DEPTH, 0, 10.0), colorize(DEPTH, max_depth=10))


def test_fixed_range_is_that_of_the_settings() -> None:
    settings = ColorSettings("viridis", min_depth=2.0, max_depth=5.0)
    expected = colorize(DEPTH, min_depth=2.0, max_depth=5.0, color_map="viridis")
    np.testing.assert_array_equal(DepthColors(settings).draw(DEPTH, 0, 10.0), expected)


def test_near_end_beyond_the_model_has_a_range() -> None:
    settings = ColorSettings(min_depth=12.0)
    expected = colorize(DEPTH, min_depth=12.0, max_depth=24.0)
    np.testing.assert_array_equal(DepthColors(settings).draw(DEPTH, 0, 10.0), expected)


def test_percentiles_spread_colours_over_the_view() -> None:
    seen = DepthColors(replace(PERCENTILE, color_map="gray")).draw(DEPTH, 0, 100.0)
    assert (int(seen.min()), int(seen.max())) == (0, 255)
    fixed = DepthColors(ColorSettings("gray")).draw(DEPTH, 0, 100.0)
    assert int(fixed.max()) - int(fixed.min()) < 100


def test_limits_hold_with_percentiles() -> None:
    settings = replace(PERCENTILE, min_depth=2.0, max_depth=4.0)
    expected = colorize(DEPTH, min_depth=2.0, max_depth=4.0)
    np.testing.assert_array_equal(DepthColors(settings).draw(DEPTH, 0, 10.0), expected)


def test_map_and_legend_do_not_move_the_range() -> None:
    colors = DepthColors(PERCENTILE)
    colors.draw(DEPTH, 0, 10.0)
    before = colors.draw(2.0 * DEPTH, SECOND // 30, 20.0)
    colors.settings = replace(PERCENTILE, color_map="viridis")
    colors.draw(2.0 * DEPTH, SECOND // 30, 20.0)
    colors.settings = PERCENTILE
    np.testing.assert_array_equal(colors.draw(2.0 * DEPTH, SECOND // 30, 20.0), before)


def test_reset_and_new_limits_forget_frames() -> None:
    fresh = DepthColors(PERCENTILE).draw(3.0 * DEPTH, 0, 100.0)
    colors = DepthColors(PERCENTILE)
    colors.draw(DEPTH, 0, 100.0)
    assert not np.array_equal(colors.draw(3.0 * DEPTH, 1, 100.0), fresh)
    colors.reset()
    np.testing.assert_array_equal(colors.draw(3.0 * DEPTH, 2, 100.0), fresh)
    colors.settings = replace(PERCENTILE, max_depth=50.0)
    np.testing.assert_array_equal(colors.draw(3.0 * DEPTH, 3, 100.0), fresh)


def test_legend_has_the_range_of_the_colours() -> None:
    settings = ColorSettings(min_depth=1.0, max_depth=8.0, legend=True)
    expected = add_legend(colorize(DEPTH, min_depth=1.0, max_depth=8.0), 1.0, 8.0)
    np.testing.assert_array_equal(DepthColors(settings).draw(DEPTH, 0, 10.0), expected)


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        (ColorSettings(color_map="jet"), "'jet'"),
        (ColorSettings(color_range="auto"), "'auto'"),
        (ColorSettings(min_depth=3.0, max_depth=2.0), "3 m to 2 m"),
    ],
)
def test_invalid_settings_are_refused(settings: ColorSettings, found: str) -> None:
    with pytest.raises(ParameterError, match=found):
        settings.check()


def test_colours_need_neither_ros_nor_matplotlib() -> None:
    program = (
        "import sys\n"
        "for name in ('rclpy', 'sensor_msgs', 'rosbags', 'matplotlib', 'torch'):\n"
        "    sys.modules[name] = None\n"
        "import numpy as np\n"
        "from depth_estimation_ros.visualization import ColorSettings, DepthColors\n"
        "colors = DepthColors(ColorSettings(color_range='percentile', legend=True))\n"
        "print(colors.draw(np.full((48, 64), 2.0, np.float32), 0, 10.0).shape)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "(48, 64, 3)\n"
