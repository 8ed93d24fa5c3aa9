"""Image files and folders; images that declare too much are refused before they are decoded."""

from __future__ import annotations

import math
import struct
import subprocess
import sys
import zlib
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from media_files import color, write, write_jpeg

from depth_estimation_ros.errors import ImageError, MediaError
from depth_estimation_ros.media.images import (
    encoded_image_problem,
    focal_in_35mm,
    focal_px,
    read_image,
)
from depth_estimation_ros.media.video import open_media
from depth_estimation_ros.messages import decode_compressed

RAMP = np.tile(np.arange(64, dtype=np.uint8), (48, 1))
RGB = np.dstack([RAMP, 2 * RAMP, 3 * RAMP])


def jpeg(*parameters: int) -> bytes:
    return cv2.imencode(".jpg", RGB, parameters)[1].tobytes()


def jpeg_that_declares(width: int, height: int, data: bytes | None = None) -> bytes:
    content = bytearray(data or jpeg())
    at = max(content.find(b"\xff\xc0"), content.find(b"\xff\xc2"))
    content[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(content)


def png_that_declares(width: int, height: int, packed: bytes = b"") -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize(("width", "height"), [(60000, 60000), (30000, 30000), (8193, 8192)])
@pytest.mark.parametrize("make", [jpeg_that_declares, png_that_declares])
def test_a_bomb_is_refused_by_its_declared_size(make, width, height):
    with pytest.raises(ImageError, match=rf"declares {width} x {height}, more than 67108864 pix"):
        decode_compressed(SimpleNamespace(format="", data=make(width, height)))


@pytest.mark.parametrize("make", [jpeg_that_declares, png_that_declares])
def test_a_size_that_the_bytes_cannot_hold_is_refused(make):
    with pytest.raises(ImageError, match="declares 4000 x 3000, more than it can hold"):
        decode_compressed(SimpleNamespace(format="", data=make(4000, 3000)))


def test_a_file_that_declares_too_much_is_refused(tmp_path):
    path = tmp_path / "bomb.jpg"
    path.write_bytes(jpeg_that_declares(30000, 30000))
    with pytest.raises(MediaError, match="declares 30000 x 30000, more than 268435456 pixels"):
        read_image(path)
    path.write_bytes(jpeg_that_declares(12000, 9000))  # 108 million pixels, as phones have them
    with pytest.raises(MediaError, match="declares 12000 x 9000, more than it can hold"):
        read_image(path)


@pytest.mark.parametrize("progressive", [0, 1])
@pytest.mark.parametrize("quality", [1, 95])
def test_the_emptiest_large_images_pass(progressive, quality):
    black = np.zeros((1500, 2000, 3), np.uint8)
    parameters = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive]
    content = cv2.imencode(".jpg", black, [*parameters, cv2.IMWRITE_JPEG_OPTIMIZE, 1])[1].tobytes()
    assert encoded_image_problem(content) == ""
    packed = cv2.imencode(".png", black, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()
    assert encoded_image_problem(packed) == ""


def test_a_cut_off_jpeg_with_a_thumbnail_is_refused():
    thumbnail = b"Exif\0\0" + jpeg()
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    whole = jpeg()[:2] + segment + jpeg()[2:]
    assert encoded_image_problem(whole) == ""
    assert encoded_image_problem(whole[:-200]) == "a JPEG that is cut off"


def test_a_png_chunk_of_a_gigabyte_is_refused():
    whole = cv2.imencode(".png", np.zeros((48, 64, 3), np.uint8))[1].tobytes()
    assert encoded_image_problem(whole) == ""
    at = whole.index(b"IDAT") - 4
    bomb = whole[:at] + struct.pack(">I", 1 << 30) + whole[at + 4 :]
    for content in (bomb, whole[:-1], whole[:at], whole[: at + 6]):
        assert encoded_image_problem(content) == "a PNG that is cut off"
    empty = struct.pack(">I4sI", 0, b"teXt", zlib.crc32(b"teXt"))
    assert encoded_image_problem(whole[:at] + 50 * empty + whole[at:]) == ""
    many = whole[:at] + 100_000 * empty + whole[at:]
    assert encoded_image_problem(many) == "a PNG of more than 100000 chunks"


def test_a_jpeg_of_hundreds_of_scans_is_refused():
    content = jpeg(cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    scan = content.rindex(b"\xff\xda")
    assert encoded_image_problem(content) == ""
    bomb = content[:-2] + 200 * content[scan:-2] + content[-2:]
    assert encoded_image_problem(bomb) == "a JPEG of more than 100 scans"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "neither a JPEG nor a PNG"),
        (b"GIF89a", "neither a JPEG nor a PNG"),
        (b"\x89PNG\r\n\x1a\n", "a PNG that is cut off"),
        (b"\x89PNG\r\n\x1a\n" + 4 * b"\0" + b"IEND" + 4 * b"\0", "a PNG with a damaged header"),
        (b"\xff\xd8", "a JPEG with a damaged header"),
        (b"\xff\xd8" + 9 * b"\xff", "a JPEG with a damaged header"),
        (b"\xff\xd8\xff\xe0\x00\x00\xff\xd9", "a JPEG with a damaged header"),
    ],
)
def test_damaged_headers_are_refused(content, why):
    assert encoded_image_problem(content) == why


# Files and folders


def test_an_image_is_one_rgb_frame(tmp_path):
    media = open_media(str(write(tmp_path / "kitchen.png", color(3))))
    (frame,) = media.frames()
    np.testing.assert_array_equal(frame.rgb, color(3))
    assert (media.kind, media.count, frame.stamp_ns, frame.name) == ("image", 1, 0, "kitchen.png")


def test_16_bit_gray_becomes_8_bit_rgb(tmp_path):
    path = tmp_path / "grey.png"
    cv2.imwrite(str(path), np.full((2, 3), 0x8040, np.uint16))
    (frame,) = open_media(str(path)).frames()
    np.testing.assert_array_equal(frame.rgb, np.full((2, 3, 3), 0x80, np.uint8))


def test_an_image_is_turned_upright_by_exif(tmp_path):
    lying = np.zeros((4, 8, 3), np.uint8)
    lying[:, :4] = 255  # its left half; turned by 90 degrees clockwise this is the top
    path = write_jpeg(tmp_path / "phone.jpg", lying, orientation=6)
    (frame,) = open_media(str(path)).frames()
    assert frame.rgb.shape == (8, 4, 3)
    assert frame.rgb[:3].min() > 200
    assert frame.rgb[5:].max() < 50


@pytest.mark.parametrize("order", [">", "<"])
def test_a_jpeg_has_its_focal_length(tmp_path, order):
    path = write_jpeg(tmp_path / "phone.jpg", color(1), focal_35mm=26, order=order)
    media = open_media(str(path))
    (frame,) = media.frames()
    assert (frame.focal_35mm, media.has_focal_length) == (26.0, True)
    # The main camera of a phone, 26 mm, 4032 x 3024: about 67 degrees wide.
    focal = focal_px(26.0, 4032, 3024)
    assert 2 * math.degrees(math.atan(4032 / 2 / focal)) == pytest.approx(67.3, abs=0.1)
    assert focal_px(36.0, 3600, 2400) == pytest.approx(3600)  # film itself


def test_zero_or_damaged_focal_length_is_unknown(tmp_path):
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


def test_a_folder_has_focal_lengths_if_all_images_do(tmp_path):
    write_jpeg(tmp_path / "1.jpg", color(1), focal_35mm=26)
    assert open_media(str(tmp_path)).has_focal_length
    write(tmp_path / "2.png", color(2))
    media = open_media(str(tmp_path))
    assert not media.has_focal_length
    assert [frame.focal_35mm for frame in media.frames()] == [26.0, None]


@pytest.mark.parametrize("contents", [b"", b"not an image"])
def test_a_broken_image_is_an_error(tmp_path, contents):
    path = tmp_path / "x.jpg"
    path.write_bytes(contents)
    with pytest.raises(MediaError, match=r"The image .*x.jpg cannot be read by OpenCV: found"):
        next(open_media(str(path)).frames())


# Folders


def test_a_folder_is_read_in_natural_order(tmp_path):
    for index, name in enumerate(["frame2.png", "frame10.png", "Frame1.png", "frame002.png"]):
        write(tmp_path / name, color(index))
    (tmp_path / "notes.txt").write_text("no image")
    media = open_media(str(tmp_path))
    frames = list(media.frames())
    names = ["Frame1.png", "frame002.png", "frame2.png", "frame10.png"]
    assert [frame.name for frame in frames] == names
    assert [int(frame.rgb[0, 0, 0]) for frame in frames] == [40, 60, 0, 20]
    assert (media.kind, media.count) == ("folder", 4)


def test_a_broken_image_of_a_folder_is_skipped(tmp_path):
    write(tmp_path / "1.png", color(1))
    (tmp_path / "2.png").write_bytes(b"broken")
    write(tmp_path / "3.png", color(3))
    media = open_media(str(tmp_path))
    for _ in range(2):  # and once only, however often it is read
        assert [frame.name for frame in media.frames()] == ["1.png", "3.png"]
        assert len(media.unreadable) == 1
        assert "2.png" in media.unreadable[0]
    assert len(media.samples(3)) == 2


def test_depth_maps_next_to_images_are_skipped(tmp_path):
    write(tmp_path / "1.jpg", color(1))
    cv2.imwrite(str(tmp_path / "1.png"), np.full((2, 2), 1000, np.uint16))
    media = open_media(str(tmp_path))
    assert [frame.name for frame in media.frames()] == ["1.jpg"]
    assert media.notes == [f"{tmp_path}: 1 depth maps were skipped"]


def test_a_folder_without_images_is_an_error(tmp_path):
    with pytest.raises(MediaError, match=r"found no image, expected files that end in \.png"):
        open_media(str(tmp_path))


def test_samples_are_spread_over_a_folder(tmp_path):
    for index in range(10):
        write(tmp_path / f"{index}.png", color(index))
    samples = open_media(str(tmp_path)).samples(2)
    assert [int(frame.rgb[0, 0, 0]) for frame in samples] == [40, 140]  # numbers 2 and 7


# Which is which


def test_a_camera_that_is_not_there():
    with pytest.raises(MediaError, match="The camera 97 cannot be opened by OpenCV"):
        open_media("97")
    with pytest.raises(MediaError, match=r"camera /dev/video97 .*: found nothing there"):
        open_media("/dev/video97")


def test_missing_and_unknown_inputs_are_refused(tmp_path):
    with pytest.raises(MediaError, match="found nothing there, expected an image"):
        open_media(str(tmp_path / "no.png"))
    (tmp_path / "a.txt").touch()
    with pytest.raises(MediaError, match=r"found a file that ends in '.txt', expected an image"):
        open_media(str(tmp_path / "a.txt"))


@pytest.mark.parametrize("name", ["a.bag", "a.mcap", "a.db3", "rosbag2"])
def test_a_bag_points_to_replay(tmp_path, name):
    if name == "rosbag2":
        (tmp_path / name).mkdir()
        (tmp_path / name / "metadata.yaml").touch()
    with pytest.raises(MediaError, match=rf"found a bag, .* replay: replay .*{name} --output DIR"):
        open_media(str(tmp_path / name))


def test_no_ros_is_needed():
    code = (
        "import sys\n"
        "for name in ('rclpy', 'sensor_msgs', 'std_msgs', 'rosbags'): sys.modules[name] = None\n"
        "import depth_estimation_ros.media, depth_estimation_ros.geometry.point_cloud\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
