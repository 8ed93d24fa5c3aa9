"""The command `view`: a running node or a recording in Rerun, the viewer of the extra `view`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import rerun as rr
import rerun_cli

from depth_estimation_ros.apps.arguments import CommandParser, number
from depth_estimation_ros.apps.view.scene import CLOUD_TYPE, DIAGNOSTICS_TYPE, SceneLog
from depth_estimation_ros.bags import open_recording, stamp_in
from depth_estimation_ros.bags.topics import IMAGE_TYPES
from depth_estimation_ros.errors import BagError, DepthEstimationError

SHOWN_TYPES = (*IMAGE_TYPES, CLOUD_TYPE, DIAGNOSTICS_TYPE)
WINDOW_SIZE = "800x500"  # points; an image has twice as many pixels
SCREENSHOT_TIMEOUT_S = 300.0


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = _parser().parse_args(argv)
    recording = rr.RecordingStream("depth_estimation_ros", make_default=False)
    try:
        with tempfile.TemporaryDirectory(prefix="depth_view_") as folder:
            file = options.save or (Path(folder) / "view.rrd" if options.screenshot_to else None)
            if file is None:
                _open_viewer(options.memory_limit)
                recording.connect_grpc()
            else:
                recording.save(file)
            if options.recordings:
                _log_recordings(SceneLog(recording), options.recordings, options.frames)
            else:
                _log_live(SceneLog(recording), options.frames)
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
        "recordings",
        nargs="*",
        type=Path,
        help="bags (rosbag2 directory, .mcap, .db3, .bag), such as a recording and the result of "
        "its replay (default: the depth nodes of this ROS graph)",
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


def _log_recordings(scene: SceneLog, paths: Sequence[Path], frames: int) -> None:
    """Log the images, depths, clouds and diagnostics of recordings, merged by time.

    Raises:
        BagError: a recording cannot be read, or none has such topics.
    """
    with open_recording(paths) as bag:
        shown = [topic.name for topic in bag.topics if topic.msgtype in SHOWN_TYPES]
        if not shown:
            raise BagError(
                f"Nothing to view in {bag.name}",
                found=", ".join(map(str, bag.topics)) or "no topics",
                expected="topics of images, depth images or point clouds",
            )
        for message in bag.messages(shown):
            if frames and scene.depth_images >= frames:
                break
            stamp = stamp_in(message)
            if stamp is not None:
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


def _open_viewer(memory_limit: str) -> None:
    """Start the viewer, which stays when this process ends and shares none of its pipes."""
    # The scripts of an environment need not be on the PATH.
    viewer = str(Path(rerun_cli.__file__).with_name("rerun"))
    quiet = subprocess.DEVNULL
    subprocess.Popen(
        [viewer, "--memory-limit", memory_limit],
        stdin=quiet,
        stdout=quiet,
        stderr=quiet,
        start_new_session=True,
    )


def _take_screenshot(file: Path, png: Path) -> None:
    """Let the viewer draw a file, on a virtual display where there is none.

    Raises:
        DepthEstimationError: it could not.
    """
    command = [sys.executable, "-m", "rerun", str(file), "--screenshot-to", str(png)]
    # Without a port of its own it would hand the file to a viewer that runs already.
    command += ["--window-size", WINDOW_SIZE, "--renderer", "vulkan", "--port", "auto"]
    if "DISPLAY" not in os.environ and shutil.which("xvfb-run"):
        command = ["xvfb-run", "-a", *command]
    png.unlink(missing_ok=True)
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=quiet, start_new_session=True) as process:
        try:
            process.wait(SCREENSHOT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    if not png.exists():
        raise DepthEstimationError(
            f"The screenshot {png}",
            found="none, Rerun drew nothing",
            fix="Without a GPU and a display it needs: apt install mesa-vulkan-drivers xvfb",
        )
