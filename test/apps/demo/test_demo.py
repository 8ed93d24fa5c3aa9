"""The whole demo: node, player and recorder as processes, over DDS, on a short recording."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import demo_recordings as recordings
import numpy as np
import pytest
import tiny_models

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import Image

from depth_estimation_ros.apps.demo import graph
from depth_estimation_ros.messages import decode_compressed, decode_depth, read_points

FRAMES = 4
STRIDE = 2
DOMAIN = random.SystemRandom().randint(1, 101)  # where a test listens to the demo
TIMEOUT = 120.0  # a safety net for busy machines
REPOSITORY = Path(__file__).resolve().parents[3]


@dataclass
class Run:
    code: int
    text: str
    output: Path

    @property
    def summary(self) -> dict[str, Any]:
        return json.loads((self.output / "summary.json").read_text())

    def messages(self, topic: str) -> list[Any]:
        """Time in the bag and message, in order."""
        with AnyReader([self.output / "bag"]) as reader:
            connections = [c for c in reader.connections if c.topic == topic]
            return [
                (stamp, reader.deserialize(raw, c.msgtype))
                for c, stamp, raw in reader.messages(connections)
            ]


def start_demo(output: Path, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "depth_estimation_ros.apps.demo", "--output", str(output)]
    return subprocess.Popen(
        [*command, *map(str, arguments)],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run_demo(output: Path, *arguments: object) -> Run:
    process = start_demo(output, *arguments)
    text, _ = process.communicate(timeout=TIMEOUT)
    return Run(process.returncode, text, output)


def stamp_ns(message: Any) -> int:
    stamp = message.header.stamp
    return int(stamp.sec * 1_000_000_000 + stamp.nanosec)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.red_depth(tmp_path_factory.mktemp("model") / "red.onnx")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Run:
    folder = tmp_path_factory.mktemp("demo")
    bag = recordings.standard_bag(folder / "source", FRAMES)
    arguments = ("--input", bag, "--model", model, "--cloud-stride", STRIDE)
    first = run_demo(folder / "demo_out", *arguments)
    assert first.code == 0, first.text
    return first


def test_every_frame_comes_back_as_depth(run: Run) -> None:
    summary = run.summary
    assert summary["frames_in"] == FRAMES
    assert summary["frames_out"] == FRAMES
    assert summary["dropped"] == 0
    assert "AbsRel, delta1" in run.text


def test_stamps_and_frame_ids_of_all_outputs_are_those_of_the_images(run: Run) -> None:
    for topic in (
        graph.IMAGES["compressed"][0],
        graph.DEPTH,
        graph.DEPTH_CAMERA_INFO,
        graph.POINTS,
    ):
        found = run.messages(topic)
        assert [stamp_ns(message) for _, message in found] == recordings.stamps(FRAMES), topic
        assert {message.header.frame_id for _, message in found} == {"cam_optical"}, topic


def test_the_recorded_bag_has_the_time_axis_of_the_camera(run: Run) -> None:
    times = recordings.stamps(FRAMES)
    for topic in graph.recorded("compressed"):
        assert all(times[0] <= t <= times[-1] for t, _ in run.messages(topic)), topic


def test_the_recorded_depth_is_what_the_network_says(run: Run) -> None:
    for i, (_, message) in enumerate(run.messages(graph.DEPTH)):
        np.testing.assert_allclose(decode_depth(message), recordings.depth(i), atol=1e-4)


def test_the_recorded_cloud_has_the_depth_and_the_colours_of_the_image(run: Run) -> None:
    rows, columns = np.mgrid[: recordings.HEIGHT : STRIDE, : recordings.WIDTH : STRIDE]
    for i, (_, message) in enumerate(run.messages(graph.POINTS)):
        xyz, rgb = read_points(message)
        z = recordings.depth(i)[::STRIDE, ::STRIDE]
        np.testing.assert_allclose(xyz[..., 2], z, atol=1e-4)
        x = (columns - (recordings.WIDTH - 1) / 2) / recordings.FOCAL * z
        y = (rows - (recordings.HEIGHT - 1) / 2) / recordings.FOCAL * z
        np.testing.assert_allclose(xyz[..., 0], x, atol=1e-4)
        np.testing.assert_allclose(xyz[..., 1], y, atol=1e-4)
        np.testing.assert_array_equal(rgb, recordings.picture(i)[::STRIDE, ::STRIDE])


def test_the_images_are_recorded_too(run: Run) -> None:
    for i, (_, message) in enumerate(run.messages(graph.IMAGES["compressed"][0])):
        np.testing.assert_array_equal(decode_compressed(message), recordings.picture(i))


def test_the_summary_measures(run: Run) -> None:
    summary = run.summary
    assert summary["abs_rel"] == pytest.approx(0.0, abs=5e-4)  # truth is in whole millimetres
    assert summary["delta1"] == 1.0
    assert summary["constant_median"]["abs_rel"] > 0.1
    assert 0 < summary["latency_ms"]["p50"] <= summary["latency_ms"]["p99"]
    assert summary["rss_mb"] > 10
    assert summary["model"] == "tiny 1"


def test_the_pictures_can_be_looked_at(run: Run) -> None:
    for name in ("preview.png", "cloud.png"):
        image = cv2.imread(str(run.output / name))
        assert image is not None, name
        assert image.std() > 5, name


def test_nothing_else_is_left_behind(run: Run) -> None:
    names = {path.name for path in run.output.iterdir()}
    assert names == {"bag", "preview.png", "cloud.png", "summary.json"}
    assert {path.name for path in run.output.parent.iterdir()} == {"source", "demo_out"}


def test_a_model_that_is_missing_ends_the_demo_with_the_nodes_words(tmp_path: Path) -> None:
    bag = recordings.standard_bag(tmp_path / "source", 1)
    failed = run_demo(tmp_path / "out", "--input", bag, "--model", tmp_path / "missing.onnx")
    assert failed.code == 1
    assert "could not configure" in failed.text
    assert "missing.onnx" in failed.text
    assert "no such file" in failed.text
    assert not failed.output.exists()


def test_a_broken_frame_is_counted_and_the_others_come_back(tmp_path: Path, model: Path) -> None:
    times = recordings.stamps(3)
    images = [recordings.png_image(recordings.picture(i), t) for i, t in enumerate(times)]
    images[1].data = images[1].data[:20]
    bag = recordings.write_bag(
        tmp_path / "source",
        {"/image/compressed": images, "/camera_info": [recordings.camera_info(times[0])]},
    )
    broken = run_demo(tmp_path / "out", "--input", bag, "--model", model)
    assert broken.code == 1, broken.text
    assert "1 frames gave no depth" in broken.text
    summary = broken.summary
    assert (summary["frames_in"], summary["frames_out"], summary["dropped"]) == (3, 2, 1)
    assert "cannot be decoded" in summary["last_error"]
    assert [stamp_ns(m) for _, m in broken.messages(graph.DEPTH)] == [times[0], times[2]]


def test_a_recording_that_breaks_off_is_played_to_where_it_does(
    tmp_path: Path, model: Path
) -> None:
    bag = recordings.broken_off_bag(tmp_path / "source", 2)
    cut = run_demo(tmp_path / "out", "--input", bag, "--model", model)
    assert cut.code == 1, cut.text
    assert "breaks off: found 2 images on /image, expected 4" in cut.text
    assert "breaks off" in cut.summary["problem"]
    assert (cut.summary["frames_in"], cut.summary["frames_out"]) == (2, 2)
    assert len(cut.messages(graph.POINTS)) == 2


def test_an_interruption_keeps_what_was_played(tmp_path: Path, model: Path) -> None:
    bag = recordings.standard_bag(tmp_path / "source", 30)
    arguments = ("--input", bag, "--model", model, "--domain-id", DOMAIN)
    # A shell that runs tests in the background may have told its children to ignore SIGINT.
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = start_demo(tmp_path / "out", *arguments, TMPDIR=str(tmp_path))
    finally:
        signal.signal(signal.SIGINT, inherited)
    wait_for_depth()
    assert len(processes_with(tmp_path)) == 4  # session, node, recorder, player
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=TIMEOUT)

    assert process.returncode == 130, text
    assert "interrupted after" in text
    summary = Run(process.returncode, text, tmp_path / "out").summary
    assert summary["interrupted"]
    assert 0 < summary["frames_in"] < 30
    assert summary["frames_out"] == summary["frames_in"]
    assert processes_with(tmp_path) == []


def test_a_directory_that_is_no_result_of_the_demo_is_not_replaced(
    tmp_path: Path, model: Path
) -> None:
    (tmp_path / "precious").write_text("mine")
    refused = run_demo(tmp_path, "--model", model)
    assert refused.code == 1
    assert "no result of the demo" in refused.text
    assert (tmp_path / "precious").read_text() == "mine"


def wait_for_depth() -> None:
    """Until two depth images were heard."""
    heard: list[Image] = []
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=DOMAIN)
    node = rclpy.create_node("listener", context=context)
    node.create_subscription(Image, graph.DEPTH, heard.append, 10)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    end = time.monotonic() + TIMEOUT
    while len(heard) < 2 and time.monotonic() < end:
        executor.spin_once(timeout_sec=0.1)
    executor.shutdown()
    node.destroy_node()
    rclpy.try_shutdown(context=context)
    assert len(heard) >= 2


def processes_with(folder: Path) -> list[str]:
    """Command lines of all processes of this machine that name files in the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                command = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:  # it ended just now
                continue
            if str(folder) in command:
                found.append(command)
    return found
