"""What the demo plays: kinds of recordings, choice of topics, images and videos."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import cv2
import demo_recordings as recordings
import numpy as np
import pytest
from media_files import write_jpeg

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from depth_estimation_ros.apps.demo import graph
from depth_estimation_ros.apps.demo.sources import Frame, Source, SourceOptions, open_source
from depth_estimation_ros.errors import BagError, MediaError
from depth_estimation_ros.messages import decode_compressed, decode_image

FRAMES = 3
TIMES = recordings.stamps(FRAMES)


def source_of(path: Path | str, **options: Any) -> Source:
    return open_source(SourceOptions(input=str(path), **options))


def picture_of(frame: Frame, source: Source) -> np.ndarray:
    if source.transport == "raw":
        return decode_image(deserialize_message(frame.image, Image))
    return decode_compressed(deserialize_message(frame.image, CompressedImage))


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recordings.standard_bag(tmp_path_factory.mktemp("bags") / "standard", FRAMES)


@pytest.fixture
def two_cameras(tmp_path: Path) -> Path:
    def images(first: int) -> list[Any]:
        return [recordings.raw_image(recordings.picture(first), t) for t in TIMES]

    def infos(size: int) -> list[Any]:
        messages = [recordings.camera_info(t) for t in TIMES]
        for message in messages:
            message.width = size
        return messages

    return recordings.write_bag(
        tmp_path / "two",
        {
            "/left/image_raw": images(0),
            "/left/camera_info": infos(1),
            "/right/image_raw": images(1),
            "/right/camera_info": infos(2),
        },
    )


# Recordings


def test_a_bag_is_played_message_by_message_with_its_own_stamps(bag: Path) -> None:
    source = source_of(bag)
    frames = list(source.frames())

    assert source.transport == "compressed"
    assert source.frame_count == FRAMES
    assert [note for note in source.notes if "the truth" not in note] == []
    assert [frame.stamp_ns for frame in frames] == TIMES
    for i, frame in enumerate(frames):
        np.testing.assert_array_equal(picture_of(frame, source), recordings.picture(i))
    message = deserialize_message(frames[0].image, CompressedImage)
    assert message.header.frame_id == "cam_optical"


@pytest.mark.parametrize("storage", ["mcap", "sqlite3", "ros1"])
@pytest.mark.parametrize("named", ["directory", "file", "directory without metadata"])
def test_every_kind_of_recording_gives_the_same_frames(
    storage: Literal["mcap", "sqlite3", "ros1"], named: str, tmp_path: Path
) -> None:
    store = recordings.STORE1 if storage == "ros1" else recordings.STORE
    folder = tmp_path / "recording"
    target = folder / "recording.bag" if storage == "ros1" else folder
    if storage == "ros1":
        folder.mkdir()
    recordings.write_bag(
        target,
        {
            "/camera/image_raw": [
                recordings.raw_image(recordings.picture(i), t, store) for i, t in enumerate(TIMES)
            ],
            "/camera/camera_info": [recordings.camera_info(t, store) for t in TIMES],
        },
        storage,
    )
    path = folder
    if named == "file":
        (path,) = [file for file in folder.iterdir() if file.name != "metadata.yaml"]
    elif named == "directory without metadata":
        (folder / "metadata.yaml").unlink(missing_ok=True)
    elif storage == "ros1":
        pytest.skip("a ROS 1 recording is one file")

    source = source_of(path)
    frames = list(source.frames())

    assert source.transport == "raw"
    assert [frame.stamp_ns for frame in frames] == TIMES
    for i, frame in enumerate(frames):
        np.testing.assert_array_equal(picture_of(frame, source), recordings.picture(i))
        assert frame.camera_info is not None
        info = deserialize_message(frame.camera_info, CameraInfo)
        assert info.k[0] == recordings.FOCAL
        assert info.header.frame_id == "cam_optical"


def test_a_camera_info_that_was_sent_once_goes_with_every_image(tmp_path: Path) -> None:
    path = recordings.write_bag(
        tmp_path / "bag",
        {
            "/image": [recordings.raw_image(recordings.picture(0), t) for t in TIMES],
            "/camera_info": [recordings.camera_info(0)],
        },
    )
    infos = [frame.camera_info for frame in source_of(path).frames()]
    assert len(infos) == FRAMES
    assert all(info is not None and info == infos[0] for info in infos)


def test_the_camera_info_nearest_in_time_goes_with_an_image(tmp_path: Path) -> None:
    infos = [recordings.camera_info(t + 3_000_000) for t in TIMES]
    for i, info in enumerate(infos):
        info.k[0] = 100.0 + i
    path = recordings.write_bag(
        tmp_path / "bag",
        {
            "/image": [recordings.raw_image(recordings.picture(0), t) for t in TIMES],
            "/camera_info": infos,
        },
    )
    sent = [frame.camera_info for frame in source_of(path).frames()]
    focals = [deserialize_message(info, CameraInfo).k[0] for info in sent if info is not None]
    assert focals == [100.0, 101.0, 102.0]


def test_several_image_topics_are_an_error_that_lists_them(two_cameras: Path) -> None:
    with pytest.raises(BagError) as error:
        source_of(two_cameras)
    for part in ("/left/image_raw (sensor_msgs/Image, 3)", "/right/image_raw", "--image-topic"):
        assert part in str(error.value)


def test_a_named_image_topic_brings_the_camera_info_beside_it(two_cameras: Path) -> None:
    source = source_of(two_cameras, image_topic="/right/image_raw")
    frame = next(source.frames())
    np.testing.assert_array_equal(picture_of(frame, source), recordings.picture(1))
    assert deserialize_message(frame.camera_info, CameraInfo).width == 2


def test_a_topic_that_is_not_there_is_an_error_that_lists_what_is(two_cameras: Path) -> None:
    with pytest.raises(BagError, match="found /up, expected one of: /left/image_raw"):
        source_of(two_cameras, image_topic="/up")
    with pytest.raises(BagError, match="found /up, expected one of: /left/camera_info"):
        source_of(two_cameras, image_topic="/left/image_raw", camera_info_topic="/up")
    with pytest.raises(BagError, match="found /up, expected no name: there is no such topic"):
        source_of(two_cameras, image_topic="/left/image_raw", ground_truth_topic="/up")


def test_a_recording_without_images_is_an_error_that_lists_its_topics(tmp_path: Path) -> None:
    path = recordings.write_bag(
        tmp_path / "bag", {"/camera/camera_info": [recordings.camera_info(TIMES[0])]}
    )
    with pytest.raises(BagError, match=r"No colour images in .*: found /camera/camera_info"):
        source_of(path)


def test_no_camera_info_is_said_and_goes_on(tmp_path: Path) -> None:
    path = recordings.write_bag(
        tmp_path / "bag", {"/image": [recordings.raw_image(recordings.picture(0), TIMES[0])]}
    )
    source = source_of(path)
    assert [frame.camera_info for frame in source.frames()] == [None]
    assert not source.has_camera_info
    assert "no CameraInfo" in source.notes[0]


def test_a_field_of_view_stands_in_for_a_missing_camera_info(tmp_path: Path) -> None:
    path = recordings.write_bag(
        tmp_path / "bag", {"/image": [recordings.raw_image(recordings.picture(0), TIMES[0])]}
    )
    source = source_of(path, hfov_deg=90.0)
    (frame,) = source.frames()
    assert source.notes == []
    info = deserialize_message(frame.camera_info, CameraInfo)
    assert (info.width, info.height) == (recordings.WIDTH, recordings.HEIGHT)
    assert info.k[0] == pytest.approx(recordings.WIDTH / 2)
    assert info.header.frame_id == "cam_optical"


def test_of_two_camera_infos_elsewhere_none_is_taken_unasked(tmp_path: Path) -> None:
    infos = [recordings.camera_info(TIMES[0])]
    path = recordings.write_bag(
        tmp_path / "bag",
        {
            "/image": [recordings.raw_image(recordings.picture(0), TIMES[0])],
            "/left/camera_info": infos,
            "/right/camera_info": infos,
        },
    )
    source = source_of(path)
    assert not source.has_camera_info
    assert "--camera-info-topic from /left/camera_info" in source.notes[0]
    assert source_of(path, camera_info_topic="/left/camera_info").has_camera_info


def test_at_most_so_many_frames(bag: Path) -> None:
    source = source_of(bag, frames=2)
    assert source.frame_count == 2
    assert [frame.stamp_ns for frame in source.frames()] == TIMES[:2]


# Ground truth


def test_ground_truth_is_found_by_its_encoding(bag: Path) -> None:
    truths = list(source_of(bag).ground_truth())
    assert [stamp for stamp, _ in truths] == TIMES
    for i, (_, truth) in enumerate(truths):
        np.testing.assert_allclose(truth, recordings.depth(i), atol=0.00051)


def test_what_counts_as_the_truth_is_said(bag: Path) -> None:
    (note,) = source_of(bag).notes
    assert note.startswith("compared with /")


def test_what_this_node_said_before_is_no_truth(tmp_path: Path) -> None:
    path = recordings.write_bag(
        tmp_path / "result",
        {
            "/camera/image": [recordings.raw_image(recordings.picture(0), t) for t in TIMES],
            graph.DEPTH: [recordings.float_depth(recordings.depth(0), t) for t in TIMES],
        },
    )
    assert list(source_of(path).ground_truth()) == []


def test_ground_truth_can_be_left_out(bag: Path) -> None:
    assert list(source_of(bag, ground_truth_topic="none").ground_truth()) == []


def test_of_two_depth_topics_none_is_taken_unasked(tmp_path: Path) -> None:
    depths = [recordings.float_depth(recordings.depth(0), t) for t in TIMES]
    path = recordings.write_bag(
        tmp_path / "bag",
        {
            "/image": [recordings.raw_image(recordings.picture(0), t) for t in TIMES],
            "/depth/a": depths,
            "/depth/b": depths[:1],
        },
    )
    source = source_of(path)
    assert list(source.ground_truth()) == []
    assert any("/depth/a" in note and "--ground-truth-topic" in note for note in source.notes)
    assert len(list(source_of(path, ground_truth_topic="/depth/b").ground_truth())) == 1


def test_a_depth_topic_that_cannot_be_decoded_is_left_out_and_said(tmp_path: Path) -> None:
    depth = recordings.png_depth(recordings.depth(0), TIMES[0])
    depth.data = depth.data[40:]
    path = recordings.write_bag(
        tmp_path / "bag",
        {"/image": [recordings.raw_image(recordings.picture(0), TIMES[0])], "/depth": [depth]},
    )
    source = source_of(path)
    assert list(source.ground_truth()) == []
    assert any(note.startswith("/depth is not used as ground truth") for note in source.notes)


# What cannot be read


def test_input_that_is_not_there_or_not_understood(tmp_path: Path) -> None:
    with pytest.raises(BagError, match="found nothing there"):
        source_of(tmp_path / "missing")
    text = tmp_path / "notes.txt"
    text.write_text("x")
    with pytest.raises(BagError, match=r"ends in '.txt', expected a bag"):
        source_of(text)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BagError, match="0 files of messages"):
        source_of(tmp_path / "empty")


@pytest.mark.parametrize("name", ["x.mcap", "x.db3", "x.bag"])
def test_a_file_that_is_no_recording(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"not a recording")
    with pytest.raises(BagError, match="cannot be read"):
        source_of(path)


def test_a_recording_that_breaks_off_gives_what_it_has_and_then_an_error(tmp_path: Path) -> None:
    source = source_of(recordings.broken_off_bag(tmp_path / "bag", 2))
    frames = source.frames()
    for i in range(2):
        np.testing.assert_array_equal(picture_of(next(frames), source), recordings.picture(i))
    with pytest.raises(BagError, match="found 2 images on /image, expected 4"):
        next(frames)


# Images and videos


def test_a_picture_is_a_stream_of_one_frame_without_loss(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    cv2.imwrite(str(path), cv2.cvtColor(recordings.picture(0), cv2.COLOR_RGB2BGR))
    source = source_of(path)
    (frame,) = source.frames()
    np.testing.assert_array_equal(picture_of(frame, source), recordings.picture(0))
    assert frame.camera_info is None
    assert "--hfov" in source.notes[0]


def test_a_field_of_view_gives_a_picture_its_camera(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    cv2.imwrite(str(path), recordings.picture(0))
    source = source_of(path, hfov_deg=70.0)
    (frame,) = source.frames()
    assert frame.camera_info is not None
    info = deserialize_message(frame.camera_info, CameraInfo)
    focal = recordings.WIDTH / 2 / math.tan(math.radians(35.0))
    assert (info.width, info.height) == (recordings.WIDTH, recordings.HEIGHT)
    assert info.k[0] == pytest.approx(focal)
    assert source.notes == []


def test_the_focal_length_of_a_phone_is_used(tmp_path: Path) -> None:
    path = write_jpeg(tmp_path / "phone.jpg", recordings.picture(0), focal_35mm=26)
    source = source_of(path)
    (frame,) = source.frames()
    assert frame.camera_info is not None
    info = deserialize_message(frame.camera_info, CameraInfo)
    diagonal = math.hypot(recordings.WIDTH, recordings.HEIGHT)
    assert info.k[0] == pytest.approx(26 * diagonal / math.hypot(36, 24))
    assert "EXIF" in source.notes[0]


def test_a_video_keeps_its_frame_rate(tmp_path: Path) -> None:
    path = tmp_path / "video.avi"
    size = (recordings.WIDTH, recordings.HEIGHT)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, size)
    for i in range(FRAMES):
        writer.write(cv2.cvtColor(recordings.picture(i), cv2.COLOR_RGB2BGR))
    writer.release()

    source = source_of(path)
    frames = list(source.frames())

    assert source.frame_count == FRAMES
    steps = np.diff([frame.stamp_ns for frame in frames])
    np.testing.assert_array_equal(steps, [100_000_000, 100_000_000])
    for i, frame in enumerate(frames):
        shown = picture_of(frame, source).astype(int)
        assert np.abs(shown - recordings.picture(i)).mean() < 6  # two JPEG losses


def test_a_file_that_only_claims_to_be_a_picture_or_video(tmp_path: Path) -> None:
    for name in ("x.png", "x.mp4"):
        (tmp_path / name).write_bytes(b"neither")
        with pytest.raises(MediaError, match="by OpenCV"):
            source_of(tmp_path / name)
