"""Sheets and clouds drawn with matplotlib."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="needs matplotlib")

from depth_estimation_ros.geometry.camera_model import CameraModel, deproject
from depth_estimation_ros.visualization import colorize, colorize_error
from depth_estimation_ros.visualization.figures import PreviewRow, render_cloud, render_sheet

GREEN = (10, 200, 30)
BACKGROUND = (22, 24, 30)
CAMERA = np.array((255, 196, 60))


def image(width: int = 64, height: int = 48) -> np.ndarray:
    return np.full((height, width, 3), GREEN, np.uint8)


def row(*values: float) -> np.ndarray:
    return np.array([values], np.float32)


def count(page: np.ndarray, color: object) -> int:
    return int((page == np.array(color, np.uint8)).all(axis=-1).sum())


def test_sheet_draws_each_panel_pixel_by_pixel() -> None:
    depth = np.full((24, 32), 2.0, np.float32)  # another size than the image
    rows = [PreviewRow(image(), depth, depth, "first"), PreviewRow(image(), depth, depth)]
    page = render_sheet(rows, max_depth=10.0, panel_width=160)
    panel = 160 * 120
    assert count(page, GREEN) == 2 * panel
    assert count(page, colorize(row(2.0), max_depth=10.0)[0, 0]) >= 4 * panel
    assert count(page, colorize_error(row(2.0), row(2.0))[0, 0]) >= 2 * panel


def test_sheet_without_truth_has_two_columns() -> None:
    depth = np.full((48, 64), 2.0, np.float32)
    two = render_sheet([PreviewRow(image(), depth)], max_depth=10.0, panel_width=160)
    four = render_sheet([PreviewRow(image(), depth, depth)], max_depth=10.0, panel_width=160)
    assert four.shape[1] - two.shape[1] == 2 * (160 + 8)
    assert four.shape[0] == two.shape[0]


def test_row_without_truth_says_so() -> None:
    depth = np.full((48, 64), 2.0, np.float32)
    rows = [PreviewRow(image(), depth, depth), PreviewRow(image(), depth)]
    page = render_sheet(rows, max_depth=10.0, panel_width=320)
    second_truth = page[50 + 240 + 8 : 50 + 480, 20 + 2 * 328 : 20 + 2 * 328 + 320]
    assert (second_truth < 200).any()  # text
    assert (second_truth == 255).mean() > 0.9  # and otherwise empty


def test_sheet_of_no_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        render_sheet([], max_depth=10.0)


def wall(z: float) -> tuple[np.ndarray, np.ndarray]:
    rays = CameraModel.from_hfov(160, 120, 60.0).rays()
    return deproject(np.full((120, 160), z, np.float32), rays), image(160, 120)


def test_cloud_is_drawn_in_its_own_colour_and_whole() -> None:
    page = render_cloud(*wall(2.0), width=560, height=350)
    assert page.shape == (350, 560, 3)
    green = (page == GREEN).all(axis=-1)
    assert green.mean() > 0.07
    rows, columns = np.nonzero(green)
    assert (rows.min(), columns.min()) > (5, 5)
    assert (rows.max(), columns.max()) < (345, 555)
    assert (np.abs(page.astype(int) - CAMERA).max(axis=-1) < 10).any()


def test_near_points_hide_far_ones() -> None:
    points, rgb = wall(4.0)
    front, _ = wall(2.0)
    points[40:80, 60:100] = front[40:80, 60:100]
    rgb[40:80, 60:100] = (250, 20, 20)
    page = render_cloud(points, rgb, width=560, height=350, yaw_deg=0.0, pitch_deg=0.0)
    ys, xs = np.nonzero((page[..., 0] > 200) & (page[..., 1] < 60))
    middle = page[ys.min() + 4 : ys.max() - 3, xs.min() + 4 : xs.max() - 3]
    assert middle.size > 0
    assert count(middle, GREEN) == 0


def test_frame_gives_several_clouds_one_view() -> None:
    points, rgb = wall(4.0)
    half = points.copy()
    half[:, 80:] = np.nan
    whole, part = (
        (render_cloud(p, rgb, width=280, height=175, frame=points) == GREEN).all(axis=-1)
        for p in (points, half)
    )
    assert part.sum() < 0.7 * whole.sum()
    assert not (part & ~whole).any()


def test_empty_cloud_is_an_empty_image() -> None:
    page = render_cloud(np.full((4, 4, 3), np.nan, np.float32), image(4, 4), width=64, height=40)
    np.testing.assert_array_equal(page, np.broadcast_to(np.uint8(BACKGROUND), page.shape))


def test_cloud_of_one_point_is_drawn() -> None:
    points = np.array([[0.0, 0.0, 2.0]], np.float32)
    page = render_cloud(points, np.full((1, 3), 255, np.uint8), width=280, height=175)
    assert (page.min(axis=-1) > 200).any()
