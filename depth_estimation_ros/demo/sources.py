"""What the demo can play, and how it tells one kind of input from another."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.errors import BagError

BUNDLED_BAG = Path(__file__).parent / "bag"
CAMERA_FRAMES = 100  # a camera has no end, the demo has

NO_CAMERA_INFO = (
    "no CameraInfo: no point cloud, and the scale of the depth is a guess. "
    "Give the horizontal field of view in degrees with --hfov to have both"
)

BAG_FILES = (".mcap", ".db3", ".bag")
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")


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


def open_source(options: SourceOptions) -> Source:
    """The source for what the user named.

    Raises:
        BagError: it does not exist, is not understood, or holds no image.
    """
    # Each kind has its own file and imports; only the one that is asked for is loaded.
    from depth_estimation_ros.demo.bag_source import BagSource
    from depth_estimation_ros.demo.picture_sources import CameraSource, PictureSource, VideoSource

    name = options.input
    if name.isdecimal() or name.startswith("/dev/video"):
        return CameraSource(options)
    path = Path(name).expanduser() if name else BUNDLED_BAG
    if not path.exists():
        raise BagError(
            f"The demo's input {path}",
            found="nothing there",
            expected="a bag, video file, picture or camera",
            fix="Give its path with --input (make demo INPUT=...)",
        )
    suffix = path.suffix.lower()
    if path.is_dir() or suffix in BAG_FILES:
        return BagSource(path, options)
    if suffix in PICTURES:
        return PictureSource(path, options)
    if suffix in VIDEOS:
        return VideoSource(path, options)
    raise BagError(
        f"The demo's input {path}",
        found=f"a file that ends in '{suffix}'",
        expected=f"a bag (directory, {', '.join(BAG_FILES)}), a picture ({', '.join(PICTURES)}) or "
        f"a video ({', '.join(VIDEOS)})",
    )


def stamp_of(cdr: bytes) -> int:
    """The stamp in nanoseconds of a serialised message that begins with a Header."""
    order = "<" if cdr[1] & 1 else ">"
    sec, nanosec = struct.unpack_from(f"{order}iI", cdr, 4)
    return int(sec) * 1_000_000_000 + int(nanosec)
