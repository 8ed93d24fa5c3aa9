"""Read videos; write videos: their timing, size and codec, and that they are complete."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest
from media_files import color
from media_files import write_video as write_clip

from depth_estimation_ros.errors import MediaError
from depth_estimation_ros.media.video import CODECS, Video, VideoWriter, open_media, write_video


def test_a_video_has_rate_and_count(tmp_path):
    media = open_media(str(write_clip(tmp_path / "v.avi", 5, rate=12.5)))
    frames = list(media.frames())
    assert (media.kind, media.count, media.rate) == ("video", 5, 12.5)
    assert [frame.stamp_ns for frame in frames] == [80_000_000 * i for i in range(5)]
    assert [frame.name for frame in frames] == [f"00000{i}" for i in range(5)]
    for index, frame in enumerate(frames):
        assert np.abs(frame.rgb.astype(int) - color(index)).max() < 8  # JPEG
    assert media.unreadable == []
    reds = [int(frame.rgb[0, 0, 0]) for frame in media.samples(2)]
    np.testing.assert_allclose(reds, [20, 60], atol=8)  # numbers 1 and 3


def test_a_video_cut_off_is_reported(tmp_path):
    media = open_media(str(write_clip(tmp_path / "v.avi", 30)))
    media.count = 60  # as a header that was written before the disk was full
    assert len(list(media.frames())) == 30
    assert "only 30 of the 60 frames that it claims can be read" in media.unreadable[0]


@pytest.mark.parametrize("name", ["x.mp4", "x.avi"])
def test_a_file_that_is_no_video(tmp_path, name):
    (tmp_path / name).write_bytes(b"no video")
    with pytest.raises(MediaError, match="cannot be opened by OpenCV"):
        open_media(str(tmp_path / name))


def test_a_stream_without_a_sender_is_an_error():
    with pytest.raises(MediaError, match=r"The stream rtsp://127.0.0.1:9/x cannot be opened"):
        open_media("rtsp://127.0.0.1:9/x")


def test_a_stream_has_no_known_length(tmp_path):
    path = write_clip(tmp_path / "v.avi", 3)
    media = open_media(path.as_uri())  # file:// stands for what cannot be reached in a test
    assert (media.kind, media.count, media.samples(2)) == ("video", None, [])
    assert len(list(media.frames())) == 3


def test_an_impossible_rate_becomes_the_default(tmp_path, monkeypatch):
    path = write_clip(tmp_path / "v.avi", 3)
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


# Writing


def gray(level: int, height: int = 48, width: int = 64) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def read(path) -> list[np.ndarray]:
    video, frames = cv2.VideoCapture(str(path)), []
    while (frame := video.read())[0]:
        frames.append(frame[1])
    return frames


def levels(path) -> list[int]:
    """The gray levels of its frames, to the nearest 50."""
    return [int(50 * np.rint(frame.mean() / 50)) for frame in read(path)]


def fourcc(path) -> str:
    return int(cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little").decode()


@pytest.fixture(params=["PyAV", "OpenCV"])
def path(request, tmp_path, monkeypatch):
    """Of the video to write, by PyAV or where it is not installed."""
    if request.param == "PyAV":
        pytest.importorskip("av", reason="needs PyAV")
    else:
        monkeypatch.setitem(sys.modules, "av", None)
    return tmp_path / "v.mp4"


def test_an_image_stands_until_the_next_stamp(path):
    with write_video(path, 10.0) as video:
        for level, seconds in ((50, 100.0), (100, 100.1), (150, 100.5), (200, 100.6)):
            video.write(gray(level), round(seconds * 1e9))
    assert levels(path) == [50, 100, 100, 100, 100, 150, 200]
    assert video.frames == 7


def test_images_faster_than_the_rate_are_dropped(path):
    with write_video(path, 12.5) as video:
        for index in range(31):
            video.write(gray(100), round(index / 25 * 1e9))
    made = cv2.VideoCapture(str(path))
    assert made.get(cv2.CAP_PROP_FPS) == pytest.approx(12.5)
    assert len(read(path)) == video.frames == 16  # 1.2 s


@pytest.mark.parametrize(
    ("size", "written"),
    [((48, 64), (48, 64)), ((47, 63), (48, 64)), ((1000, 8000), (480, 3840)), ((1, 1), (2, 2))],
)
def test_sizes_are_even_and_bounded(path, size, written):
    with write_video(path, 10.0, "mpeg4") as video:
        video.write(gray(100, *size), 0)
    (frame,) = read(path)
    height, width = frame.shape[:2]
    assert (height % 2, width % 2) == (0, 0)
    assert abs(height - written[0]) <= 2
    assert abs(width - written[1]) <= 2


def test_an_image_of_another_shape_is_centered(path):
    with write_video(path, 10.0) as video:
        video.write(gray(100, 48, 64), 0)
        video.write(gray(200, 48, 32), 100_000_000)
    last = read(path)[1]
    assert last[:, 20:44].mean() == pytest.approx(200, abs=8)
    assert last[:, :12].mean() == pytest.approx(0, abs=8)
    assert last[:, 52:].mean() == pytest.approx(0, abs=8)


def test_an_exception_leaves_a_complete_video(path):
    def fail():
        with write_video(path, 10.0) as video:
            video.write(gray(100), 0)
            video.write(gray(150), 100_000_000)
            assert not path.exists()
            raise RuntimeError("the network failed")

    with pytest.raises(RuntimeError, match="the network failed"):
        fail()
    assert levels(path) == [100, 150]
    assert list(path.parent.iterdir()) == [path]


def test_without_an_image_there_is_no_file(path):
    with write_video(path, 10.0):
        pass
    assert list(path.parent.iterdir()) == []


def test_a_codec_without_an_encoder_is_named(path, monkeypatch):
    monkeypatch.setitem(CODECS, "h264", ("none", "none"))
    with (
        pytest.raises(MediaError, match=r"can write the video: found no encoder of h264 for 64 x"),
        write_video(path, 10.0, "h264") as video,
    ):
        video.write(gray(100), 0)
    assert list(path.parent.iterdir()) == []


def test_the_default_with_pyav_plays_in_browsers(tmp_path):
    av = pytest.importorskip("av", reason="needs PyAV")
    path = tmp_path / "v.mp4"
    with write_video(path, 10.0) as video:
        video.write(gray(100), 0)
    with av.open(str(path)) as made:
        (stream,) = made.streams
        assert (stream.codec.name, stream.pix_fmt) == ("h264", "yuv420p")
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # plays while it loads
    assert video.codec == "h264"


def test_vp9_for_browsers_without_pyav(path):
    with write_video(path, 10.0, "vp9") as video:
        video.write(gray(100), 0)
    assert fourcc(path).lower() in ("vp90", "vp09")
    assert (video.codec, levels(path)) == ("vp9", [100])


def test_a_full_disk_is_an_error(path, monkeypatch):
    close = VideoWriter.close

    def cut_off(video):
        close(video)
        (unfinished,) = path.parent.iterdir()
        unfinished.write_bytes(unfinished.read_bytes()[:40])

    monkeypatch.setattr(VideoWriter, "close", cut_off)
    with (
        pytest.raises(MediaError, match=r"is not complete: found no frame that can be read back"),
        write_video(path, 10.0) as video,
    ):
        video.write(gray(100), 0)
