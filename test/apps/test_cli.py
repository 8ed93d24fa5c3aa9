"""The console commands on a machine that lacks what they need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from depth_estimation_ros.apps import cli

REPOSITORY = Path(__file__).resolve().parents[2]


def run_bare(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A Python without any installed package (-S) but with this one."""
    command = [sys.executable, "-S", "-E", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def test_the_demo_says_what_to_install() -> None:
    done = run_bare("-m", "depth_estimation_ros.apps.demo", "--help")
    assert done.returncode == 1
    assert "needs rclpy, rich, rosbags, mcap, matplotlib: not installed" in done.stderr
    assert "Source ROS 2" in done.stderr
    assert "pip install rich rosbags mcap matplotlib" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_replay_of_recordings_says_what_to_install_and_asks_for_no_ros() -> None:
    done = run_bare("-m", "depth_estimation_ros.apps.replay", "--help")
    assert done.returncode == 1
    assert "replay needs rich, rosbags, mcap, matplotlib, jinja2: not installed" in done.stderr
    assert "ROS" not in done.stderr
    assert "pip install rich rosbags mcap matplotlib jinja2" in done.stderr
    assert "Traceback" not in done.stderr


def test_depth_of_pictures_says_what_to_install_and_asks_for_no_ros() -> None:
    done = run_bare("-m", "depth_estimation_ros.apps.estimate_depth", "--help")
    assert done.returncode == 1
    assert "estimate_depth needs rich: not installed" in done.stderr
    assert "ROS" not in done.stderr
    assert "Traceback" not in done.stderr


def test_the_node_says_that_ros_is_not_sourced() -> None:
    done = run_bare(
        "-c", "from depth_estimation_ros.__main__ import main; raise SystemExit(main())"
    )
    assert done.returncode == 1
    assert "depth_estimation_node needs rclpy" in done.stderr
    assert "Source ROS 2" in done.stderr
    assert "Traceback" not in done.stderr


def test_build_engine_says_what_to_install() -> None:
    done = run_bare("-m", "depth_estimation_ros.apps.build_engine", "--help")
    assert done.returncode == 1
    assert "build_engine needs rich: not installed" in done.stderr
    assert "pip install rich" in done.stderr
    assert "Traceback" not in done.stderr


def test_only_what_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "find_spec", lambda name: None if name == "rosbags" else name)
    assert cli.demo() == 1
    assert capsys.readouterr().err == (
        "error: depth_estimation_demo needs rosbags: not installed\n"
        "Install with: pip install rosbags\n"
    )


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_of_the_node_teaches_and_starts_nothing(flag: str) -> None:
    code = f"import sys; sys.argv[1:] = [{flag!r}]\n"
    code += "from depth_estimation_ros.__main__ import main; main()"
    done = run_bare("-c", code)
    assert done.returncode == 0
    assert "-r image:=/front/image_raw" in done.stdout
