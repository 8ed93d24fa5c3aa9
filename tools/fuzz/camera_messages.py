"""Strategies for Image, CompressedImage and CameraInfo: mostly sound, with some fields spoiled.

A message is a dict of its fields; `made_messages` makes the real ones.
"""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
from hypothesis import strategies as st
from made_messages import Fields
from noise import DOUBLES, SEEDS, UINT32, spoiled

from depth_estimation_ros.messages.image import _DECODERS

# Bytes of a pixel in one row, and rows of data for two rows of the image.
_LAYOUT = {
    **dict.fromkeys(("mono8", "8UC1"), (1, 2)),
    "rgb8": (3, 2),
    "bgr8": (3, 2),
    "8UC3": (3, 2),
    "rgba8": (4, 2),
    "bgra8": (4, 2),
    "8UC4": (4, 2),
    "mono16": (2, 2),
    **dict.fromkeys((f"bayer_{pattern}16" for pattern in ("rggb", "bggr", "gbrg", "grbg")), (2, 2)),
    **dict.fromkeys(("rgb16", "bgr16"), (6, 2)),
    **dict.fromkeys(("rgba16", "bgra16"), (8, 2)),
    "nv12": (1, 3),
    "nv21": (1, 3),
    "nv24": (1, 6),
    **dict.fromkeys(("yuv422", "uyvy", "yuv422_yuy2", "yuyv"), (2, 2)),
}
_UNKNOWN = [
    "",
    "RGB8",
    "rgb8\0",
    "rgb32",
    "32FC1",
    "64FC1",
    "16UC1",
    "h264",
    "é" * 30,
    "x" * 10_000,
]
_ENCODINGS = st.sampled_from([*_DECODERS, *_DECODERS, *_UNKNOWN])
_SIDES = st.integers(1, 48)
SIZES = st.tuples(_SIDES, _SIDES) | st.sampled_from(
    [(64, 48), (64, 48), (128, 96), (1, 1), (2, 2), (1, 4000), (20000, 1), (3000, 2), (640, 4)]
)
"""Width and height."""


def noise_bytes(seed: int, size: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, size, np.uint8)


@st.composite
def headers(draw: st.DrawFn) -> Fields:
    return {
        "sec": draw(st.sampled_from([0, 1, 10**9, -1, -(2**31), 2**31 - 1])),
        "nanosec": draw(st.sampled_from([0, 1, 999_999_999, 10**9, 2**32 - 1])),
        "frame_id": draw(st.sampled_from(["cam", "", "/", "é", "x" * 5000, "a\nb"])),
    }


@st.composite
def images(draw: st.DrawFn) -> Fields:
    """Fields of an Image, up to two of them wrong."""
    width, height = draw(SIZES)
    encoding = draw(_ENCODINGS)
    pixel, half_rows = _LAYOUT.get(encoding, (1, 2))
    step = width * pixel + draw(st.sampled_from([0, 0, 0, 1, 5, 64]))
    fields: Fields = {
        "header": draw(headers()),
        "width": width,
        "height": height,
        "encoding": encoding,
        "is_bigendian": draw(st.sampled_from([0, 1, 255])),
        "step": step,
        "data": noise_bytes(draw(SEEDS), step * (height * half_rows // 2)),
    }
    wrong = draw(
        st.lists(st.sampled_from(["width", "height", "step", "data", "encoding"]), max_size=2)
    )
    for name in wrong if draw(st.booleans()) else ():
        if name == "data":
            size = len(fields["data"])
            fields["data"] = noise_bytes(
                0, draw(st.sampled_from([0, 1, max(size - 1, 0), size + 1]))
            )
        elif name == "encoding":
            fields["encoding"] = draw(_ENCODINGS)
        else:
            fields[name] = draw(UINT32 | st.just(fields[name] // 2) | st.just(fields[name] + 1))
    return fields


@st.composite
def compressed_images(draw: st.DrawFn) -> Fields:
    """Fields of a CompressedImage: a JPEG, PNG or other format, cut, spoiled, or a bomb."""
    width, height = draw(SIZES)
    channels, kind = draw(st.sampled_from([3, 3, 1])), draw(st.sampled_from([np.uint8, np.uint16]))
    noise = np.random.default_rng(draw(SEEDS)).integers(0, 256, (4, 4, channels))
    picture = cv2.resize(noise.astype(np.float32), (width, height)).clip(0, 255)
    extension = draw(
        st.sampled_from([".jpg", ".jpg", ".jpg", ".png", ".png", ".webp", ".bmp", ".tiff"])
    )
    if max(width, height) > 16383 and extension == ".webp":  # more than WebP can say
        extension = ".png"
    deep = kind == np.uint16 and extension == ".png"
    progressive = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1] if draw(st.booleans()) else []
    options = progressive if extension == ".jpg" else []
    _, encoded = cv2.imencode(extension, picture.astype(np.uint16 if deep else np.uint8), options)
    content = encoded.tobytes()
    if draw(st.integers(0, 3)) == 0:
        content = declaring(content, draw(UINT32), draw(UINT32))
    if draw(st.booleans()):
        content = draw(spoiled(content))
    form = draw(st.sampled_from(["jpeg", "png", "rgb8; jpeg compressed bgr8", "", "x" * 10_000]))
    return {
        "header": draw(headers()),
        "format": form,
        "data": np.frombuffer(content, np.uint8),
    }


def declaring(content: bytes, width: int, height: int) -> bytes:
    """A JPEG or PNG whose header says another size."""
    changed = bytearray(content)
    if changed[12:16] == b"IHDR":
        changed[16:24] = struct.pack(">II", width, height)
        changed[29:33] = struct.pack(">I", zlib.crc32(changed[12:29]))
    elif (at := max(content.find(b"\xff\xc0"), content.find(b"\xff\xc2"))) > 0:
        changed[at + 5 : at + 9] = struct.pack(">HH", height & 0xFFFF, width & 0xFFFF)
    return bytes(changed)


@st.composite
def camera_infos(draw: st.DrawFn, width: int, height: int) -> Fields:
    """Fields of a CameraInfo for an image of this size, up to three of them wrong."""
    focal = draw(st.sampled_from([0.8, 1.0, 5.0])) * max(width, 2)
    k = [focal, 0.0, width / 2, 0.0, focal, height / 2, 0.0, 0.0, 1.0]
    model, count = draw(
        st.sampled_from(
            [
                *(("plumb_bob", 5), ("plumb_bob", 4), ("rational_polynomial", 8)),
                *(("equidistant", 4), ("", 0), ("none", 0), ("plumb_bob", 0)),
                *(("fov", 1), ("thin_prism", 12)),
            ]
        )
    )
    small = st.floats(-0.3, 0.3)
    fields: Fields = {
        "header": draw(headers()),
        "width": width,
        "height": height,
        "distortion_model": model,
        "d": [draw(small) for _ in range(count)],
        "k": k,
        "r": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        "p": [*k[0:3], 0.0, *k[3:6], 0.0, *k[6:9], 0.0],
        "binning_x": 0,
        "binning_y": 0,
        "roi": {"x_offset": 0, "y_offset": 0, "height": 0, "width": 0},
    }
    binning = draw(st.sampled_from([1, 1, 1, 2, 3]))
    if binning > 1:  # sound: the full sensor is as many times larger
        fields |= {"width": width * binning, "height": height * binning}
        fields |= {"binning_x": binning, "binning_y": binning}
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2, 3]))):
        name = draw(st.sampled_from([*"dkrpkdp", "width", "height", "binning", "roi", "model"]))
        if name in "dkrp":
            numbers = fields[name]
            for _ in range(draw(st.integers(1, 3)) if numbers else 0):
                numbers[draw(st.integers(0, len(numbers) - 1))] = draw(DOUBLES)
            if name == "d" and draw(st.integers(0, 3)) == 0:
                fields["d"] = [draw(DOUBLES)] * draw(st.sampled_from([0, 1, 4, 5, 8, 14, 5000]))
        elif name == "binning":
            fields[f"binning_{draw(st.sampled_from('xy'))}"] = draw(UINT32)
        elif name == "roi":
            for side in fields["roi"]:
                fields["roi"][side] = draw(UINT32 | st.integers(0, max(width, height)))
        elif name == "model":
            fields["distortion_model"] = draw(
                st.sampled_from(["equidistant", "fov", "é", "x" * 9000])
            )
        else:
            fields[name] = draw(UINT32)
    return fields
