"""Camera pictures: Image messages to RGB and RGB to an Image message."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from depth_estimation_ros.errors import ImageError
from depth_estimation_ros.media.picture_header import MAX_PIXELS
from depth_estimation_ros.messages.buffers import image_bytes, image_rows
from depth_estimation_ros.messages.kinds import ROS, MessageFactory

Picture = NDArray[np.uint8]


def decode_image(msg: Any, largest: int = MAX_PIXELS) -> Picture:
    """The picture of a sensor_msgs/Image as (H, W, 3) uint8 RGB, C-contiguous.

    An rgb8 image without padding is not copied: the picture shares the message's memory, so do not
    write to it. Sixteen bits are scaled to eight; YUV is BT.601 with limited range, as in OpenCV.

    Raises:
        ImageError: unknown encoding, zero size, more than `largest` pixels, data that does not fit
            step and height, or a size that the encoding cannot have.
    """
    width, height = int(msg.width), int(msg.height)
    if width * height > largest:
        raise ImageError(
            "The image is too large",
            found=f"{width} x {height}",
            expected=f"at most {largest} pixels",
            fix="Set a smaller size in the camera driver, or the node's parameter max_image_pixels "
            "if there is memory for this one.",
        )
    decoder = _DECODERS.get(msg.encoding)
    if decoder is None:
        raise ImageError(
            "The image has an encoding that is not supported",
            found=f"'{msg.encoding}'",
            expected=", ".join(_DECODERS),
            fix="Set another pixel format in the camera driver, or convert with image_proc.",
        )
    return decoder(msg)


def color_image(rgb: Picture, header: Any, kind: MessageFactory = ROS) -> Any:
    """An rgb8 sensor_msgs/Image of (H, W, 3) uint8 RGB, with this stamp and frame_id."""
    height, width = rgb.shape[:2]
    return kind.with_data(
        "sensor_msgs/msg/Image",
        rgb,
        header=kind.header(header),
        height=height,
        width=width,
        encoding="rgb8",
        is_bigendian=int(sys.byteorder == "big"),
        step=3 * width,
    )


def _packed(channels: int, conversion: int | None) -> Callable[[Any], Picture]:
    """Pixels of 8-bit channels one after the other."""

    def decode(msg: Any) -> Picture:
        pixels = image_rows(msg, np.uint8, channels)
        return pixels if conversion is None else _converted(pixels, conversion)

    return decode


def _mono16(msg: Any) -> Picture:
    gray = cv2.convertScaleAbs(image_rows(msg, np.uint16, 1), alpha=255.0 / 65535.0)
    return _converted(gray, cv2.COLOR_GRAY2RGB)


def _bayer(conversion: int) -> Callable[[Any], Picture]:
    def decode(msg: Any) -> Picture:
        _check_size(msg, min(msg.width, msg.height) >= 3, "at least 3 x 3")
        return _converted(image_rows(msg, np.uint8, 1), conversion)

    return decode


def _yuv422(conversion: int) -> Callable[[Any], Picture]:
    def decode(msg: Any) -> Picture:
        _check_size(msg, msg.width % 2 == 0, "an even width")
        return _converted(image_rows(msg, np.uint8, 2), conversion)

    return decode


def _yuv420(conversion: int) -> Callable[[Any], Picture]:
    """Height rows of Y, then half as many rows of U and V side by side."""

    def decode(msg: Any) -> Picture:
        _check_size(msg, msg.width % 2 == 0 and msg.height % 2 == 0, "even width and height")
        return _converted(image_rows(msg, np.uint8, 1, msg.height * 3 // 2), conversion)

    return decode


# BT.601 limited range, Y U V to R G B: (Y - 16) * 255 / 219, chrominance * 255 / 224.
_BT601 = np.array([[1.164, 0.0, 1.596], [1.164, -0.391, -0.813], [1.164, 2.018, 0.0]])
_BT601 = np.hstack([_BT601, _BT601 @ [[-16.0], [-128.0], [-128.0]]])


def _nv24(msg: Any) -> Picture:
    """Height rows of Y, then height rows of twice the length with U and V of every pixel."""
    data = image_bytes(msg, msg.width, 3 * msg.height)
    luma, chroma = np.split(data, [msg.step * msg.height])
    luma = luma.reshape(msg.height, msg.step)[:, : msg.width]
    chroma = chroma.reshape(msg.height, msg.step, 2)[:, : msg.width]
    return np.asarray(cv2.transform(np.dstack([luma, chroma]), _BT601), np.uint8)


def _converted(pixels: NDArray[Any], conversion: int) -> Picture:
    return np.asarray(cv2.cvtColor(pixels, conversion), np.uint8)


def _check_size(msg: Any, fits: bool, expected: str) -> None:
    if not fits and msg.width > 0 and msg.height > 0:
        raise ImageError(
            f"An image of encoding {msg.encoding} cannot have this size",
            found=f"{msg.width} x {msg.height}",
            expected=expected,
            fix="Set another size or pixel format in the camera driver.",
        )


# ROS names a Bayer pattern by its first four pixels, OpenCV by those around pixel (1, 1).
_DECODERS: dict[str, Callable[[Any], Picture]] = {
    "rgb8": _packed(3, None),
    "bgr8": _packed(3, cv2.COLOR_BGR2RGB),
    "rgba8": _packed(4, cv2.COLOR_RGBA2RGB),
    "bgra8": _packed(4, cv2.COLOR_BGRA2RGB),
    "mono8": _packed(1, cv2.COLOR_GRAY2RGB),
    "8UC1": _packed(1, cv2.COLOR_GRAY2RGB),
    "8UC3": _packed(3, cv2.COLOR_BGR2RGB),
    "8UC4": _packed(4, cv2.COLOR_BGRA2RGB),
    "mono16": _mono16,
    "bayer_rggb8": _bayer(cv2.COLOR_BayerBG2RGB),
    "bayer_bggr8": _bayer(cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg8": _bayer(cv2.COLOR_BayerGR2RGB),
    "bayer_grbg8": _bayer(cv2.COLOR_BayerGB2RGB),
    "yuv422": _yuv422(cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": _yuv422(cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": _yuv422(cv2.COLOR_YUV2RGB_YUY2),
    "yuyv": _yuv422(cv2.COLOR_YUV2RGB_YUY2),
    "nv12": _yuv420(cv2.COLOR_YUV2RGB_NV12),
    "nv21": _yuv420(cv2.COLOR_YUV2RGB_NV21),
    "nv24": _nv24,
}
