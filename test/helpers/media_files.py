"""Image and video files whose content is known, and a reader of PLY files."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np

HEIGHT, WIDTH = 48, 64


def color(index: int) -> np.ndarray:
    """An RGB image that differs in each channel and from every other index."""
    rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    rgb[...] = (20 * index % 256, 100, (200 - 15 * index) % 256)
    return rgb


def write(path: Path, rgb: np.ndarray) -> Path:
    assert cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    return path


def write_video(path: Path, count: int, rate: float = 10.0) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), rate, (WIDTH, HEIGHT))
    for index in range(count):
        writer.write(cv2.cvtColor(color(index), cv2.COLOR_RGB2BGR))
    writer.release()
    return path


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


def read_ply(path: Path):
    """The header's lines, and each vertex as a tuple of six numbers."""
    head, body = path.read_bytes().split(b"end_header\n", 1)
    lines = head.decode("ascii").splitlines()
    count = next(int(line.split()[-1]) for line in lines if line.startswith("element vertex"))
    assert len(body) == 15 * count
    return lines, [struct.unpack_from("<fffBBB", body, 15 * i) for i in range(count)]
