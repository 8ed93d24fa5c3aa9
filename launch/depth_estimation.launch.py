"""Start the depth estimation node, and RViz if asked.

    ros2 launch depth_estimation_ros depth_estimation.launch.py camera:=/front rviz:=true

`ros2 launch depth_estimation_ros depth_estimation.launch.py --show-args` lists all arguments.
"""

from __future__ import annotations

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from depth_estimation_ros.engines.factory import BACKENDS, PRECISIONS
from depth_estimation_ros.node.environment import fastdds_environment

# launch/ and config/ lie side by side, in the sources as in share/depth_estimation_ros.
CONFIG = Path(__file__).resolve().parent.parent / "config"
RESPAWN_DELAY_S = 2.0  # as in Nav2; one that cannot start does not fill the log

# Name: (default, description, choices). Those of PARAMETERS set the parameter of the same name.
AS_IN_FILE = "Empty: as in params_file."
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
        "NAME/image_raw and NAME/camera_info. Instead of camera and the two topics below.",
        None,
    ),
    "image_topic": (
        [LaunchConfiguration("camera"), "/image_raw"],
        "Image topic, without the /compressed of a transport.",
        None,
    ),
    "camera_info_topic": (
        [LaunchConfiguration("camera"), "/camera_info"],
        "CameraInfo topic.",
        None,
    ),
    "namespace": ("", "Namespace of the node.", None),
    "params_file": (str(CONFIG / "depth_estimation.yaml"), "YAML file with the parameters.", None),
    **PARAMETERS,
    "rviz": ("false", "Start RViz with image, depth and cloud.", ["true", "false"]),
    "rviz_frame": ("camera_optical_frame", "frame_id of the images, for RViz without TF.", None),
    "fastdds_profile": (
        str(CONFIG / "fastdds_shm.xml"),
        "XML profile for Fast DDS; this one lets clouds pass between processes. Empty, or a "
        "profile already set in the environment: leaves the environment as it is.",
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
    """All arguments with their descriptions, then the processes."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description, choices=choices)
        for name, (default, description, choices) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=processes)])


def processes(context: LaunchContext) -> list[Node]:
    """The node and RViz for the values of the arguments."""
    value = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    given = {
        name: {"true": True, "false": False}.get(value[name], value[name])
        for name in PARAMETERS
        if value[name]
    }
    cameras = [name.strip() for name in value["cameras"].split(",") if name.strip()]
    remappings = [("image", value["image_topic"]), ("camera_info", value["camera_info_topic"])]
    if cameras:
        given["cameras"] = cameras
        remappings = [(f"{name}/image", f"{name}/image_raw") for name in cameras]
    environment = fastdds_environment(value["fastdds_profile"])
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
        + [("/camera/image_raw", value["image_topic"])],
        parameters=[{"use_sim_time": given.get("use_sim_time", False)}],
        additional_env=environment,
        condition=IfCondition(value["rviz"]),
    )
    return [depth_estimation, rviz]
