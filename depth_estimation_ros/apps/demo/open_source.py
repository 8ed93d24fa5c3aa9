"""How the demo tells one kind of input from another."""

from __future__ import annotations

from pathlib import Path

from depth_estimation_ros.apps.demo.bag_source import BagSource
from depth_estimation_ros.apps.demo.picture_sources import PictureSource
from depth_estimation_ros.apps.demo.sources import Source, SourceOptions
from depth_estimation_ros.errors import BagError
from depth_estimation_ros.media.images import IMAGE_SUFFIXES
from depth_estimation_ros.media.video import VIDEO_SUFFIXES, is_camera, open_media

BUNDLED_BAG = Path(__file__).parent / "bag"
BAG_FILES = (".mcap", ".db3", ".bag")


def open_source(options: SourceOptions) -> Source:
    """The source for what the user named.

    Raises:
        BagError: it does not exist, is not understood, or holds no image.
        MediaError: a picture, video or camera cannot be read.
    """
    name = options.input
    if is_camera(name):
        return PictureSource(open_media(name), options)
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
    if suffix in IMAGE_SUFFIXES + VIDEO_SUFFIXES:
        return PictureSource(open_media(str(path)), options)
    raise BagError(
        f"The demo's input {path}",
        found=f"a file that ends in '{suffix}'",
        expected=f"a bag (directory, {', '.join(BAG_FILES)}), "
        f"an image ({', '.join(IMAGE_SUFFIXES)}) or "
        f"a video ({', '.join(VIDEO_SUFFIXES)})",
    )
