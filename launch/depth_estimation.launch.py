"""Start the depth estimation node, and RViz if asked.

    ros2 launch depth_estimation_ros depth_estimation.launch.py depth_camera:=/front

`ros2 launch depth_estimation_ros depth_estimation.launch.py --show-args` lists all arguments. Their
names begin with depth_, because launch files that are included by one file share their arguments.
"""

from __future__ import annotations

import sys
from pathlib import Path

import yaml
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, LogInfo, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from depth_estimation_ros.engines.factory import BACKENDS, PRECISIONS
from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.node.environment import fastdds_environment
from depth_estimation_ros.node.parameters import ONE_CAMERA, Parameters

# launch/ and config/ lie side by side, in the sources as in share/depth_estimation_ros.
CONFIG = Path(__file__).resolve().parent.parent / "config"
LAUNCH_FILES = ("depth_estimation.launch.py", "replay.launch.py")
RESPAWN_DELAY_S = 2.0  # as in Nav2; one that cannot start does not fill the log

# Name without depth_: (default, description, choices). Those of PARAMETERS set the parameter.
AS_IN_FILE = "Empty: as in depth_params_file."
PARAMETERS = {
    "model": ("", f"Bundled model or path of an ONNX file. {AS_IN_FILE}", None),
    "backend": ("", f"What runs it. {AS_IN_FILE}", ["", *BACKENDS]),
    "precision": ("", f"Of the network's arithmetic. {AS_IN_FILE}", ["", *PRECISIONS]),
    "image_transport": ("", f"Of the images. {AS_IN_FILE}", ["", "raw", "compressed"]),
    "image_is_rectified": ("", f"Whether images are. {AS_IN_FILE}", ["", "true", "false"]),
    "use_sim_time": ("", f"Time from /clock. {AS_IN_FILE}", ["", "true", "false"]),
}
ARGUMENTS = {
    "camera": ("camera", "Namespace of the camera, from which the two topics below follow.", None),
    "cameras": (
        "",
        "Names of several cameras with one network, as in front,left: each has its topics "
        "NAME/image_raw and NAME/camera_info. Instead of depth_camera and the two topics below. "
        f"{AS_IN_FILE}",
        None,
    ),
    "image_topic": (
        "",
        "Image topic, without the /compressed of a transport. Empty: image_raw of the camera.",
        None,
    ),
    "camera_info_topic": ("", "CameraInfo topic. Empty: camera_info of the camera.", None),
    "namespace": ("", "Namespace of the node.", None),
    "params_file": (str(CONFIG / "depth_estimation.yaml"), "YAML file with the parameters.", None),
    **PARAMETERS,
    "rviz": ("false", "Start RViz with image, depth and cloud.", ["true", "false"]),
    "rviz_frame": ("camera_optical_frame", "frame_id of the images, for RViz without TF.", None),
    "fastdds_profile": (
        str(CONFIG / "fastdds_shm.xml"),
        "XML profile for Fast DDS; this one lets clouds pass between processes. none, or a profile "
        "already set in the environment: leaves the environment as it is.",
        None,
    ),
    "respawn": (
        "true",
        "Start the node again, 2 s after it has ended without being asked to.",
        ["true", "false"],
    ),
    "log_level": ("info", "Of the node.", ["debug", "info", "warn", "error", "fatal"]),
}


def generate_launch_description() -> LaunchDescription:
    """Return all arguments with their descriptions, then the processes."""
    arguments = [
        DeclareLaunchArgument(
            f"depth_{name}", default_value=default, description=description, choices=choices
        )
        for name, (default, description, choices) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=processes)])


def processes(context: LaunchContext) -> list[LogInfo | GroupAction]:
    """Return the node and RViz for the values of the arguments, after a warning of old names."""
    value = {name: LaunchConfiguration(f"depth_{name}").perform(context) for name in ARGUMENTS}
    old = old_arguments()
    warnings = [
        LogInfo(msg=f"launch argument {name} is now depth_{name}; the old name goes in 0.3.0")
        for name in old
    ]
    value.update(old)
    given = {
        name: {"true": True, "false": False}.get(value[name], value[name])
        for name in PARAMETERS
        if value[name]
    }
    camera = value["camera"].rstrip("/")
    image_topic = value["image_topic"] or f"{camera}/image_raw"
    remappings = [
        ("image", image_topic),
        ("camera_info", value["camera_info_topic"] or f"{camera}/camera_info"),
    ]
    cameras = [name.strip() for name in value["cameras"].split(",") if name.strip()]
    if cameras:
        Parameters(cameras=tuple(cameras)).check(["cameras"])
        given["cameras"] = cameras
    # The topic of the CameraInfo has the same name on both sides.
    cameras = cameras or cameras_of_file(value["params_file"])
    if cameras:
        remappings = [(f"{name}/image", f"{name}/image_raw") for name in cameras]
    profile = value["fastdds_profile"]
    environment = fastdds_environment("" if profile == "none" else profile)
    depth_estimation = Node(
        package="depth_estimation_ros",
        executable="depth_estimation_node",
        name="depth_estimation",
        namespace=value["namespace"],
        parameters=[value["params_file"], given],
        remappings=remappings,
        arguments=["--ros-args", "--log-level", value["log_level"]],
        additional_env=environment,
        output="screen",
        respawn=value["respawn"] == "true",
        respawn_delay=RESPAWN_DELAY_S,
    )
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        namespace=value["namespace"],
        arguments=["-d", str(CONFIG / "depth_estimation.rviz"), "-f", value["rviz_frame"]],
        # The topics in the RViz file are those of a node without a namespace.
        remappings=[
            (f"/depth_estimation/{topic}", f"depth_estimation/{topic}")
            for topic in ("depth/image", "depth/camera_info", "depth/color", "points")
        ]
        + [("/camera/image_raw", image_topic)],
        parameters=[{"use_sim_time": given.get("use_sim_time", False)}],
        additional_env=environment,
        condition=IfCondition(value["rviz"]),
    )
    return [*warnings, GroupAction([depth_estimation, rviz], scoped=True)]


def old_arguments() -> dict[str, str]:
    """Return arguments given by their names of before 0.2.0, on the command line of this file.

    Only there: with an included file they may be those of another one.
    """
    if not any(word.endswith(LAUNCH_FILES) for word in sys.argv):
        return {}
    given = dict(word.split(":=", 1) for word in sys.argv if ":=" in word)
    return {name: given[name] for name in ARGUMENTS if name in given}


def cameras_of_file(params_file: str) -> list[str]:
    """Return the parameter `cameras` of a parameter file; empty for a single camera.

    Raises:
        ParameterError: the file cannot be read.
    """
    try:
        sections = yaml.safe_load(Path(params_file).read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        raise ParameterError(
            "argument depth_params_file",
            found=f"{params_file}: {error}",
            expected="a YAML file with ros__parameters",
        ) from error
    cameras: list[str] = []
    for node, section in sections.items():
        if node.rpartition("/")[2] in ("**", "*", "depth_estimation"):
            cameras = section.get("ros__parameters", {}).get("cameras", cameras)
    return [] if tuple(cameras) == ONE_CAMERA else list(cameras)
