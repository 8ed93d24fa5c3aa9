"""The options of replay on the command line, group by group."""

from __future__ import annotations

import argparse
from pathlib import Path

from depth_estimation_ros.apps.arguments import add_scale_argument, number
from depth_estimation_ros.apps.replay.options import COMPRESSIONS, OUTPUTS, STORAGES, ReplayOptions
from depth_estimation_ros.estimation.temporal_filter import MAX_WEIGHT
from depth_estimation_ros.visualization import COLOR_MAPS
from depth_estimation_ros.visualization.depth_colors import COLOR_RANGES

DEFAULTS = ReplayOptions()
MB = 1_000_000


def add_images(parser: argparse.ArgumentParser) -> None:
    """Which images, and which camera took them."""
    group = parser.add_argument_group("images and their camera")
    group.add_argument(
        "--image-topic",
        nargs="+",
        default=[],
        metavar="TOPIC",
        help="sensor_msgs/Image or CompressedImage (default: all cameras of the recording)",
    )
    group.add_argument(
        "--camera-info-topic",
        nargs="+",
        default=[],
        metavar="TOPIC",
        help="one for each image topic, in their order (default: the one beside the images)",
    )
    group.add_argument(
        "--calibration",
        type=Path,
        metavar="YAML",
        help="file of camera_calibration, used in place of any CameraInfo",
    )
    group.add_argument(
        "--hfov",
        type=number(float, 1, 179),
        default=0.0,
        metavar="DEG",
        help="horizontal field of view in degrees of cameras without a calibrated CameraInfo. "
        "Without it they get depth of a guessed scale and no cloud",
    )
    group.add_argument(
        "--rectified",
        action="store_true",
        help="images are rectified (image_rect): the camera is P of the CameraInfo, not K and D",
    )
    group.add_argument(
        "--start",
        type=number(float, 0),
        default=0.0,
        metavar="S",
        help="begin so many seconds after the beginning of the recording (default: 0)",
    )
    group.add_argument(
        "--end",
        type=number(float, 0),
        default=0.0,
        metavar="S",
        help="end so many seconds after the beginning of the recording (default: 0, its end)",
    )
    group.add_argument(
        "--rate",
        type=number(float, 0),
        default=0.0,
        metavar="HZ",
        help="at most so many images a second of each camera (default: 0, all of them)",
    )
    group.add_argument(
        "--every",
        type=number(int, 1),
        default=1,
        metavar="N",
        help="only every n-th image of each camera (default: 1)",
    )


def add_outputs(parser: argparse.ArgumentParser) -> None:
    """What is made of them."""
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
        default=["none"],
        metavar="TOPIC",
        help="topics of the recording that go along as they are: all, none or their names "
        "(default: none)",
    )
    group.add_argument(
        "--encoding",
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
        type=number(float, 0),
        default=0.0,
        metavar="M",
        help="one mean point in each cube of this edge, metres; the cloud is then unorganised "
        "(default: 0, off)",
    )
    for name, what, sign in (("min", "nearer", "-"), ("max", "farther", "+")):
        group.add_argument(
            f"--{name}-depth",
            type=number(float, 0),
            default=0.0,
            metavar="M",
            help=f"metres; what is {what} becomes {sign}Inf (default: 0, the model's own limit)",
        )
    group.add_argument(
        "--edge-filter",
        type=number(float, 0, 10),
        default=0.0,
        metavar="RATIO",
        help="relative jump of depth above which a pixel is unknown; 0.07 removes the points that "
        "hang between an object and what is behind it (default: 0, off)",
    )
    group.add_argument(
        "--temporal-filter",
        type=number(float, 0, MAX_WEIGHT),
        default=0.0,
        metavar="WEIGHT",
        help="of the images before in each pixel's depth: less flicker; 0.5 is a good start. "
        "Recordings are then not cut into chunks, and --resume begins without a past "
        "(default: 0, off)",
    )
    add_scale_argument(group)


def add_looks(parser: argparse.ArgumentParser) -> None:
    """How depth is coloured."""
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
        "--color-legend", action="store_true", help="draw a bar in metres into the pictures"
    )


def add_storage(parser: argparse.ArgumentParser) -> None:
    """How the recording is stored."""
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
        type=number(int, 1),
        default=DEFAULTS.split_bytes // MB,
        metavar="MB",
        help=f"a new file begins at this size (default: {DEFAULTS.split_bytes // MB})",
    )


def add_run(parser: argparse.ArgumentParser) -> None:
    """How the command goes about it."""
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
