"""Data folders and augmentation: metres, masks and intrinsics stay together."""

import json

import cv2
import numpy as np
import pytest

from depth_estimation_ros.errors import DepthEstimationError
from training.data.augment import NO_AUGMENTATION, Augmentation, random_view, warp
from training.data.examples import Examples, draw_order
from training.data.folder import RgbdFolder
from training.data.sample import Sample


def write_frame(path, name="00000", depth=None, size=(6, 8)):
    path.mkdir(exist_ok=True)
    cv2.imwrite(str(path / f"{name}.jpg"), np.full((*size, 3), (10, 20, 200), np.uint8))
    raw = np.full(size, 1500, np.uint16) if depth is None else depth
    cv2.imwrite(str(path / f"{name}.png"), raw)


def write_json(path, name, **values):
    (path / name).write_text(json.dumps(values))


@pytest.fixture
def folder(tmp_path):
    write_frame(tmp_path / "set")
    camera = {"fx": 300.0, "fy": 301.0, "cx": 3.5, "cy": 2.5}
    write_json(tmp_path / "set", "info.json", frames=1, intrinsics_px=camera)
    return tmp_path / "set"


def test_millimetres_become_metres_and_zero_becomes_unknown(folder):
    raw = np.array([[0, 1, 1500, 65535]], np.uint16).repeat(6, 0)
    write_frame(folder, depth=raw, size=(6, 4))
    sample = RgbdFolder(folder)[0]
    np.testing.assert_allclose(sample.depth[0], [np.nan, 0.001, 1.5, 65.535], rtol=1e-6)
    assert sample.intrinsics == (300.0, 301.0, 3.5, 2.5)
    assert sample.rgb[0, 0, 0] > 150  # red came first, not blue


def test_a_folder_may_have_a_camera_a_frame_its_own_unit_and_sky(tmp_path):
    raw = np.array([[0, 10, 65535, 500]], np.uint16).repeat(6, 0)
    write_frame(tmp_path / "s", "00007", raw, (6, 4))
    write_json(
        tmp_path / "s",
        "frames.json",
        depth_scale=0.002,
        infinite_value=65535,
        frames={"00007": [100.0, 101.0, 1.0, 2.0]},
    )
    sample = RgbdFolder(tmp_path / "s")[0]
    np.testing.assert_allclose(sample.depth[0], [np.nan, 0.02, np.inf, 1.0], rtol=1e-6)
    assert sample.intrinsics == (100.0, 101.0, 1.0, 2.0)


def test_folder_errors_say_what_was_found_and_expected(tmp_path, folder):
    with pytest.raises(DepthEstimationError, match=r"no data folder .*nowhere.*info\.json"):
        RgbdFolder(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DepthEstimationError, match=r"no pairs of NAME\.jpg"):
        RgbdFolder(tmp_path / "empty")
    write_frame(folder, depth=np.full((6, 8), 7, np.uint8))
    with pytest.raises(DepthEstimationError, match=r"found 8 bits, 1 channel, expected .*16 bits"):
        RgbdFolder(folder)[0]
    write_frame(folder, depth=np.full((6, 9), 7, np.uint16))
    with pytest.raises(DepthEstimationError, match="differ in size"):
        RgbdFolder(folder)[0]
    (folder / "info.json").write_text("{")
    with pytest.raises(DepthEstimationError, match=r"info\.json is not JSON"):
        RgbdFolder(folder)


def tilted_plane(height, width, camera):
    """Depth of the plane 0.3 X - 0.2 Y + Z = 3 and an image of it."""
    fx, fy, cx, cy = camera
    v, u = np.mgrid[:height, :width]
    depth = 3.0 / (0.3 * (u - cx) / fx - 0.2 * (v - cy) / fy + 1.0)
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[..., 0] = 255 * u // width
    return Sample(rgb, depth.astype(np.float32), camera)


@pytest.mark.parametrize("seed", range(8))
def test_intrinsics_follow_crop_and_zoom_so_that_a_plane_stays_where_it_is(seed):
    camera = (300.0, 300.0, 158.0, 121.0)
    sample = tilted_plane(240, 320, camera)
    how = Augmentation(zoom=1.8, roll_deg=0.0, stretch=0.1, flip=0.0, color=0.0)
    view = random_view(sample, 96, 128, how, np.random.default_rng(seed))
    expected = tilted_plane(96, 128, view.intrinsics).depth
    seen = np.isfinite(view.depth)
    assert seen.mean() > 0.9
    # The nearest source pixel is at most half a source pixel away.
    np.testing.assert_allclose(view.depth[seen], expected[seen], rtol=2e-3)


def test_a_flip_mirrors_the_scene():
    sample = tilted_plane(48, 64, (60.0, 60.0, 30.0, 20.0))
    how = Augmentation(zoom=1.0, roll_deg=0.0, stretch=0.0, flip=1.0, color=0.0)
    view = random_view(sample, 48, 64, how, np.random.default_rng(0))
    np.testing.assert_array_equal(view.depth, sample.depth[:, ::-1])
    assert view.intrinsics == pytest.approx((60.0, 60.0, 63.0 - 30.0, 20.0))


def test_a_roll_turns_the_points_about_the_optical_axis():
    camera = (200.0, 200.0, 80.0, 60.0)
    sample = tilted_plane(121, 161, camera)
    angle = np.deg2rad(10.0)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shift = np.array([80.0, 60.0]) - turn @ [80.0, 60.0]
    view = warp(sample, np.column_stack([turn, shift]), 121, 161)
    assert view.intrinsics == pytest.approx(camera)
    # A point seen right of the centre was, before, where turning back puts it.
    back = turn.T @ [30.0, 0.0] + [80.0, 60.0]
    u, v = np.round(back).astype(int)
    assert view.depth[60, 110] == pytest.approx(sample.depth[v, u], rel=2e-3)


def test_outside_the_source_depth_is_unknown():
    sample = tilted_plane(20, 20, (20.0, 20.0, 10.0, 10.0))
    view = warp(sample, np.array([[1.0, 0.0, 5.0], [0.0, 1.0, 0.0]]), 20, 20)
    assert np.isnan(view.depth[:, :5]).all()
    np.testing.assert_array_equal(view.depth[:, 5:], sample.depth[:, :15])


def test_depth_is_given_in_the_canonical_camera(folder):
    raw = Examples([RgbdFolder(folder)[0]], 6, 8, NO_AUGMENTATION, None)[0]
    canonical = Examples([RgbdFolder(folder)[0]], 6, 8, NO_AUGMENTATION, 150.0)[0]
    np.testing.assert_allclose(canonical["depth"], raw["depth"] * 150.0 / 300.0)
    assert canonical["metric"]
    # Half the size: the focal length in pixels halves, so canonical depth doubles.
    small = Examples([RgbdFolder(folder)[0]], 3, 4, NO_AUGMENTATION, 150.0)[0]
    np.testing.assert_allclose(small["depth"], 1.5)


def test_without_intrinsics_depth_is_known_up_to_a_factor_only(folder):
    write_json(folder, "info.json", frames=1, intrinsics_px=None)
    example = Examples([RgbdFolder(folder)[0]], 6, 8, NO_AUGMENTATION, 150.0)[0]
    assert not example["metric"]


def test_sampling_follows_the_weights_not_the_sizes():
    drawn = draw_order([900, 100], [0.2, 0.8], 5000, seed=1)
    assert np.mean(drawn >= 900) == pytest.approx(0.8, abs=0.02)
