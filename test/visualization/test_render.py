"""Colours and pictures of depth."""

from __future__ import annotations

import numpy as np
import pytest

from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.geometry.camera_model import CameraModel, deproject
from depth_estimation_ros.visualization import (
    COLOR_MAPS,
    PreviewRow,
    cloud_picture,
    colorize,
    colorize_error,
    preview,
)
from depth_estimation_ros.visualization.cloud import BACKGROUND
from depth_estimation_ros.visualization.color_maps import color_table
from depth_estimation_ros.visualization.colors import UNKNOWN_ERROR
from depth_estimation_ros.visualization.sheet import LEGEND_GAP, LEGEND_HEIGHT, MARGIN, PAGE


def row(*values: float) -> np.ndarray:
    return np.array([values], np.float32)


@pytest.mark.parametrize("color_map", COLOR_MAPS)
def test_the_ends_of_the_range_have_the_ends_of_the_map(color_map: str) -> None:
    far, near = colorize(row(10.0, 1.0), max_depth=10.0, min_depth=1.0, color_map=color_map)[0]
    np.testing.assert_array_equal([far, near], color_table(color_map)[[0, 255], 0])


@pytest.mark.parametrize("color_map", ["spectral", "turbo"])
def test_near_is_warm_and_far_is_cold(color_map: str) -> None:
    near, far = colorize(row(0.4, 8.0), max_depth=10.0, color_map=color_map)[0].astype(int)
    assert near[0] > near[2] + 50  # red
    assert far[2] > far[0] + 50  # blue


def test_equal_ratios_of_depth_are_equal_steps_of_colour() -> None:
    levels = colorize(
        row(1.0, 2.0, 4.0, 8.0, 16.0), max_depth=16.0, min_depth=1.0, color_map="gray"
    )
    steps = np.diff(levels[0, :, 0].astype(int))
    np.testing.assert_allclose(steps, -63.75, atol=1.0)


def test_infinities_have_the_end_colours_and_unknown_is_black() -> None:
    colors = colorize(row(np.inf, 10.0, 99.0, -np.inf, 0.0, 1.0, np.nan), max_depth=10, min_depth=1)
    far, near = colors[0, 1], colors[0, 5]
    np.testing.assert_array_equal(colors[0], [far, far, far, near, near, near, (0, 0, 0)])
    assert not np.array_equal(far, near)


def test_depth_is_not_changed_by_drawing_it() -> None:
    depth = row(np.nan, np.inf, 0.5)
    before = depth.copy()
    colorize(depth, max_depth=10.0)
    np.testing.assert_array_equal(depth, before)


@pytest.mark.parametrize(
    "arguments",
    [{"max_depth": 1.0, "min_depth": 2.0}, {"max_depth": 0.0}, {"max_depth": 5, "color_map": "x"}],
)
def test_a_range_or_map_that_cannot_be_is_refused(arguments: dict) -> None:
    with pytest.raises(ParameterError):
        colorize(row(1.0), **arguments)


def test_error_is_blue_when_too_near_white_when_right_red_when_too_far() -> None:
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


def picture(width: int = 64, height: int = 48) -> np.ndarray:
    return np.full((height, width, 3), (10, 200, 30), np.uint8)


def count(page: np.ndarray, color: tuple[int, int, int]) -> int:
    return int((page == np.array(color, np.uint8)).all(axis=-1).sum())


def test_preview_holds_each_panel_at_its_size() -> None:
    depth = np.full((24, 32), 2.0, np.float32)  # another size than the picture
    rows = [PreviewRow(picture(), depth, depth, "first"), PreviewRow(picture(), depth, depth)]
    page = preview(rows, max_depth=10.0, panel_width=160)
    panel = 160 * 120
    assert count(page, (10, 200, 30)) == 2 * panel
    depth_color = tuple(colorize(row(2.0), max_depth=10.0)[0, 0].tolist())
    assert count(page, depth_color) >= 4 * panel  # depth and truth of both rows
    no_error = tuple(colorize_error(row(2.0), row(2.0))[0, 0].tolist())
    assert count(page, no_error) >= 2 * panel


def test_preview_without_truth_has_two_columns() -> None:
    depth = np.full((48, 64), 2.0, np.float32)
    two = preview([PreviewRow(picture(), depth)], max_depth=10.0, panel_width=160)
    four = preview([PreviewRow(picture(), depth, depth)], max_depth=10.0, panel_width=160)
    assert four.shape[1] - two.shape[1] == 2 * 160 + 2 * 8
    assert four.shape[0] == two.shape[0]


@pytest.mark.parametrize("max_depth", [5.0, 10.0, 80.0, 100.0])
def test_the_two_legends_of_a_preview_keep_apart(max_depth: float) -> None:
    depth = np.full((48, 64), 2.0, np.float32)
    page = preview([PreviewRow(picture(), depth, depth)], max_depth=max_depth, panel_width=320)
    legends = page[-(LEGEND_HEIGHT + MARGIN) :]
    first_error_column = page.shape[1] - MARGIN - 320
    between = legends[:, first_error_column - LEGEND_GAP : first_error_column]
    assert between.shape[1] == 32
    np.testing.assert_array_equal(between, np.broadcast_to(np.uint8(PAGE), between.shape))
    beside = legends[:, first_error_column - LEGEND_GAP - 1]  # the far end of the depths
    assert (beside[8:22] != PAGE).any(axis=-1).all()


def test_preview_of_no_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        preview([], max_depth=10.0)


def wall(z: float) -> tuple[np.ndarray, np.ndarray]:
    rays = CameraModel.from_hfov(160, 120, 60.0).rays()
    return deproject(np.full((120, 160), z, np.float32), rays), picture(160, 120)


def test_the_cloud_is_in_the_picture_in_its_own_colour() -> None:
    page = cloud_picture(*wall(2.0), width=560, height=350)
    assert page.shape == (350, 560, 3)
    assert page.dtype == np.uint8
    # The wall, a little shaded, fills a good part of the page.
    wall_share = ((page[..., 1] > 150) & (page[..., 0] < 60)).mean()
    assert wall_share > 0.15


def test_what_stands_in_front_hides_what_is_behind() -> None:
    points, rgb = wall(4.0)
    front, _ = wall(2.0)
    points[40:80, 60:100] = front[40:80, 60:100]
    rgb[40:80, 60:100] = (250, 20, 20)
    facing = cloud_picture(points, rgb, width=560, height=350, yaw_deg=0.0, pitch_deg=0.0)
    ys, xs = np.nonzero((facing[..., 0] > 200) & (facing[..., 1] < 60))
    middle = facing[ys.min() + 4 : ys.max() - 3, xs.min() + 4 : xs.max() - 3]
    assert middle.size > 0
    assert (middle[..., 1] < 60).mean() > 0.8  # the camera's pyramid may cross it


def test_a_cloud_with_no_points_is_an_empty_page() -> None:
    points = np.full((4, 4, 3), np.nan, np.float32)
    page = cloud_picture(points, picture(4, 4), width=64, height=40)
    np.testing.assert_array_equal(page, np.broadcast_to(np.uint8(BACKGROUND), page.shape))


def test_a_cloud_of_one_point_draws() -> None:
    points = np.array([[0.0, 0.0, 2.0]], np.float32)
    page = cloud_picture(points, np.full((1, 3), 255, np.uint8), width=280, height=175)
    assert (page.min(axis=-1) > 100).any()
