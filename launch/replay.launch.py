"""Play a bag into the depth estimation node, and see it in RViz; all ends with the bag.

    ros2 launch depth_estimation_ros replay.launch.py bag:=~/bags/drive depth_camera:=/front
    ros2 launch depth_estimation_ros replay.launch.py bag:=drive.mcap loop:=true rate:=0.5

Every argument of depth_estimation.launch.py can be given too (`--show-args` lists all); only
depth_use_sim_time is always true, as time comes from the bag. It plays in real time, so a network
slower than the camera skips frames: the command `replay` puts depth of every frame into a new bag.
"""

from __future__ import annotations

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
    Shutdown,
    TimerAction,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

from depth_estimation_ros.errors import BagError, ParameterError
from depth_estimation_ros.node.environment import fastdds_environment

DEPTH_ESTIMATION = Path(__file__).resolve().parent / "depth_estimation.launch.py"

# Name: (default, description, choices); None as default: has to be given.
ARGUMENTS = {
    "bag": (None, "Bag to play: a rosbag2 folder, or a file in one.", None),
    "rate": ("1.0", "Speed: 1 is real time, 0.5 half of it.", None),
    "loop": ("false", "Start again at the end, for ever.", ["true", "false"]),
    "start": ("0.0", "Seconds into the bag at which to begin.", None),
    "topics": ("", "Topics to play, separated by spaces. Empty: all.", None),
    "remaps": ("", "New names for topics of the bag, as in '/a:=/b /c:=/d'.", None),
    "delay": ("3.0", "Seconds that node and RViz get to start before the bag does.", None),
    "keep": ("false", "Leave node and RViz when the bag has ended.", ["true", "false"]),
    "depth_rviz": ("true", "Start RViz with image, depth and cloud.", ["true", "false"]),
}


def generate_launch_description() -> LaunchDescription:
    """Return the arguments of this file, then the other launch file and the player."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description, choices=choices)
        for name, (default, description, choices) in ARGUMENTS.items()
    ]
    depth_estimation = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(DEPTH_ESTIMATION)),
        launch_arguments=[("depth_use_sim_time", "true")],
    )
    return LaunchDescription(
        [
            *arguments,
            OpaqueFunction(function=check),
            GroupAction([depth_estimation, OpaqueFunction(function=player)], scoped=True),
        ]
    )


def check(context: LaunchContext) -> None:
    """Refuse what cannot be played, before anything is started."""
    bag = Path(_value(context, "bag")).expanduser()
    if not bag.exists():
        raise BagError("argument bag", found=f"no file or folder {bag}")
    for name, lowest in (("rate", 1e-3), ("start", 0.0), ("delay", 0.0)):
        text = _value(context, name)
        try:
            good = lowest <= float(text) < float("inf")
        except ValueError:
            good = False
        if not good:
            raise ParameterError(
                f"argument {name}", found=text, expected=f"a number, at least {lowest:g}"
            )


def player(context: LaunchContext) -> list[TimerAction]:
    """Return `ros2 bag play`, with options that each distribution since Humble has.

    It publishes with the QoS of the recording. The node and RViz ask for best effort and no
    history, which any publisher offers.
    """
    # The bag comes first: topics and remaps would take it for one more of theirs.
    command = ["ros2", "bag", "play", str(Path(_value(context, "bag")).expanduser()), "--clock"]
    command += ["--rate", _value(context, "rate"), "--start-offset", _value(context, "start")]
    command += ["--disable-keyboard-controls"]
    if _value(context, "loop") == "true":
        command += ["--loop"]
    for name, option in (("topics", "--topics"), ("remaps", "--remap")):
        if words := _value(context, name).split():
            command += [option, *words]
    profile = _value(context, "depth_fastdds_profile")
    keep = _value(context, "keep") == "true"
    play = ExecuteProcess(
        cmd=command,
        name="ros2_bag_play",
        additional_env=fastdds_environment("" if profile == "none" else profile),
        output="screen",
        on_exit=None if keep else Shutdown(reason="the bag has ended"),
    )
    # Real time, not the bag's. The player's own --delay would sleep before each loop.
    return [TimerAction(period=float(_value(context, "delay")), actions=[play])]


def _value(context: LaunchContext, name: str) -> str:
    return LaunchConfiguration(name).perform(context)
