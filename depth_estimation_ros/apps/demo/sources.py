"""What every input of the demo gives: images, their CameraInfo, and true depth if it is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.bags import stamp_of

CAMERA_FRAMES = 100  # a camera has no end, the demo has

NO_CAMERA_INFO = (
    "no CameraInfo: no point cloud, and the scale of the depth is a guess. "
    "Give the horizontal field of view in degrees with --hfov to have both"
)


@dataclass(frozen=True)
class SourceOptions:
    """The input as the user names it; goes to the player as JSON."""

    input: str = ""
    """Path of a bag, video file or picture; number or device of a camera; empty: bundled bag."""
    image_topic: str = ""
    camera_info_topic: str = ""
    ground_truth_topic: str = ""
    """Depth to compare with; "none" for no comparison."""
    hfov_deg: float = 0.0
    """Horizontal field of view, degrees, where there is no CameraInfo; 0 is unknown."""
    frames: int = 0
    """Play at most so many; 0 is all of them."""


@dataclass(frozen=True)
class Frame:
    """One image on its way into the graph, as serialised messages (CDR)."""

    image: bytes
    camera_info: bytes | None

    @property
    def stamp_ns(self) -> int:
        """The header's stamp, nanoseconds."""
        return stamp_of(self.image)


class Source(Protocol):
    """Something that can be played, from its beginning, as often as one likes."""

    name: str
    transport: str
    """raw (sensor_msgs/Image) or compressed (sensor_msgs/CompressedImage)."""
    has_camera_info: bool
    frame_count: int
    """As far as it is known beforehand; 0 is unknown."""
    notes: list[str]
    """What the user should know about how this input is understood."""

    def frames(self) -> Iterator[Frame]:
        """The images, with the CameraInfo that belongs to each if there is one."""
        ...

    def ground_truth(self) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        """Stamps in nanoseconds and true depth (H, W) in metres; nothing if none is known."""
        ...
