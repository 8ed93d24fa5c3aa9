"""Scenes of a training set that are kept for validation, where the authors of a set name none.

What a run is chosen by must not be what it is scored on: the test split of a data set is for
``evaluate`` alone.
"""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.errors import DatasetError
from training.data.sample import Sample, SampleSet

BLOCK = 10  # frames, at the least, of a block that is held out
GAP = 0.25  # lengths of a block that separate it from the kept frames


class Scenes(SampleSet):
    """The kept or the held-out frames of another set, in its order.

    Sets that know their scenes are split by scene: which ones are held out depends on their names
    alone, so it is the same on every machine. In other sets neighbouring frames look alike, so
    blocks of consecutive frames are held out, evenly spaced, and the frames next to a block are in
    neither part.

    Args:
        samples: the whole set.
        share: of the scenes or frames that are held out, between 0 and 1; one scene at least.
        held_out: True for the frames that are held out, False for the kept ones.
        at_end: hold out the last frames in one block, as a robot learns from the past.

    Raises:
        DatasetError: if no frame is left.
    """

    def __init__(
        self, samples: SampleSet, share: float, held_out: bool, *, at_end: bool = False
    ) -> None:
        self.samples = samples
        self.name = f"{samples.name} ({'held out' if held_out else 'kept'})"
        self.cap_m, self.crop = samples.cap_m, samples.crop
        scenes = [samples.scene_name(index) for index in range(len(samples))]
        if at_end:
            part = _end(len(samples), share)[int(held_out)]
        elif len(set(scenes)) == len(scenes):
            part = _blocks(len(samples), share)[int(held_out)]
        else:
            chosen = _held_out(set(scenes), share)
            part = np.flatnonzero([(scene in chosen) == held_out for scene in scenes])
        self.indices = [int(index) for index in part]
        if not self.indices:
            raise DatasetError(
                f"{self.name}: holdout {share} leaves nothing",
                found=f"{len(samples)} frame(s) of {len(set(scenes))} scene(s)",
                fix="Choose another share, or name a data set of its own under data: validation.",
            )

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[self.indices[index]]

    def frame_name(self, index: int) -> str:
        return self.samples.frame_name(self.indices[index])

    def scene_name(self, index: int) -> str:
        return self.samples.scene_name(self.indices[index])


def _blocks(frames: int, share: float) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the indices that are kept and those held out, with gaps between the two."""
    count = max(1, round(share * frames / BLOCK))
    length = share * frames / count
    # In the middle of equal parts: the first and last frames of a set are kept.
    middle = (np.arange(count) + 0.5) * frames / count - 0.5
    distance = np.abs(np.arange(frames)[:, None] - middle).min(axis=1)
    held_out = distance <= length / 2
    return np.flatnonzero(distance > length / 2 + GAP * length), np.flatnonzero(held_out)


def _end(frames: int, share: float) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the indices of the first part and of the last, with a gap between the two."""
    start = frames - max(1, round(share * frames))
    gap = round(GAP * (frames - start))
    return np.arange(max(0, start - gap)), np.arange(start, frames)


def _held_out(scenes: set[str], share: float) -> set[str]:
    # By a checksum, which unlike Python's own hash is the same in every process.
    shuffled = sorted(scenes, key=lambda scene: (zlib.crc32(scene.encode()), scene))
    return set(shuffled[: max(1, round(share * len(scenes)))])
