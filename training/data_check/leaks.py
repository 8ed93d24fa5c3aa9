"""Whether validation sees what was trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.data_check.survey import SetSurvey


@dataclass(frozen=True)
class Source:
    """Where the frames of a set are from: two sets of one source may share frames."""

    label: str
    layout: str
    path: Path
    found: SetSurvey

    def frames(self) -> set[tuple[str, Path, str]]:
        """Each frame of the whole set, also of those not read."""
        samples = self.found.samples
        where = self.layout, self.path.resolve()
        return {(*where, samples.frame_name(i)) for i in range(len(samples))}


def leaks(training: Sequence[Source], validation: Sequence[Source]) -> Iterator[str]:
    """Warnings where validation frames are training frames, copies of them, or their neighbours.

    Copies at another path are found among the frames that were read. Neighbours are frames whose
    names begin with the same folder, such as a drive.
    """
    for held_out in validation:
        held = held_out.frames()
        held_pictures = {frame.rgb_digest for frame in held_out.found.frames}
        for trained in training:
            pair = f"validation {held_out.label} and training {trained.label}"
            learnt = trained.frames()
            shared = held & learnt
            copies = held_pictures & {frame.rgb_digest for frame in trained.found.frames}
            scenes = {(*where, name.split("/")[0]) for *where, name in learnt if "/" in name}
            near = {frame for frame in held if (*frame[:2], frame[2].split("/")[0]) in scenes}
            if shared:
                yield f"{pair} share {len(shared)} of {len(held)} frames"
            elif copies:
                yield f"{pair} share {len(copies)} pictures, of those looked at"
            elif near:
                yield f"{pair}: {len(near)} of {len(held)} frames are from the same recordings"
