"""CompressedImage messages: JPEG and PNG."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from depth_estimation_ros.errors import ImageError

# The orientation that a phone or action camera writes beside a JPEG is for people; calibration and
# the camera's frame belong to the pixels as the sensor delivered them.
_COLOR = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION


def decode_compressed(msg: Any) -> NDArray[np.uint8]:
    """The picture of a sensor_msgs/CompressedImage (JPEG, PNG) as (H, W, 3) uint8 RGB, contiguous.

    Gray becomes RGB, 16 bits become 8. The format field is not asked: the bytes say what they are.

    Raises:
        ImageError: the bytes are not a picture, or not the whole of one.
    """
    return np.asarray(cv2.cvtColor(decode_bytes(msg, _COLOR), cv2.COLOR_BGR2RGB), np.uint8)


def decode_bytes(msg: Any, flags: int, start: int = 0) -> NDArray[Any]:
    """The picture of a CompressedImage, from byte `start`, as cv2.imdecode gives it."""
    data = np.frombuffer(msg.data, np.uint8)[start:]
    picture = None
    cause: Exception | None = None
    if len(data) > 0 and not _is_cut_short(data):
        try:
            picture = cv2.imdecode(data, flags)
        except cv2.error as error:  # for instance a header that claims billions of pixels
            cause = error
    if picture is None:
        raise ImageError(
            "The compressed image cannot be decoded",
            found=f"{len(data)} bytes that begin with {data[:8].tobytes()!r}, "
            f"format '{msg.format}'",
            expected="a whole JPEG or PNG",
            fix="Look at the publisher; with image_transport choose `compressed`, "
            "not `compressedDepth` or `theora`.",
        ) from cause
    return picture


def _is_cut_short(data: NDArray[np.uint8]) -> bool:
    """A JPEG without its end: OpenCV 4 would fill the rest with gray, a wall to the network."""
    content = data.tobytes()
    return content.startswith(b"\xff\xd8") and b"\xff\xd9" not in content
