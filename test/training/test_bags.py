"""Bags hold what was put in: stamps, frame ids, intrinsics, images, depth."""

import json
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from rosbags.highlevel import AnyReader

import depth_estimation_ros.apps.demo
from depth_estimation_ros import messages
from depth_estimation_ros.errors import BagError
from depth_estimation_ros.geometry.camera_model import CameraModel
from training import bags
from training.__main__ import main
from training.bags import (
    CAMERA_INFO_TOPIC,
    COMPRESSED_TOPIC,
    DEPTH_TOPIC,
    IMAGE_TOPIC,
    Frame,
)

CAMERA = CameraModel.from_intrinsics(50.0, 51.0, 30.5, 24.5, 64, 48)
START = 1_305_031_229_528_748_000
LENS = [0.2624, -0.9531, -0.0054, 0.0026, 1.1633]
SEQUENCE = Path(__file__).parents[3] / "shared" / "data" / "tum_fr1_rpy_sequence"


def read(path):
    """Messages of a bag by topic."""
    found = {}
    with AnyReader([path]) as reader:
        for connection, stamp, raw in reader.messages():
            message = reader.deserialize(raw, connection.msgtype)
            header = message.header.stamp
            assert header.sec * 10**9 + header.nanosec == stamp
            assert message.header.frame_id == "camera_optical_frame"
            found.setdefault(connection.topic, []).append((stamp, message))
    return found


def image(shift):
    ramp = np.add.outer(np.arange(48), np.arange(64)) + shift
    return np.stack([ramp, 200 - ramp, np.full_like(ramp, 90)], axis=-1).astype(np.uint8)


def depth():
    metres = np.linspace(0.5, 5.0, 24 * 32, dtype=np.float32).reshape(24, 32)
    metres[0, :4] = [np.nan, np.inf, 65.534, 70.0]
    return metres


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    path = tmp_path_factory.mktemp("bags") / "drive"
    frames = [Frame(START + k * 33_333_333, image(k), depth()) for k in range(3)]
    return bags.write_bag(path, frames, CAMERA)


def test_every_frame_has_image_camera_and_depth_under_its_stamp(recording):
    found = read(recording)
    assert set(found) == {COMPRESSED_TOPIC, CAMERA_INFO_TOPIC, DEPTH_TOPIC}
    for messages_of_topic in found.values():
        assert [stamp for stamp, _ in messages_of_topic] == [
            START + k * 33_333_333 for k in range(3)
        ]


@pytest.mark.parametrize("bundled", [False, True])
def test_the_metadata_are_of_a_version_that_humble_reads(recording, bundled):
    path = Path(depth_estimation_ros.apps.demo.__file__).parent / "bag" if bundled else recording
    metadata = yaml.safe_load((path / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert metadata["version"] == 8
    for topic in metadata["topics_with_message_count"]:  # a list since version 9
        assert topic["topic_metadata"]["offered_qos_profiles"] == ""


def test_images_decode_to_what_was_given(recording):
    for k, (_, message) in enumerate(read(recording)[COMPRESSED_TOPIC]):
        rgb = messages.decode_compressed(message)
        assert np.abs(rgb.astype(int) - image(k)).mean() < 2


def test_depth_is_kept_to_half_a_millimetre_with_unknown_and_sky_apart(recording):
    _, message = read(recording)[DEPTH_TOPIC][0]
    assert message.format == "16UC1; png compressed"
    metres = messages.decode_depth(message)
    expected = depth()
    np.testing.assert_array_equal(np.isnan(metres[0, :4]), [True, False, False, True])
    assert np.isposinf(metres[0, 1])
    np.testing.assert_allclose(metres[0, 2], 65.534, atol=5.1e-4)
    np.testing.assert_allclose(metres[1:], expected[1:], atol=5.1e-4)


def test_camera_info_is_the_camera(recording):
    _, message = read(recording)[CAMERA_INFO_TOPIC][0]
    camera = messages.camera_model(message)
    assert (camera.width, camera.height) == (64, 48)
    np.testing.assert_array_equal(camera.K, CAMERA.K)
    np.testing.assert_array_equal(camera.P, CAMERA.P)


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8"])
def test_raw_images_are_exact(tmp_path, encoding):
    path = bags.write_bag(tmp_path / "raw", [Frame(START, image(3))], CAMERA, encoding)
    found = read(path)
    assert DEPTH_TOPIC not in found
    _, message = found[IMAGE_TOPIC][0]
    assert message.encoding == encoding
    np.testing.assert_array_equal(messages.decode_image(message), image(3))


def test_a_bag_is_never_overwritten(recording):
    with pytest.raises(BagError, match="exists already"):
        bags.write_bag(recording, [Frame(START, image(0))], CAMERA)


def test_a_failed_recording_leaves_nothing_behind(tmp_path):
    frames = [Frame(START, image(0)), Frame(START + 1, image(0)[:40])]
    with pytest.raises(BagError, match=r"Image 2 .* found \(40, 64, 3\)"):
        bags.write_bag(tmp_path / "broken", frames, CAMERA)
    with pytest.raises(BagError, match="No frames"):
        bags.write_bag(tmp_path / "empty", [], CAMERA)
    assert list(tmp_path.iterdir()) == []


def make_sequence(folder, count=3, stamps=None):
    (folder / "rgb").mkdir(parents=True)
    (folder / "depth").mkdir()
    names = [f"1305031229.{528748 + 33 * k}" for k in range(count)]
    for k, name in enumerate(names):
        cv2.imwrite(str(folder / "rgb" / f"{name}.jpg"), image(k)[..., ::-1])
        cv2.imwrite(str(folder / "depth" / f"{name}.png"), np.full((48, 64), k, np.uint16))
    (folder / "timestamps.txt").write_text("\n".join(names if stamps is None else stamps))
    about = {"intrinsics_px": {"fx": 50.0, "fy": 51.0, "cx": 30.5, "cy": 24.5}}
    (folder / "info.json").write_text(json.dumps({**about, "distortion_plumb_bob": LENS}))
    return folder


def test_a_recorded_folder_keeps_its_stamps_lens_and_jpeg_bytes(tmp_path):
    folder = make_sequence(tmp_path / "sequence")
    assert main(["bag", "folder", str(folder), "--out", str(tmp_path / "bag")]) == 0
    found = read(tmp_path / "bag")
    stamps = [stamp for stamp, _ in found[COMPRESSED_TOPIC]]
    assert stamps == [START, START + 33_000, START + 66_000]
    first = sorted((folder / "rgb").iterdir())[0].read_bytes()
    assert bytes(found[COMPRESSED_TOPIC][0][1].data) == first
    info = found[CAMERA_INFO_TOPIC][0][1]
    assert info.distortion_model == "plumb_bob"
    np.testing.assert_array_equal(info.d, LENS)
    assert np.isnan(messages.decode_depth(found[DEPTH_TOPIC][0][1])).all()
    np.testing.assert_allclose(messages.decode_depth(found[DEPTH_TOPIC][2][1]), 0.002)


def test_a_folder_that_is_no_sequence_says_what_is_missing(tmp_path, capsys):
    assert main(["bag", "folder", str(tmp_path), "--out", str(tmp_path / "bag")]) == 1
    error = capsys.readouterr().err
    assert "is not a recorded sequence" in error
    assert "info.json" in error


def test_stamps_must_match_images(tmp_path):
    folder = make_sequence(tmp_path / "sequence", stamps=["1305031229.5"])
    with pytest.raises(BagError, match="3 images and 1 stamps"):
        bags.folder_bag(folder, tmp_path / "bag")


def test_the_real_sequence_becomes_a_bag(tmp_path):
    if not SEQUENCE.exists():
        pytest.skip(f"needs {SEQUENCE}")
    found = read(bags.folder_bag(SEQUENCE, tmp_path / "tum"))
    assert len(found[COMPRESSED_TOPIC]) == len(found[DEPTH_TOPIC]) == 100
    assert found[COMPRESSED_TOPIC][0][0] == 1_305_031_229_528_748_000
    assert messages.camera_model(found[CAMERA_INFO_TOPIC][0][1]).fx == 517.3


def test_the_demo_recording_is_what_the_demo_expects():
    path = Path(depth_estimation_ros.apps.demo.__file__).parent / "bag"
    assert sum(file.stat().st_size for file in path.iterdir()) < 4e6
    found = read(path)
    stamps = [stamp for stamp, _ in found[COMPRESSED_TOPIC]]
    assert len(stamps) == 40
    assert {b - a for a, b in pairwise(stamps)} == {125_000_000}
    assert [stamp for stamp, _ in found[DEPTH_TOPIC]] == stamps
    assert messages.decode_compressed(found[COMPRESSED_TOPIC][0][1]).shape == (480, 640, 3)
    metres = messages.decode_depth(found[DEPTH_TOPIC][0][1])
    assert metres.shape == (240, 320)
    assert np.isfinite(metres).all()
    assert 1.0 < np.median(metres) < 6.0


def test_the_floor_of_the_demo_recording_lies_below_the_camera():
    """Depth, intrinsics and image size belong together: the floor is flat 0.75 m below."""
    path = Path(depth_estimation_ros.apps.demo.__file__).parent / "bag"
    found = read(path)
    camera = messages.camera_model(found[CAMERA_INFO_TOPIC][0][1]).scaled(320, 240)
    metres = messages.decode_depth(found[DEPTH_TOPIC][0][1])[-20:, 60:260]
    points = (camera.rays()[-20:, 60:260] * metres[..., None]).reshape(-1, 2)
    floor = np.column_stack([points, metres.reshape(-1)])
    normal = np.linalg.svd(floor - floor.mean(0), full_matrices=False)[2][2]
    assert abs(normal @ floor.mean(0)) == pytest.approx(0.75, abs=0.01)
    np.testing.assert_allclose((floor - floor.mean(0)) @ normal, 0, atol=2e-3)
