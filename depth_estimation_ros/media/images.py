"""Image files and folders, and what their headers say before a decoder allocates anything.

A decoder allocates what the header asks for, and OpenCV stops only at 2**30 pixels: 2 kB of JPEG
that declare 30000 x 30000 take 5 GB and 12 s, and give an image.
"""

from __future__ import annotations

import io
import math
import struct
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from depth_estimation_ros.errors import MediaError
from depth_estimation_ros.utils.files import natural_order

Rgb = NDArray[np.uint8]
MediaKind = Literal["image", "folder", "video", "camera"]

MAX_PIXELS = 1 << 26
"""8192 x 8192; twice the image of an 8K camera."""

DEFAULT_MAX_PIXELS = 4096 * 3072
"""The node's default limit: 1.5 times a 4K image. Half a gigabyte of memory is enough for depth,
cloud and colors of that size."""

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")

DEPTH_TITLE = "Depth of "
"""Start of the PNG text "Title" of the depth images that this package writes."""

FILM_DIAGONAL_MM = math.hypot(36.0, 24.0)

_MAX_FILE_PIXELS = 1 << 28  # phones have 200 million
_MAX_HEADER_BYTES = 1 << 20  # of a message; bounds the time that a made-up header takes to 1 s
_NO_IMAGE = "neither a JPEG nor a PNG"

_PNG = b"\x89PNG\r\n\x1a\n"
_MAX_CHUNKS = 100_000  # of 8 kB each, as libpng writes them, 800 MB
_PNG_PIXELS_PER_BYTE = 8 * 1032  # RFC 1951: 258 bytes by two codes of one bit; pixels of one bit

_JPEG = b"\xff\xd8"
_START_OF_SCAN, _END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"
_MAX_SCANS = 100  # progressive files have about ten; each costs a pass over the whole image
_JPEG_PIXELS_PER_BYTE = 1024  # a block of 64 pixels takes at least one bit; half of that

_EXIF_IFD, _FOCAL_LENGTH_IN_35MM = 0x8769, 0xA405  # Exif 2.32, CIPA DC-008


class MediaFrame(NamedTuple):
    """One image of an input.

    Attributes:
        rgb: (H, W, 3) uint8, upright as the EXIF orientation says.
        stamp_ns: nanoseconds since the start of a video, since 1970 for a camera, 0 for an image.
        name: file name of an image; frame number of others, as 000012.
        focal_35mm: focal length in millimetres of 35 mm film by the EXIF of a JPEG.
    """

    rgb: Rgb
    stamp_ns: int
    name: str
    focal_35mm: float | None = None


class Media(Protocol):
    """An input: image, folder, video or camera.

    Attributes:
        name: as the user knows it.
        kind: which of the four.
        count: number of frames as far as known; a video's own claim may be wrong; None: unknown.
        unreadable: what could not be read so far, one line each.
        notes: what the user should know about how the input is understood.
    """

    name: str
    unreadable: list[str]
    notes: list[str]

    @property
    def kind(self) -> MediaKind: ...

    @property
    def count(self) -> int | None: ...

    @property
    def has_focal_length(self) -> bool:
        """Whether every frame will have a `focal_35mm`."""
        ...

    def frames(self) -> Iterator[MediaFrame]:
        """Yield the frames from the first on.

        Raises:
            MediaError: the image, video or camera cannot be read.
        """
        ...

    def samples(self, count: int) -> list[MediaFrame]:
        """Return up to `count` frames from all over the input; none where that is impossible."""
        ...


class ImageFile:
    """One image file."""

    kind: MediaKind = "image"

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.path = path
        self.count = 1
        self.unreadable: list[str] = []
        self.notes: list[str] = []

    def frames(self) -> Iterator[MediaFrame]:
        """Yield the image."""
        yield _read_frame(self.path)

    def samples(self, count: int) -> list[MediaFrame]:
        """Return the image."""
        return [_read_frame(self.path)][:count]

    @property
    def has_focal_length(self) -> bool:
        """Whether its EXIF has one."""
        return focal_in_35mm(self.path) is not None


class ImageFolder:
    """The images of a folder, without its subfolders, in natural order (frame2 before frame10).

    16-bit gray PNG are taken for the depth maps of a data set and skipped, as are the depth images
    that this package wrote. Broken images are skipped and listed in `unreadable`.

    Raises:
        MediaError: the folder cannot be read, or has no image.
    """

    kind: MediaKind = "folder"

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.path = path
        self.unreadable: list[str] = []
        self.notes: list[str] = []
        try:
            found = [f for f in path.iterdir() if f.suffix.lower() in IMAGE_SUFFIXES]
            found = [f for f in found if f.is_file()]
        except OSError as error:
            raise MediaError(f"The folder {path} cannot be read ({error.strerror})") from error
        self.paths = sorted((f for f in found if not _is_depth_map(f)), key=natural_order)
        self.count = len(self.paths)
        if depth_maps := len(found) - self.count:
            self.notes.append(f"{path}: {depth_maps} depth maps were skipped")
        if not self.paths:
            raise MediaError(
                f"The folder {path}",
                found="only depth maps" if found else "no image",
                expected=f"files that end in {', '.join(IMAGE_SUFFIXES)}",
                fix="Subfolders are not searched: name each of them",
            )

    def frames(self) -> Iterator[MediaFrame]:
        """Yield the images that can be read."""
        self.unreadable.clear()
        for path in self.paths:
            try:
                frame = _read_frame(path)
            except MediaError as error:
                self.unreadable.append(str(error))
                continue
            yield frame

    def samples(self, count: int) -> list[MediaFrame]:
        """Return the readable ones of evenly spaced images."""
        frames = []
        for index in evenly_spaced(self.count, count):
            with suppress(MediaError):
                frames.append(_read_frame(self.paths[index]))
        return frames

    @property
    def has_focal_length(self) -> bool:
        """Whether the EXIF of all of them has one."""
        return all(focal_in_35mm(path) is not None for path in self.paths)


def read_image(path: Path) -> Rgb:
    """Read an image file as (H, W, 3) uint8 RGB, upright; of more than 8 bits the upper 8.

    Raises:
        MediaError: the file is missing, or not an image.
    """
    try:
        data = np.fromfile(path, np.uint8)  # cv2.imread does not say why it fails
        problem = encoded_image_problem(data.tobytes(), _MAX_FILE_PIXELS, max_header=None)
        decodable = data.size > 0 and problem in ("", _NO_IMAGE)  # or WebP, BMP, TIFF
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if decodable else None
    except (OSError, cv2.error) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "err", None) or error
        raise MediaError(f"The image {path} cannot be read ({reason})") from error
    if bgr is None:
        raise MediaError(
            f"The image {path} cannot be read by OpenCV",
            found=f"{data.size} bytes that are no image ({problem or 'damaged'})"
            if data.size
            else "an empty file",
            expected=f"a complete file that ends in {', '.join(IMAGE_SUFFIXES)}",
        )
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def encoded_image_problem(
    content: bytes, max_pixels: int = MAX_PIXELS, *, max_header: int | None = _MAX_HEADER_BYTES
) -> str:
    """Return why a JPEG or PNG must not be decoded, as far as its header tells; "" if it may.

    It is another format, declares more than `max_pixels` pixels or more than its bytes can hold,
    is cut off, has more scans or chunks than a camera writes, or a header of more than
    `max_header` bytes.
    """
    is_png = content.startswith(_PNG)
    if not is_png and not content.startswith(_JPEG):
        return _NO_IMAGE
    if is_png and (problem := _png_problem(content)):
        return problem
    # A node of raw images does without Pillow: 0.1 s of its start.
    from PIL.JpegImagePlugin import JpegImageFile
    from PIL.PngImagePlugin import PngImageFile

    start = io.BytesIO(content[:max_header])
    try:  # neither reads further than the header
        width, height = (PngImageFile(start) if is_png else JpegImageFile(start)).size
    except (OSError, SyntaxError, ValueError):  # as Pillow calls damaged files
        return f"a {'PNG' if is_png else 'JPEG'} with a damaged header"
    pixels_per_byte = _PNG_PIXELS_PER_BYTE if is_png else _JPEG_PIXELS_PER_BYTE
    if width * height > max_pixels:
        return f"an image that declares {width} x {height}, more than {max_pixels} pixels"
    if width * height > len(content) * pixels_per_byte:
        return f"an image that declares {width} x {height}, more than it can hold"
    return "" if is_png else _jpeg_problem(content, start.tell())


def _png_problem(content: bytes) -> str:
    """Check the lengths of all chunks: a decoder allocates one that says 1 GB before it reads it.

    Pillow's `verify` computes each checksum: 1.4 ms for 640 x 480, this 0.02 ms.
    """
    at = len(_PNG)
    for _ in range(_MAX_CHUNKS):
        if at + 12 > len(content):
            return "a PNG that is cut off"
        length, kind = struct.unpack_from(">I4s", content, at)
        at += 12 + length  # with its length, name and checksum
        if at > len(content):
            return "a PNG that is cut off"
        if kind == b"IEND":
            return ""
    return f"a PNG of more than {_MAX_CHUNKS} chunks"


def _jpeg_problem(content: bytes, first_scan: int) -> str:
    if content.find(_END_OF_IMAGE, first_scan) < 0:
        # OpenCV 4 would fill the rest with gray, a wall to the network.
        return "a JPEG that is cut off"
    if content.count(_START_OF_SCAN, first_scan) >= _MAX_SCANS:
        return f"a JPEG of more than {_MAX_SCANS} scans"
    return ""


def focal_in_35mm(path: Path) -> float | None:
    """Return the focal length of a JPEG file in millimetres of 35 mm film; None if unknown."""
    from PIL.JpegImagePlugin import JpegImageFile

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged EXIF
            with JpegImageFile(path) as image:
                value = image.getexif().get_ifd(_EXIF_IFD).get(_FOCAL_LENGTH_IN_35MM)
        return float(value) or None  # 0 is "unknown"
    except Exception:  # EXIF holds anything, and Pillow raises anything
        return None


def focal_px(focal_35mm: float, width: int, height: int) -> float:
    """Convert millimetres of 35 mm film to pixels of an image.

    Equivalent means the same diagonal field of view (CIPA DCG-001), also for images of 4:3.
    """
    return focal_35mm * math.hypot(width, height) / FILM_DIAGONAL_MM


def hfov_deg(focal_35mm: float, width: int, height: int) -> float:
    """Return the horizontal field of view in degrees that belongs to `focal_px`."""
    return math.degrees(2 * math.atan2(width / 2, focal_px(focal_35mm, width, height)))


def evenly_spaced(count: int, wanted: int) -> list[int]:
    """Return up to `wanted` of the numbers 0 ... count - 1, evenly spaced around the middle."""
    wanted = min(wanted, count)
    return [(2 * i + 1) * count // (2 * wanted) for i in range(wanted)]


def _read_frame(path: Path) -> MediaFrame:
    return MediaFrame(read_image(path), 0, path.name, focal_in_35mm(path))


def _is_depth_map(path: Path) -> bool:
    """Return whether a file is a 16-bit gray PNG, or one with the title of this package."""
    from PIL.PngImagePlugin import PngImageFile

    try:
        with PngImageFile(path) as image:
            title = str(image.info.get("Title", ""))
            return image.mode.startswith("I") or title.startswith(DEPTH_TITLE)
    except (OSError, SyntaxError, ValueError):
        return False
