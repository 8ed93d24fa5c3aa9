"""A replay that was ended early goes on, and the result is that of an unbroken one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import demo_recordings as recordings
import pytest
from replay_runs import image_bag, messages, options, run, summary_file, written
from tiny_models import constant_depth, red_depth, slow_depth, tiny_card

from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.apps.replay.run import replay
from depth_estimation_ros.apps.replay.summary import Progress, ReplaySummary
from depth_estimation_ros.bags import RecordingWriter, open_recording
from depth_estimation_ros.errors import ParameterError

FRAMES = 24
ALL: dict[str, Any] = {
    "copy": "all",
    "outputs": ("depth", "camera_info", "points", "color"),
    "split_bytes": 100_000,
}


def stopped_after(frames: int, wanted: ReplayOptions) -> ReplaySummary:
    """A replay that somebody stops after this many images."""
    stop = threading.Event()

    def look(progress: Progress) -> None:
        if progress.frames_done - progress.frames_before >= frames:
            stop.set()

    summary = replay(wanted, look, stop)
    assert summary.interrupted
    assert not summary.complete
    assert summary.exit_code == 130
    return summary


def table(output: Path) -> list[list[str]]:
    """frames.csv without the times of the computation."""
    rows = [line.split(",") for line in (output / "frames.csv").read_text().splitlines()]
    return [row[:4] + row[6:] for row in rows]


def test_stopped_and_resumed_is_as_unbroken(tmp_path: Path) -> None:
    bag = recordings.standard_bag(tmp_path / "bag", FRAMES)
    run(bag, tmp_path / "whole", **ALL)

    first = stopped_after(5, options(bag, tmp_path / "out", **ALL))
    assert 5 <= first.frames_out < FRAMES
    done = written(tmp_path / "out")
    assert done == written(tmp_path / "whole")[: len(done)]  # a valid recording of the beginning
    second = stopped_after(3, options(bag, tmp_path / "out", resume=True, **ALL))
    assert second.frames_out >= first.frames_out + 3
    last = run(bag, tmp_path / "out", resume=True, **ALL)

    assert last.complete
    assert last.exit_code == 0
    assert last.frames_out == FRAMES
    assert written(tmp_path / "out") == written(tmp_path / "whole")
    assert table(tmp_path / "out") == table(tmp_path / "whole")
    again = run(bag, tmp_path / "out", resume=True, **ALL)
    assert again == last  # nothing is left to do


def test_killed_and_resumed_is_as_unbroken(tmp_path: Path) -> None:
    bag = recordings.standard_bag(tmp_path / "bag", FRAMES)
    model = slow_depth(tmp_path / "slow.onnx", 12)
    more = {**ALL, "model": str(model)}
    run(bag, tmp_path / "whole", **more)

    process = replaying(options(bag, tmp_path / "out", **more))
    wait_for_rows(process, tmp_path / "out" / "frames.csv", 9)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert summary_file(tmp_path / "out")["complete"] is False
    told: list[Progress] = []
    replay(options(bag, tmp_path / "out", resume=True, **more), told.append)

    assert told[0].frames_before > 0  # finished files were kept
    assert told[-1].frames_done == FRAMES
    assert written(tmp_path / "out") == written(tmp_path / "whole")
    assert table(tmp_path / "out") == table(tmp_path / "whole")


def test_bad_frames_are_counted_once_over_several_runs(tmp_path: Path) -> None:
    bag = bag_with_bad_frames(tmp_path / "bag", {2, 6, 11})
    run(bag, tmp_path / "whole", split_bytes=30_000)

    stopped_after(5, options(bag, tmp_path / "out", split_bytes=30_000))
    summary = run(bag, tmp_path / "out", resume=True, split_bytes=30_000)

    assert (summary.frames_in, summary.frames_out, summary.frames_bad) == (FRAMES, FRAMES - 3, 3)
    assert [frame.stamp_ns for frame in summary.bad_frames] == [
        recordings.stamps(FRAMES)[i] for i in (2, 6, 11)
    ]
    assert written(tmp_path / "out") == written(tmp_path / "whole")


@pytest.mark.parametrize("cut", [1, 2, 3, 5, 8])
def test_each_message_comes_once_wherever_it_ended(tmp_path: Path, cut: int) -> None:
    """A kill ends the recording within the messages of an image; here after any of them."""
    bag = recordings.standard_bag(tmp_path / "bag", 4)
    more: dict[str, Any] = {"copy": ("/camera/image/compressed",)}
    run(bag, tmp_path / "out", **more)
    whole = written(tmp_path / "out")
    with open_recording(tmp_path / "out") as recording:
        topics = {topic.name: topic for topic in recording.topics}
    for file in [*(tmp_path / "out").glob("*.mcap"), tmp_path / "out" / "metadata.yaml"]:
        file.unlink()
    with RecordingWriter(tmp_path / "out") as writer:
        for topic, msgtype, time_ns, cdr in whole[:cut]:
            writer.write(topic, msgtype, time_ns, cdr, topics[topic])
    unfinished = ReplaySummary.read(tmp_path / "out")
    unfinished.complete = False
    unfinished.write(tmp_path / "out")

    summary = run(bag, tmp_path / "out", resume=True, **more)

    assert summary.frames_out == 4
    assert written(tmp_path / "out") == whole


@pytest.mark.parametrize("left", [b"/camera/image,1", b"/camera/image,1,2,bad,,,,,,,,\xc3", b"\n"])
def test_broken_row_is_left_out(left: bytes, tmp_path: Path) -> None:
    bag = image_bag(tmp_path / "bag", FRAMES)
    stopped_after(2, options(bag, tmp_path / "out"))
    with (tmp_path / "out" / "frames.csv").open("ab") as file:
        file.write(left)

    summary = run(bag, tmp_path / "out", resume=True)

    assert (summary.frames_in, summary.frames_out) == (FRAMES, FRAMES)
    assert len(table(tmp_path / "out")) == 1 + FRAMES


def test_other_settings_than_the_first_run_are_refused(tmp_path: Path) -> None:
    bag = image_bag(tmp_path / "bag", FRAMES)
    stopped_after(2, options(bag, tmp_path / "out"))
    before = written(tmp_path / "out")

    with pytest.raises(ParameterError, match=r"cloud_stride: 2, 4 now"):
        run(bag, tmp_path / "out", resume=True, cloud_stride=4)
    (bag / "notes.txt").write_text("more")
    with pytest.raises(ParameterError, match="size of the input"):
        run(bag, tmp_path / "out", resume=True)
    constant_depth(tmp_path / "red.onnx", 3.0, tiny_card())
    with pytest.raises(ParameterError, match="content of the model"):
        run(bag, tmp_path / "out", resume=True)

    assert written(tmp_path / "out") == before


def test_resume_begins_where_there_is_nothing_yet(tmp_path: Path) -> None:
    bag = image_bag(tmp_path / "bag", 2)
    (tmp_path / "out").mkdir()

    assert run(bag, tmp_path / "out", resume=True).frames_out == 2


def test_unfinished_result_is_not_replaced_unasked(tmp_path: Path) -> None:
    bag = image_bag(tmp_path / "bag", FRAMES)
    stopped_after(2, options(bag, tmp_path / "out"))

    with pytest.raises(ParameterError, match=r"an unfinished .* --overwrite, or go on with --resu"):
        run(bag, tmp_path / "out")


def test_result_within_the_recording_can_be_resumed(tmp_path: Path) -> None:
    bag = image_bag(tmp_path / "bag", FRAMES)
    model = str(red_depth(tmp_path / "red.onnx"))
    stopped_after(2, options(bag, bag / "depth", model=model))

    assert run(bag, bag / "depth", model=model, resume=True).frames_out == FRAMES


def test_colours_by_percentile_are_noted_on_resume(tmp_path: Path) -> None:
    bag = image_bag(tmp_path / "bag", FRAMES)
    more: dict[str, Any] = {"outputs": ("color",), "color_range": "percentile"}
    stopped_after(2, options(bag, tmp_path / "out", **more))

    summary = run(bag, tmp_path / "out", resume=True, **more)

    assert summary.frames_out == FRAMES
    assert "search their range again" in summary.notes[-1]


def test_moved_result_can_be_resumed(tmp_path: Path) -> None:
    bag = image_bag(tmp_path / "bag", FRAMES)
    stopped_after(2, options(bag, tmp_path / "out"))
    (tmp_path / "out").rename(tmp_path / "moved")

    run(bag, tmp_path / "moved", resume=True)

    depth = "/camera/depth_estimation/depth/image"
    assert [time for time, _ in messages(tmp_path / "moved", depth)] == recordings.stamps(FRAMES)


def bag_with_bad_frames(path: Path, bad: set[int], frames: int = FRAMES) -> Path:
    """Compressed images of which some are no images."""
    images = []
    for i, t in enumerate(recordings.stamps(frames)):
        image = recordings.png_image(recordings.picture(i), t)
        if i in bad:
            image.data = image.data[:40]
        images.append(image)
    infos = [recordings.camera_info(t) for t in recordings.stamps(frames)]
    return recordings.write_bag(
        path, {"/camera/image/compressed": images, "/camera/camera_info": infos}
    )


def replaying(wanted: ReplayOptions) -> subprocess.Popen[bytes]:
    """A process that replays."""
    code = (
        "import json, sys; from depth_estimation_ros.apps.replay.options import ReplayOptions; "
        "from depth_estimation_ros.apps.replay.run import replay; "
        "replay(ReplayOptions.from_json(json.loads(sys.argv[1])))"
    )
    return subprocess.Popen([sys.executable, "-c", code, json.dumps(wanted.to_json())])


def wait_for_rows(process: subprocess.Popen[bytes], path: Path, rows: int) -> None:
    """Until frames.csv has this many rows."""
    while not path.exists() or path.read_bytes().count(b"\n") <= rows:
        assert process.poll() is None, "it ended before"
        time.sleep(0.01)
