"""Pictures, folders, videos and cameras as streams of pictures."""

from __future__ import annotations

import math
import struct
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from depth_estimation_ros.errors import MediaError
from depth_estimation_ros.media import Video, focal_px, open_media
from depth_estimation_ros.media.exif import focal_in_35mm

HEIGHT, WIDTH = 48, 64


def color(index: int) -> np.ndarray:
    """A picture that differs in each channel and from every other of its kind, RGB."""
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    picture[...] = (20 * index % 256, 100, (200 - 15 * index) % 256)
    return picture


def write(path: Path, rgb: np.ndarray) -> Path:
    assert cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    return path


def write_video(path: Path, count: int, rate: float = 10.0) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), rate, (WIDTH, HEIGHT))
    for index in range(count):
        writer.write(cv2.cvtColor(color(index), cv2.COLOR_RGB2BGR))
    writer.release()
    return path


# Pictures


def test_a_picture_is_one_rgb_frame(tmp_path):
    media = open_media(str(write(tmp_path / "kitchen.png", color(3))))
    (frame,) = media.frames()
    np.testing.assert_array_equal(frame.rgb, color(3))
    assert (media.kind, media.count, frame.stamp_ns, frame.name) == ("picture", 1, 0, "kitchen.png")


def test_a_picture_of_16_bits_grey_is_shown_as_8_bits_of_three_equal_colours(tmp_path):
    path = tmp_path / "grey.png"
    cv2.imwrite(str(path), np.full((2, 3), 0x8040, np.uint16))
    (frame,) = open_media(str(path)).frames()
    np.testing.assert_array_equal(frame.rgb, np.full((2, 3, 3), 0x80, np.uint8))


def write_jpeg(
    path: Path, rgb: np.ndarray, *, focal_35mm: int = 0, orientation: int = 1, order: str = ">"
) -> Path:
    """A JPEG with what a phone writes into its EXIF; ``order`` of bytes as in struct."""

    def directory(*entries: tuple[int, str, int]) -> bytes:
        body = struct.pack(order + "H", len(entries))
        for tag, letter, value in entries:
            kind = {"H": 3, "I": 4}[letter]
            field = struct.pack(order + letter, value).ljust(4, b"\0")
            body += struct.pack(order + "HHI", tag, kind, 1) + field
        return body + bytes(4)

    first = 8
    second = first + len(directory((0, "H", 0), (0, "I", 0)))
    tiff = {">": b"MM", "<": b"II"}[order] + struct.pack(order + "HI", 42, first)
    tiff += directory((0x0112, "H", orientation), (0x8769, "I", second))
    tiff += directory((0xA405, "H", focal_35mm))
    block = b"Exif\0\0" + tiff
    marker = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    path.write_bytes(jpeg[:2] + marker + jpeg[2:])
    return path


def test_a_picture_is_turned_upright_as_its_exif_says(tmp_path):
    lying = np.zeros((4, 8, 3), np.uint8)
    lying[:, :4] = 255  # its left half; turned by 90 degrees clockwise this is the top
    path = write_jpeg(tmp_path / "phone.jpg", lying, orientation=6)
    (frame,) = open_media(str(path)).frames()
    assert frame.rgb.shape == (8, 4, 3)
    assert frame.rgb[:3].min() > 200
    assert frame.rgb[5:].max() < 50


@pytest.mark.parametrize("order", [">", "<"])
def test_a_jpeg_tells_its_focal_length(tmp_path, order):
    path = write_jpeg(tmp_path / "phone.jpg", color(1), focal_35mm=26, order=order)
    media = open_media(str(path))
    (frame,) = media.frames()
    assert (frame.focal_35mm, media.tells_focal) == (26.0, True)
    # The main camera of a phone, 26 mm, 4032 x 3024: about 67 degrees wide.
    focal = focal_px(26.0, 4032, 3024)
    assert 2 * math.degrees(math.atan(4032 / 2 / focal)) == pytest.approx(67.3, abs=0.1)
    assert focal_px(36.0, 3600, 2400) == pytest.approx(3600)  # film itself


def test_a_focal_length_of_0_or_in_a_broken_exif_is_unknown(tmp_path):
    path = write_jpeg(tmp_path / "phone.jpg", color(1))
    assert focal_in_35mm(path) is None
    whole = write_jpeg(path, color(1), focal_35mm=26).read_bytes()
    end_of_exif = whole.index(b"Exif") + 6 + 8 + 2 * 12 + 6 + 12 + 6
    rng = np.random.default_rng(0)
    for cut in range(end_of_exif):
        path.write_bytes(whole[:cut])
        assert focal_in_35mm(path) in (None, 26.0)
        garbled = bytearray(whole[:end_of_exif])
        garbled[cut] = rng.integers(256)
        path.write_bytes(garbled)
        focal_in_35mm(path)  # whatever it says, it ends
    assert focal_in_35mm(tmp_path / "missing.jpg") is None


def test_a_folder_tells_focal_lengths_only_if_all_its_pictures_do(tmp_path):
    write_jpeg(tmp_path / "1.jpg", color(1), focal_35mm=26)
    assert open_media(str(tmp_path)).tells_focal
    write(tmp_path / "2.png", color(2))
    media = open_media(str(tmp_path))
    assert not media.tells_focal
    assert [frame.focal_35mm for frame in media.frames()] == [26.0, None]


@pytest.mark.parametrize("contents", [b"", b"not a picture"])
def test_a_broken_picture_says_so(tmp_path, contents):
    path = tmp_path / "x.jpg"
    path.write_bytes(contents)
    with pytest.raises(MediaError, match=r"The picture .*x.jpg cannot be read by OpenCV: found"):
        next(open_media(str(path)).frames())


# Folders


def test_a_folder_is_read_in_the_order_in_which_people_count(tmp_path):
    for index, name in enumerate(["frame2.png", "frame10.png", "Frame1.png", "frame002.png"]):
        write(tmp_path / name, color(index))
    (tmp_path / "notes.txt").write_text("no picture")
    media = open_media(str(tmp_path))
    frames = list(media.frames())
    names = ["Frame1.png", "frame002.png", "frame2.png", "frame10.png"]
    assert [frame.name for frame in frames] == names
    assert [int(frame.rgb[0, 0, 0]) for frame in frames] == [40, 60, 0, 20]
    assert (media.kind, media.count) == ("folder", 4)


def test_a_broken_picture_of_a_folder_is_counted_and_passed_over(tmp_path):
    write(tmp_path / "1.png", color(1))
    (tmp_path / "2.png").write_bytes(b"broken")
    write(tmp_path / "3.png", color(3))
    media = open_media(str(tmp_path))
    for _ in range(2):  # and once only, however often it is read
        assert [frame.name for frame in media.frames()] == ["1.png", "3.png"]
        assert len(media.unreadable) == 1
        assert "2.png" in media.unreadable[0]
    assert len(media.samples(3)) == 2


def test_depth_maps_beside_pictures_are_no_pictures(tmp_path):
    write(tmp_path / "1.jpg", color(1))
    cv2.imwrite(str(tmp_path / "1.png"), np.full((2, 2), 1000, np.uint16))
    media = open_media(str(tmp_path))
    assert [frame.name for frame in media.frames()] == ["1.jpg"]
    assert media.notes == [f"{tmp_path}: 1 depth maps were passed over"]


def test_a_folder_without_pictures_is_an_error(tmp_path):
    with pytest.raises(MediaError, match=r"found no picture, expected files that end in \.png"):
        open_media(str(tmp_path))


def test_samples_are_spread_over_a_folder(tmp_path):
    for index in range(10):
        write(tmp_path / f"{index}.png", color(index))
    samples = open_media(str(tmp_path)).samples(2)
    assert [int(frame.rgb[0, 0, 0]) for frame in samples] == [40, 140]  # numbers 2 and 7


# Videos


def test_a_video_keeps_its_rate_and_counts_its_frames(tmp_path):
    media = open_media(str(write_video(tmp_path / "v.avi", 5, rate=12.5)))
    frames = list(media.frames())
    assert (media.kind, media.count, media.rate) == ("video", 5, 12.5)
    assert [frame.stamp_ns for frame in frames] == [80_000_000 * i for i in range(5)]
    assert [frame.name for frame in frames] == [f"00000{i}" for i in range(5)]
    for index, frame in enumerate(frames):
        assert np.abs(frame.rgb.astype(int) - color(index)).max() < 8  # JPEG
    assert media.unreadable == []
    reds = [int(frame.rgb[0, 0, 0]) for frame in media.samples(2)]
    np.testing.assert_allclose(reds, [20, 60], atol=8)  # numbers 1 and 3


def test_a_video_that_breaks_off_says_so(tmp_path):
    media = open_media(str(write_video(tmp_path / "v.avi", 30)))
    media.count = 60  # as a header that was written before the disk was full
    assert len(list(media.frames())) == 30
    assert "of the 60 frames that it claims only 30 can be read" in media.unreadable[0]


@pytest.mark.parametrize("name", ["x.mp4", "x.avi"])
def test_a_file_that_only_claims_to_be_a_video(tmp_path, name):
    (tmp_path / name).write_bytes(b"no video")
    with pytest.raises(MediaError, match="cannot be opened by OpenCV"):
        open_media(str(tmp_path / name))


def test_a_stream_that_nobody_sends_says_so():
    with pytest.raises(MediaError, match=r"The stream rtsp://127.0.0.1:9/x cannot be opened"):
        open_media("rtsp://127.0.0.1:9/x")


def test_a_stream_has_no_known_length(tmp_path):
    path = write_video(tmp_path / "v.avi", 3)
    media = open_media(path.as_uri())  # file:// stands for what cannot be reached in a test
    assert (media.kind, media.count, media.samples(2)) == ("video", None, [])
    assert len(list(media.frames())) == 3


def test_a_rate_that_cannot_be_becomes_the_usual_one(tmp_path, monkeypatch):
    path = write_video(tmp_path / "v.avi", 3)
    real = cv2.VideoCapture

    class NoRate:
        def __init__(self, source):
            self._video = real(source)

        def __getattr__(self, name):
            return getattr(self._video, name)

        def get(self, number):
            return 90_000.0 if number == cv2.CAP_PROP_FPS else self._video.get(number)

    monkeypatch.setattr(cv2, "VideoCapture", NoRate)
    assert Video(str(path)).rate == 30.0


# Which is which


def test_a_camera_that_is_not_there():
    with pytest.raises(MediaError, match="The camera 97 cannot be opened by OpenCV"):
        open_media("97")
    with pytest.raises(MediaError, match=r"camera /dev/video97 .*: found nothing there"):
        open_media("/dev/video97")


def test_what_is_not_there_or_not_understood(tmp_path):
    with pytest.raises(MediaError, match="found nothing there, expected a picture"):
        open_media(str(tmp_path / "no.png"))
    (tmp_path / "a.bag").touch()
    with pytest.raises(MediaError, match=r"ends in '.bag', .* are for the command replay"):
        open_media(str(tmp_path / "a.bag"))


def test_no_ros_is_needed():
    code = (
        "import sys\n"
        "for name in ('rclpy', 'sensor_msgs', 'std_msgs', 'rosbags'): sys.modules[name] = None\n"
        "import depth_estimation_ros.media, depth_estimation_ros.geometry.point_cloud\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
