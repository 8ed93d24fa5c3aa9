"""The command: play something through the node and show what it saw."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from depth_estimation_ros.apps.arguments import CommandParser, number
from depth_estimation_ros.apps.demo import report, session
from depth_estimation_ros.apps.demo.report import Recording
from depth_estimation_ros.apps.demo.sources import Source, SourceOptions, open_source
from depth_estimation_ros.errors import DepthEstimationError

console = Console(highlight=False)


def main(argv: list[str] | None = None) -> int:
    """Run the demo; 0 if every frame that was played came back as depth."""
    options, output = _arguments(argv)
    signal.signal(signal.SIGTERM, _on_sigterm)
    try:
        _check_replaceable(output)
        return _run(options, open_source(options.source), output)
    except DepthEstimationError as error:
        console.print(f"[bold red]error:[/] {_plain(str(error))}", soft_wrap=True)
        if (output / "summary.json").exists():
            console.print(f"{_plain(str(output))} still holds an earlier result", soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("interrupted; nothing was written")
        return 130


def _check_replaceable(output: Path) -> None:
    """An earlier result may be replaced; any other directory of the user's may not."""
    if output.exists() and not (output / "summary.json").exists():
        raise DepthEstimationError(
            f"The output directory {output}",
            found="something that is no result of the demo",
            expected="a new directory, or an earlier result",
            fix="Name another one with --output",
        )


def _run(options: session.DemoOptions, source: Source, output: Path) -> int:
    title = f"[bold]{_plain(source.name)}[/] through the node with model {_plain(options.model)}"
    console.print(title, soft_wrap=True)
    for note in source.notes:
        console.print(f"[yellow]note:[/] {_plain(note)}", soft_wrap=True)
    # Everything appears under its final name at once, and only when it is complete.
    output.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    try:
        with tempfile.TemporaryDirectory(prefix="depth_demo_") as logs:
            outcome = _play(options, source, work / "bag", Path(logs))
        card = report.model_card(options.model)
        with console.status("measuring"), Recording.open(work / "bag", source.transport) as bag:
            summary = report.summarize(bag, source, options, outcome, card)
            written = report.write_images(bag, source, card.output.max_depth, work)
        (work / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
        work.chmod(0o755)
        if output.exists():
            shutil.rmtree(output)
        work.rename(output)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    _show(summary, output, written)
    if outcome.interrupted:
        console.print(f"interrupted after {len(outcome.answers)} frames")
        return 130
    return 0 if summary["dropped"] == 0 and not outcome.problem else 1


def _play(options: session.DemoOptions, source: Source, bag: Path, logs: Path) -> session.Outcome:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("starting", total=source.frame_count or None)

        def show(what: str, frames: int) -> None:
            progress.update(task, description=what, completed=frames)

        outcome = session.run(options, source, bag, logs, show)
        progress.update(task, description="played")
    return outcome


def _show(summary: dict[str, Any], output: Path, written: list[str]) -> None:
    table = Table(show_header=False, box=None, padding=(0, 2))
    latency = summary["latency_ms"]
    table.add_row("frames in, out", f"{summary['frames_in']}, {summary['frames_out']}")
    table.add_row("latency p50, p99", f"{latency['p50']} ms, {latency['p99']} ms")
    table.add_row("memory of the node", f"{summary['rss_mb']} MB")
    if summary["ground_truth_frames"]:
        cap = summary["ground_truth_cap_m"]
        table.add_row(
            "AbsRel, delta1", f"{summary['abs_rel']}, {summary['delta1']} (truth to {cap:g} m)"
        )
        table.add_row(
            "  median-scaled",
            f"{summary['abs_rel_median_scaled']}, {summary['delta1_median_scaled']}",
        )
        constant = summary["constant_median"]
        table.add_row(
            "  one constant",
            f"{constant['abs_rel']}, {constant['delta1']} ({constant['metres']} m everywhere)",
        )
    console.print(table)
    if summary["dropped"]:
        console.print(f"[bold red]{summary['dropped']} frames gave no depth[/]")
        if summary["last_error"]:
            console.print(_plain(summary["last_error"]), soft_wrap=True)
    if summary["problem"]:
        console.print(f"[bold red]error:[/] {_plain(summary['problem'])}", soft_wrap=True)
    console.print(
        f"\nLook at {_plain(', '.join(str(output / name) for name in written))}", soft_wrap=True
    )
    console.print(
        f"Numbers: {output}/summary.json   Recording: {output}/bag (rosbag2, mcap)", soft_wrap=True
    )
    console.print(
        "\nYour own images next:\n"
        "  make demo INPUT=/path/to/a/rosbag2       also .mcap, .db3, or a .bag of ROS 1\n"
        "  make demo INPUT=video.mp4 ARGS='--hfov 70'\n"
        "  make demo INPUT=image.jpg ARGS='--hfov 70'\n"
        "  make demo INPUT=/dev/video0              a camera of this machine\n"
        "On a robot, with the package built in a sourced workspace:\n"
        "  ros2 launch depth_estimation_ros depth_estimation.launch.py depth_camera:=/camera "
        "depth_rviz:=true depth_rviz_frame:=<frame_id of the images>",
        markup=False,
        soft_wrap=True,
    )


def _arguments(argv: list[str] | None) -> tuple[session.DemoOptions, Path]:
    parser = CommandParser(
        prog="depth_estimation_demo",
        description="Play a recording, video, image or camera through the real node over DDS, "
        "and leave the recorded depth and clouds, images and numbers.",
        epilog="exit status: 0 every frame came back as depth; 1 one did not, or an error; 130 "
        "interrupted.",
    )
    parser.add_argument(
        "--input",
        default="",
        metavar="WHAT",
        help="rosbag2 directory, .mcap, .db3, .bag (ROS 1), video file, image, or number or "
        "device of a camera (default: the recording that comes with the package)",
    )
    parser.add_argument("--image-topic", default="", help="of the bag; needed if it has several")
    parser.add_argument("--camera-info-topic", default="", help="of the bag")
    parser.add_argument(
        "--ground-truth-topic", default="", help="depth in the bag to compare with, or none"
    )
    parser.add_argument(
        "--hfov",
        type=number(float, 1, 179),
        default=0.0,
        metavar="DEG",
        help="horizontal field of view: for images without a CameraInfo",
    )
    parser.add_argument(
        "--frames",
        type=number(int, 0),
        default=0,
        metavar="N",
        help="play at most N frames (default: 0, all of them)",
    )
    parser.add_argument(
        "--model",
        default="compact",
        help="bundled model (compact, nano, compact_open) or ONNX file",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("demo_out"),
        metavar="DIR",
        help="where the results go; an earlier result there is replaced (default: demo_out)",
    )
    parser.add_argument(
        "--cloud-stride",
        type=number(int, 1, 64),
        default=2,
        metavar="N",
        help="record every N-th row and column of the cloud (default: 2)",
    )
    parser.add_argument(
        "--frame-timeout",
        type=number(float, 0.1, 86_400),
        default=30.0,
        metavar="S",
        help="seconds that one frame may take (default: 30)",
    )
    parser.add_argument(
        "--domain-id",
        type=number(int, 0, 101),
        default=None,
        metavar="N",
        help="ROS_DOMAIN_ID, to watch with RViz meanwhile (default: one of its own)",
    )
    parser.add_argument(
        "--view",
        action="store_true",
        help="show everything in Rerun meanwhile (pip install rerun-sdk)",
    )
    arguments = parser.parse_args(argv)
    if arguments.view and find_spec("rerun") is None:
        parser.error("argument --view: found no rerun. Install with: pip install rerun-sdk")
    source = SourceOptions(
        input=arguments.input,
        image_topic=arguments.image_topic,
        camera_info_topic=arguments.camera_info_topic,
        ground_truth_topic=arguments.ground_truth_topic,
        hfov_deg=arguments.hfov,
        frames=arguments.frames,
    )
    options = session.DemoOptions(
        source=source,
        model=arguments.model,
        cloud_stride=arguments.cloud_stride,
        frame_timeout=arguments.frame_timeout,
        domain_id=arguments.domain_id,
        view=arguments.view,
    )
    return options, arguments.output


def _plain(text: str) -> str:
    """Square brackets in names and messages are no markup."""
    return text.replace("[", "\\[")


def _on_sigterm(*_: object) -> NoReturn:
    sys.exit(143)  # passes every `finally`: no process stays behind
