"""Images whose depth is known, and what lies in an output folder of estimate_depth."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np

HEIGHT, WIDTH = 48, 64


def steps(reds: tuple[int, ...] = (0, 64, 128, 255)) -> np.ndarray:
    """An image of vertical stripes; `red_depth` tells 1 + 8 * red / 255 metres."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[..., 0] = np.repeat(reds, WIDTH // len(reds))
    image[..., 1] = 77
    return image


def depth_of(image: np.ndarray) -> np.ndarray:
    return (1.0 + 8.0 * image[..., 0].astype(np.float64) / 255.0).astype(np.float32)


def names(folder: Path) -> list[str]:
    return sorted(str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file())


def summary(out: Path) -> dict:
    return json.loads((out / "summary.json").read_text())


def png_texts(path: Path) -> dict[str, str]:
    """The tEXt chunks of a PNG whose every checksum is right."""
    data, at, texts = path.read_bytes(), 8, {}
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", data, at + 8 + size) == (zlib.crc32(kind + body),)
        if kind == b"tEXt":
            key, value = body.split(b"\x00")
            texts[key.decode()] = value.decode("latin-1")
        at += 12 + size
    return texts


def video_frames(path: Path) -> list[np.ndarray]:
    video, frames = cv2.VideoCapture(str(path)), []
    while (frame := video.read())[0]:
        frames.append(cv2.cvtColor(frame[1], cv2.COLOR_BGR2RGB))
    return frames
