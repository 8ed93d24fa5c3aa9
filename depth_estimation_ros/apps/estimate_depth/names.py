"""Where the files of each input go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from depth_estimation_ros.apps.estimate_depth.outputs import ending
from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.media.images import ImageFile, ImageFolder, Media

SUMMARY = "summary.json"


@dataclass(frozen=True)
class Place:
    """Where the files of one input go.

    Attributes:
        folder: of its files for frames.
        stem: what the names begin with; empty where the frames have names of their own.
        video: the side-by-side video; None for pictures.
        whole_names: frames whose names keep their ending.
    """

    folder: Path
    stem: str
    video: Path | None
    whole_names: frozenset[str]

    def path(self, frame: str, kind: str, png_scale: float) -> Path:
        """The file of a kind for the frame of this name."""
        return self.folder / (self._begin(frame) + ending(kind, png_scale))

    def _begin(self, name: str) -> str:
        """kitchen of kitchen.jpg, unless a kitchen.png stands beside it."""
        return self.stem or (name if name in self.whole_names else Path(name).stem)


def planned(media: Media, place: Place, kinds: Sequence[str], png_scale: float) -> list[Path]:
    """What this input will write, as far as is known: of a video's frames their folder."""
    if isinstance(media, ImageFile | ImageFolder):
        names = [path.name for path in getattr(media, "paths", [Path(media.name)])]
        return [place.path(name, kind, png_scale) for name in names for kind in kinds]
    per_frame = [kind for kind in kinds if kind != "side-by-side"]
    video = [place.video] if place.video and "side-by-side" in kinds else []
    return video + ([place.folder] if per_frame else [])


def places(inputs: list[Media], out: Path, *, alone: bool) -> list[Place]:
    """A place for each input, all different, whatever their names.

    A picture goes into `out`; a folder into `out` if it is `alone`, else into a folder of its name;
    the frames of a video or camera into a folder of its name.
    """
    taken: set[str] = set()
    return [_place(media, out, taken, alone) for media in inputs]


def refuse_existing(paths: list[Path]) -> None:
    """Raises ParameterError if one of the files is there."""
    existing = [path for path in paths if path.exists()]
    if existing:
        more = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
        raise ParameterError(
            "--out",
            found=f"{existing[0]}{more}, from an earlier run",
            expected="no file of that name",
            fix="Give another --out, or --overwrite to replace them",
        )


def _place(media: Media, out: Path, taken: set[str], alone: bool) -> Place:
    path = Path(media.name)
    if media.kind == "image":
        return Place(out, _free(path.stem, taken), None, frozenset())
    if isinstance(media, ImageFolder):
        stems = Counter(picture.stem.casefold() for picture in media.paths)
        twice = frozenset(p.name for p in media.paths if stems[p.stem.casefold()] > 1)
        folder = out if alone else out / _free(path.resolve().name, taken)
        return Place(folder, "", None, twice)
    name = path.stem if media.kind == "video" and "://" not in media.name else media.name
    plain = "".join(c if c.isalnum() or c in "-_." else "_" for c in name).strip("._") or "video"
    begin = _free(plain, taken)
    return Place(out / begin, "", out / f"{begin}_side_by_side.mp4", frozenset())


def _free(name: str, taken: set[str]) -> str:
    """The name, or name_2, name_3, ... if it is taken; compared as file systems of Windows do."""
    number, free = 1, name
    while free.casefold() in taken:
        number += 1
        free = f"{name}_{number}"
    taken.add(free.casefold())
    return free
