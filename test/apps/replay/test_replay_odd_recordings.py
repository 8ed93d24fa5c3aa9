"""Recordings that are whole files, and yet not as one expects: what is in them is odd."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import demo_recordings as recordings
import pytest
from replay_runs import image_bag, messages, options, run, stamp_ns, written

from depth_estimation_ros.apps.replay.run import replay
from depth_estimation_ros.apps.replay.summary import Progress
from depth_estimation_ros.bags import RecordingWriter, open_recording
from depth_estimation_ros.errors import BagError

IMAGE, INFO = "sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo"
DEPTH = "/camera/depth_estimation/depth/image"
FRAMES = 6
TIMES = recordings.stamps(FRAMES)
NO_MESSAGE = b"\0\1\0\0"

Row = tuple[str, Any, int]


def raw(index: int, stamp: int | None = None) -> Any:
    """An image; its stamp is its time if none is given."""
    image = recordings.picture(index)
    return recordings.raw_image(image, TIMES[index] if stamp is None else stamp)


def write(path: Path, rows: list[Row]) -> Path:
    """A recording of topic, message or (type, bytes), and time of recording, in this order."""
    with RecordingWriter(path) as writer:
        for topic, message, time_ns in rows:
            if not isinstance(message, tuple):
                msgtype = message.__msgtype__
                message = msgtype, bytes(recordings.STORE.serialize_cdr(message, msgtype))
            writer.write(topic, message[0], time_ns, message[1])
    return path


@pytest.mark.parametrize("broken", [1, 3])
def test_bytes_of_no_message_are_bad_images(broken: int, tmp_path: Path) -> None:
    rows: list[Row] = [("/camera/image", raw(i), TIMES[i]) for i in range(FRAMES)]
    for i in range(broken):
        rows[i] = ("/camera/image", (IMAGE, NO_MESSAGE), TIMES[i])
    other = [("/other/image", (IMAGE, NO_MESSAGE), TIMES[0])]  # is no camera, and harms none

    summary = run(write(tmp_path / "bag", [*other, *rows]), tmp_path / "out")

    assert [camera.image_topic for camera in summary.cameras] == ["/camera/image"]
    assert (summary.frames_in, summary.frames_bad) == (FRAMES, broken)
    assert [time for time, _ in messages(tmp_path / "out", DEPTH)] == TIMES[broken:]


@pytest.mark.parametrize("broken", [b"", NO_MESSAGE, b"\0\1\0\0" + bytes(6)], ids=len)
@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
def test_corrupt_camera_info_is_passed_over(broken: bytes, first: bool, tmp_path: Path) -> None:
    infos = [recordings.camera_info(TIMES[0]), (INFO, broken)]
    rows: list[Row] = [("/camera/image", raw(i), TIMES[i]) for i in range(FRAMES)]
    both = [("/camera/camera_info", info, TIMES[0]) for info in (infos[::-1] if first else infos)]

    summary = run(write(tmp_path / "bag", [*both, *rows]), tmp_path / "out")

    assert (summary.frames_out, summary.frames_bad) == (FRAMES, 0)
    assert len(messages(tmp_path / "out", "/camera/depth_estimation/points")) == FRAMES


def test_topic_whose_type_changes_is_one_camera(tmp_path: Path) -> None:
    half = FRAMES // 2
    pngs = [recordings.png_image(recordings.picture(i), TIMES[i]) for i in range(half, FRAMES)]
    images = [*(raw(i) for i in range(half)), *pngs]
    rows: list[Row] = [("/camera/image", m, t) for m, t in zip(images, TIMES, strict=True)]
    bag = write(tmp_path / "bag", rows)
    told: list[Progress] = []

    summary = replay(options(bag, tmp_path / "out", copy="all", batch=1), told.append)

    assert [camera.frames_out for camera in summary.cameras] == [FRAMES]
    assert told[-1].frames_total == FRAMES
    assert [time for time, _ in messages(tmp_path / "out", DEPTH)] == TIMES
    assert written(tmp_path / "out", "/camera/image") == written(bag)
    # Each with the definition of its own type.
    assert [stamp_ns(m) for _, m in messages(tmp_path / "out", "/camera/image")] == TIMES


@pytest.mark.parametrize("step_ns", [0, 5])
def test_times_at_and_near_zero_are_times(step_ns: int, tmp_path: Path) -> None:
    """A recorder whose clock was not set."""
    times = [i * step_ns for i in range(FRAMES)]
    rows: list[Row] = [("/camera/image", raw(i, t), t) for i, t in enumerate(times)]
    bag = write(tmp_path / "bag", rows)
    told: list[Progress] = []

    replay(options(bag, tmp_path / "out"), told.append)

    assert told[-1] == Progress(FRAMES, FRAMES)
    assert [time for time, _ in messages(tmp_path / "out", DEPTH)] == times
    with open_recording(tmp_path / "out") as recording:
        assert (recording.start_ns, recording.end_ns) == (0, times[-1] + 1)


def test_equal_stamps_are_images_of_their_own(tmp_path: Path) -> None:
    rows: list[Row] = [("/camera/image", raw(i, TIMES[0]), TIMES[0]) for i in range(FRAMES)]

    run(write(tmp_path / "bag", rows), tmp_path / "out", copy="all")

    depths = [m for _, m in messages(tmp_path / "out", DEPTH)]
    nearest_m = [float(m.data.view("f4")[0]) for m in depths]
    assert nearest_m == pytest.approx([recordings.depth(i)[0, 0] for i in range(FRAMES)])
    assert len(written(tmp_path / "out", "/camera/image")) == FRAMES


def test_stamps_of_another_clock_are_kept(tmp_path: Path) -> None:
    """Images from a day before, and so their CameraInfo, which is found by stamp."""
    day = 86_400_000_000_000
    infos = []
    for i in range(FRAMES):
        info = recordings.camera_info(TIMES[i] - day)
        info.k[0] = info.k[4] = info.p[0] = info.p[5] = 50.0 + i
        infos.append(info)
    rows: list[Row] = []
    for i in range(FRAMES):
        rows.append(("/camera/image", raw(i, TIMES[i] - day), TIMES[i]))
        rows.append(("/camera/camera_info", infos[i], TIMES[i] + 1000))

    run(write(tmp_path / "bag", rows), tmp_path / "out")

    found = messages(tmp_path / "out", "/camera/depth_estimation/depth/camera_info")
    assert [time for time, _ in found] == TIMES
    assert [stamp_ns(m) for _, m in found] == [time - day for time in TIMES]
    assert [m.k[0] for _, m in found] == [50.0 + i for i in range(FRAMES)]


def test_a_camera_that_is_named_twice_is_refused(tmp_path: Path) -> None:
    bag = image_bag(tmp_path / "bag", 1)

    with pytest.raises(BagError, match="found /camera/image twice"):
        run(bag, tmp_path / "out", image_topics=("/camera/image", "/camera/image"))
