"""The cameras of a recording, and calibration files for those without CameraInfo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import demo_recordings as made
import numpy as np
import pytest

from depth_estimation_ros.bags import find_cameras, nearest, open_recording
from depth_estimation_ros.errors import BagError, CalibrationError
from depth_estimation_ros.geometry.calibration_file import read_calibration

TIMES = made.stamps(2)


def images() -> list[Any]:
    return [made.raw_image(made.picture(i), t) for i, t in enumerate(TIMES)]


def pngs() -> list[Any]:
    return [made.png_image(made.picture(i), t) for i, t in enumerate(TIMES)]


def infos() -> list[Any]:
    return [made.camera_info(t) for t in TIMES]


def depths() -> list[Any]:
    return [made.float_depth(made.depth(i), t) for i, t in enumerate(TIMES)]


def cameras(path: Path, *named: list[str]) -> list[tuple[str, str | None]]:
    with open_recording(path) as recording:
        found = find_cameras(recording, *named)
    return [(c.image.name, c.camera_info.name if c.camera_info else None) for c in found]


@pytest.fixture
def rig(tmp_path: Path) -> Path:
    """Two cameras, one of them also compressed, depth, and what this package made earlier."""
    return made.write_bag(
        tmp_path / "rig",
        {
            "/left/image_raw": images(),
            "/left/image_raw/compressed": pngs(),
            "/left/camera_info": infos(),
            "/left/depth": depths(),
            "/left/depth_estimation/depth/image": depths(),
            "/left/depth_estimation/depth/color": images(),
            "/right/image_raw/compressed": pngs(),
            "/right/camera_info": infos(),
        },
    )


def test_all_colour_cameras_are_found_each_once(rig: Path) -> None:
    assert cameras(rig) == [
        ("/left/image_raw", "/left/camera_info"),
        ("/right/image_raw/compressed", "/right/camera_info"),
    ]


def test_cameras_are_named_in_any_order(rig: Path) -> None:
    named = ["/right/image_raw/compressed", "/left/image_raw/compressed"]
    assert cameras(rig, named) == [
        (named[0], "/right/camera_info"),
        (named[1], "/left/camera_info"),
    ]
    swapped = cameras(rig, named, ["/left/camera_info", "/right/camera_info"])
    assert [info for _, info in swapped] == ["/left/camera_info", "/right/camera_info"]


def test_wrong_names_are_answered_with_the_right_ones(rig: Path) -> None:
    with pytest.raises(
        BagError, match=r"found /up, expected one of: /left/.* \(sensor_msgs/Image, 2\)"
    ):
        cameras(rig, ["/up"])
    with pytest.raises(BagError, match=r"found /up, expected one of: /left/camera_info"):
        cameras(rig, ["/left/image_raw"], ["/up"])
    with pytest.raises(BagError, match=r"found 1 for 2 cameras: /left/.*, expected one for each"):
        cameras(rig, [], ["/left/camera_info"])


def test_lone_camera_takes_the_only_camera_info(tmp_path: Path) -> None:
    one = made.write_bag(tmp_path / "one", {"/a/image": images(), "/elsewhere/info": infos()})
    assert cameras(one) == [("/a/image", "/elsewhere/info")]
    topics = {"/a/image": images(), "/b/image": images(), "/elsewhere/info": infos()}
    two = made.write_bag(tmp_path / "two", topics)
    assert cameras(two) == [("/a/image", None), ("/b/image", None)]


def test_a_recording_without_cameras_lists_what_it_has(tmp_path: Path) -> None:
    path = made.write_bag(tmp_path / "a", {"/info": infos()})
    with pytest.raises(BagError, match=r"No colour images in .*: found /info \(sensor_msgs/Camer"):
        cameras(path)
    own = {"/camera/depth_estimation/depth/color": images()}
    with pytest.raises(BagError, match=r"No camera in .*only what this package made"):
        cameras(made.write_bag(tmp_path / "own", own))


def test_the_nearest_of_sorted_stamps() -> None:
    assert [nearest([10, 20, 40], stamp) for stamp in (0, 15, 16, 30, 31, 99)] == [0, 0, 1, 1, 2, 2]


CALIBRATION = """
image_width: 640
image_height: 480
camera_name: narrow
camera_matrix: {rows: 3, cols: 3, data: [500, 0, 320, 0, 501, 240, 0, 0, 1]}
"""
MORE = """
distortion_model: rational_polynomial
distortion_coefficients: {rows: 1, cols: 8, data: [.1, .2, .3, .4, .5, .6, .7, .8]}
rectification_matrix: {rows: 3, cols: 3, data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}
projection_matrix: {rows: 3, cols: 4, data: [450, 0, 321, 0, 0, 451, 241, 0, 0, 0, 1, 0]}
"""


def test_a_calibration_file_gives_its_camera(tmp_path: Path) -> None:
    path = tmp_path / "camera.yaml"
    path.write_text(CALIBRATION + MORE)
    camera = read_calibration(path)
    assert (camera.width, camera.height) == (640, 480)
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (500, 501, 320, 240)
    assert camera.distortion_model == "rational_polynomial"
    np.testing.assert_array_equal(camera.D, np.arange(1, 9) / 10)
    np.testing.assert_array_equal(camera.P[0], [450, 0, 321, 0])


def test_calibration_without_distortion(tmp_path: Path) -> None:
    path = tmp_path / "camera.yaml"
    path.write_text(CALIBRATION)
    camera = read_calibration(path)
    assert camera.D.size == 0
    np.testing.assert_array_equal(camera.R, np.eye(3))
    np.testing.assert_array_equal(camera.P[:, :3], camera.K)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("image_width: 640", "no field 'image_height'"),
        ("just words", "it has no fields"),
        ("a: [", "expected"),
        (CALIBRATION.replace("data: [500", "data: [x"), "could not convert"),
        (CALIBRATION.replace("0, 0, 1]", "0]"), "camera.yaml"),
        (CALIBRATION.replace("{rows: 3, cols: 3, data:", "").replace("]}", "]"), "not a matrix"),
    ],
)
def test_what_is_no_calibration_is_said(text: str, found: str, tmp_path: Path) -> None:
    path = tmp_path / "camera.yaml"
    path.write_text(text)
    with pytest.raises(CalibrationError, match=r"The calibration .*camera\.yaml") as error:
        read_calibration(path)
    assert found in str(error.value)


def test_a_missing_calibration_is_said(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="No such file"):
        read_calibration(tmp_path / "missing.yaml")
