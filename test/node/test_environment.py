"""Each ROS 2 gets the variables of the middleware under the names that it knows."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from depth_estimation_ros.apps.demo.session import environment
from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.node import environment as node_environment
from depth_estimation_ros.node.environment import fastdds_environment, localhost_environment

OURS = str(Path(__file__).resolve().parents[2] / "config" / "fastdds_shm.xml")
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
def test_profile_has_the_name_of_its_fastdds(
    distribution: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_DISTRO", distribution)
    assert fastdds_environment(OURS) == {name: OURS}


def test_wheels_without_a_distribution_are_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROS_DISTRO", raising=False)
    assert fastdds_environment(OURS) == {"FASTDDS_DEFAULT_PROFILES_FILE": OURS}
    assert localhost_environment() == {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}


@pytest.mark.parametrize("name", NAMES)
def test_profile_of_the_user_stays(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "mine.xml")
    assert fastdds_environment(OURS) == {}


@pytest.mark.parametrize(("free_mb", "segment"), [(64, 64_000_000 // 3), (30, 10_000_000)])
def test_segment_fits_into_the_shared_memory(
    monkeypatch: pytest.MonkeyPatch, free_mb: int, segment: int
) -> None:
    usage = SimpleNamespace(free=free_mb * 1_000_000)
    monkeypatch.setattr(node_environment.shutil, "disk_usage", lambda path: usage)
    (profile,) = fastdds_environment(OURS).values()
    text = Path(profile).read_text()
    assert f"<segment_size>{segment}<" in text
    assert f"<maxMessageSize>{min(segment, 16_777_216)}<" in text
    Path(profile).unlink()


def test_missing_profile_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"missing\.xml: found No such file"):
        fastdds_environment("missing.xml")


def test_no_profile_is_no_variable() -> None:
    assert fastdds_environment("") == {}


def test_humble_has_an_old_discovery_name(
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
