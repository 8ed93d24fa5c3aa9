"""The report of a replay of which something is missing: frames, images, room, or the rest."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import demo_recordings as recordings
import numpy as np
import pytest
import tiny_models
from html_page import Page
from replay_outputs import camera, report, stamps, write_output

from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.apps.replay.report import write_report
from depth_estimation_ros.apps.replay.report.charts import Album
from depth_estimation_ros.apps.replay.run import replay
from depth_estimation_ros.bags import RecordingWriter
from depth_estimation_ros.errors import BagError


def test_a_replay_without_frames(tmp_path: Path) -> None:
    page = report(tmp_path)
    assert page.key_figures()["frames in"] == "0"
    assert page.headings() == ["Frames in time", "Settings"]
    assert "No frames." in [p.text for p in page.root.all("p")]


def test_one_frame(tmp_path: Path) -> None:
    page = report(tmp_path, camera(frames=1))
    assert page.table("Time per frame")[1] == ["engine", *["10.00"] * 4]
    assert page.headings() == ["Sample frames", "Frames in time", "Time per frame", "Settings"]
    assert page.root.all("figure", "strip") == []  # no time passes
    assert len(page.root.all("div", "row")) == 1


def test_frames_without_any_depth(tmp_path: Path) -> None:
    unknown = [np.full((48, 64), np.nan, np.float32)] * 3
    page = report(tmp_path, camera(frames=3, depths=unknown, points=True))
    assert "Depth over time" not in page.headings()
    rows = page.root.all("div", "row")
    assert [len(row.all("figure")) for row in rows] == [2] * 3  # no point in the cloud


def test_only_bad_frames(tmp_path: Path) -> None:
    page = report(tmp_path, camera(frames=3, depths=[None] * 3))
    assert page.headings() == ["Losses", "Frames in time", "Settings"]
    assert page.key_figures()["engine, median"] == "-"


def test_a_recording_that_has_gone_costs_the_pictures_of_the_camera(tmp_path: Path) -> None:
    page = report(tmp_path, camera(frames=2, points=True), inputs=[str(tmp_path / "gone")])
    rows = page.root.all("div", "row")
    assert [len(row.all("figure")) for row in rows] == [2] * 2  # depth and points
    notes = [p.text for p in page.root.all("p") if "cannot be read" in p.text]
    assert len(notes) == 1
    assert str(tmp_path / "gone") in notes[0]


def test_many_cameras_leave_the_page_below_3_mb(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(0.5, 9.0, (48, 64)).astype(np.float32)
    cameras = [camera(f"c{i}", frames=6, depths=[noise] * 6) for i in range(30)]
    page = report(tmp_path, *cameras)
    assert len(page.source.encode()) < 3_000_000
    assert len(page.root.all("div", "row")) == 30  # one of each


def test_a_full_page_takes_no_more_pictures() -> None:
    album = Album(2000)
    black, noise = np.zeros((24, 32, 3), np.uint8), np.full((300, 300, 3), 7, np.uint8)
    noise[::2, ::3] = 255
    shown, left_out = album.add(black, "alt", "one"), album.add(noise, "alt", "two")
    assert shown.uri.startswith("data:image/jpeg;base64,")
    assert (left_out.uri, left_out.caption) == ("", "two")
    assert album.left_out == 1
    assert 0 < album.bytes_left < 2000


def test_a_message_that_cannot_be_decoded_costs_its_picture(tmp_path: Path) -> None:
    output = write_output(tmp_path, [camera(frames=3)])
    shutil.rmtree(tmp_path / "in")
    with RecordingWriter(tmp_path / "in") as writer:
        for i, stamp in enumerate(stamps(0, 1, 2)):
            image = recordings.raw_image(recordings.picture(i), stamp)
            cdr = bytes(recordings.STORE.serialize_cdr(image, image.__msgtype__))
            cut = (cdr, cdr[:90], cdr[:9])[i]  # whole, without pixels, without a stamp
            writer.write("/front/image", image.__msgtype__, stamp, cut)
    rows = Page(write_report(output)).root.all("div", "row")
    assert [len(row.all("img")) for row in rows] == [2, 1, 1]


def test_a_directory_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BagError, match=r"expected a directory that a replay wrote"):
        write_report(tmp_path)
    (tmp_path / "replay.json").write_text("[]")
    with pytest.raises(BagError, match=r"No report of"):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_an_earlier_report_is_replaced(tmp_path: Path) -> None:
    output = write_output(tmp_path, [camera(frames=2)])
    (output / "report.html").write_text("old")
    assert write_report(output) == output / "report.html"
    assert Page(output / "report.html").key_figures()["frames in"] == "2"
    assert [path.name for path in output.iterdir() if path.name.startswith(".")] == []


def test_a_report_that_cannot_be_written_is_an_error_in_words(tmp_path: Path) -> None:
    output = write_output(tmp_path, [camera(frames=1)])
    (output / "report.html").mkdir()
    with pytest.raises(BagError, match=r"report\.html cannot be written: found Is a directory"):
        write_report(output)


def test_of_a_replay_of_a_cut_recording(tmp_path: Path) -> None:
    write_output(tmp_path / "made", [camera(frames=300)])
    (source,) = (tmp_path / "made" / "in").glob("*.mcap")
    whole = source.read_bytes()
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(whole[: int(0.7 * len(whole))])
    output = tmp_path / "out"
    model = tiny_models.red_depth(tmp_path / "red.onnx")
    options = ReplayOptions((str(cut),), str(output), str(model), outputs=("depth",))
    summary = replay(options)
    page = Page(write_report(output))
    assert page.root.all("p", "status")[0].text == "Complete, with loss: the recording is damaged."
    assert page.key_figures()["frames out"] == f"{summary.frames_out}"
    assert len(page.table("Damage of the recording")) == 1 + len(summary.damage)
    assert 0 < summary.frames_out < 300
    assert len(page.root.all("div", "row")) == 6


def test_no_ros_is_needed() -> None:
    code = (
        "import sys\n"
        "for name in ('rclpy', 'sensor_msgs', 'std_msgs', 'builtin_interfaces'):\n"
        "    sys.modules[name] = None\n"
        "import depth_estimation_ros.apps.replay.report\n"
        "import depth_estimation_ros.estimation.metrics\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
