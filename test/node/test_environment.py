"""Each ROS 2 gets the variables of the middleware under the names that it knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from depth_estimation_ros.apps.demo.session import environment
from depth_estimation_ros.node.environment import fastdds_environment, localhost_environment

NAMES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")


@pytest.fixture(autouse=True)
def _no_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("distribution", "name"),
    [
        ("humble", "FASTRTPS_DEFAULT_PROFILES_FILE"),
        ("iron", "FASTRTPS_DEFAULT_PROFILES_FILE"),
        ("jazzy", "FASTRTPS_DEFAULT_PROFILES_FILE"),
        ("kilted", "FASTDDS_DEFAULT_PROFILES_FILE"),
        ("rolling", "FASTDDS_DEFAULT_PROFILES_FILE"),
    ],
)
def test_the_profile_has_one_name_that_its_fastdds_knows(
    distribution: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_DISTRO", distribution)
    assert fastdds_environment("ours.xml") == {name: "ours.xml"}


def test_the_wheels_that_name_no_distribution_are_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROS_DISTRO", raising=False)
    assert fastdds_environment("ours.xml") == {"FASTDDS_DEFAULT_PROFILES_FILE": "ours.xml"}
    assert localhost_environment() == {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_of_the_users_stays(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "mine.xml")
    assert fastdds_environment("ours.xml") == {}


def test_no_profile_is_no_variable() -> None:
    assert fastdds_environment("") == {}


def test_only_humble_is_kept_on_this_machine_by_the_old_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for distribution in ("iron", "jazzy", "kilted", "rolling"):
        monkeypatch.setenv("ROS_DISTRO", distribution)
        assert localhost_environment() == {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    monkeypatch.setenv("ROS_DISTRO", "humble")
    assert localhost_environment() == {"ROS_LOCALHOST_ONLY": "1"}


def test_the_demo_keeps_to_this_machine_whatever_it_inherits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ROS_DISTRO", "humble")
    monkeypatch.setenv("ROS_LOCALHOST_ONLY", "0")
    variables = environment(7, tmp_path)
    assert variables["ROS_DOMAIN_ID"] == "7"
    assert variables["ROS_LOCALHOST_ONLY"] == "1"
    assert Path(variables["FASTRTPS_DEFAULT_PROFILES_FILE"]).is_file()

    monkeypatch.setenv("ROS_DISTRO", "kilted")
    variables = environment(7, tmp_path)
    assert variables["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert "ROS_LOCALHOST_ONLY" not in variables
    assert Path(variables["FASTDDS_DEFAULT_PROFILES_FILE"]).is_file()
    assert "FASTRTPS_DEFAULT_PROFILES_FILE" not in variables
