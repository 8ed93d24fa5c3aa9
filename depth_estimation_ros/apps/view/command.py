"""The command `view`: a running node or a recording in Rerun, the viewer of the extra `view`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import rerun as rr

from depth_estimation_ros.apps.arguments import CommandParser, number
from depth_estimation_ros.apps.view.scene import CLOUD_TYPE, DIAGNOSTICS_TYPE, SceneLog
from depth_estimation_ros.bags import Recording, open_recording, stamp_in
from depth_estimation_ros.bags.topics import find_topics
from depth_estimation_ros.errors import DepthEstimationError

WINDOW_SIZE = "1600x1000"
SCREENSHOT_TIMEOUT_S = 180.0


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = _parser().parse_args(argv)
    recording = rr.RecordingStream("depth_estimation_ros", make_default=False)
    try:
        with tempfile.TemporaryDirectory(prefix="depth_view_") as folder:
            file = options.save or (Path(folder) / "view.rrd" if options.screenshot_to else None)
            if file is None:
                recording.spawn(memory_limit=options.memory_limit)
            else:
                recording.save(file)
            if options.recording is None:
                _log_live(SceneLog(recording), options.frames)
            else:
                with open_recording(options.recording) as bag:
                    _log_recording(SceneLog(recording), bag, options.frames)
            recording.disconnect()
            if options.screenshot_to:
                _take_screenshot(Path(str(file)), options.screenshot_to)
    except DepthEstimationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="view",
        description="Show images, depth, clouds and latency in Rerun: of the depth nodes that run, "
        "or of a recording.",
        epilog="exit status: 0 shown; 1 an error; 130 interrupted.",
    )
    parser.add_argument(
        "recording",
        nargs="?",
        type=Path,
        help="rosbag2 directory, .mcap, .db3 or .bag, such as a result of demo or replay "
        "(default: the depth nodes of this ROS graph)",
    )
    parser.add_argument(
        "--frames",
        type=number(int, 0),
        default=0,
        metavar="N",
        help="stop after N depth images (default: 0, at the end of the recording or at Ctrl-C)",
    )
    parser.add_argument(
        "--screenshot-to",
        type=Path,
        metavar="PNG",
        help="write an image of what the window would show; needs no display with xvfb-run",
    )
    parser.add_argument(
        "--save", type=Path, metavar="RRD", help="open no window, and write a file for `rerun`"
    )
    parser.add_argument(
        "--memory-limit",
        default="25%",
        help="of the viewer, such as 25%% or 2GB; the oldest frames go first (default: 25%%)",
    )
    return parser


def _log_recording(scene: SceneLog, bag: Recording, frames: int) -> None:
    """Log the images, depths, clouds and diagnostics of a recording."""
    found = find_topics(bag)
    for topic in found.images:
        scene.add(topic.name, topic.msgtype)
    for topic in found.depths:
        scene.add(topic.name, topic.msgtype, is_depth=True)
    for topic in bag.topics:
        if topic.msgtype == CLOUD_TYPE:
            scene.add(topic.name, topic.msgtype)
    shown = {*scene.images, *scene.depths, *scene.clouds}
    shown |= {topic.name for topic in bag.topics if topic.msgtype == DIAGNOSTICS_TYPE}
    count = 0
    for message in bag.messages(sorted(shown)):
        count += message.topic in scene.depths
        if frames and count > frames:
            break
        stamp = stamp_in(message)
        if stamp is None:
            continue
        with suppress(DepthEstimationError):  # a damaged message is left out
            scene.log(message.topic, message.msgtype, stamp, bag.deserialize(message))


def _log_live(scene: SceneLog, frames: int) -> None:
    """Log what the depth nodes of the graph see and publish, until Ctrl-C or enough frames."""
    if find_spec("rclpy") is None:
        raise DepthEstimationError(
            "view without a recording",
            found="no ROS (rclpy)",
            fix="Source ROS 2, or name a recording: view my_bag",
        )
    from depth_estimation_ros.apps.view.live import log_live

    log_live(scene, frames)


def _take_screenshot(file: Path, png: Path) -> None:
    """Let the viewer draw a file, on a virtual display where there is none.

    Raises:
        DepthEstimationError: it could not.
    """
    command = [sys.executable, "-m", "rerun", str(file), "--screenshot-to", str(png)]
    command += ["--window-size", WINDOW_SIZE, "--renderer", "vulkan"]
    if "DISPLAY" not in os.environ and shutil.which("xvfb-run"):
        command = ["xvfb-run", "-a", *command]
    png.unlink(missing_ok=True)
    with suppress(subprocess.TimeoutExpired):
        subprocess.run(command, capture_output=True, timeout=SCREENSHOT_TIMEOUT_S, check=False)
    if not png.exists():
        raise DepthEstimationError(
            f"The screenshot {png}",
            found="none, Rerun drew nothing",
            fix="Without a GPU and a display it needs: apt install mesa-vulkan-drivers xvfb",
        )
