"""The command line of estimate_depth."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from depth_estimation_ros.apps.arguments import (
    CommandParser,
    add_depth_arguments,
    add_engine_arguments,
    number,
)
from depth_estimation_ros.apps.estimate_depth.files import SAVED
from depth_estimation_ros.apps.estimate_depth.inputs import Lens
from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.geometry.calibration_file import read_calibration
from depth_estimation_ros.media.video import CODECS
from depth_estimation_ros.visualization import COLOR_MAPS, DEFAULT_COLOR_MAP

EXAMPLES = """\
what --save writes of kitchen.jpg (of each frame of a video, in a folder of its name):
  depth16       kitchen_depth_mm.png     16-bit PNG, millimetres; 0 = unknown, too near or too far
  npz           kitchen_depth_m.npz      depth: float32 metres, NaN = unknown, +inf = too far,
                                         -inf = too near (REP 117); K, D: the camera; unit, stamp_ns
  color         kitchen_depth_color.png  colors with a legend in metres; black = unknown
  side-by-side  kitchen_side_by_side.png image and colors; of a video kitchen_side_by_side.mp4
  ply           kitchen_cloud_m.ply      colored points, metres: x right, y down, z forward
and always summary.json: what was done, with which model, in which units.

examples:
  estimate_depth kitchen.jpg --out depth --hfov 70
  estimate_depth images/ --out depth --save color npz ply --focal-px 615
  estimate_depth drive.mp4 --out depth --hfov 90 --range 1 40
  estimate_depth 0 --out depth --frames 300        camera 0 of this machine; without --frames until
                                                   Ctrl-C, which leaves complete files
  estimate_depth rtsp://robot/front --out depth    a stream, if this OpenCV can open it

Distances need the focal length of the lens: give --hfov, --focal-px or --calibration. Without, all
depths may be wrong by one common factor. JPEG images of phones and cameras have it in their EXIF,
which is used if none is given; give it for images that were cropped. The data sheet of a camera
tells its field of view.

exit status: 0 everything was done; 1 an error; 2 done, but some inputs could not be read;
130 interrupted.
"""


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line; exit for --help and for what cannot be."""
    parser = CommandParser(
        prog="estimate_depth",
        description="Depth in metres of images, folders of images, videos, cameras of this "
        "machine and streams. Needs no ROS.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="image, folder, video, number or device of a camera, or address of a stream",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where files go")
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    parser.add_argument(
        "--save",
        nargs="+",
        choices=SAVED,
        metavar="KIND",
        help=f"some of {', '.join(SAVED)} (default: color and depth16 of images, side-by-side of "
        "videos and cameras)",
    )
    _add_lens(parser)
    _add_frames(parser)
    _add_looks(parser)
    add_engine_arguments(parser)
    options = parser.parse_args(argv)
    if options.range and not 0 < options.range[0] < options.range[1]:
        parser.error("argument --range: expected 0 < NEAR < FAR, metres")
    return options


def _add_lens(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the camera that took the images")
    one = group.add_mutually_exclusive_group()
    one.add_argument(
        "--hfov",
        type=number(float, 1, 179),
        metavar="DEG",
        help="horizontal field of view of the images as they are, degrees",
    )
    one.add_argument(
        "--focal-px",
        type=number(float, 1e-3),
        metavar="PX",
        help="focal length in pixels, for images as they are",
    )
    one.add_argument(
        "--calibration",
        type=Path,
        metavar="YAML",
        help="file of camera_calibration; also at another size of the same shape",
    )


def _add_frames(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("frames and depths")
    group.add_argument(
        "--frames",
        type=number(int, 1),
        metavar="N",
        help="at most that many of each input (default: all; of a camera, until Ctrl-C)",
    )
    group.add_argument(
        "--every",
        type=number(int, 1),
        default=1,
        metavar="N",
        help="only every n-th frame of videos, cameras and folders (default: 1)",
    )
    add_depth_arguments(group)
    group.add_argument(
        "--camera-height",
        type=number(float, 0.01, 100),
        metavar="M",
        help="metres of the camera above the floor, which gives the depth its scale where the "
        "floor is in view; needs a focal length",
    )
    group.add_argument(
        "--camera-pitch",
        type=number(float, -89, 89),
        default=0.0,
        metavar="DEGREES",
        help="that the camera looks down, with --camera-height (default: 0, level)",
    )
    group.add_argument(
        "--png-scale",
        type=number(float, 1e-3, 65535),
        default=1000.0,
        metavar="N",
        help="units per metre of depth16: 1000 is millimetres up to 65.5 m, 256 is KITTI's, up to "
        "256 m (default: 1000)",
    )
    group.add_argument(
        "--stride",
        type=number(int, 1, 64),
        default=1,
        metavar="N",
        help="of ply: every n-th row and column (default: 1)",
    )
    group.add_argument(
        "--voxel",
        type=number(float, 0),
        default=0.0,
        metavar="M",
        help="of ply: one mean point in each cube of this edge, metres (default: 0, off)",
    )


def _add_looks(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("looks")
    group.add_argument(
        "--range",
        type=number(float, 0),
        nargs=2,
        metavar=("NEAR", "FAR"),
        help="metres at the two ends of the colors (default: fixed too, from frames all over the "
        "inputs; of cameras and streams alone, it follows what is seen)",
    )
    group.add_argument(
        "--color-map",
        choices=COLOR_MAPS,
        default=DEFAULT_COLOR_MAP,
        metavar="NAME",
        help=f"one of {', '.join(COLOR_MAPS)} (default: {DEFAULT_COLOR_MAP})",
    )
    group.add_argument(
        "--codec",
        choices=tuple(CODECS),
        help="of side-by-side videos: h264 plays everywhere; mpeg4 in VLC, mpv and Windows, not in "
        "browsers; vp9 in browsers too, and is slow to write (default: h264 where PyAV, "
        "`pip install av`, or OpenCV has it, else mpeg4)",
    )


def lens_of(options: argparse.Namespace) -> Lens:
    """Return what the user says of the camera.

    Raises:
        CalibrationError: the calibration cannot be read.
        ParameterError: the calibration is of an uncalibrated camera.
    """
    calibration = read_calibration(options.calibration) if options.calibration else None
    if calibration is not None and not calibration.is_calibrated:
        raise ParameterError(
            f"--calibration {options.calibration}", found="fx = 0", expected="a calibrated camera"
        )
    return Lens(options.hfov, options.focal_px, calibration)
