"""Where the numbers of a camera come from, and what follows when there are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import demo_recordings as recordings
import numpy as np
import pytest
import yaml
from replay_runs import image_bag, messages, run, summary_file, written

from depth_estimation_ros.apps.replay.plan import name_outputs
from depth_estimation_ros.bags import CameraTopics, Topic
from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.messages import decode_depth

DEPTH = "/camera/depth_estimation/depth/image"
INFO = "/camera/depth_estimation/depth/camera_info"
POINTS = "/camera/depth_estimation/points"


def images(count: int) -> list[Any]:
    """Raw images at 8 Hz."""
    times = recordings.stamps(count)
    return [recordings.raw_image(recordings.picture(i), t) for i, t in enumerate(times)]


def info(stamp_ns: int, focal: float) -> Any:
    """A CameraInfo with this focal length, pixels; 0 is uncalibrated."""
    message = recordings.camera_info(stamp_ns)
    message.k[[0, 4]] = message.p[[0, 5]] = focal
    return message


def focal_lengths(output: Path) -> list[float]:
    """Of the CameraInfo that were written."""
    return [float(message.k[0]) for _, message in messages(output, INFO)]


def test_each_image_gets_the_nearest_camera_info(tmp_path: Path) -> None:
    times = recordings.stamps(4)
    infos = [info(times[0], 60), info(times[1] + 10, 61), info(times[2] - 10, 62)]
    bag = recordings.write_bag(
        tmp_path / "bag", {"/camera/image": images(4), "/camera/camera_info": infos}
    )

    run(bag, tmp_path / "out")

    assert focal_lengths(tmp_path / "out") == [60, 61, 62, 62]


def test_raw_images_are_rectified_by_p(tmp_path: Path) -> None:
    width, height = recordings.WIDTH, recordings.HEIGHT
    wide = recordings.camera_info(recordings.stamps(1)[0])
    wide.d[:2] = -0.25, 0.05
    wide.p[[0, 5]] = 0.6 * recordings.FOCAL  # so wide that the raw image does not fill it
    bag = recordings.write_bag(
        tmp_path / "bag", {"/camera/image": images(1), "/camera/camera_info": [wide]}
    )

    run(bag, tmp_path / "out", rectify=True)

    k, p = wide.k.reshape(3, 3), wide.p.reshape(3, 4)
    maps = cv2.initUndistortRectifyMap(k, wide.d, None, p, (width, height), cv2.CV_32FC1)
    red = cv2.remap(recordings.picture(0), *maps, cv2.INTER_LINEAR)[..., 0]
    inside = (maps[0] > 1) & (maps[0] < width - 2) & (maps[1] > 1) & (maps[1] < height - 2)
    outside = (maps[0] < -1) | (maps[0] > width) | (maps[1] < -1) | (maps[1] > height)
    ((_, depth),) = messages(tmp_path / "out", DEPTH)
    values = decode_depth(depth)
    np.testing.assert_allclose(values[inside], 1.0 + 8.0 * red[inside] / 255.0, atol=0.1)
    assert np.count_nonzero(outside) > 100
    assert np.all(np.isnan(values[outside]))
    ((_, camera),) = messages(tmp_path / "out", INFO)
    np.testing.assert_allclose(camera.k, p[:, :3].ravel())
    assert not np.any(camera.d)


@pytest.mark.parametrize("late_s", [-5.0, 0.3, 20.0])
def test_single_camera_info_serves_all_images(tmp_path: Path, late_s: float) -> None:
    times = recordings.stamps(4)
    single = [info(times[0] + round(late_s * 1e9), 60)]
    bag = recordings.write_bag(
        tmp_path / "bag", {"/camera/image": images(4), "/camera/camera_info": single}
    )

    summary = run(bag, tmp_path / "out")

    assert focal_lengths(tmp_path / "out") == [60] * 4
    assert summary.cameras[0].camera_state == "calibrated"


def test_without_camera_info_there_is_no_cloud(tmp_path: Path) -> None:
    bag = recordings.write_bag(tmp_path / "bag", {"/camera/image": images(2)})

    summary = run(bag, tmp_path / "out")

    assert summary.exit_code == 0
    assert {m[0] for m in written(tmp_path / "out")} == {DEPTH}
    assert summary.cameras[0].camera_state == "missing"
    assert "60 degrees, no cloud. Give --hfov or --calibration" in summary.notes[0]


def test_field_of_view_gives_an_assumed_camera(tmp_path: Path) -> None:
    bag = recordings.write_bag(tmp_path / "bag", {"/camera/image": images(2)})

    summary = run(bag, tmp_path / "out", hfov_deg=90.0)

    assert focal_lengths(tmp_path / "out") == pytest.approx([recordings.WIDTH / 2] * 2)
    assert len(messages(tmp_path / "out", POINTS)) == 2
    assert summary.cameras[0].camera_state == "assumed"
    assert "assumed to have a horizontal field of view of 90 degrees" in summary.notes[0]


def test_camera_info_wins_over_a_field_of_view(tmp_path: Path) -> None:
    summary = run(image_bag(tmp_path / "bag", 2), tmp_path / "out", hfov_deg=90.0)

    assert focal_lengths(tmp_path / "out") == [recordings.FOCAL] * 2
    assert summary.notes == [
        "/camera/image: /camera/camera_info is used, not --hfov, where it is calibrated"
    ]


def test_an_uncalibrated_camera_gets_the_field_of_view(tmp_path: Path) -> None:
    infos = [info(t, 0) for t in recordings.stamps(2)]
    bag = recordings.write_bag(
        tmp_path / "bag", {"/camera/image": images(2), "/camera/camera_info": infos}
    )

    without = run(bag, tmp_path / "without")
    summary = run(bag, tmp_path / "out", hfov_deg=90.0)

    assert without.cameras[0].camera_state == "uncalibrated"
    assert {m[0] for m in written(tmp_path / "without")} == {DEPTH}
    assert summary.cameras[0].camera_state == "assumed"
    assert focal_lengths(tmp_path / "out") == pytest.approx([recordings.WIDTH / 2] * 2)


def test_calibration_file_replaces_the_camera_info(tmp_path: Path) -> None:
    calibration = tmp_path / "camera.yaml"
    matrix = {"rows": 3, "cols": 3, "data": [50.0, 0, 31.5, 0, 50.0, 23.5, 0, 0, 1]}
    numbers = {"image_width": 64, "image_height": 48, "camera_matrix": matrix}
    calibration.write_text(yaml.safe_dump(numbers))

    bag = image_bag(tmp_path / "bag", 2)
    summary = run(bag, tmp_path / "out", calibration=str(calibration))

    assert focal_lengths(tmp_path / "out") == [50.0] * 2
    assert summary.notes == [f"/camera/image: {calibration} is used, not /camera/camera_info"]


def test_camera_info_of_another_size_makes_bad_frames(tmp_path: Path) -> None:
    infos = [recordings.camera_info(t) for t in recordings.stamps(2)]
    for message in infos:
        message.width = 640
    bag = recordings.write_bag(
        tmp_path / "bag", {"/camera/image": images(2), "/camera/camera_info": infos}
    )

    summary = run(bag, tmp_path / "out")

    assert (summary.frames_in, summary.frames_bad, summary.exit_code) == (2, 2, 2)
    assert "a CameraInfo for 640 x 48" in summary.bad_frames[0].why
    assert summary_file(tmp_path / "out")["bad_frames"][0]["stamp_ns"] == recordings.START_NS


def test_two_cameras_go_through_at_once(tmp_path: Path) -> None:
    times = recordings.stamps(3)
    topics: dict[str, list[Any]] = {}
    for name, shift in (("left", 0), ("right", 4)):
        pictures = [recordings.picture(i + shift) for i in range(3)]
        topics[f"/{name}/image"] = [
            recordings.raw_image(p, t) for p, t in zip(pictures, times, strict=True)
        ]
        topics[f"/{name}/camera_info"] = [info(t, 60 + shift) for t in times]
    bag = recordings.write_bag(tmp_path / "bag", topics)

    summary = run(bag, tmp_path / "out", batch=2)

    assert [camera.frames_out for camera in summary.cameras] == [3, 3]
    for name, shift in (("left", 0), ("right", 4)):
        root = f"/{name}/depth_estimation"
        for i, (time, message) in enumerate(messages(tmp_path / "out", f"{root}/depth/image")):
            assert time == times[i]
            metres = message.data.view(np.float32).reshape(recordings.HEIGHT, recordings.WIDTH)
            np.testing.assert_allclose(metres, recordings.depth(i + shift), rtol=1e-6)
        found = messages(tmp_path / "out", f"{root}/depth/camera_info")
        assert [float(message.k[0]) for _, message in found] == [60 + shift] * 3


def test_one_calibration_does_not_fit_two_cameras(tmp_path: Path) -> None:
    bag = recordings.write_bag(tmp_path / "bag", {"/a/image": images(1), "/b/image": images(1)})

    with pytest.raises(ParameterError, match=r"2 cameras: /a/image, /b/image.*--image-topic"):
        run(bag, tmp_path / "out", calibration="camera.yaml")


@pytest.mark.parametrize(
    ("topics", "expected"),
    [
        (["/front/image_raw"], ["/front"]),
        (["/front/image_raw/compressed"], ["/front"]),
        (["/image"], [""]),
        (["camera/image"], ["/camera"]),
        (["/left/image", "/right/image"], ["/left", "/right"]),
        (["/stereo/left", "/stereo/right/compressed"], ["/stereo/left", "/stereo/right"]),
        (["/cam/image", "/cam/image/compressed"], ["/cam/image", "/cam/image/compressed"]),
        (["/cam/raw", "/cam/rect", "/cam/raw/zstd"], ["/cam/raw", "/cam/rect", "/cam/raw/zstd"]),
    ],
    ids=str,
)
def test_results_lie_next_to_the_images(topics: list[str], expected: list[str]) -> None:
    cameras = [CameraTopics(Topic(name, "sensor_msgs/msg/Image"), None) for name in topics]

    named = name_outputs(cameras, ("depth", "points"))

    roots = [f"{root}/depth_estimation" for root in expected]
    assert [camera.depth_topic for camera in named] == [f"{root}/depth/image" for root in roots]
    assert [camera.points_topic for camera in named] == [f"{root}/points" for root in roots]
    assert {camera.color_topic for camera in named} == {""}
