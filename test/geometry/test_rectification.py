"""Rectified images: a point is where P projects it; what the raw image does not show is known."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from camera_cases import pixel_grid

from depth_estimation_ros.errors import CalibrationError
from depth_estimation_ros.geometry.camera_model import CameraModel
from depth_estimation_ros.geometry.rectification import rectification

K = [200.0, 0, 160, 0, 200, 120, 0, 0, 1]
P = [150.0, 0, 155, -15, 0, 150, 118, 0, 0, 0, 1, 0]
TURN = cv2.Rodrigues(np.array([0.02, -0.03, 0.05]))[0]
LENSES = {
    "barrel": ("plumb_bob", [-0.25, 0.05, 0.001, -0.002, 0.0]),
    "tilted": (
        "rational_polynomial",
        [0.1, -0.05, 2e-4, -1e-4, 0.0, 0.05, 0, 0, 0.02, -0.01, 0.01, 0.02, 0.03, -0.05],
    ),
    "fisheye": ("equidistant", [0.01, -0.02, 0.005, -0.001]),
    "none": ("", []),
}


def gradients(rays, R):
    """An image whose red and green say where the ray goes in the rectified camera."""
    x, y, z = np.moveaxis(np.dstack([rays, np.ones(rays.shape[:2])]) @ R.T, 2, 0)
    return np.dstack([127 + 60 * x / z, 127 + 60 * y / z, np.zeros_like(x)])


@pytest.mark.parametrize("R", [np.eye(3), TURN], ids=["mono", "stereo"])
@pytest.mark.parametrize("lens", LENSES)
def test_pixels_move_to_where_p_projects_them(lens, R):
    model, D = LENSES[lens]
    camera = CameraModel(320, 240, K, D, model, R, P)
    raw = np.nan_to_num(np.clip(gradients(camera.rays(), R), 0, 255)).astype(np.uint8)
    made = rectification(camera)
    assert (made.camera.fx, made.camera.cx, made.camera.P[0, 3]) == (150.0, 155.0, -15.0)
    u, v = pixel_grid(320, 240)
    expected = gradients(np.dstack([(u - 155) / 150, (v - 118) / 150]), np.eye(3))
    inside = made.visible & (expected > 1).all(axis=2, where=[True, True, False])
    inside &= (expected < 254).all(axis=2)
    assert 0.3 < inside.mean() <= 1
    difference = np.abs(made.apply(raw)[inside].astype(float) - expected[inside])
    assert difference.max() < 1.6  # one level is 2.5 pixels


@pytest.mark.parametrize("lens", ["barrel", "fisheye"])
def test_visible_pixels_are_those_with_a_raw_pixel(lens):
    model, D = LENSES[lens]
    camera = CameraModel(320, 240, K, D, model, P=[80.0, 0, 160, 0, 0, 80, 120, 0, 0, 0, 1, 0])
    made = rectification(camera)
    white = np.full((240, 320, 3), 255, np.uint8)
    seen = cv2.remap(white, *made.maps, cv2.INTER_NEAREST)[..., 0] == 255
    assert 0.2 < made.visible.mean() < 0.95
    if lens == "fisheye":  # no fold before 89 degrees
        assert np.mean(seen != made.visible) < 0.01  # a half pixel of border
    assert not made.visible[0, 0]
    assert made.visible_at(120, 160).shape == (120, 160)
    assert abs(made.visible_at(120, 160).mean() - made.visible.mean()) < 0.01


def test_beyond_the_fold_nothing_is_visible():
    # r (1 - 0.3 r^2) folds back at r = 1.0541: OpenCV shows the image there once more.
    camera = CameraModel(
        640, 480, [300, 0, 320, 0, 300, 240, 0, 0, 1], [-0.3, 0, 0, 0], "plumb_bob",
        P=[150, 0, 320, 0, 0, 150, 240, 0, 0, 0, 1, 0],
    )  # fmt: skip
    u, v = pixel_grid(640, 480)
    radius = np.hypot(u - 320, v - 240) / 150
    visible = rectification(camera).visible
    assert not visible[radius > 1.055].any()
    assert visible[radius < 0.9].all()


def test_without_p_k_takes_its_place():
    camera = CameraModel(320, 240, K, LENSES["barrel"][1], "plumb_bob", np.zeros(9), np.zeros(12))
    assert np.array_equal(rectification(camera).camera.K.ravel(), K)
    plain = replace(camera, D=np.zeros(5))
    image = np.zeros((240, 320, 3), np.uint8)
    assert rectification(plain).apply(image) is image


def test_an_unknown_lens_cannot_be_rectified():
    with pytest.raises(CalibrationError, match="found 'double_sphere'"):
        rectification(CameraModel(320, 240, K, [0.1], "double_sphere", P=P))
