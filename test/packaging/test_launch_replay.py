"""The launch file that plays a bag, run with fakes of the launch classes."""

from __future__ import annotations

import itertools
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
from launch_fakes import FakeExecuteProcess, FakeNode, FakeTimerAction, fake_modules, started

from depth_estimation_ros.errors import BagError, ParameterError
from depth_estimation_ros.node.environment import fastdds_environment

REPOSITORY = Path(__file__).resolve().parents[2]
PROFILE = str(REPOSITORY / "config" / "fastdds_shm.xml")

# What `ros2 bag play` takes in Humble, Iron, Jazzy and rolling (its play.py, all four compared).
PLAY_OPTIONS = {
    "--clock",
    "--rate",
    "--loop",
    "--start-offset",
    "--topics",
    "--remap",
    "--disable-keyboard-controls",
}
TAKE_SEVERAL = {"--topics", "--remap"}  # every word that follows


@pytest.fixture
def entities(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    for name, module in fake_modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"):
        monkeypatch.delenv(name, raising=False)
    launch_file = runpy.run_path(str(REPOSITORY / "launch" / "replay.launch.py"))
    return launch_file["generate_launch_description"]().entities


@pytest.fixture
def bag(tmp_path: Path) -> str:
    (tmp_path / "drive").mkdir()
    return str(tmp_path / "drive")


def player_of(entities: list[Any], **arguments: str) -> FakeExecuteProcess:
    timer = started(entities, **arguments)[-1]
    assert isinstance(timer, FakeTimerAction)
    (player,) = timer.actions
    return player


def test_it_starts_node_and_rviz_in_simulated_time_and_the_player_a_little_later(
    entities: list[Any], bag: str
) -> None:
    depth_estimation, rviz, timer = started(entities, bag=bag)
    assert isinstance(depth_estimation, FakeNode)
    assert depth_estimation.executable == "depth_estimation_node"
    assert depth_estimation.parameters[1] == {"use_sim_time": True}
    assert rviz.executable == "rviz2"
    assert rviz.parameters == [{"use_sim_time": True}]
    assert timer.period == 3.0
    assert len(started(entities, bag=bag, depth_rviz="false")) == 2


def test_it_plays_with_clock(entities: list[Any], bag: str) -> None:
    assert player_of(entities, bag=bag).cmd == [
        *["ros2", "bag", "play", bag, "--clock"],
        *["--rate", "1.0", "--start-offset", "0.0", "--disable-keyboard-controls"],
    ]


def test_each_argument_is_an_option_of_the_player_and_the_bag_is_taken_for_none(
    entities: list[Any], bag: str
) -> None:
    command = player_of(
        entities,
        bag=bag,
        rate="0.5",
        loop="true",
        start="12.5",
        topics="/front/image_raw /front/camera_info",
        remaps="/a:=/b /c:=/d",
    ).cmd
    assert {word for word in command if word.startswith("-")} == PLAY_OPTIONS
    given = dict(itertools.pairwise(command))
    assert (given["--rate"], given["--start-offset"]) == ("0.5", "12.5")
    after = command.index("--topics") + 1
    assert command[after : after + 2] == ["/front/image_raw", "/front/camera_info"]
    after = command.index("--remap") + 1
    assert command[after:] == ["/a:=/b", "/c:=/d"]
    assert command.index(bag) < min(command.index(option) for option in TAKE_SEVERAL)


def test_arguments_of_the_node_are_those_of_its_own_launch_file(
    entities: list[Any], bag: str
) -> None:
    depth_estimation, rviz, _ = started(
        entities, bag=bag, depth_camera="/front", depth_model="mine.onnx"
    )
    assert depth_estimation.parameters[1] == {"model": "mine.onnx", "use_sim_time": True}
    assert dict(depth_estimation.remappings)["image"] == "/front/image_raw"
    assert dict(rviz.remappings)["/camera/image_raw"] == "/front/image_raw"


def test_all_ends_with_the_bag_unless_it_should_be_kept(entities: list[Any], bag: str) -> None:
    shutdown = player_of(entities, bag=bag).on_exit
    assert shutdown is not None
    assert shutdown.reason == "the bag has ended"
    assert player_of(entities, bag=bag, keep="true").on_exit is None


def test_the_player_has_the_profile_of_the_node(entities: list[Any], bag: str) -> None:
    depth_estimation, _, timer = started(entities, bag=bag)
    (player,) = timer.actions
    assert player.additional_env == depth_estimation.additional_env == fastdds_environment(PROFILE)
    assert list(player.additional_env.values()) == [PROFILE]
    assert player_of(entities, bag=bag, depth_fastdds_profile="none").additional_env == {}


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("rate", "fast", "argument rate: found fast, expected a number, at least 0.001"),
        ("rate", "0", "argument rate: found 0, expected a number, at least 0.001"),
        ("start", "-1", "argument start: found -1, expected a number, at least 0"),
        ("delay", "nan", "argument delay: found nan, expected a number, at least 0"),
    ],
)
def test_a_number_that_cannot_be_is_refused_before_anything_starts(
    entities: list[Any], bag: str, argument: str, value: str, message: str
) -> None:
    with pytest.raises(ParameterError, match=f"^{message}$"):
        started(entities, bag=bag, **{argument: value})


def test_a_bag_that_is_not_there_is_refused_before_anything_starts(
    entities: list[Any], tmp_path: Path
) -> None:
    with pytest.raises(BagError, match=r"argument bag: found no file or folder .*missing"):
        started(entities, bag=str(tmp_path / "missing"))
