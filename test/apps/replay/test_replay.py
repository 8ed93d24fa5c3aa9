"""A recording in, a recording with depth out: what is in it, and where."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import demo_recordings as recordings
import numpy as np
import pytest
from replay_runs import fields, messages, options, run, stamp_ns, summary_file, written
from rosbags.rosbag2 import Reader

from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.apps.replay.run import replay
from depth_estimation_ros.apps.replay.summary import Progress
from depth_estimation_ros.errors import BagError, DepthEstimationError, ParameterError
from depth_estimation_ros.messages import decode_depth, decode_image, read_points

DEPTH = "/camera/depth_estimation/depth/image"
INFO = "/camera/depth_estimation/depth/camera_info"
POINTS = "/camera/depth_estimation/points"
COLOR = "/camera/depth_estimation/depth/color"


def test_every_image_gives_depth_camera_and_cloud(tmp_path: Path) -> None:
    bag = recordings.standard_bag(tmp_path / "bag", 5)

    summary = run(bag, tmp_path / "out")

    assert (summary.frames_in, summary.frames_out, summary.frames_bad) == (5, 5, 0)
    assert summary.complete
    assert summary.exit_code == 0
    for topic in (DEPTH, INFO, POINTS):
        found = messages(tmp_path / "out", topic)
        assert [time for time, _ in found] == recordings.stamps(5)
        assert [stamp_ns(message) for _, message in found] == recordings.stamps(5)
        assert {message.header.frame_id for _, message in found} == {"cam_optical"}
    for index, (_, message) in enumerate(messages(tmp_path / "out", DEPTH)):
        np.testing.assert_allclose(decode_depth(message), recordings.depth(index), rtol=1e-6)


def test_result_is_a_rosbag2_directory_with_numbers(tmp_path: Path) -> None:
    bag = recordings.standard_bag(tmp_path / "bag", 3)

    summary = run(bag, tmp_path / "out")

    with Reader(tmp_path / "out") as reader:
        counts = {name: topic.msgcount for name, topic in reader.topics.items()}
    assert counts == {DEPTH: 3, INFO: 3, POINTS: 3}
    on_disk = summary_file(tmp_path / "out")
    assert on_disk["frames_out"] == summary.frames_out == 3
    assert on_disk["cameras"][0]["camera_state"] == "calibrated"
    assert on_disk["cameras"][0]["depth_topic"] == DEPTH
    assert ReplayOptions.from_json(on_disk["options"]) == options(bag, tmp_path / "out")
    header, *rows = (tmp_path / "out" / "frames.csv").read_text().splitlines()
    assert header.startswith(
        "image_topic,stamp_ns,time_ns,status,engine_ms,total_ms,"
        "depth_p5,depth_median,depth_p95,valid_share"
    )
    first = dict(zip(header.split(","), rows[0].split(","), strict=True))
    assert first["image_topic"] == "/camera/image/compressed"
    assert first["stamp_ns"] == str(recordings.START_NS)
    assert (first["status"], first["outputs"]) == ("ok", "depth+camera_info+points")
    sample = recordings.depth(0)[::4, ::4]
    assert float(first["depth_median"]) == pytest.approx(np.median(sample), abs=1e-3)


def test_clouds_lie_on_the_rays_of_the_camera(tmp_path: Path) -> None:
    bag = recordings.standard_bag(tmp_path / "bag", 1)

    run(bag, tmp_path / "out", outputs=("points",), cloud_stride=4)

    points, rgb = read_points(messages(tmp_path / "out", POINTS)[0][1])
    u = np.arange(0, recordings.WIDTH, 4)
    z = recordings.depth(0)[::4, ::4]
    x = (u - (recordings.WIDTH - 1) / 2) / recordings.FOCAL * z
    np.testing.assert_allclose(points[..., 2], z, rtol=1e-6)
    np.testing.assert_allclose(points[..., 0], x, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(rgb, recordings.picture(0)[::4, ::4])


def test_voxels_make_a_cloud_smaller_and_unorganised(tmp_path: Path) -> None:
    bag = recordings.standard_bag(tmp_path / "bag", 1)

    run(bag, tmp_path / "out", outputs=("points",), cloud_stride=1, voxel_size=0.5)

    cloud = messages(tmp_path / "out", POINTS)[0][1]
    assert cloud.height == 1
    assert 10 < cloud.width < recordings.WIDTH * recordings.HEIGHT / 4


def test_colours_and_millimetres(tmp_path: Path) -> None:
    bag = recordings.standard_bag(tmp_path / "bag", 1)

    run(bag, tmp_path / "out", outputs=("depth", "color"), depth_encoding="16UC1")

    depth = messages(tmp_path / "out", DEPTH)[0][1]
    assert depth.encoding == "16UC1"
    np.testing.assert_allclose(decode_depth(depth), recordings.depth(0), atol=0.0006)
    color = messages(tmp_path / "out", COLOR)[0][1]
    assert color.encoding == "rgb8"
    left, right = decode_image(color)[10, [2, -3]].astype(int)
    assert left[0] > left[2]  # near is warm
    assert right[2] > right[0]


@pytest.mark.parametrize("copy", ["all", ("/ground_truth/depth/compressed", "/camera/camera_info")])
def test_copied_messages_keep_time_bytes_and_order(tmp_path: Path, copy: str) -> None:
    bag = recordings.standard_bag(tmp_path / "bag", 4)

    run(bag, tmp_path / "out", copy=copy)

    source = written(bag)
    wanted = {m[0] for m in source} if copy == "all" else set(copy)
    assert written(tmp_path / "out", *wanted) == [m for m in source if m[0] in wanted]
    times = [m[2] for m in written(tmp_path / "out")]
    assert times == sorted(times)


def test_missing_topic_to_copy_is_named(tmp_path: Path) -> None:
    bag = recordings.standard_bag(tmp_path / "bag", 1)

    with pytest.raises(BagError, match=r"found /imu, expected some of: .*/camera/camera_info"):
        run(bag, tmp_path / "out", copy=("/imu",))

    assert not (tmp_path / "out").exists()


def test_depth_of_depth_is_not_copied_over_itself(tmp_path: Path) -> None:
    bag = recordings.standard_bag(tmp_path / "bag", 2)
    run(bag, tmp_path / "first", copy="all")

    summary = run(tmp_path / "first", tmp_path / "second", copy="all")

    assert [camera.image_topic for camera in summary.cameras] == ["/camera/image/compressed"]
    assert any(DEPTH in note for note in summary.notes)
    assert len(messages(tmp_path / "second", DEPTH)) == 2


def test_progress_counts_every_image(tmp_path: Path) -> None:
    bag = recordings.standard_bag(tmp_path / "bag", 3)
    told: list[Progress] = []

    replay(options(bag, tmp_path / "out"), told.append)

    assert told == [Progress(n, 3) for n in (1, 2, 3)]


def test_batches_give_the_same_depth(tmp_path: Path) -> None:
    bag = recordings.standard_bag(tmp_path / "bag", 7)

    one = run(bag, tmp_path / "one", copy="all")
    three = run(bag, tmp_path / "three", copy="all", batch=3)

    assert one.frames_out == three.frames_out == 7
    assert written(tmp_path / "three") == written(tmp_path / "one")


@pytest.mark.parametrize(("storage", "compression"), [("sqlite3", "none"), ("mcap", "zstd")])
def test_what_is_written_does_not_depend_on_how(
    tmp_path: Path, storage: str, compression: str
) -> None:
    bag = recordings.standard_bag(tmp_path / "bag", 3)

    run(bag, tmp_path / "plain")
    run(bag, tmp_path / "other", storage=storage, compression=compression, split_bytes=20_000)

    assert [m[:3] for m in written(tmp_path / "other")] == [
        m[:3] for m in written(tmp_path / "plain")
    ]
    for one, other in zip(
        messages(tmp_path / "plain", DEPTH), messages(tmp_path / "other", DEPTH), strict=True
    ):
        assert fields(one[1]) == fields(other[1])


def test_an_output_that_exists_stays(tmp_path: Path) -> None:
    bag = recordings.standard_bag(tmp_path / "bag", 2)
    run(bag, tmp_path / "out")
    before = written(tmp_path / "out")

    with pytest.raises(ParameterError, match=r"a finished result .* Replace it with --overwrite"):
        run(bag, tmp_path / "out")
    assert written(tmp_path / "out") == before

    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("words")
    with pytest.raises(ParameterError, match="no result of a replay"):
        run(bag, tmp_path / "thesis", overwrite=True)
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "words"

    with pytest.raises(ParameterError, match="the input"):
        run(tmp_path / "out", tmp_path / "out", overwrite=True)
    assert written(tmp_path / "out") == before


def test_overwrite_replaces_an_earlier_result(tmp_path: Path) -> None:
    bag = recordings.standard_bag(tmp_path / "bag", 3)
    run(bag, tmp_path / "out")

    summary = run(bag, tmp_path / "out", overwrite=True, every=3, outputs=("depth",))

    assert summary.frames_in == 1
    assert [m[0] for m in written(tmp_path / "out")] == [DEPTH]


def test_overwrite_touches_nothing_but_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the directory itself cannot be removed: a link, or the working folder."""
    bag = recordings.standard_bag(tmp_path / "bag", 3)
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    run(bag, tmp_path / "link")
    (tmp_path / "disk" / "notes.txt").write_text("words")
    (tmp_path / "disk" / "report.html").write_text("of the first run")

    assert run(bag, tmp_path / "link", overwrite=True, every=3).frames_in == 1
    monkeypatch.chdir(tmp_path / "disk")
    model = str(tmp_path / "red.onnx")
    assert run(bag, Path("."), overwrite=True, every=2, model=model).frames_in == 2

    names = sorted(path.name for path in (tmp_path / "disk").iterdir())
    assert names == ["disk_0.mcap", "frames.csv", "metadata.yaml", "notes.txt", "replay.json"]
    assert (tmp_path / "disk" / "notes.txt").read_text() == "words"


def test_what_cannot_begin_leaves_nothing(tmp_path: Path) -> None:
    bag = recordings.standard_bag(tmp_path / "bag", 1)
    good = options(bag, tmp_path / "out")

    for bad in (
        replace(good, model="missing.onnx"),
        replace(good, outputs=("cloud",)),
        replace(good, start_s=3.0, end_s=2.0),
        replace(good, inputs=(str(tmp_path / "nothing"),)),
        replace(good, image_topics=("/front",)),
        replace(good, min_depth=9.0, max_depth=8.0),
    ):
        with pytest.raises(DepthEstimationError):
            replay(bad)
        assert not (tmp_path / "out").exists()
