"""A node whose terminal and log files cannot be written works on; /dev/full refuses every byte."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

import tiny_models
from ros_helpers import NodeProcess, Tester, red_image
from sensor_msgs.msg import Image

from depth_estimation_ros.node.environment import log_arguments

WITHOUT = ["--ros-args", "--disable-external-lib-logs"]


class Unheard(NodeProcess):
    """Its log cannot be written, so there is nothing to read."""

    log = ""  # type: ignore[assignment]


def works(tester: Tester, folder: Path) -> None:
    """A node that can write nowhere answers, tells a bad image, answers again, and ends well."""
    model = tiny_models.constant_depth(folder / "two.onnx", 2.0)
    (folder / "node.log").symlink_to("/dev/full")
    with Unheard(folder, model=str(model), camera_info_timeout=0.0) as node:
        depth = tester.collect(node, Image, "~/depth/image")
        tester.result_of(node, red_image(), depth)
        tester.publish(node, "image", Image())
        tester.diagnostics(node, lambda v: v["level"] == "2")
        tester.result_of(node, red_image(), depth)
        assert node.stop() == 0


def test_log_on_a_full_disk_stops_nothing(
    tester: Tester, tmp_path: Path, full_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OSError, match="No space"):
        (full_disk / "rest").write_bytes(bytes(1 << 20))
    monkeypatch.setenv("ROS_LOG_DIR", str(full_disk / "log"))
    works(tester, tmp_path)


def test_log_that_cannot_be_made_stops_nothing(
    tester: Tester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_LOG_DIR", "/dev/null/log")
    works(tester, tmp_path)


def test_log_folder_is_that_of_ros_and_is_said_if_it_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("ROS_LOG_DIR", "ROS_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/dev/null")
    assert log_arguments() == WITHOUT
    assert capsys.readouterr().err == (
        "no log files: /dev/null/.ros/log cannot be written (Not a directory)\n"
    )
    monkeypatch.setenv("ROS_HOME", str(tmp_path / "home"))
    assert log_arguments() == []
    assert (tmp_path / "home" / "log").is_dir()
    monkeypatch.setenv("ROS_LOG_DIR", "/dev/null")
    assert log_arguments() == WITHOUT
