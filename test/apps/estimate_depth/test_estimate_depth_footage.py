"""Videos and cameras: frame by frame, and when they end early."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
import tiny_models
from estimate_depth_cases import WIDTH, names, png_texts, steps, summary, video_frames
from media_files import write_video

from depth_estimation_ros.apps.estimate_depth import files


@pytest.fixture
def fake_camera(monkeypatch):
    """Number 0 is a camera that shows `steps` for ever."""
    real = cv2.VideoCapture

    class Endless:
        def __init__(self, source):
            assert source == 0

        def isOpened(self):
            return True

        def get(self, number):
            return 0.0

        def set(self, number, value):
            return True

        def read(self):
            return True, cv2.cvtColor(steps(), cv2.COLOR_RGB2BGR)

        def release(self):
            pass

    def open_video(source):
        return real(source) if isinstance(source, str) else Endless(source)

    monkeypatch.setattr(cv2, "VideoCapture", open_video)


def test_a_video_keeps_its_rate_and_length(run, out, tmp_path):
    clip = write_video(tmp_path / "clip.avi", 7, rate=12.5)
    code, text = run(clip, "--hfov", "70")
    assert code == 0, text
    assert names(out) == ["clip_side_by_side.mp4", "summary.json"]
    made = cv2.VideoCapture(str(out / "clip_side_by_side.mp4"))
    assert (made.get(cv2.CAP_PROP_FRAME_COUNT), made.get(cv2.CAP_PROP_FPS)) == (7, 12.5)
    frames = video_frames(out / "clip_side_by_side.mp4")
    source = video_frames(clip)
    for made_frame, source_frame in zip(frames, source, strict=True):
        difference = made_frame[8:-8, 8 : WIDTH - 8].astype(int) - source_frame[8:-8, 8:-8]
        assert np.abs(difference).mean() < 8  # two losses
    codec = summary(out)["inputs"][0]["video_codec"]
    assert codec in ("h264", "mpeg4")
    assert ("browsers do not" in text) == (codec == "mpeg4")


def test_frames_of_a_video_become_files(run, out, tmp_path):
    clip = write_video(tmp_path / "clip.avi", 8)
    code, _ = run(clip, "--hfov", "70", "--save", "depth16", "--every", "3", "--frames", "2")
    assert code == 0
    assert names(out) == ["clip/000000_depth_mm.png", "clip/000003_depth_mm.png", "summary.json"]


def test_the_colors_of_a_video_do_not_move(run, out, tmp_path):
    # The image gets farther with each frame; one range holds for all of them.
    clip = write_video(tmp_path / "clip.avi", 8)
    run(clip, "--hfov", "70", "--save", "color")
    texts = {png_texts(path)["Colors"] for path in (out / "clip").glob("*.png")}
    assert len(texts) == 1
    near, far = summary(out)["colors"]["near_far_m"]
    assert near == pytest.approx(1.0, rel=0.05)
    assert far == pytest.approx(1.0 + 8.0 * 140 / 255, rel=0.05)


def test_a_failed_video_leaves_what_it_has(run, out, tmp_path, monkeypatch):
    clip = write_video(tmp_path / "clip.avi", 8)
    original = files.encode_png
    written = []

    def disk_full(*arguments):
        written.append(1)
        if len(written) == 4:
            raise OSError(28, "No space left on device")
        return original(*arguments)

    monkeypatch.setattr(files, "encode_png", disk_full)
    code, text = run(clip, "--hfov", "70", "--save", "side-by-side", "depth16")
    assert code == 1
    assert "No space left on device" in text
    told = summary(out)
    assert (told["complete"], told["frames"]) == (False, 3)
    assert "No space left" in told["problem"]
    assert names(out) == sorted([*told["inputs"][0]["files"], "summary.json"])
    assert len(video_frames(out / "clip_side_by_side.mp4")) == 4


def test_a_camera_gives_a_number_of_frames(run, out, fake_camera):
    code, text = run("0", "--hfov", "70", "--frames", "5", "--save", "side-by-side", "depth16")
    assert code == 0, text
    told = summary(out)
    assert (told["frames"], told["inputs"][0]["kind"]) == (5, "camera")
    assert told["colors"]["from"] == "follows the depth in view"
    assert told["colors"]["near_far_m"] is None
    assert "camera_0_side_by_side.mp4" in names(out)
    assert [name for name in names(out) if name.endswith("mm.png")] == [
        f"camera_0/00000{i}_depth_mm.png" for i in range(5)
    ]


def test_an_interrupted_video_is_playable(model, tmp_path):
    slow = tiny_models.slow_depth(tmp_path / "slow.onnx", 20)
    clip = write_video(tmp_path / "clip.avi", 2000)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "depth_estimation_ros.apps.estimate_depth", clip, "--out", out]
    command += ["--model", slow, "--range", "1", "9", "--threads", "1"]
    process = subprocess.Popen(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    deadline = time.monotonic() + 30
    while not list(out.glob(".*.mp4")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    text = process.communicate(timeout=30)[0]
    assert process.returncode == 130, text
    assert "interrupted" in text
    assert names(out) == ["clip_side_by_side.mp4", "summary.json"]
    told = summary(out)
    assert (told["complete"], told["interrupted"]) == (False, True)
    assert 0 < told["frames"] < 2000
    assert len(video_frames(out / "clip_side_by_side.mp4")) == told["frames"]
