"""The temporal filter over recordings and videos: as in the node, and said where it restarts."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import demo_recordings as recordings
import numpy as np
import pytest
from media_files import write_video
from replay_runs import image_bag, messages, options, run
from tiny_models import red_depth

from depth_estimation_ros.apps.estimate_depth.command import main
from depth_estimation_ros.apps.replay.run import replay
from depth_estimation_ros.messages import decode_depth

FRAMES = 10


def smoothed(bare: list[np.ndarray]) -> list[np.ndarray]:
    """By half, where it changes by less than 0.1 in the logarithm."""
    logs = [np.log(depth) for depth in bare]
    for k in range(1, len(logs)):
        change = logs[k] - logs[k - 1]
        logs[k] = np.where(np.abs(change) < 0.1, logs[k] - 0.5 * change, logs[k])
    return [np.exp(depth) for depth in logs]


def depths(output: Path, camera: str = "camera") -> list[np.ndarray]:
    topic = f"/{camera}/depth_estimation/depth/image"
    return [decode_depth(message) for _, message in messages(output, topic)]


def two_cameras(path: Path) -> Path:
    """The second camera shows the images of the first in reverse."""
    topics = {}
    for name, step in (("front", 1), ("rear", -1)):
        images = [recordings.picture(i) for i in range(FRAMES)][::step]
        times = recordings.stamps(FRAMES)
        topics[f"/{name}/image"] = [
            recordings.raw_image(image, t) for image, t in zip(images, times, strict=True)
        ]
        topics[f"/{name}/camera_info"] = [recordings.camera_info(t) for t in times]
    return recordings.write_bag(path, topics)


def test_each_camera_of_a_recording_is_smoothed_by_itself(tmp_path: Path) -> None:
    bag = two_cameras(tmp_path / "bag")
    run(bag, tmp_path / "bare")
    run(bag, tmp_path / "out", temporal_filter=0.5, batch=4)
    for camera in ("front", "rear"):
        bare, found = (depths(tmp_path / name, camera) for name in ("bare", "out"))
        np.testing.assert_allclose(found, smoothed(bare), rtol=1e-5)
        changed = [np.mean(f != b) for f, b in zip(found[1:], bare[1:], strict=True)]
        assert 0.5 < min(changed) < 1.0  # some near pixels change by more than the gate


def test_images_that_lie_far_apart_are_not_smoothed(tmp_path: Path) -> None:
    bag = image_bag(tmp_path / "bag", FRAMES)
    run(bag, tmp_path / "bare", every=5)  # 0.625 s
    run(bag, tmp_path / "out", every=5, temporal_filter=0.5)
    np.testing.assert_array_equal(depths(tmp_path / "out"), depths(tmp_path / "bare"))


def test_a_resumed_run_begins_without_a_past_and_says_so(tmp_path: Path) -> None:
    bag = image_bag(tmp_path / "bag", 2 * FRAMES)
    run(bag, tmp_path / "bare")
    stop = threading.Event()
    first = replay(options(bag, tmp_path / "out", temporal_filter=0.5), lambda _: stop.set(), stop)
    assert first.interrupted
    summary = run(bag, tmp_path / "out", temporal_filter=0.5, resume=True)
    assert "the temporal filter begins again where this run goes on" in summary.notes[-1]
    done, bare = first.frames_out, depths(tmp_path / "bare")
    assert 0 < done < 2 * FRAMES
    expected = smoothed(bare[:done]) + smoothed(bare[done:])
    np.testing.assert_allclose(depths(tmp_path / "out"), expected, rtol=1e-5)


def npz(tmp_path: Path, source: Path, weight: float) -> list[np.ndarray]:
    out = tmp_path / f"weight_{weight}"
    model = red_depth(tmp_path / "red.onnx")
    arguments = [source, "--out", out, "--model", model, "--hfov", 70, "--save", "npz"]
    assert main([str(word) for word in (*arguments, "--temporal-filter", weight)]) == 0
    return [np.load(path)["depth"] for path in sorted(out.rglob("*.npz"))]


def test_a_video_is_smoothed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = write_video(tmp_path / "clip.avi", FRAMES)
    bare, found = (npz(tmp_path, clip, weight) for weight in (0.0, 0.5))
    assert len(found) == FRAMES
    np.testing.assert_allclose(found, smoothed(bare), rtol=1e-5)
    assert np.mean(found[-1] != bare[-1]) > 0.9
    capsys.readouterr()


def test_pictures_of_a_folder_are_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(3):
        cv2.imwrite(str(folder / f"{i}.png"), recordings.picture(i)[..., ::-1])
    bare, found = (npz(tmp_path, folder, weight) for weight in (0.0, 0.5))
    assert len(found) == 3
    np.testing.assert_array_equal(found, bare)
    capsys.readouterr()
