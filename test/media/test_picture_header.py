"""picture_header: what declares too much is refused before a decoder allocates anything."""

from __future__ import annotations

import struct
import zlib
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from depth_estimation_ros.errors import ImageError, MediaError
from depth_estimation_ros.media.picture_header import why_not_decodable
from depth_estimation_ros.media.pictures import read_picture
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


def test_a_picture_file_that_declares_what_it_cannot_hold_is_refused(tmp_path):
    path = tmp_path / "bomb.jpg"
    path.write_bytes(jpeg_that_declares(30000, 30000))
    with pytest.raises(MediaError, match="declares 30000 x 30000, more than 268435456 pixels"):
        read_picture(path)
    path.write_bytes(jpeg_that_declares(12000, 9000))  # 108 million pixels, as phones have them
    with pytest.raises(MediaError, match="declares 12000 x 9000, more than it can hold"):
        read_picture(path)


@pytest.mark.parametrize("progressive", [0, 1])
@pytest.mark.parametrize("quality", [1, 95])
def test_the_emptiest_of_large_pictures_passes(progressive, quality):
    black = np.zeros((3000, 4000, 3), np.uint8)
    parameters = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive]
    content = cv2.imencode(".jpg", black, [*parameters, cv2.IMWRITE_JPEG_OPTIMIZE, 1])[1].tobytes()
    assert why_not_decodable(content) == ""
    packed = cv2.imencode(".png", black, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()
    assert why_not_decodable(packed) == ""


def test_a_jpeg_that_is_cut_is_known_although_its_thumbnail_has_an_end():
    thumbnail = b"Exif\0\0" + jpeg()
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    whole = jpeg()[:2] + segment + jpeg()[2:]
    assert why_not_decodable(whole) == ""
    assert why_not_decodable(whole[:-200]) == "a JPEG that is cut short"


def test_a_png_chunk_that_says_a_gigabyte_is_refused_before_a_decoder_takes_it():
    whole = cv2.imencode(".png", np.zeros((48, 64, 3), np.uint8))[1].tobytes()
    assert why_not_decodable(whole) == ""
    at = whole.index(b"IDAT") - 4
    bomb = whole[:at] + struct.pack(">I", 1 << 30) + whole[at + 4 :]
    for content in (bomb, whole[:-1], whole[:at], whole[: at + 6]):
        assert why_not_decodable(content) == "a PNG that is cut short"
    empty = struct.pack(">I4sI", 0, b"teXt", zlib.crc32(b"teXt"))
    assert why_not_decodable(whole[:at] + 50 * empty + whole[at:]) == ""
    many = whole[:at] + 100_000 * empty + whole[at:]
    assert why_not_decodable(many) == "a PNG of more than 100000 chunks"


def test_thousands_of_scans_are_refused_as_each_costs_a_pass_over_the_picture():
    content = jpeg(cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    scan = content.rindex(b"\xff\xda")
    assert why_not_decodable(content) == ""
    bomb = content[:-2] + 200 * content[scan:-2] + content[-2:]
    assert why_not_decodable(bomb) == "a JPEG of more than 100 scans"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "neither a JPEG nor a PNG"),
        (b"GIF89a", "neither a JPEG nor a PNG"),
        (b"\x89PNG\r\n\x1a\n", "a PNG without its header"),
        (b"\xff\xd8", "a JPEG without a picture"),
        (b"\xff\xd8" + 9 * b"\xff", "a JPEG without a picture"),
        (b"\xff\xd8\xff\xe0\x00\x00\xff\xd9", "a JPEG without a picture"),
    ],
)
def test_a_header_that_is_not_there(content, why):
    assert why_not_decodable(content) == why
