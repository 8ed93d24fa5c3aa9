"""Depth images: (H, W) float32 metres to and from the messages of REP 118."""

from __future__ import annotations

import sys
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from depth_estimation_ros.errors import ImageError, ParameterError
from depth_estimation_ros.messages.factory import ROS, MessageFactory
from depth_estimation_ros.messages.image import decode_bytes, image_rows
from depth_estimation_ros.utils.memory import iter_row_chunks

Depth = NDArray[np.float32]

_MM_PER_M = np.float32(1000.0)
# Bytes before the PNG: compressed_depth_image_transport's ConfigHeader, an enum and two float32.
_COMPRESSED_DEPTH_HEADER = 12


def decode_depth(msg: Any) -> Depth:
    """Return metres (H, W) float32 of an Image (32FC1, 16UC1) or CompressedImage (16-bit PNG).

    0 millimetres become NaN (unknown). In a plain PNG 65535 becomes +Inf (beyond range), as this
    package records ground truth. The PNG of image_transport's compressedDepth is read if it holds
    16UC1. A native 32FC1 without padding shares the message's memory.

    Raises:
        ImageError: another encoding, zero size, data that does not fit, or no 16-bit image.
    """
    if hasattr(msg, "format"):
        transported = "compressedDepth" in msg.format
        header_bytes = _COMPRESSED_DEPTH_HEADER if transported else 0
        millimetres = decode_bytes(msg, cv2.IMREAD_UNCHANGED, header_bytes)
        quantised = transported and not msg.format.startswith("16UC1")  # inverse depth of 32FC1
        if quantised or millimetres.dtype != np.uint16 or millimetres.ndim != 2:
            raise ImageError(
                "The compressed image is not a depth image",
                found=f"{millimetres.dtype} of shape {millimetres.shape}, format '{msg.format}'",
                expected="one channel of 16 bits in millimetres",
                fix="Choose a topic of depth images.",
            )
        depth = _to_metres(millimetres)
        if not transported:
            depth[millimetres == 65535] = np.inf
        return depth
    if msg.encoding == "32FC1":
        return image_rows(msg, np.float32, 1)
    if msg.encoding == "16UC1":
        return _to_metres(image_rows(msg, np.uint16, 1))
    raise ImageError(
        "The depth image encoding is not supported",
        found=f"'{msg.encoding}'",
        expected="32FC1 (metres), 16UC1 (millimetres)",
        fix="Choose a topic of depth images.",
    )


def depth_image(depth: Depth, header: Any, encoding: str, factory: MessageFactory = ROS) -> Any:
    """Create a sensor_msgs/Image of (H, W) float32 metres, in metres (32FC1) or mm (16UC1).

    16UC1 is rounded to the nearest millimetre; what it cannot express (NaN, +-Inf, negative, more
    than 65.535 m) is 0, which there means invalid.

    Raises:
        ParameterError: another encoding.
    """
    if encoding not in ("32FC1", "16UC1"):
        raise ParameterError(
            "depth_encoding is not a depth encoding",
            found=f"'{encoding}'",
            expected="32FC1 (metres) or 16UC1 (millimetres)",
        )
    height, width = depth.shape
    fields = {
        "header": factory.header(header),
        "height": height,
        "width": width,
        "encoding": encoding,
        "is_bigendian": int(sys.byteorder == "big"),
        "step": width * (4 if encoding == "32FC1" else 2),
    }
    if encoding == "32FC1":
        return factory.with_data("sensor_msgs/msg/Image", depth, **fields)
    message, millimetres = factory.with_buffer(
        "sensor_msgs/msg/Image", depth.shape, np.uint16, **fields
    )
    _write_millimetres(depth, millimetres)
    return message


def _write_millimetres(depth: Depth, millimetres: NDArray[np.uint16]) -> None:
    for rows in iter_row_chunks(*depth.shape):
        rounded = np.multiply(depth[rows], _MM_PER_M)
        np.rint(rounded, out=rounded)
        fits = (rounded >= 0) & (rounded <= 65535)
        np.copyto(rounded, 0.0, where=~fits)
        np.copyto(millimetres[rows], rounded, casting="unsafe")


def _to_metres(millimetres: NDArray[np.uint16]) -> Depth:
    depth = np.divide(millimetres, _MM_PER_M, dtype=np.float32)
    depth[millimetres == 0] = np.nan
    return depth
