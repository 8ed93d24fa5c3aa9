"""What every kind of input gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Rgb = npt.NDArray[np.uint8]
Kind = Literal["picture", "folder", "video", "camera"]


class MediaFrame(NamedTuple):
    """One picture of an input.

    Attributes:
        rgb: (H, W, 3) uint8, upright as the camera's orientation mark says.
        stamp_ns: nanoseconds: since the beginning of a video, since 1970 for a camera, 0 for a
            picture.
        name: of a picture its file's name; of others the frame's number, as 000012.
        focal_35mm: focal length in millimetres of 35 mm film, as a JPEG's EXIF says.
    """

    rgb: Rgb
    stamp_ns: int
    name: str
    focal_35mm: float | None = None


class Media(Protocol):
    """An input that was found to be there, and of its kind.

    Attributes:
        name: as the user would know it.
        kind: which of the four.
        count: how many frames `frames` gives, as far as is known; a video's own claim may be wrong,
            and None is unknown.
        unreadable: what could not be read so far, one line each.
        notes: what the user should know about how the input is understood.
    """

    name: str
    unreadable: list[str]
    notes: list[str]

    @property
    def kind(self) -> Kind: ...

    @property
    def count(self) -> int | None: ...

    @property
    def tells_focal(self) -> bool:
        """Whether every frame will have a `focal_35mm`."""
        ...

    def frames(self) -> Iterator[MediaFrame]:
        """The pictures, one after the other, from the first.

        Raises:
            MediaError: the picture, video or camera cannot be read.
        """
        ...

    def samples(self, count: int) -> list[MediaFrame]:
        """Up to so many frames from all over the input; none where one cannot look ahead."""
        ...
