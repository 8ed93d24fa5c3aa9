"""The command line of replay."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from depth_estimation_ros.apps.arguments import (
    CommandParser,
    add_depth_arguments,
    add_engine_arguments,
    number,
    option_fields,
)
from depth_estimation_ros.apps.replay.options import COMPRESSIONS, OUTPUTS, STORAGES, ReplayOptions
from depth_estimation_ros.apps.replay.workers import FLEET_FILE
from depth_estimation_ros.visualization import COLOR_MAPS
from depth_estimation_ros.visualization.depth_colors import COLOR_RANGES

DEFAULTS = ReplayOptions()
MB = 1_000_000

EXAMPLES = """\
examples:
  replay drive/ --output drive_depth
      depth, its camera and clouds of every camera in the recording, as a rosbag2 directory that
      ros2 bag play, RViz and Foxglove read; look at drive_depth/report.html
  replay old.bag --output new --image-topic /front/image_raw/compressed --copy all
      a ROS 1 bag; all its other messages go along, with their times
  replay drive.mcap --output depth --outputs depth --encoding 16UC1 --rate 5 --start 60 --end 90
      half a minute, five images a second, as millimetres
  replay drive/ --output depth --outputs points --cloud-stride 1 --voxel 0.05
      clouds with one point in each cube of 5 cm
  replay images_only/ --output depth --hfov 70
      no CameraInfo in the recording; or --calibration camera.yaml of camera_calibration
  replay drive/ --output drive_depth --resume
      goes on where Ctrl-C, a kill or a full disk ended it, with the same arguments
"""
RESULT = """\
what is written, for images on /front/image_raw:
  /front/depth_estimation/depth/image        sensor_msgs/Image: 32FC1 in metres, NaN unknown, +Inf
                                             too far, -Inf too near; or 16UC1 in millimetres
  /front/depth_estimation/depth/camera_info  sensor_msgs/CameraInfo of the depth image
  /front/depth_estimation/points             sensor_msgs/PointCloud2: x y z in metres, rgb
  /front/depth_estimation/depth/color        sensor_msgs/Image: rgb8, near is warm
each with the header's stamp and frame_id, and the recording time, of its image. Beside them in
the directory: replay.json (numbers), frames.csv (a row for each image), report.html.

exit status: 0 every image gave depth; 1 an error, nothing was done; 2 done, but the recording is
damaged, images were bad, or the disk is full; 130 interrupted: a valid recording is left.
"""
SEVERAL = """\
examples of several recordings and workers:
  replay monday/ tuesday/ run.bag --output depth --workers 4
      four at a time, each in a process of its own; results in depth/monday, depth/tuesday and
      depth/run
  replay drive/ --output depth --workers 8 --chunk 300
      one long recording in chunks of 5 minutes, joined into depth/drive at the end
  replay bags/* --output /nfs/depth --ray head:6379 --threads 4
      as tasks on a Ray cluster, each on 4 processors; bags and output lie on a filesystem that all
      machines see under the same path, and all of them have the package and the same version of it
  replay bags/* --output depth --workers 4 --resume
      what was interrupted or failed; what is finished is not done again
"""


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; ends the process for --help and for a wrong argument."""
    parser = CommandParser(
        prog="replay",
        description="Depth and point clouds of every image of a recording, into a new recording. "
        "Offline: no image is dropped, and no ROS is needed.",
        epilog="\n".join([EXAMPLES, SEVERAL, RESULT]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="RECORDING",
        help="rosbag2 directory (mcap or sqlite3, also compressed or split, with or without "
        "metadata.yaml), .mcap, .db3, or .bag of ROS 1",
    )
    parser.add_argument(
        "--output",
        "-o",
        required=True,
        metavar="DIR",
        help="rosbag2 directory to write; of several recordings, the folder for them",
    )
    _add_images(parser)
    _add_outputs(parser)
    _add_colors(parser)
    _add_storage(parser)
    _add_run(parser)
    add_engine_arguments(parser)
    _add_several(parser)
    return parser.parse_args(argv)


def replay_options(arguments: argparse.Namespace) -> ReplayOptions:
    """Return the options of one replay: its fields have the names of the arguments."""
    options: dict[str, Any] = option_fields(ReplayOptions, arguments)
    options["outputs"] = tuple(name for name in OUTPUTS if name in options["outputs"])
    if options["copy"] in (("none",), ("all",)):
        (options["copy"],) = options["copy"]
    return ReplayOptions(**options)


def _add_images(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("images and their camera")
    group.add_argument(
        "--image-topic",
        dest="image_topics",
        nargs="+",
        default=[],
        metavar="TOPIC",
        help="sensor_msgs/Image or CompressedImage (default: all cameras of the recording)",
    )
    group.add_argument(
        "--camera-info-topic",
        dest="camera_info_topics",
        nargs="+",
        default=[],
        metavar="TOPIC",
        help="one for each image topic, in their order (default: the one next to the images)",
    )
    group.add_argument(
        "--calibration",
        default="",
        metavar="YAML",
        help="file of camera_calibration, used in place of any CameraInfo",
    )
    group.add_argument(
        "--hfov",
        dest="hfov_deg",
        type=number(float, 1, 179),
        default=0.0,
        metavar="DEG",
        help="horizontal field of view in degrees of cameras without a calibrated CameraInfo. "
        "Without it they get depth of a guessed scale and no cloud",
    )
    geometry = group.add_mutually_exclusive_group()
    geometry.add_argument(
        "--rectified",
        dest="image_is_rectified",
        action="store_true",
        help="images are rectified (image_rect): the camera is P of the CameraInfo, not K and D",
    )
    geometry.add_argument(
        "--rectify",
        action="store_true",
        help="rectify raw images by P of the CameraInfo: depth, its CameraInfo and the cloud are "
        "those of the rectified image, as depth_image_proc and RTAB-Map take them",
    )
    group.add_argument(
        "--start",
        dest="start_s",
        type=number(float, 0),
        default=0.0,
        metavar="S",
        help="begin this many seconds after the beginning of the recording (default: 0)",
    )
    group.add_argument(
        "--end",
        dest="end_s",
        type=number(float, 0),
        default=0.0,
        metavar="S",
        help="end this many seconds after the beginning of the recording (default: 0, its end)",
    )
    group.add_argument(
        "--rate",
        dest="rate_hz",
        type=number(float, 0),
        default=0.0,
        metavar="HZ",
        help="at most this many images a second of each camera (default: 0, all of them)",
    )
    group.add_argument(
        "--every",
        type=number(int, 1),
        default=1,
        metavar="N",
        help="only every n-th image of each camera (default: 1)",
    )


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is written")
    group.add_argument(
        "--outputs",
        nargs="+",
        choices=OUTPUTS,
        default=list(DEFAULTS.outputs),
        metavar="NAME",
        help=f"some of {', '.join(OUTPUTS)} (default: {' '.join(DEFAULTS.outputs)})",
    )
    group.add_argument(
        "--copy",
        nargs="+",
        default="none",
        metavar="TOPIC",
        help="topics of the recording that go along as they are: all, none or their names "
        "(default: none)",
    )
    group.add_argument(
        "--encoding",
        dest="depth_encoding",
        choices=("32FC1", "16UC1"),
        default=DEFAULTS.depth_encoding,
        help="of depth: 32FC1 in metres or 16UC1 in millimetres (default: 32FC1)",
    )
    group.add_argument(
        "--output-size",
        choices=("image", "network"),
        default=DEFAULTS.output_size,
        help="size of the depth: the image's, or as the network gives it, which is smaller and "
        "faster (default: image)",
    )
    group.add_argument(
        "--cloud-stride",
        type=number(int, 1, 64),
        default=DEFAULTS.cloud_stride,
        metavar="N",
        help="points of every n-th row and column of the depth (default: 2, a quarter of them)",
    )
    group.add_argument(
        "--voxel",
        dest="voxel_size",
        type=number(float, 0),
        default=0.0,
        metavar="M",
        help="one mean point in each cube of this edge, metres; the cloud is then unorganised "
        "(default: 0, off)",
    )
    add_depth_arguments(
        group, ". Recordings are then not cut into chunks, and --resume begins without a past"
    )
    scale = group.add_mutually_exclusive_group()
    scale.add_argument(
        "--scale-from",
        default="",
        metavar="TOPIC",
        help="LaserScan, PointCloud2 or Range of the recording that gives the depth its scale, "
        "with the sensor's pose from /tf_static or --range-sensor-pose, or a depth image that is "
        "registered to the camera",
    )
    scale.add_argument(
        "--camera-height",
        type=number(float, 0.01, 100),
        default=0.0,
        metavar="M",
        help="metres of the camera above the floor, which gives the depth its scale where it is in "
        "view; the camera's pitch is that of /tf_static, else level",
    )
    group.add_argument(
        "--range-sensor-pose",
        nargs=6,
        type=number(float, -1000, 1000),
        default=[],
        metavar=("X", "Y", "Z", "ROLL", "PITCH", "YAW"),
        help="of the sensor of --scale-from: metres ahead of the camera, to its left and above it, "
        "and radians about these axes",
    )


def _add_colors(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("colours of the output color")
    group.add_argument(
        "--color-map",
        choices=COLOR_MAPS,
        default=DEFAULTS.color_map,
        metavar="NAME",
        help=f"one of {', '.join(COLOR_MAPS)} (default: {DEFAULTS.color_map})",
    )
    group.add_argument(
        "--color-range",
        choices=COLOR_RANGES,
        default=DEFAULTS.color_range,
        help="the same metres in all images, or the depths in view, smoothed over time "
        f"(default: {DEFAULTS.color_range})",
    )
    for name, end, default in (("min", "near", "0.3 m"), ("max", "far", "the model's")):
        group.add_argument(
            f"--color-{name}-depth",
            type=number(float, 0),
            default=0.0,
            metavar="M",
            help=f"metres at the {end} end of the colours (default: 0, {default})",
        )
    group.add_argument(
        "--color-legend", action="store_true", help="draw a bar in metres into the images"
    )


def _add_storage(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the new recording")
    group.add_argument(
        "--storage", choices=STORAGES, default="mcap", help="(default: mcap, the faster one)"
    )
    group.add_argument(
        "--compression",
        choices=COMPRESSIONS,
        default="none",
        help="zstd makes it smaller and takes longer (default: none)",
    )
    group.add_argument(
        "--split-mb",
        dest="split_bytes",
        type=_megabytes,
        default=DEFAULTS.split_bytes,
        metavar="MB",
        help=f"a new file begins at this size (default: {DEFAULTS.split_bytes // MB})",
    )


def _add_run(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the run")
    how = group.add_mutually_exclusive_group()
    how.add_argument(
        "--resume", action="store_true", help="go on with an unfinished result of the same options"
    )
    how.add_argument(
        "--overwrite", action="store_true", help="replace an earlier result of this command"
    )
    group.add_argument(
        "--batch",
        type=number(int, 0, 256),
        default=0,
        metavar="N",
        help="images in one run of the network; 4 or 8 may be faster on a GPU (default: 0, what a "
        "TensorRT engine was built for, else 1)",
    )
    group.add_argument(
        "--no-report", action="store_true", help="write no report.html, which takes some seconds"
    )
    group.add_argument("--quiet", action="store_true", help="show errors and the result only")


def _add_several(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "several recordings and workers",
        "With several recordings, --workers, --chunk or --ray, --output is a folder that gets one "
        f"result for each recording, of the same name, and {FLEET_FILE}. One that fails does not "
        "stop the others.",
    )
    group.add_argument(
        "--workers",
        type=number(int, 0),
        default=0,
        metavar="N",
        help="recordings or chunks at a time, each in a process of its own, which share the "
        "processors unless --threads is given (default: 1); with --ray, tasks at a time (default: "
        "as many as the cluster has room for)",
    )
    group.add_argument(
        "--chunk",
        type=number(float, 0),
        default=None,
        metavar="S",
        help="cut recordings into chunks of S seconds, which are joined in the end; 0 cuts none "
        "(default: long ones are cut where there are fewer recordings than --workers). Colours "
        "by percentile need the frames before, so they keep a recording whole",
    )
    group.add_argument(
        "--ray",
        default="",
        metavar="ADDRESS",
        help="run as tasks of the Ray cluster whose head is at host:port, or of one that is "
        "started on this machine (local); needs pip install ray, and a filesystem that "
        "all machines share for recordings, chunks and results",
    )
    group.add_argument(
        "--gpus-per-task",
        type=number(float, 0),
        default=0.0,
        metavar="G",
        help="GPUs of the Ray cluster that a task takes; 0.5 lets two share one (default: 0). Its "
        "processors are --threads (default: 1)",
    )
    group.add_argument(
        "--retries",
        type=number(int, 0),
        default=2,
        metavar="N",
        help="attempts after the first at a recording or chunk whose process or machine died; they "
        "go on where it was (default: 2)",
    )


def _megabytes(text: str) -> int:
    return round(number(int, 1)(text)) * MB
