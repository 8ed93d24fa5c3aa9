"""The bytes of a message as an array, without a copy where the layout allows it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from depth_estimation_ros.errors import ImageError


def image_bytes(msg: Any, row_bytes: int, rows: int) -> NDArray[np.uint8]:
    """All bytes of an Image whose pixels take row_bytes of each of its rows; shared memory.

    Raises:
        ImageError: zero size, a step shorter than row_bytes, or other than step * rows bytes.
    """
    width, height, step = int(msg.width), int(msg.height), int(msg.step)
    if width == 0 or height == 0:
        raise ImageError(
            "The image is empty",
            found=f"{width} x {height}",
            expected="at least 1 x 1",
            fix="Look at the driver that publishes it.",
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
            f"The {msg.encoding} image does not hold the bytes that it claims",
            found=f"len(data) = {len(msg.data)}",
            expected=f"{step * rows} = step {step} * {rows} rows (width {width}, height {height})",
            fix="Correct width, height, step or data where the image is published.",
        )
    return np.frombuffer(msg.data, np.uint8)


def image_rows(msg: Any, dtype: DTypeLike, channels: int, rows: int | None = None) -> NDArray[Any]:
    """The pixels of an Image as (rows, width) or (rows, width, channels), contiguous and native.

    Shares memory with the message if its rows have no padding and its bytes are in this machine's
    order, and is a copy otherwise. ``rows`` is the height unless the encoding puts more planes
    below the picture.

    Raises:
        ImageError: as image_bytes.
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
    # A recording hands out slices of the serialised message, which may start at any byte.
    return np.require(pixels, pixel, ["C", "ALIGNED"])
