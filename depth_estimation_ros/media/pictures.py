"""Picture files, alone or in a folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from depth_estimation_ros.errors import MediaError
from depth_estimation_ros.media.exif import focal_in_35mm
from depth_estimation_ros.media.media import Kind, MediaFrame, Rgb
from depth_estimation_ros.media.picture_header import NEITHER, why_not_decodable

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")

DEPTH_TITLE = "Depth of "
"""How the title begins in the first text of a PNG of depth that this package wrote."""

_LARGEST_PIXELS = 1 << 28  # phones have 200 million
_PNG = b"\x89PNG\r\n\x1a\n"
_FIRST_TEXT = 37  # behind 8 bytes of signature, 25 of IHDR, the length of the text


class Picture:
    """One picture file."""

    kind: Kind = "picture"

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.path = path
        self.count = 1
        self.unreadable: list[str] = []
        self.notes: list[str] = []

    def frames(self) -> Iterator[MediaFrame]:
        """The one picture."""
        yield _frame(self.path)

    def samples(self, count: int) -> list[MediaFrame]:
        """The picture."""
        return [_frame(self.path)][:count]

    @property
    def tells_focal(self) -> bool:
        """By its EXIF."""
        return focal_in_35mm(self.path) is not None


class Folder:
    """The pictures of a folder, without its subfolders, in the order in which people count.

    Depth maps (16-bit PNG without colour), which data sets keep beside their pictures, are no
    pictures, and depth in colours that this package wrote is none. A broken picture is passed over,
    and listed in `unreadable`.

    Raises:
        MediaError: the folder cannot be read, or there is no picture in it.
    """

    kind: Kind = "folder"

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.path = path
        self.unreadable: list[str] = []
        self.notes: list[str] = []
        try:
            found = [f for f in path.iterdir() if f.suffix.lower() in PICTURES and f.is_file()]
        except OSError as error:
            raise MediaError(f"The folder {path} cannot be read ({error.strerror})") from error
        self.paths = sorted((f for f in found if not _is_depth_map(f)), key=_natural_order)
        self.count = len(self.paths)
        if depth_maps := len(found) - self.count:
            self.notes.append(f"{path}: {depth_maps} depth maps were passed over")
        if not self.paths:
            raise MediaError(
                f"The folder {path}",
                found="only depth maps" if found else "no picture",
                expected=f"files that end in {', '.join(PICTURES)}",
                fix="Subfolders are not looked into: name each of them",
            )

    def frames(self) -> Iterator[MediaFrame]:
        """The pictures that can be read."""
        self.unreadable.clear()
        for path in self.paths:
            try:
                frame = _frame(path)
            except MediaError as error:
                self.unreadable.append(str(error))
                continue
            yield frame

    def samples(self, count: int) -> list[MediaFrame]:
        """Readable ones among evenly spaced pictures."""
        frames = []
        for index in spread(self.count, count):
            with suppress(MediaError):
                frames.append(_frame(self.paths[index]))
        return frames

    @property
    def tells_focal(self) -> bool:
        """By the EXIF of all of them."""
        return all(focal_in_35mm(path) is not None for path in self.paths)


def read_picture(path: Path) -> Rgb:
    """A picture file as (H, W, 3) uint8 RGB, upright; of more than 8 bits the upper 8.

    Raises:
        MediaError: the file is not there, or no picture.
    """
    try:
        data = np.fromfile(path, np.uint8)  # not cv2.imread: it cannot say why, nor read any name
        why = why_not_decodable(data.tobytes(), _LARGEST_PIXELS)
        good = data.size > 0 and why in ("", NEITHER)
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if good else None
    except (OSError, cv2.error) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "err", None) or error
        raise MediaError(f"The picture {path} cannot be read ({reason})") from error
    if picture is None:
        raise MediaError(
            f"The picture {path} cannot be read by OpenCV",
            found=f"{data.size} bytes that are no picture ({why or 'damaged'})"
            if data.size
            else "an empty file",
            expected=f"one of {', '.join(PICTURES)}, whole",
        )
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def _frame(path: Path) -> MediaFrame:
    return MediaFrame(read_picture(path), 0, path.name, focal_in_35mm(path))


def spread(count: int, wanted: int) -> list[int]:
    """Up to `wanted` of the numbers 0 ... count - 1, evenly spaced around the middle."""
    wanted = min(wanted, count)
    return [(2 * i + 1) * count // (2 * wanted) for i in range(wanted)]


def _natural_order(path: Path) -> list[tuple[int, int, str]]:
    """frame2 before frame10: runs of digits count as numbers; the name itself settles the rest."""
    pieces = re.findall(r"\d+|\D+", path.name.casefold())
    key = [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in pieces]
    return [*key, (2, 0, path.name)]


def _is_depth_map(path: Path) -> bool:
    """By the header of PNG (ISO 15948): 16 bits, colour type 0 (grey); or by our own title."""
    title = b"tEXtTitle\x00" + DEPTH_TITLE.encode()
    try:
        with path.open("rb") as file:
            head = file.read(_FIRST_TEXT + len(title))
    except OSError:
        return False
    grey = head[24:26] == b"\x10\x00"
    return head.startswith(_PNG) and (grey or head[_FIRST_TEXT:] == title)
