"""Color images: Image and CompressedImage messages to RGB arrays, and RGB arrays to Image."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
from numpy.typing import DTypeLike, NDArray

from depth_estimation_ros.errors import ImageError
from depth_estimation_ros.media.images import MAX_PIXELS, encoded_image_problem
from depth_estimation_ros.messages.factory import ROS, MessageFactory

Rgb = NDArray[np.uint8]

# EXIF orientation is meant for people; calibration and frame belong to the pixels as delivered.
_COLOR = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION


def decode_image(msg: Any, max_pixels: int = MAX_PIXELS) -> Rgb:
    """Return the pixels of a sensor_msgs/Image as (H, W, 3) uint8 RGB, C-contiguous.

    An rgb8 image without row padding is not copied: the result shares the message's memory, so do
    not write to it. Encodings of 16 bits are scaled to eight from the 10, 12, 14 or 16 bits that
    the brightest pixel needs. YUV is BT.601 with limited range, as in OpenCV. Where cv_bridge is
    installed and works, it converts the other encodings of 8 bits.

    Raises:
        ImageError: unknown encoding, zero size, more than `max_pixels` pixels, data that does not
            fit step and height, or a size that the encoding cannot have.
    """
    width, height = int(msg.width), int(msg.height)
    if width * height > max_pixels:
        raise ImageError(
            "The image is too large",
            found=f"{width} x {height}",
            expected=f"at most {max_pixels} pixels",
            fix="Set a smaller size in the camera driver, or raise the node's parameter "
            "max_image_pixels if there is memory for this one.",
        )
    decoder = _DECODERS.get(msg.encoding)
    if decoder is None:
        raise ImageError(
            "The image encoding is not supported",
            found=f"'{msg.encoding}'",
            expected=", ".join(_DECODERS),
            fix="Set another pixel format in the camera driver, or convert with image_proc.",
        )
    return decoder(msg)


def decode_compressed(msg: Any, max_pixels: int = MAX_PIXELS) -> Rgb:
    """Return the pixels of a sensor_msgs/CompressedImage (JPEG, PNG) as (H, W, 3) uint8 RGB.

    Gray becomes RGB, 16 bits become 8. The format field is ignored: the bytes decide.

    Raises:
        ImageError: the bytes are not a complete JPEG or PNG, or declare a size that they cannot
            hold or more than `max_pixels` pixels; nothing is allocated for it.
    """
    bgr = decode_bytes(msg, _COLOR, max_pixels=max_pixels)
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def decode_bytes(
    msg: Any, flags: int, start: int = 0, max_pixels: int = MAX_PIXELS
) -> NDArray[Any]:
    """Return what cv2.imdecode makes of a CompressedImage's data from byte `start` on.

    Raises:
        ImageError: as `decode_compressed`.
    """
    data = np.frombuffer(msg.data, np.uint8)[start:]
    problem = encoded_image_problem(data.tobytes(), max_pixels)
    pixels = None
    cause: Exception | None = None
    if not problem:
        problem = "damaged bytes"
        try:
            pixels = cv2.imdecode(data, flags)
        except cv2.error as error:
            cause = error
    if pixels is None:
        raise ImageError(
            "The compressed image cannot be decoded",
            found=f"{len(data)} bytes that begin with {data[:8].tobytes()!r}, "
            f"format '{msg.format}': {problem}",
            expected=f"a complete JPEG or PNG of at most {max_pixels} pixels "
            "(parameter max_image_pixels)",
            fix="Check the publisher; with image_transport choose `compressed`, not "
            "`compressedDepth` or `theora`.",
        ) from cause
    return pixels


def color_image(rgb: Rgb, header: Any, factory: MessageFactory = ROS) -> Any:
    """Create an rgb8 sensor_msgs/Image of (H, W, 3) uint8 RGB with this stamp and frame_id."""
    height, width = rgb.shape[:2]
    return factory.with_data(
        "sensor_msgs/msg/Image",
        rgb,
        header=factory.header(header),
        height=height,
        width=width,
        encoding="rgb8",
        is_bigendian=int(sys.byteorder == "big"),
        step=3 * width,
    )


# The bytes of a message as an array. Own code, because it shares memory where cv_bridge and
# rosbags-image copy, and checks what they trust (step, length of data).


def image_bytes(msg: Any, row_bytes: int, rows: int) -> NDArray[np.uint8]:
    """Return all bytes of an Image with `row_bytes` bytes of pixels a row; shares memory.

    Raises:
        ImageError: zero size, a step shorter than row_bytes, or other than step * rows bytes.
    """
    width, height, step = int(msg.width), int(msg.height), int(msg.step)
    if width == 0 or height == 0:
        raise ImageError(
            "The image is empty",
            found=f"{width} x {height}",
            expected="at least 1 x 1",
            fix="Check the driver that publishes it.",
        )
    if step < row_bytes:
        raise ImageError(
            "The rows of the image are too short",
            found=f"step = {step} bytes",
            expected=f"at least {row_bytes} for {width} pixels of {msg.encoding}",
            fix="Correct width, step or encoding where the image is published.",
        )
    if len(msg.data) != step * rows:
        raise ImageError(
            f"The {msg.encoding} image has data of the wrong length",
            found=f"len(data) = {len(msg.data)}",
            expected=f"{step * rows} = step {step} * {rows} rows (width {width}, height {height})",
            fix="Correct width, height, step or data where the image is published.",
        )
    return np.frombuffer(msg.data, np.uint8)


def image_rows(msg: Any, dtype: DTypeLike, channels: int, rows: int | None = None) -> NDArray[Any]:
    """Return the pixels of an Image as (rows, width) or (rows, width, channels), contiguous.

    Shares memory with the message if its rows have no padding and its bytes are in this machine's
    order, and is a copy otherwise. ``rows`` is the height unless the encoding puts more planes
    below the image.

    Raises:
        ImageError: as `image_bytes`.
    """
    pixel = np.dtype(dtype)
    rows = int(msg.height) if rows is None else rows
    shape = (rows, int(msg.width), channels)
    data = image_bytes(msg, shape[1] * channels * pixel.itemsize, rows)
    pixels: NDArray[Any] = np.ndarray(
        shape,
        pixel.newbyteorder(">" if msg.is_bigendian else "<"),
        data,
        strides=(int(msg.step), channels * pixel.itemsize, pixel.itemsize),
    )
    if channels == 1:
        pixels = pixels[..., 0]
    # A bag hands out slices of the serialised message, which may start at any byte.
    return np.require(pixels, pixel, ["C", "ALIGNED"])


# Decoders: one for each layout, made for a dtype and an OpenCV conversion.

Decoder = Callable[[Any], Rgb]


def _interleaved(channels: int, conversion: int | None, dtype: DTypeLike = np.uint8) -> Decoder:
    """Decode pixels whose channels follow one another."""

    def decode(msg: Any) -> Rgb:
        pixels = _to_eight_bits(image_rows(msg, dtype, channels))
        return pixels if conversion is None else _convert(pixels, conversion, msg.encoding)

    return decode


def _bayer(conversion: int, dtype: DTypeLike = np.uint8) -> Decoder:
    def decode(msg: Any) -> Rgb:
        _check_size(msg, min(msg.width, msg.height) >= 3, "at least 3 x 3")
        return _convert(_to_eight_bits(image_rows(msg, dtype, 1)), conversion, msg.encoding)

    return decode


def _yuv422(conversion: int) -> Decoder:
    def decode(msg: Any) -> Rgb:
        _check_size(msg, msg.width % 2 == 0, "an even width")
        return _convert(image_rows(msg, np.uint8, 2), conversion, msg.encoding)

    return decode


def _yuv420(conversion: int) -> Decoder:
    """Decode `height` rows of Y, then half as many rows of interleaved U and V."""

    def decode(msg: Any) -> Rgb:
        _check_size(msg, msg.width % 2 == 0 and msg.height % 2 == 0, "even width and height")
        rows = image_rows(msg, np.uint8, 1, msg.height * 3 // 2)
        return _convert(rows, conversion, msg.encoding)

    return decode


# BT.601 limited range, Y U V to R G B: (Y - 16) * 255 / 219, chrominance * 255 / 224.
_BT601 = np.array([[1.164, 0.0, 1.596], [1.164, -0.391, -0.813], [1.164, 2.018, 0.0]])
_BT601 = np.hstack([_BT601, _BT601 @ [[-16.0], [-128.0], [-128.0]]])


def _nv24(msg: Any) -> Rgb:
    """Decode `height` rows of Y, then as many rows of twice the length with U and V of each pixel.

    The same in eight lines because OpenCV has no conversion for it.
    """
    data = image_bytes(msg, msg.width, 3 * msg.height)
    luma, chroma = np.split(data, [msg.step * msg.height])
    luma = luma.reshape(msg.height, msg.step)[:, : msg.width]
    chroma = chroma.reshape(msg.height, msg.step, 2)[:, : msg.width]
    return np.asarray(cv2.transform(np.dstack([luma, chroma]), _BT601), np.uint8)


def _to_eight_bits(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return uint16 pixels as uint8; cameras put 10, 12 or 14 bits into the lower bits of 16."""
    if pixels.dtype == np.uint8:
        return pixels
    brightest = int(pixels.max())
    largest = next(2**bits - 1 for bits in (10, 12, 14, 16) if brightest < 2**bits)
    return np.asarray(cv2.convertScaleAbs(pixels, alpha=255.0 / largest), np.uint8)


def _convert(pixels: NDArray[np.uint8], conversion: int, encoding: str) -> Rgb:
    """Convert by cv_bridge where it is installed and knows the encoding, else by OpenCV."""
    encoding = encoding.replace("16", "8")  # the pixels have eight bits by now
    bridge = _cv_bridge() if encoding in _CV_BRIDGE_ENCODINGS else None
    if bridge is not None:
        return bridge(pixels, encoding)
    return np.asarray(cv2.cvtColor(pixels, conversion), np.uint8)


@lru_cache(maxsize=1)
def _cv_bridge() -> Callable[[NDArray[np.uint8], str], Rgb] | None:
    """Return cv_bridge's conversion to RGB; None where it is missing or does not work.

    Up to Kilted it is compiled against numpy 1, and fails in many ways beside numpy 2.
    """
    try:
        from cv_bridge import CvBridge

        bridge = CvBridge()

        def convert(pixels: NDArray[np.uint8], encoding: str) -> Rgb:
            height, width = pixels.shape[:2]
            # Contiguous rows and no byte order: cv_bridge misreads padding and other orders.
            image = SimpleNamespace(
                encoding=encoding,
                height=height,
                width=width,
                step=pixels.strides[0],
                is_bigendian=0,
                data=pixels,
            )
            return np.asarray(bridge.imgmsg_to_cv2(image, "rgb8"), np.uint8)

        works = convert(np.array([[[1, 2, 3, 4]]], np.uint8), "bgra8").tolist() == [[[3, 2, 1]]]
    except Exception:
        return None
    return convert if works else None


def _check_size(msg: Any, fits: bool, expected: str) -> None:
    if not fits and msg.width > 0 and msg.height > 0:
        raise ImageError(
            f"An image of encoding {msg.encoding} cannot have this size",
            found=f"{msg.width} x {msg.height}",
            expected=expected,
            fix="Set another size or pixel format in the camera driver.",
        )


# ROS names a Bayer pattern by its first four pixels, OpenCV by those around pixel (1, 1).
_BAYER = {
    "rggb": cv2.COLOR_BayerBG2RGB,
    "bggr": cv2.COLOR_BayerRG2RGB,
    "gbrg": cv2.COLOR_BayerGR2RGB,
    "grbg": cv2.COLOR_BayerGB2RGB,
}
_CV_BRIDGE_ENCODINGS = frozenset(
    ("rgba8", "bgra8", "yuv422", "yuv422_yuy2", *(f"bayer_{pattern}8" for pattern in _BAYER))
)
_DECODERS: dict[str, Decoder] = {
    "rgb8": _interleaved(3, None),
    "bgr8": _interleaved(3, cv2.COLOR_BGR2RGB),
    "rgba8": _interleaved(4, cv2.COLOR_RGBA2RGB),
    "bgra8": _interleaved(4, cv2.COLOR_BGRA2RGB),
    "mono8": _interleaved(1, cv2.COLOR_GRAY2RGB),
    "8UC1": _interleaved(1, cv2.COLOR_GRAY2RGB),
    "8UC3": _interleaved(3, cv2.COLOR_BGR2RGB),
    "8UC4": _interleaved(4, cv2.COLOR_BGRA2RGB),
    "rgb16": _interleaved(3, None, np.uint16),
    "bgr16": _interleaved(3, cv2.COLOR_BGR2RGB, np.uint16),
    "rgba16": _interleaved(4, cv2.COLOR_RGBA2RGB, np.uint16),
    "bgra16": _interleaved(4, cv2.COLOR_BGRA2RGB, np.uint16),
    "mono16": _interleaved(1, cv2.COLOR_GRAY2RGB, np.uint16),
    **{f"bayer_{pattern}8": _bayer(conversion) for pattern, conversion in _BAYER.items()},
    **{
        f"bayer_{pattern}16": _bayer(conversion, np.uint16)
        for pattern, conversion in _BAYER.items()
    },
    "yuv422": _yuv422(cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": _yuv422(cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": _yuv422(cv2.COLOR_YUV2RGB_YUY2),
    "yuyv": _yuv422(cv2.COLOR_YUV2RGB_YUY2),
    "nv12": _yuv420(cv2.COLOR_YUV2RGB_NV12),
    "nv21": _yuv420(cv2.COLOR_YUV2RGB_NV21),
    "nv24": _nv24,
}
