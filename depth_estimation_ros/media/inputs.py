"""How one kind of input is told from another."""

from __future__ import annotations

from pathlib import Path

from depth_estimation_ros.errors import MediaError
from depth_estimation_ros.media.media import Media
from depth_estimation_ros.media.pictures import PICTURES, Folder, Picture
from depth_estimation_ros.media.videos import VIDEOS, Camera, Video


def open_media(source: str) -> Media:
    """The input that the user named.

    Args:
        source: path of a picture, folder or video; number (0) or device (/dev/video0) of a camera;
            or the address of a stream (rtsp://...).

    Raises:
        MediaError: it does not exist, or is none of these.
    """
    if is_camera(source):
        return Camera(source)
    if "://" in source:
        return Video(source)
    path = Path(source).expanduser()
    suffix = path.suffix.lower()
    if path.is_dir():
        return Folder(path)
    if not path.exists():
        raise MediaError(
            f"The input {path}",
            found="nothing there",
            expected="a picture, a folder of pictures, a video, or the number of a camera",
            fix="Check the path",
        )
    if suffix in PICTURES:
        return Picture(path)
    if suffix in VIDEOS:
        return Video(str(path))
    raise MediaError(
        f"The input {path}",
        found=f"a file that ends in '{suffix}'",
        expected=f"a picture ({', '.join(PICTURES)}) or a video ({', '.join(VIDEOS)})",
        fix="Recordings of ROS are for the command replay"
        if suffix in (".bag", ".mcap", ".db3")
        else None,
    )


def is_camera(source: str) -> bool:
    """Whether this names a camera of this machine: 0, 1, ... or /dev/video0."""
    return source.isdecimal() or source.startswith("/dev/video")
