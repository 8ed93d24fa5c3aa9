"""Undistortion: OpenCV's projection of a ray must hit its pixel again."""

import numpy as np
import pytest
from camera_cases import CAMERA, pixel_grid, project_distorted, tum_camera

from depth_estimation_ros.errors import CalibrationError
from depth_estimation_ros.geometry.camera_model import CameraModel


@pytest.mark.parametrize(
    ("model", "D"),
    [
        ("plumb_bob", (0.2624, -0.9531, -0.0054, 0.0026, 1.1633)),
        ("plumb_bob", (-0.28, 0.07, 0.001, -0.0005, 0.0)),
        ("plumb_bob", (-0.28, 0.07, 0.001, -0.0005)),
        ("rational_polynomial", (5.2, 3.1, 2e-4, -1e-4, 0.15, 5.5, 4.9, 0.8)),
        ("rational_polynomial", (0.1, -0.2, 2e-4, -1e-4, 0.05, 0.1, 0, 0, 0.02, -0.01, 0.01, 0.02)),
        (
            "rational_polynomial",
            (0.1, -0.2, 2e-4, -1e-4, 0.05, 0.1, 0, 0, 0.02, -0.01, 0.01, 0.02, 0.03, -0.05),
        ),
        ("equidistant", (0.01, -0.02, 0.005, -0.001)),
        ("equidistant", (0.0, 0.0, 0.0, 0.0)),
    ],
)
def test_projecting_the_rays_gives_the_pixels(model, D):
    camera = tum_camera(model, D)
    pixels = project_distorted(camera.rays(), camera)
    expected = np.dstack(pixel_grid(640, 480))
    assert np.abs(pixels - expected).max() < 0.001  # pixels


@pytest.mark.parametrize(
    ("model", "D", "count"),
    [
        ("plumb_bob", (0.1, -0.2, 0.001, 0.002, 0.05), 8),  # Orbbec
        ("rational_polynomial", (5.2, 3.1, 2e-4, -1e-4, 0.15, 5.5, 4.9, 0.8), 12),  # Isaac Sim
        ("rational_polynomial", (5.2, 3.1, 2e-4, -1e-4, 0.15, 5.5, 4.9, 0.8), 16),
        ("equidistant", (0.01, -0.02, 0.005, -0.001), 8),
    ],
)
def test_trailing_zeros_are_no_coefficients(model, D, count):
    padded = [*D, *[0.0] * (count - len(D))]
    assert np.array_equal(tum_camera(model, padded).rays(), tum_camera(model, D).rays())


@pytest.mark.parametrize("seed", range(8))
def test_random_calibrations_are_inverted(seed):
    rng = np.random.default_rng(seed)
    if seed % 2:
        camera = tum_camera("plumb_bob", rng.normal(0, [0.3, 0.3, 0.003, 0.003, 0.3]))
    elif seed % 4:
        scale = [*[0.2] * 2, *[0.003] * 2, *[0.1] * 4, *[0.02] * 6]
        camera = tum_camera("rational_polynomial", rng.normal(0, scale))
    else:
        camera = tum_camera("equidistant", rng.normal(0, 0.03, 4))
    rays = camera.rays(stride=8)
    pixels = project_distorted(rays, camera)
    expected = np.dstack(pixel_grid(640, 480))[::8, ::8]
    valid = np.isfinite(rays).all(axis=2)
    assert valid[30, 40]  # the centre always has a ray
    assert np.abs(pixels - expected)[valid].max() < 0.001


def test_equidistant_of_zeros_is_radius_equal_to_angle():
    camera = CameraModel(641, 481, [300, 0, 320, 0, 300, 240, 0, 0, 1], np.zeros(4), "equidistant")
    right_of_centre = camera.rays()[240, 320:, 0]
    angle = np.arange(321) / 300.0  # up to 61 degrees
    assert right_of_centre == pytest.approx(np.tan(angle), rel=1e-5)


def test_pixels_beyond_the_fold_have_no_ray():
    # r (1 - 0.3 r^2) grows up to r = 1.0541 only, where it is 0.7027: nothing projects further out.
    camera = CameraModel(
        640, 480, [300, 0, 320, 0, 300, 240, 0, 0, 1], [-0.3, 0, 0, 0], "plumb_bob"
    )
    rays = camera.rays()
    u, v = pixel_grid(640, 480)
    distorted_radius = np.hypot(u - 320, v - 240) / 300
    missing = np.isnan(rays).all(axis=2)
    assert np.array_equal(np.isnan(rays).any(axis=2), missing)
    assert missing[distorted_radius > 0.7028].all()
    assert not missing[distorted_radius < 0.7025].any()
    assert np.hypot(rays[..., 0], rays[..., 1])[~missing].max() <= 1.0541


def test_fisheye_pixels_beyond_89_degrees_have_no_ray():
    camera = CameraModel(641, 11, [150, 0, 320, 0, 150, 5, 0, 0, 1], np.zeros(4), "equidistant")
    row = camera.rays()[5, 320:, 0]  # pixel k is seen at k / 150 rad
    assert np.isfinite(row[:233]).all()  # 232 / 150 rad = 88.6 degrees
    assert np.isnan(row[234:]).all()


@pytest.mark.parametrize("model", ["", "none", "plumb_bob", "rational_polynomial"])
def test_zero_coefficients_mean_no_distortion(model):
    for D in ([], np.zeros(5)):
        camera = CameraModel(64, 48, CAMERA.K, D, model)
        assert np.array_equal(camera.rays(), CAMERA.rays())


@pytest.mark.parametrize(
    ("model", "D", "message"),
    [
        ("double_sphere", [0.1], "distortion_model is not known: found 'double_sphere'"),
        ("", [0.1, 0, 0, 0, 0], "distortion_model is not known: found ''"),
        ("none", [0.1, 0, 0, 0, 0], "distortion_model is not known: found 'none'"),
        ("plumb_bob", [0.1] * 8, "plumb_bob: found 8 coefficients, expected 4 to 5"),
        ("rational_polynomial", [0.1] * 5, "found 5 coefficients, expected 8 to 14"),
        ("equidistant", [], "equidistant: found 0 coefficients, expected 4"),
    ],
)
def test_unknown_distortion_is_refused_for_raw_images(model, D, message):
    camera = CameraModel(64, 48, CAMERA.K, D, model, P=CAMERA.P)
    with pytest.raises(CalibrationError, match=message):
        camera.rays()
    assert np.array_equal(camera.rectified().rays(), CAMERA.rays())
