"""The command line of replay."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from depth_estimation_ros.apps.arguments import CommandParser, add_engine_arguments, engine_options
from depth_estimation_ros.apps.replay import argument_groups, fleet_command
from depth_estimation_ros.apps.replay.argument_groups import MB
from depth_estimation_ros.apps.replay.options import OUTPUTS, ReplayOptions

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
  replay pictures_only/ --output depth --hfov 70
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


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line; ends the process for --help and for what cannot be."""
    parser = CommandParser(
        prog="replay",
        description="Depth and point clouds of every image of a recording, into a new recording. "
        "Offline: no image is dropped, and no ROS is needed.",
        epilog="\n".join([EXAMPLES, fleet_command.EXAMPLES, RESULT]),
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
    argument_groups.add_images(parser)
    argument_groups.add_outputs(parser)
    argument_groups.add_looks(parser)
    argument_groups.add_storage(parser)
    argument_groups.add_run(parser)
    add_engine_arguments(parser)
    fleet_command.add_arguments(parser)
    return parser.parse_args(argv)


def replay_options(arguments: argparse.Namespace) -> ReplayOptions:
    """The options of one replay."""
    engine = engine_options(arguments)
    copy = arguments.copy
    return ReplayOptions(
        inputs=tuple(arguments.inputs),
        output=arguments.output,
        model=arguments.model,
        backend=engine.backend,
        device=engine.device,
        build_engine=engine.build_engine,
        engine_cache=engine.engine_cache,
        precision=engine.precision,
        providers=tuple(engine.providers),
        threads=engine.threads,
        min_depth=arguments.min_depth,
        max_depth=arguments.max_depth,
        output_size=arguments.output_size,
        edge_filter=arguments.edge_filter,
        temporal_filter=arguments.temporal_filter,
        scale_correction=arguments.scale_correction,
        image_topics=tuple(arguments.image_topic),
        camera_info_topics=tuple(arguments.camera_info_topic),
        calibration=str(arguments.calibration or ""),
        hfov_deg=arguments.hfov,
        image_is_rectified=arguments.rectified,
        outputs=tuple(name for name in OUTPUTS if name in arguments.outputs),
        depth_encoding=arguments.encoding,
        cloud_stride=arguments.cloud_stride,
        voxel_size=arguments.voxel,
        color_map=arguments.color_map,
        color_range=arguments.color_range,
        color_min_depth=arguments.color_min_depth,
        color_max_depth=arguments.color_max_depth,
        color_legend=arguments.color_legend,
        copy=copy[0] if copy in (["none"], ["all"]) else tuple(copy),
        start_s=arguments.start,
        end_s=arguments.end,
        rate_hz=arguments.rate,
        every=arguments.every,
        storage=arguments.storage,
        compression=arguments.compression,
        split_bytes=arguments.split_mb * MB,
        batch=arguments.batch,
        resume=arguments.resume,
        overwrite=arguments.overwrite,
    )
