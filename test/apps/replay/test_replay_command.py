"""The command line: what it prints, how it ends, and that it needs no ROS."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import demo_recordings as recordings
import numpy as np
import pytest
from replay_runs import image_bag, written
from tiny_models import constant_depth, red_depth, slow_depth, tiny_card

from depth_estimation_ros.apps.replay.arguments import parse, replay_options
from depth_estimation_ros.apps.replay.command import main
from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.apps.replay.summary import ReplaySummary

DEPTH = "/camera/depth_estimation/depth/image"
WITHOUT_ROS_AND_LINUX = """
import os, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("rclpy", "fcntl", "resource") or name.endswith("_msgs"):
            raise ImportError(name)
sys.meta_path.insert(0, Blocked())
for name in ("fcntl", "resource"):
    sys.modules.pop(name, None)
del os.posix_fallocate
from depth_estimation_ros.apps.replay.command import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def model(tmp_path: Path) -> str:
    return str(red_depth(tmp_path / "red.onnx"))


def words(capsys: pytest.CaptureFixture[str]) -> str:
    """What was printed, in one line."""
    return " ".join(capsys.readouterr().out.split())


def test_result_names_numbers_and_topics(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = recordings.standard_bag(tmp_path / "bag", 3)

    code = main([str(bag), "--output", str(tmp_path / "out"), "--model", model])

    printed = words(capsys)
    assert code == 0
    assert "images in, with depth, bad 3, 3, 0" in printed
    assert "3 of 3 images" in printed
    assert DEPTH in printed
    assert "camera calibrated" in printed
    assert f"Recording: {tmp_path / 'out'}" in printed
    assert (tmp_path / "out" / "report.html").stat().st_size > 1000


def test_topics_that_were_not_written_are_not_printed(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    images = [recordings.raw_image(recordings.picture(i), t) for i, t in enumerate((1, 2))]
    bag = recordings.write_bag(tmp_path / "bag", {"/camera/image": images})
    command = [str(bag), "--output", str(tmp_path / "out"), "--model", model]

    assert main(command) == 0

    printed = words(capsys)
    page = (tmp_path / "out" / "report.html").read_text()
    assert '<p class="status poor">Complete: every frame gave depth. The scale is a guess' in page
    assert DEPTH in printed
    assert "/camera/depth_estimation/points" not in printed
    assert "the scale of /camera/image is a guess" in printed
    (camera,) = ReplaySummary.read(tmp_path / "out").cameras
    assert (camera.points_topic, camera.depth_camera_info_topic) == ("", "")

    assert main([*command, "--overwrite", "--hfov", "70"]) == 0
    printed = words(capsys)
    assert "is a guess" not in printed
    assert '<p class="status good">' in (tmp_path / "out" / "report.html").read_text()
    assert "/camera/depth_estimation/points" in printed


def test_loss_is_said_and_gives_exit_code_2(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = recordings.broken_off_bag(tmp_path / "bag", 4)

    code = main([str(bag), "-o", str(tmp_path / "out"), "--model", model, "--no-report"])

    printed = words(capsys)
    assert code == 2
    assert "damaged:" in printed
    assert "8 messages" in printed
    assert "images in, with depth, bad 4, 4, 0" in printed
    assert not (tmp_path / "out" / "report.html").exists()


def test_errors_against_ground_truth_are_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = recordings.standard_bag(tmp_path / "bag", 3)
    outdoor = dataclasses.replace(tiny_card(), made_for="outdoor")
    model = str(constant_depth(tmp_path / "two.onnx", 2.0, outdoor))
    truths = [np.rint(1000.0 * recordings.depth(i)) / 1000.0 for i in range(3)]

    def scores(metres: list[float]) -> str:
        pairs = list(zip(metres, truths, strict=True))
        abs_rel = np.mean([np.mean(np.abs(d - t) / t) for d, t in pairs])
        delta1 = np.mean([np.mean(np.maximum(d / t, t / d) < 1.25) for d, t in pairs])
        return f"{abs_rel:.3f}, {delta1:.3f}"

    main([str(bag), "--output", str(tmp_path / "out"), "--model", model])

    printed = words(capsys)
    median = float(np.median(truths))
    assert "/camera/image/compressed: the depth is no better than one constant" in printed
    assert "the model is made for outdoor scenes" in printed
    assert (
        "AbsRel, delta1 of /camera/image/compressed against /ground_truth/depth/compressed (3 "
        f"frames, to 10 m): as predicted {scores([2.0] * 3)}; median-scaled "
        f"{scores([float(np.median(t)) for t in truths])}; {median:.2f} m everywhere "
        f"{scores([median] * 3)}"
    ) in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere"),
        (["{bag}", "--image-topic", "/front"], "/camera/image (sensor_msgs/Image, 2)"),
        (["{bag}", "--model", "huge"], "bundled model: compact"),
        (["{bag}", "--start", "5", "--end", "4"], "start < end"),
        (["{bag}", "--start", "100"], "found 100 s, expected a time within its 0."),
        (["{bag}", "--copy", "/imu"], "Correct --copy"),
        (["{bag}", "--calibration", "no.yaml"], "no.yaml"),
    ],
    ids=str,
)
def test_errors_name_the_next_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    bag = image_bag(tmp_path / "bag", 2)
    filled = [argument.replace("{bag}", str(bag)) for argument in arguments]

    code = main([*filled, "--output", str(tmp_path / "out")])

    printed = words(capsys)
    assert code == 1
    assert printed.startswith("error:")
    assert message in printed
    assert not (tmp_path / "out").exists()


def test_defaults_are_those_of_the_options() -> None:
    assert replay_options(parse(["bag", "--output", "out"])) == ReplayOptions(("bag",), "out")


def test_every_option_arrives() -> None:
    line = (
        "a.mcap -o out --image-topic /l /r --camera-info-topic /li /ri --hfov 70 --rectified "
        "--start 1 --end 9 --rate 5 --every 2 --outputs color depth --copy /imu /tf "
        "--encoding 16UC1 --output-size network --cloud-stride 4 --voxel 0.1 --min-depth 1 "
        "--scale-correction 0.7 --scale-from /scan --range-sensor-pose 0.1 0 -0.3 0 0 1.57 "
        "--max-depth 20 --edge-filter 0.1 --temporal-filter 0.5 --color-map viridis "
        "--color-range percentile --color-min-depth 0.5 --color-max-depth 8 --color-legend "
        "--storage sqlite3 --compression zstd --split-mb 100 --batch 4 --model x.onnx "
        "--backend onnxruntime --threads 3 --calibration c.yaml --overwrite"
    )

    assert replay_options(parse(line.split())) == ReplayOptions(
        inputs=("a.mcap",),
        output="out",
        model="x.onnx",
        backend="onnxruntime",
        threads=3,
        min_depth=1.0,
        max_depth=20.0,
        output_size="network",
        edge_filter=0.1,
        temporal_filter=0.5,
        scale_correction=0.7,
        scale_from="/scan",
        range_sensor_pose=(0.1, 0.0, -0.3, 0.0, 0.0, 1.57),
        image_topics=("/l", "/r"),
        camera_info_topics=("/li", "/ri"),
        calibration="c.yaml",
        hfov_deg=70.0,
        image_is_rectified=True,
        outputs=("depth", "color"),
        depth_encoding="16UC1",
        cloud_stride=4,
        voxel_size=0.1,
        color_map="viridis",
        color_range="percentile",
        color_min_depth=0.5,
        color_max_depth=8.0,
        color_legend=True,
        copy=("/imu", "/tf"),
        start_s=1.0,
        end_s=9.0,
        rate_hz=5.0,
        every=2,
        storage="sqlite3",
        compression="zstd",
        split_bytes=100_000_000,
        batch=4,
        overwrite=True,
    )


def test_help_has_examples_defaults_and_units(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])

    printed = words(capsys)
    for phrase in ("examples:", "--resume", "exit status:", "(default: compact)", "metres"):
        assert phrase in printed


def start(arguments: list[Any], code: str | None = None) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    how = ["-c", code] if code else ["-m", "depth_estimation_ros.apps.replay"]
    return subprocess.Popen(
        [sys.executable, *how, *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_replay_leaves_a_valid_recording(
    tmp_path: Path, number: signal.Signals
) -> None:
    bag = recordings.standard_bag(tmp_path / "bag", 30)
    model = slow_depth(tmp_path / "slow.onnx", 30)
    out = tmp_path / "out"
    process = start([bag, "-o", out, "--model", model])
    while not (out / "frames.csv").exists() or (out / "frames.csv").read_text().count("\n") < 5:
        assert process.poll() is None, "it ended before"
        time.sleep(0.01)

    process.send_signal(number)
    printed, _ = process.communicate(timeout=60)

    assert process.returncode == 130
    summary = ReplaySummary.read(out)
    assert summary.interrupted
    assert 4 <= summary.frames_out < 30
    times = [time_ns for _, _, time_ns, _ in written(out, DEPTH)]
    assert times == recordings.stamps(30)[: summary.frames_out]
    words_printed = " ".join(printed.split())
    assert f"{summary.frames_in} images are done" in words_printed
    assert f"replay {bag} -o {out} --model {model} --resume" in words_printed


def test_it_works_without_ros_and_linux(tmp_path: Path, model: str) -> None:
    bag = recordings.standard_bag(tmp_path / "bag", 2)
    out = tmp_path / "out"
    outputs = ["depth", "camera_info", "points", "color"]

    process = start(
        [bag, "-o", out, "--model", model, "--outputs", *outputs], WITHOUT_ROS_AND_LINUX
    )
    printed, _ = process.communicate(timeout=60)

    assert process.returncode == 0, printed
    assert len(written(out)) == 2 * len(outputs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--outputs", "depht"], "invalid choice: 'depht'"),
        (["--every", "0"], "found 0, expected a whole number, 1 or more"),
        (["--resume", "--overwrite"], "not allowed with argument"),
        (["--rectify", "--rectified"], "not allowed with argument"),
    ],
)
def test_wrong_argument_is_an_error_of_two_lines(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit, match=r"^1$"):
        main(["drive", "--output", "out", *arguments])

    first, second = capsys.readouterr().err.splitlines()
    assert message in first
    assert second == "replay --help shows all arguments and examples"


def test_image_is_for_the_other_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = tmp_path / "kitchen.jpg"
    image.write_bytes(b"picture")

    assert main([str(image), "--output", str(tmp_path / "out")]) == 1
    assert "Images and videos are for the command estimate_depth" in words(capsys)


def test_span_without_an_image_is_noted(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = recordings.standard_bag(tmp_path / "bag", 3)
    between = ["--start", "0.01", "--end", "0.02"]

    assert main([str(bag), "--output", str(tmp_path / "out"), "--model", model, *between]) == 0

    assert "no image was taken; check --start, --end, --rate and --every" in words(capsys)


def test_finished_result_is_shown_again(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = recordings.standard_bag(tmp_path / "bag", 3)
    command = [str(bag), "--output", str(tmp_path / "out"), "--model", model, "--no-report"]
    main(command)
    capsys.readouterr()

    assert main([*command, "--resume"]) == 0
    printed = words(capsys)
    assert "finished by an earlier run: these are its numbers, nothing is done" in printed
    assert "images in, with depth, bad 3, 3, 0" in printed


def test_topics_are_whole_on_a_narrow_screen(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    bag = recordings.standard_bag(tmp_path / "bag", 3)

    main([str(bag), "--output", str(tmp_path / "out"), "--model", model, "--no-report"])

    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert DEPTH in lines
    assert DEPTH.replace("image", "camera_info") in lines
