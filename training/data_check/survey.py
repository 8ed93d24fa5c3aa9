"""Numbers of a data set, from some of its frames."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.errors import DepthEstimationError
from training.data.sample import Sample, SampleSet

DEPTHS_KEPT = 4096  # of each frame: enough for percentiles and a histogram


@dataclass(frozen=True, eq=False)
class FrameSurvey:
    """What is kept of one frame.

    Attributes:
        index: in its set.
        size: (height, width), pixels.
        valid: share of pixels with a finite depth.
        beyond: share of pixels beyond range (+Inf).
        depths: float32 metres of some of the valid pixels.
        constant: all valid pixels have one depth.
        intrinsics: (fx, fy, cx, cy) in pixels, or None.
        rgb_digest: of the picture; equal pictures have equal ones.
    """

    index: int
    size: tuple[int, int]
    valid: float
    beyond: float
    depths: npt.NDArray[np.float32]
    constant: bool
    intrinsics: tuple[float, float, float, float] | None
    rgb_digest: bytes

    @property
    def hfov_deg(self) -> float | None:
        """Horizontal field of view of a camera with its principal point in the middle."""
        if self.intrinsics is None:
            return None
        return math.degrees(2.0 * math.atan(0.5 * self.size[1] / self.intrinsics[0]))


@dataclass
class SetSurvey:
    """What is known of a set after some frames of it were read.

    ``unreadable`` holds the errors of frames that could not be read, by frame name.
    """

    samples: SampleSet
    frames: list[FrameSurvey] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)

    @property
    def depths(self) -> npt.NDArray[np.float32]:
        """Valid depths of all frames in one row, metres; each frame has the same say."""
        parts = [frame.depths for frame in self.frames]
        return np.concatenate(parts) if parts else np.empty(0, np.float32)

    def percentiles(self, shares: Iterable[float]) -> list[float]:
        """Of the valid depths, metres; NaN where there are none."""
        depths, wanted = self.depths, list(shares)
        return np.percentile(depths, wanted).tolist() if depths.size else [math.nan] * len(wanted)


def choose_frames(count: int, wanted: int | None, seed: int) -> list[int]:
    """``wanted`` of ``count`` indices in order, the same for the same seed; None takes all."""
    if wanted is None or wanted >= count:
        return list(range(count))
    rng = np.random.default_rng(seed)
    return sorted(rng.choice(count, wanted, replace=False).tolist())


def survey(samples: SampleSet, indices: Iterable[int], seed: int) -> SetSurvey:
    """Reads the frames ``indices``; those that cannot be read are noted with their error."""
    found = SetSurvey(samples)
    rng = np.random.default_rng(seed)
    for index in indices:
        try:
            sample = samples[index]
        except DepthEstimationError as error:
            found.unreadable[samples.frame_name(index)] = str(error)
        else:
            found.frames.append(survey_frame(sample, index, rng))
    return found


def survey_frame(sample: Sample, index: int, rng: np.random.Generator) -> FrameSurvey:
    """The numbers of one sample; ``rng`` chooses the depths that are kept."""
    depth = sample.depth
    known = depth[np.isfinite(depth)]
    kept = known if known.size <= DEPTHS_KEPT else rng.choice(known, DEPTHS_KEPT, replace=False)
    return FrameSurvey(
        index=index,
        size=(depth.shape[0], depth.shape[1]),
        valid=known.size / depth.size,
        beyond=float(np.isposinf(depth).mean()),
        depths=kept,
        constant=bool(known.size > 1 and known.min() == known.max()),
        intrinsics=sample.intrinsics,
        rgb_digest=hashlib.sha256(sample.rgb.tobytes()).digest(),
    )
