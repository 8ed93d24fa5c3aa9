"""CameraInfo to CameraModel and back; which image a CameraInfo belongs to."""

import numpy as np
import pytest

from depth_estimation_ros.errors import CalibrationError
from depth_estimation_ros.geometry.camera_model import CameraModel
from depth_estimation_ros.messages import camera_info, camera_model, check_matches

sensor_msgs = pytest.importorskip("sensor_msgs.msg", reason="needs ROS 2 (sensor_msgs)")
std_msgs = pytest.importorskip("std_msgs.msg", reason="needs ROS 2 (std_msgs)")

HEADER = std_msgs.Header(frame_id="camera_optical")
K = [500.0, 0.0, 320.0, 0.0, 510.0, 240.0, 0.0, 0.0, 1.0]
P = [450.0, 0.0, 310.0, -45.0, 0.0, 460.0, 230.0, 0.0, 0.0, 0.0, 1.0, 0.0]
R = [0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]
D = [0.26, -0.95, -0.005, 0.003, 1.16]


def info(**fields):
    return sensor_msgs.CameraInfo(
        **{
            "width": 640, "height": 480, "distortion_model": "plumb_bob",
            "d": D, "k": K, "r": R, "p": P, **fields,
        }
    )  # fmt: skip


def test_the_model_has_the_numbers_of_the_message():
    camera = camera_model(info())
    assert (camera.width, camera.height) == (640, 480)
    assert camera.distortion_model == "plumb_bob"
    assert camera.D.tolist() == D
    assert camera.K.ravel().tolist() == K
    assert camera.R.ravel().tolist() == R
    assert camera.P.ravel().tolist() == P


@pytest.mark.parametrize("binning", [0, 1])
def test_no_binning_and_no_roi_mean_the_full_image(binning):
    camera = camera_model(info(binning_x=binning, binning_y=binning))
    assert (camera.width, camera.height) == (640, 480)
    assert camera.K.ravel().tolist() == K


@pytest.mark.parametrize("do_rectify", [False, True])
def test_roi_then_binning_give_the_delivered_image(do_rectify):
    msg = info(binning_x=2, binning_y=4)
    msg.roi.x_offset, msg.roi.y_offset, msg.roi.width, msg.roi.height = 100, 40, 300, 400
    msg.roi.do_rectify = do_rectify
    camera = camera_model(msg)
    assert (camera.width, camera.height) == (150, 100)
    assert (camera.fx, camera.cx) == (250.0, (320 - 100) / 2)
    assert (camera.fy, camera.cy) == (127.5, (240 - 40) / 4)
    assert camera.P[0].tolist() == [225.0, 0.0, (310 - 100) / 2, -22.5]
    assert camera.P[1].tolist() == [0.0, 115.0, (230 - 40) / 4, 0.0]
    assert camera.D.tolist() == D
    check_matches(camera, height=100, width=150)


CHANGES = {
    "width": 648,
    "height": 484,
    "distortion_model": "rational_polynomial",
    "d": [0.26, -0.95, -0.005, 0.003, 1.17],
    "k": [501.0, *K[1:]],
    "r": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
    "p": [451.0, *P[1:]],
    "binning_x": 2,
    "binning_y": 2,
    "roi": sensor_msgs.RegionOfInterest(width=320),
}


@pytest.mark.parametrize("change", CHANGES)
def test_equal_numbers_give_the_same_model(change):
    before = camera_model(info())
    assert camera_model(info()) is before
    assert camera_model(info(**{change: CHANGES[change]})) is not before


def test_roi_outside_the_sensor():
    msg = info()
    msg.roi.width, msg.roi.height, msg.roi.x_offset = 640, 480, 1
    with pytest.raises(CalibrationError, match=r"found 640 x 480 at \(1, 0\)"):
        camera_model(msg)


def test_empty_camera_info_fits_every_image():
    camera = camera_model(sensor_msgs.CameraInfo())
    assert not camera.is_calibrated
    check_matches(camera, height=480, width=640)


def test_uncalibrated_camera_info_must_have_the_image_size():
    camera = camera_model(info(k=[0.0] * 9, d=[]))
    assert not camera.is_calibrated
    check_matches(camera, height=480, width=640)
    with pytest.raises(CalibrationError, match="640 x 480"):
        check_matches(camera, height=240, width=320)


def test_nan_in_the_calibration():
    with pytest.raises(CalibrationError, match="K is not finite"):
        camera_model(info(k=[np.nan] * 9))


@pytest.mark.parametrize("size", [(480, 641), (479, 640), (640, 480), (240, 320)])
def test_camera_info_of_another_size_names_both_sizes(size):
    with pytest.raises(
        CalibrationError,
        match=rf"found a CameraInfo for 640 x 480 .*expected {size[1]} x {size[0]} as the image.*"
        "same camera",
    ):
        check_matches(camera_model(info()), height=size[0], width=size[1])


def test_calibrated_camera_info_without_a_size():
    with pytest.raises(CalibrationError, match="found a CameraInfo for 0 x 0"):
        check_matches(camera_model(info(width=0, height=0)), height=480, width=640)


def test_there_and_back():
    msg = camera_info(camera_model(info()), HEADER)
    assert msg == info(header=HEADER)
    assert msg.header.frame_id == "camera_optical"


def test_camera_info_of_a_scaled_camera_has_no_roi():
    msg = info(binning_x=2, binning_y=2)
    msg.roi.width, msg.roi.height = 320, 240
    camera = camera_model(msg).scaled(80, 60)
    out = camera_info(camera, HEADER)
    assert (out.width, out.height) == (80, 60)
    assert (out.binning_x, out.binning_y, out.roi) == (0, 0, sensor_msgs.RegionOfInterest())
    back = camera_model(out)
    for name in ("K", "D", "R", "P"):
        assert np.array_equal(getattr(back, name), getattr(camera, name))


def test_camera_info_of_made_up_camera():
    camera = CameraModel.from_hfov(640, 480, 60.0)
    out = camera_info(camera, HEADER)
    assert out.k[0] == pytest.approx(320 / np.tan(np.pi / 6))
    assert out.p[0] == out.k[0]
    assert out.r.tolist() == np.eye(3).ravel().tolist()
    assert len(out.d) == 0
