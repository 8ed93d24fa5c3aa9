"""CameraModel and deproject against closed-form geometry and OpenCV's projection."""

import cv2
import numpy as np
import pytest
from camera_cases import CAMERA, pixel_grid, points_in_view, project, project_distorted, tum_camera

from depth_estimation_ros.errors import CalibrationError
from depth_estimation_ros.geometry.camera_model import CameraModel, deproject

# Cameras


def test_from_intrinsics_sets_p_to_k():
    assert (CAMERA.fx, CAMERA.fy, CAMERA.cx, CAMERA.cy) == (100.0, 110.0, 33.25, 22.5)
    assert np.array_equal(CAMERA.P, np.hstack([CAMERA.K, np.zeros((3, 1))]))
    assert CAMERA.D.size == 0
    assert np.array_equal(CAMERA.R, np.eye(3))
    assert CAMERA.is_calibrated


def test_from_hfov_puts_the_border_at_half_the_angle():
    camera = CameraModel.from_hfov(640, 480, 90.0)
    assert camera.fx == camera.fy == pytest.approx(320.0)  # tan 45 degrees = 1
    assert (camera.cx, camera.cy) == (319.5, 239.5)
    left_border = -0.5  # half a pixel left of the first pixel's centre
    assert (left_border - camera.cx) / camera.fx == pytest.approx(-1.0)


def test_flat_message_arrays_are_accepted_and_frozen():
    camera = CameraModel(4, 3, list(range(1, 10)), [0.1] * 5, "plumb_bob", [0] * 9, [0] * 12)
    assert camera.K.shape == (3, 3)
    assert camera.K[1, 2] == 6.0
    assert camera.P.shape == (3, 4)
    with pytest.raises(ValueError, match="read-only"):
        camera.K[0, 0] = 5.0


def test_k_of_zero_means_uncalibrated():
    camera = CameraModel(640, 480, np.zeros((3, 3)))
    assert not camera.is_calibrated
    assert not camera.scaled(320, 240).is_calibrated
    assert not camera.reduced(0, 0, 0, 0, 2, 2).is_calibrated
    with pytest.raises(CalibrationError, match=r"CameraInfo.K is empty.*camera_calibration"):
        camera.rays()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"K": np.zeros(8)}, "K has the wrong size: found 8 numbers, expected 9 numbers"),
        ({"P": np.zeros(9)}, "P has the wrong size: found 9 numbers, expected 12 numbers"),
        ({"K": np.full(9, np.nan)}, "K is not finite"),
        ({"D": [np.inf]}, "D is not finite"),
        ({"K": [100, 0, 1, 0, 0, 1, 0, 0, 1]}, "found fx = 100, fy = 0, expected fy > 0"),
    ],
)
def test_invalid_cameras_are_refused(change, message):
    with pytest.raises(CalibrationError, match=message):
        CameraModel(**{"width": 4, "height": 3, "K": CAMERA.K, **change})


# Scaling


@pytest.mark.parametrize("size", [(32, 24), (128, 96), (40, 48), (37, 19), (64, 48)])
def test_scaled_camera_agrees_with_cv2_resize(size):
    camera = CameraModel(
        64, 48, CAMERA.K, P=np.array([[90, 0, 30, -9], [0, 95, 20, 0], [0, 0, 1, 0]])
    )
    scaled = camera.scaled(*size)
    assert (scaled.width, scaled.height) == size
    points, factor = points_in_view(camera), np.array([size[0] / 64, size[1] / 48])
    for before, after in ((camera.K, scaled.K), (camera.P, scaled.P)):
        expected = (project(points, before) + 0.5) * factor - 0.5
        assert project(points, after) == pytest.approx(expected, abs=1e-9)


def test_scaled_rays_are_the_resized_rays():
    # INTER_AREA by a whole factor averages pixels; the mean of rays is the ray of the new centre.
    resized = cv2.resize(
        np.ascontiguousarray(CAMERA.rays()), (16, 16), interpolation=cv2.INTER_AREA
    )
    assert CAMERA.scaled(16, 16).rays() == pytest.approx(resized, abs=1e-6)


def test_scaling_there_and_back_changes_nothing():
    back = CAMERA.scaled(320, 96).scaled(64, 48)
    np.testing.assert_allclose(back.K, CAMERA.K, atol=1e-12)
    np.testing.assert_allclose(back.P, CAMERA.P, atol=1e-12)


def test_a_camera_without_size_cannot_be_scaled():
    with pytest.raises(CalibrationError, match=r"found 0 x 0.*Fill in width and height"):
        CameraModel(0, 0, np.zeros(9)).scaled(320, 240)


# Region of interest and binning


def test_reduced_by_the_rule_of_image_geometry():
    full = CameraModel(
        640,
        480,
        [500, 0, 320, 0, 510, 240, 0, 0, 1],
        P=[450, 0, 310, -45, 0, 460, 230, 0, 0, 0, 1, 0],
    )
    camera = full.reduced(100, 50, 400, 300, 2, 3)
    assert (camera.width, camera.height) == (200, 100)
    np.testing.assert_allclose(camera.K, [[250, 0, 110], [0, 170, 190 / 3], [0, 0, 1]])
    np.testing.assert_allclose(camera.P, [[225, 0, 105, -22.5], [0, 460 / 3, 60, 0], [0, 0, 1, 0]])


def test_zero_roi_and_binning_mean_the_full_image():
    camera = CAMERA.reduced(0, 0, 0, 0, 0, 0)
    assert (camera.width, camera.height) == (64, 48)
    assert np.array_equal(camera.K, CAMERA.K)
    assert np.array_equal(camera.P, CAMERA.P)


def test_uneven_binning_drops_the_last_pixels():
    camera = CAMERA.reduced(0, 0, 63, 47, 2, 2)
    assert (camera.width, camera.height) == (31, 23)


def test_roi_cuts_the_rays_out_of_the_full_image():
    tum = tum_camera()
    part = tum.reduced(40, 30, 320, 240, 1, 1).rays()
    assert np.abs(part - tum.rays()[30:270, 40:360]).max() < 1e-6


def test_roi_outside_the_image_is_refused():
    with pytest.raises(
        CalibrationError, match=r"found 60 x 48 at \(5, 0\), expected a part of 64 x 48"
    ):
        CAMERA.reduced(5, 0, 60, 48, 1, 1)


# Rays


def test_rays_without_distortion_are_the_closed_form():
    u, v = pixel_grid(64, 48)
    rays = CAMERA.rays()
    assert rays.shape == (48, 64, 2)
    assert rays.dtype == np.float32
    assert rays[..., 0] == pytest.approx((u - 33.25) / 100.0, abs=1e-7)
    assert rays[..., 1] == pytest.approx((v - 22.5) / 110.0, abs=1e-7)


@pytest.mark.parametrize("stride", [1, 2, 3, 5, 64, 100])
def test_stride_takes_every_nth_pixel(stride):
    rays = CAMERA.rays(stride=stride)
    assert rays.shape == (-(-48 // stride), -(-64 // stride), 2)
    assert np.array_equal(rays, CAMERA.rays()[::stride, ::stride])


def test_the_rectified_camera_is_p_without_distortion():
    camera = CameraModel(
        64, 48, CAMERA.K, [-0.3, 0.1, 0, 0, 0], "plumb_bob",
        P=[90, 0, 30, -9, 0, 95, 20, 0, 0, 0, 1, 0],
    )  # fmt: skip
    u, v = pixel_grid(64, 48)
    rays = camera.rectified().rays()
    assert rays[..., 0] == pytest.approx((u - 30) / 90, abs=1e-7)
    assert rays[..., 1] == pytest.approx((v - 20) / 95, abs=1e-7)


def test_without_p_k_takes_its_place_if_undistorted():
    camera = CameraModel(64, 48, CAMERA.K, np.zeros(5), "plumb_bob", np.zeros(9))
    assert np.array_equal(camera.rectified().P, CAMERA.P)
    assert np.array_equal(camera.rectified().rays(), CAMERA.rays())


def test_without_p_a_distorted_camera_cannot_be_rectified():
    camera = CameraModel(64, 48, CAMERA.K, [-0.3, 0.1, 0, 0, 0], "plumb_bob")
    with pytest.raises(CalibrationError, match=r"has no P.*image_is_rectified"):
        camera.rectified()


def test_a_camera_is_scaled_once_to_each_size():
    assert CAMERA.scaled(32, 24) is CAMERA.scaled(32, 24)
    assert CAMERA.scaled(32, 24) is not CAMERA.scaled(24, 32)


def test_rays_are_computed_once_for_the_same_numbers():
    again = CameraModel.from_intrinsics(100.0, 110.0, 33.25, 22.5, 64, 48)
    assert again.rays() is CAMERA.rays()
    assert again.rays(stride=2) is not CAMERA.rays()
    assert not again.rays().flags.writeable


# Deprojection


def test_wall_in_front_of_the_camera():
    points = deproject(np.full((48, 64), 2.0, np.float32), CAMERA.rays())
    u, v = pixel_grid(64, 48)
    assert points.shape == (48, 64, 3)
    assert points.dtype == np.float32
    assert points.flags.c_contiguous
    assert points[..., 0] == pytest.approx((u - 33.25) / 100.0 * 2.0, abs=1e-6)
    assert points[..., 1] == pytest.approx((v - 22.5) / 110.0 * 2.0, abs=1e-6)
    assert (points[..., 2] == 2.0).all()


def test_floor_under_a_tilted_camera():
    # The camera is 1.2 m above the floor and looks 30 degrees down: n . X = 1.2 for floor points.
    tilt, height = np.deg2rad(30.0), 1.2
    normal = np.array([0.0, np.cos(tilt), np.sin(tilt)])
    camera = CameraModel.from_hfov(640, 480, 60.0)
    u, v = pixel_grid(640, 480)
    directions = np.dstack(
        [(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones_like(u)]
    )
    depth = height / (directions @ normal)
    assert (depth > 0).all()
    points = deproject(depth.astype(np.float32), camera.rays())
    assert np.abs(points @ normal - height).max() < 1e-5
    # The pixel at the principal point looks along the axis: height / sin(tilt) = 2.4 m of depth.
    assert points[239:241, 319:321, 2].mean() == pytest.approx(2.4, abs=1e-3)


def test_plane_seen_through_a_distorting_lens():
    camera = tum_camera()
    normal, distance = np.array([0.2, -0.1, 0.97]), 3.0
    rays = camera.rays(stride=4)
    depth = distance / (np.dstack([rays, np.ones(rays.shape[:2])]) @ normal)
    points = deproject(depth.astype(np.float32), rays)
    assert np.abs(points @ normal - distance).max() < 1e-5
    pixels = project_distorted(points[..., :2] / points[..., 2:], camera)
    assert np.abs(pixels - np.dstack(pixel_grid(640, 480))[::4, ::4]).max() < 0.001


@pytest.mark.parametrize("invalid", [np.nan, np.inf, -np.inf])
def test_depth_that_is_not_finite_has_no_point(invalid):
    depth = np.full((48, 64), 2.0, np.float32)
    depth[22, 33] = depth[0, 0] = depth[47, 63] = invalid
    points = deproject(depth, CAMERA.rays())
    assert np.array_equal(np.isnan(points).all(axis=2), ~np.isfinite(depth))
    assert np.isnan(points).sum() == 9


def test_missing_depth_changes_no_other_point():
    """Rows are worked on in blocks, and only those with such a pixel are masked."""
    camera = CameraModel.from_hfov(640, 240, 60.0)
    depth = np.random.default_rng(2).uniform(0.5, 9.0, (240, 640)).astype(np.float32)
    expected = deproject(depth, camera.rays())
    assert np.array_equal(expected[..., 2], depth)
    for row in (0, 130, 239):
        depth[row, 17] = np.nan
    expected[[0, 130, 239], 17] = np.nan
    assert np.array_equal(deproject(depth, camera.rays()), expected, equal_nan=True)


def test_infinities_of_both_signs_do_not_cancel_out():
    depth = np.full((48, 64), 2.0, np.float32)
    depth[5, :4] = np.inf, -np.inf, np.inf, -np.inf
    points = deproject(depth, CAMERA.rays())
    assert np.isnan(points).sum() == 12


def test_depth_on_a_ray_of_zero_is_still_a_point():
    camera = CameraModel.from_intrinsics(100.0, 100.0, 1.0, 1.0, 3, 3)
    depth = np.full((3, 3), 4.0, np.float32)
    assert deproject(depth, camera.rays())[1, 1].tolist() == [0.0, 0.0, 4.0]
    depth[1, 1] = np.inf
    assert np.isnan(deproject(depth, camera.rays())[1, 1]).all()


def test_pixel_without_a_ray_gives_no_point():
    rays = CAMERA.rays().copy()
    rays[3, 4] = np.nan
    points = deproject(np.ones((48, 64), np.float32), rays)
    assert np.isnan(points[3, 4]).all()
    assert np.isnan(points).sum() == 3


@pytest.mark.parametrize("stride", [2, 3])
def test_strided_depth_is_the_strided_cloud(stride):
    depth = np.random.default_rng(1).uniform(0.5, 9.0, (48, 64)).astype(np.float32)
    part = deproject(depth[::stride, ::stride], CAMERA.rays(stride=stride))
    assert np.array_equal(part, deproject(depth, CAMERA.rays())[::stride, ::stride])


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1)])
def test_the_smallest_images(size):
    camera = CameraModel.from_intrinsics(10.0, 10.0, 0.0, 0.0, size[1], size[0])
    points = deproject(np.full(size, 3.0, np.float32), camera.rays())
    assert points.shape == (*size, 3)
    assert points[-1, -1] == pytest.approx([0.3 * (size[1] - 1), 0.3 * (size[0] - 1), 3.0])


def test_depth_is_left_as_it_was():
    depth = np.array([[1.0, np.nan, np.inf]], np.float32)
    before = depth.copy()
    deproject(depth, CameraModel.from_intrinsics(1, 1, 0, 0, 3, 1).rays())
    assert np.array_equal(depth, before, equal_nan=True)


def test_rays_of_another_size_are_refused():
    with pytest.raises(CalibrationError, match=r"found rays 64 x 48, expected 32 x 24"):
        deproject(np.ones((24, 32), np.float32), CAMERA.rays())


# Invalid cameras


@pytest.mark.parametrize("fx", [5e-324, 1e-7, 1e13, 1.7e308])
def test_focal_lengths_of_no_lens_are_refused(fx):
    # Scaled down, the smallest would become 0 on the way, and the cloud would find no calibration.
    with pytest.raises(
        CalibrationError, match=r"not a valid pinhole matrix.*1e-06 to 1e\+12 pixels"
    ):
        CameraModel(64, 48, [fx, 0, 32, 0, 100, 24, 0, 0, 1])


def test_a_principal_point_beyond_range_is_refused():
    with pytest.raises(CalibrationError, match="cx = 1e\\+300"):
        CameraModel(64, 48, [100, 0, 1e300, 0, 100, 24, 0, 0, 1])


@pytest.mark.parametrize("last_row", [(0, 0, 0), (-1, 0, 1), (7, 7, 7)])
def test_the_last_row_of_k_is_ignored(last_row):
    right = CameraModel(64, 48, [100, 0, 32, 0, 100, 24, 0, 0, 1]).scaled(32, 24)
    odd = CameraModel(64, 48, [100, 0, 32, 0, 100, 24, *last_row]).scaled(32, 24)
    assert np.array_equal(odd.K, right.K)
