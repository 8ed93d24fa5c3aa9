"""Scenes of a training set that are kept for validation, where the authors of a set name none.

What a run is chosen by must not be what it is scored on: the test split of a data set is for
``evaluate`` alone.
"""

from __future__ import annotations

import zlib

from depth_estimation_ros.errors import DatasetError
from training.data.sample import Sample, SampleSet


class Scenes(SampleSet):
    """The frames of some scenes of another set, in its order.

    Which scenes are held out depends on their names alone, so that the kept and the held out of one
    data set never meet, and are the same on every machine.

    Args:
        samples: the whole set.
        share: of the scenes that are held out, between 0 and 1; one scene at least.
        held_out: True for the scenes that are held out, False for all others.

    Raises:
        DatasetError: if no scene is left.
    """

    def __init__(self, samples: SampleSet, share: float, held_out: bool) -> None:
        self.samples = samples
        self.name = f"{samples.name} ({'held-out' if held_out else 'kept'} scenes)"
        self.cap_m, self.crop = samples.cap_m, samples.crop
        scenes = [samples.scene_name(index) for index in range(len(samples))]
        chosen = _held_out(set(scenes), share)
        self.indices = [i for i, scene in enumerate(scenes) if (scene in chosen) == held_out]
        if not self.indices:
            raise DatasetError(
                f"{self.name}: holdout {share} leaves nothing",
                found=f"{len(set(scenes))} scene(s)",
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


def _held_out(scenes: set[str], share: float) -> set[str]:
    # By a checksum, which unlike Python's own hash is the same in every process.
    shuffled = sorted(scenes, key=lambda scene: (zlib.crc32(scene.encode()), scene))
    return set(shuffled[: max(1, round(share * len(scenes)))])
