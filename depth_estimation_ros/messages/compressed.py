"""CompressedImage messages: JPEG and PNG."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from depth_estimation_ros.errors import ImageError
from depth_estimation_ros.media.picture_header import MAX_PIXELS, why_not_decodable

# The orientation that a phone or action camera writes beside a JPEG is for people; calibration and
# the camera's frame belong to the pixels as the sensor delivered them.
_COLOR = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION


def decode_compressed(msg: Any, largest: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """The picture of a sensor_msgs/CompressedImage (JPEG, PNG) as (H, W, 3) uint8 RGB, contiguous.

    Gray becomes RGB, 16 bits become 8. The format field is not asked: the bytes say what they are.

    Raises:
        ImageError: the bytes are not a JPEG or PNG, not the whole of one, or declare a size that
            they cannot hold or more than `largest` pixels: nothing is allocated for it.
    """
    picture = decode_bytes(msg, _COLOR, largest=largest)
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def decode_bytes(msg: Any, flags: int, start: int = 0, largest: int = MAX_PIXELS) -> NDArray[Any]:
    """The picture of a CompressedImage, from byte `start`, as cv2.imdecode gives it.

    Raises:
        ImageError: as `decode_compressed`.
    """
    data = np.frombuffer(msg.data, np.uint8)[start:]
    why = why_not_decodable(data.tobytes(), largest) if len(data) > 0 else "no bytes"
    picture = None
    cause: Exception | None = None
    if not why:
        why = "damaged bytes"
        try:
            picture = cv2.imdecode(data, flags)
        except cv2.error as error:
            cause = error
    if picture is None:
        raise ImageError(
            "The compressed image cannot be decoded",
            found=f"{len(data)} bytes that begin with {data[:8].tobytes()!r}, "
            f"format '{msg.format}': {why}",
            expected=f"a whole JPEG or PNG of at most {largest} pixels",
            fix="Look at the publisher; with image_transport choose `compressed`, not "
            "`compressedDepth` or `theora`. How many pixels the node takes, its parameter "
            "max_image_pixels says.",
        ) from cause
    return picture
