"""Videos of pictures: their time, their size, and that they are whole."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from depth_estimation_ros.apps.estimate_depth.video_file import CODECS, VideoFile, writing
from depth_estimation_ros.errors import MediaError


def grey(level: int, height: int = 48, width: int = 64) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def read(path) -> list[np.ndarray]:
    video, frames = cv2.VideoCapture(str(path)), []
    while (frame := video.read())[0]:
        frames.append(frame[1])
    return frames


def levels(path) -> list[int]:
    """The greys of its frames, to the nearest 50."""
    return [int(50 * np.rint(frame.mean() / 50)) for frame in read(path)]


def test_a_picture_stands_until_the_stamp_of_the_next(tmp_path):
    path = tmp_path / "v.mp4"
    with writing(path, 10.0) as video:
        for level, seconds in ((50, 100.0), (100, 100.1), (150, 100.5), (200, 100.6)):
            video.write(grey(level), round(seconds * 1e9))
    assert levels(path) == [50, 100, 100, 100, 100, 150, 200]
    assert video.frames == 7


def test_what_comes_faster_than_the_rate_is_left_out(tmp_path):
    path = tmp_path / "v.mp4"
    with writing(path, 10.0) as video:
        for index in range(31):
            video.write(grey(100), round(index / 30 * 1e9))
    assert len(read(path)) in (11, 12)  # one second


@pytest.mark.parametrize(
    ("size", "written"),
    [((48, 64), (48, 64)), ((47, 63), (48, 64)), ((1000, 8000), (480, 3840)), ((1, 1), (2, 2))],
)
def test_sizes_are_even_and_not_too_large(tmp_path, size, written):
    path = tmp_path / "v.mp4"
    with writing(path, 10.0) as video:
        video.write(grey(100, *size), 0)
    (frame,) = read(path)
    height, width = frame.shape[:2]
    assert (height % 2, width % 2) == (0, 0)
    assert abs(height - written[0]) <= 2
    assert abs(width - written[1]) <= 2


def test_a_picture_of_another_shape_is_shown_whole_in_the_middle(tmp_path):
    path = tmp_path / "v.mp4"
    with writing(path, 10.0) as video:
        video.write(grey(100, 48, 64), 0)
        video.write(grey(200, 48, 32), 100_000_000)
    last = read(path)[1]
    assert last[:, 20:44].mean() == pytest.approx(200, abs=8)
    assert last[:, :12].mean() == pytest.approx(0, abs=8)
    assert last[:, 52:].mean() == pytest.approx(0, abs=8)


def test_an_exception_leaves_a_whole_video(tmp_path):
    path = tmp_path / "v.mp4"

    def film():
        with writing(path, 10.0) as video:
            video.write(grey(100), 0)
            video.write(grey(150), 100_000_000)
            assert not path.exists()
            raise RuntimeError("the network failed")

    with pytest.raises(RuntimeError, match="the network failed"):
        film()
    assert levels(path) == [100, 150]
    assert list(tmp_path.iterdir()) == [path]


def test_without_a_picture_there_is_no_file(tmp_path):
    with writing(tmp_path / "v.mp4", 10.0):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_codec_that_opencv_lacks_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(CODECS, "h264", "xxxx")
    with (
        pytest.raises(MediaError, match=r"cannot write a video: found no encoder of h264 for 64 x"),
        writing(tmp_path / "v.mp4", 10.0, "h264") as video,
    ):
        video.write(grey(100), 0)
    assert list(tmp_path.iterdir()) == []


def test_browsers_get_vp9(tmp_path):
    path = tmp_path / "v.mp4"
    with writing(path, 10.0, "vp9") as video:
        video.write(grey(100), 0)
    fourcc = int(cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little")
    assert fourcc.lower() in (b"vp90", b"vp09")
    assert (video.codec, levels(path)) == ("vp9", [100])


def test_a_video_that_the_disk_has_no_room_for_is_an_error(tmp_path, monkeypatch):
    close = VideoFile.close

    def cut_off(video):
        close(video)
        (unfinished,) = tmp_path.iterdir()
        unfinished.write_bytes(unfinished.read_bytes()[:40])

    monkeypatch.setattr(VideoFile, "close", cut_off)
    with (
        pytest.raises(MediaError, match=r"is not whole: found no frame that can be read back"),
        writing(tmp_path / "v.mp4", 10.0) as video,
    ):
        video.write(grey(100), 0)
