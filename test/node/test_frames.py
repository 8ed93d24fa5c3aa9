"""prepare and EstimatedFrame: the way of a frame that the node and the replay share."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from depth_estimation_ros.errors import CalibrationError, ImageError
from depth_estimation_ros.estimation import DepthResult
from depth_estimation_ros.geometry.camera_model import CameraModel, deproject
from depth_estimation_ros.messages import (
    ROSBAGS,
    camera_info,
    camera_model,
    color_image,
    decode_depth,
    decode_image,
    read_points,
)
from depth_estimation_ros.node.frames import OUTPUTS, EstimatedFrame, prepare
from depth_estimation_ros.visualization import ColorSettings, DepthColors, colorize

pytest.importorskip("rosbags.typesys", reason="needs rosbags")

RNG = np.random.default_rng(3)
H, W = 6, 8
HEADER = SimpleNamespace(stamp=SimpleNamespace(sec=7, nanosec=8), frame_id="camera_optical")
RGB = RNG.integers(0, 256, (H, W, 3), np.uint8)
IMAGE = color_image(RGB, HEADER, ROSBAGS)
CAMERA = CameraModel.from_intrinsics(9.0, 9.5, 3.0, 2.0, W, H)
INFO = camera_info(CAMERA, HEADER, ROSBAGS)
DEPTH = RNG.uniform(1, 5, (H, W)).astype(np.float32)


def info_of(**changes: object) -> object:
    return camera_info(replace(CAMERA, **changes), HEADER, ROSBAGS)


def compressed() -> SimpleNamespace:
    data = cv2.imencode(".png", RGB[..., ::-1])[1].reshape(-1)
    return SimpleNamespace(header=HEADER, format="png", data=data)


def estimated(info: object = INFO, depth: np.ndarray = DEPTH) -> EstimatedFrame:
    prepared = prepare(IMAGE, info)
    seen_by = prepared.camera and prepared.camera.scaled(depth.shape[1], depth.shape[0])
    return EstimatedFrame(prepared, DepthResult(depth, seen_by, 1.0, 0.1, 10.0))


# A message in


@pytest.mark.parametrize("image", [IMAGE, compressed()], ids=["raw", "compressed"])
def test_image_is_decoded_whatever_its_transport(image: object) -> None:
    prepared = prepare(image, INFO)
    assert np.array_equal(prepared.rgb, RGB)
    assert prepared.header.stamp.sec == 7
    assert np.array_equal(prepared.camera.K, CAMERA.K)
    assert (prepared.camera_state, prepared.camera_problem) == ("calibrated", "")


def test_raw_image_is_not_copied() -> None:
    assert np.shares_memory(prepare(IMAGE, INFO).rgb, RGB)


def test_camera_that_is_missing_or_not_calibrated_is_none() -> None:
    uncalibrated = camera_info(CameraModel(W, H, np.zeros((3, 3))), HEADER, ROSBAGS)
    assert prepare(IMAGE, None).camera is None
    assert prepare(IMAGE, None).camera_state == "missing"
    assert prepare(IMAGE, uncalibrated).camera is None
    assert prepare(IMAGE, uncalibrated).camera_state == "uncalibrated"


def test_lens_model_that_is_not_known_leaves_the_camera_and_says_why() -> None:
    prepared = prepare(IMAGE, info_of(D=np.ones(5), distortion_model="fish_eye_9"))
    assert prepared.camera_state == "unsupported"
    assert prepared.camera.fx == 9.0
    assert "fish_eye_9" in prepared.camera_problem


def test_rectified_image_has_the_camera_p() -> None:
    P = np.array([[5.0, 0, 3, 0], [0, 5, 2, 0], [0, 0, 1, 0]])
    info = info_of(P=P, D=np.ones(5), distortion_model="plumb_bob")
    camera = prepare(IMAGE, info, image_is_rectified=True).camera
    assert (camera.fx, camera.D.any()) == (5.0, False)
    with pytest.raises(CalibrationError, match="image_is_rectified"):
        prepare(IMAGE, info_of(P=np.zeros((3, 4))), image_is_rectified=True)


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(ImageError, match="found 'rgb9'"):
        prepare(SimpleNamespace(header=HEADER, encoding="rgb9", width=W, height=H), INFO)
    with pytest.raises(CalibrationError, match=f"expected {W} x {H} as the image"):
        prepare(IMAGE, camera_info(CAMERA.scaled(4, 3), HEADER, ROSBAGS))


# Messages out


def test_all_messages_carry_the_stamp_and_frame_of_the_image() -> None:
    frame = estimated(info_of())
    made = [
        frame.depth(kind=ROSBAGS),
        frame.camera_info(ROSBAGS),
        frame.points(kind=ROSBAGS),
        frame.color(DepthColors(), ROSBAGS),
    ]
    assert [m.header.stamp.nanosec for m in made] == [8] * 4
    assert {m.header.frame_id for m in made} == {"camera_optical"}


def test_depth_and_its_colours() -> None:
    frame = estimated()
    assert np.array_equal(decode_depth(frame.depth(kind=ROSBAGS)), DEPTH)
    assert frame.depth("16UC1", ROSBAGS).encoding == "16UC1"
    for limit, far in [(0.0, 10.0), (4.0, 4.0)]:
        drawn = DepthColors(ColorSettings(color_map="viridis", max_depth=limit))
        colors = decode_image(frame.color(drawn, ROSBAGS))
        assert np.array_equal(colors, colorize(DEPTH, max_depth=far, color_map="viridis"))


@pytest.mark.parametrize("stride", [1, 3])
def test_cloud_has_the_colours_of_the_image(stride: int) -> None:
    xyz, rgb = read_points(estimated().points(stride, kind=ROSBAGS))
    expected = deproject(DEPTH, CAMERA.rays())[::stride, ::stride]
    np.testing.assert_allclose(xyz, expected, rtol=1e-6)
    assert np.array_equal(rgb, RGB[::stride, ::stride])


def test_depth_of_another_size_scales_camera_and_colours() -> None:
    frame = estimated(depth=DEPTH[:3, :4])
    camera = camera_model(frame.camera_info(ROSBAGS))
    assert np.allclose(camera.K, CAMERA.scaled(4, 3).K)
    xyz, rgb = read_points(frame.points(kind=ROSBAGS))
    assert xyz.shape == (3, 4, 3)
    assert np.array_equal(rgb, cv2.resize(RGB, (4, 3), interpolation=cv2.INTER_AREA))


def test_voxels_make_an_unorganised_cloud_of_fewer_points() -> None:
    cloud = estimated().points(voxel_size=100.0, kind=ROSBAGS)
    assert cloud.height == 1
    assert 1 <= cloud.width < H * W


def test_without_a_calibration_there_is_no_cloud() -> None:
    frame = estimated(None)
    with pytest.raises(CalibrationError, match="found CameraInfo missing"):
        frame.points(kind=ROSBAGS)
    with pytest.raises(CalibrationError, match="found CameraInfo missing"):
        frame.camera_info(ROSBAGS)


def test_outputs_of_each_state_of_the_camera_can_be_made() -> None:
    unsupported = info_of(D=np.ones(5), distortion_model="fish_eye_9")
    uncalibrated = camera_info(CameraModel(W, H, np.zeros((3, 3))), HEADER, ROSBAGS)
    for info in (INFO, unsupported, uncalibrated, None):
        frame = estimated(info)
        makers = {
            "depth": lambda f=frame: f.depth(kind=ROSBAGS),
            "camera_info": lambda f=frame: f.camera_info(ROSBAGS),
            "points": lambda f=frame: f.points(kind=ROSBAGS),
            "color": lambda f=frame: f.color(DepthColors(), ROSBAGS),
        }
        for name, make in makers.items():
            if name in OUTPUTS[frame.prepared.camera_state]:
                assert make().header.frame_id == "camera_optical"
            else:
                with pytest.raises(CalibrationError):
                    make()
