"""Numbers of a data set, from some of its frames."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

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
        rgb_digest: of the image; equal images have equal ones.
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
        """Return horizontal field of view of a camera with its principal point in the middle."""
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
        """Return valid depths of all frames in one row, metres; each frame has the same say."""
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
    """Read the frames ``indices``; those that cannot be read are noted with their error."""
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
    """Return the numbers of one sample; ``rng`` chooses the depths that are kept."""
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


NEAREST_MEDIAN_M = 0.2
EIGHT_BITS = 256
ENOUGH_DEPTHS = 20_000
PILED_UP = 0.01  # share of the depths that are the one largest value
PLAUSIBLE_HFOV_DEG = (15.0, 150.0)
OFF_CENTRE = 0.25  # of the image's width or height


def find_issues(found: SetSurvey) -> list[str]:
    """Warnings about a set, each a sentence with the number that gave rise to it."""
    if not found.frames:
        return []
    return [*_about_frames(found), *_about_depths(found), *_about_cameras(found)]


def _about_frames(found: SetSurvey) -> Iterator[str]:
    count = len(found.frames)
    for what, frames in (
        ("have no valid depth at all", [f for f in found.frames if f.valid == 0.0]),
        ("have one and the same depth everywhere", [f for f in found.frames if f.constant]),
    ):
        if frames:
            first = found.samples.frame_name(frames[0].index)
            yield f"{len(frames)} of {count} frames {what}, first {first}"
    digests = {frame.rgb_digest for frame in found.frames}
    if len(digests) < count:
        yield f"{count - len(digests)} of {count} images are copies of another one"


def _about_depths(found: SetSurvey) -> Iterator[str]:
    depths = found.depths
    if not depths.size:
        return
    median, cap = float(np.median(depths)), found.samples.cap_m
    if median < NEAREST_MEDIAN_M:
        yield f"the median depth is {median:.3g} m: is the unit of the files right?"
    if median > cap:
        yield f"the median depth, {median:.3g} m, is beyond the {cap:g} m that are scored: unit?"
    if depths.size < ENOUGH_DEPTHS:
        return
    values = np.unique(depths)
    if 1 < values.size <= EIGHT_BITS:
        step = float(np.median(np.diff(values)))
        yield (
            f"only {values.size} different depths, {step:.3g} m apart: kept with 8 bits "
            "(so is NYU's csv packing for training; elsewhere depth was spoilt by conversion)"
        )
        return
    yield from _about_the_largest(depths)


def _about_the_largest(depths: npt.NDArray[np.float32]) -> Iterator[str]:
    largest = float(depths.max())
    share = float(np.mean(depths == depths.max()))
    if share > PILED_UP:
        yield (
            f"{share:.0%} of the depths are exactly {largest:.4g} m: clipped, or a code for "
            "'nothing measured' that should be NaN or beyond range"
        )


def _about_cameras(found: SetSurvey) -> Iterator[str]:
    known = [frame for frame in found.frames if frame.intrinsics is not None]
    if known and len(known) < len(found.frames):
        missing = len(found.frames) - len(known)
        yield f"{missing} of {len(found.frames)} frames have no intrinsics, the others have"
    for frame in known:
        height, width = frame.size
        fx, _fy, cx, cy = frame.intrinsics or (1.0, 1.0, 0.0, 0.0)
        hfov = frame.hfov_deg or 0.0
        low, high = PLAUSIBLE_HFOV_DEG
        name = found.samples.frame_name(frame.index)
        if not low <= hfov <= high:
            yield f"{name}: fx = {fx:.4g} px, {width} px wide: a field of view of {hfov:.0f} deg"
            return
        off = max(abs(cx / width - 0.5), abs(cy / height - 0.5))
        if off > OFF_CENTRE:
            yield (
                f"{name}: the principal point ({cx:.4g}, {cy:.4g}) is far from the middle of "
                f"{width}x{height}: are the intrinsics of another image size?"
            )
            return


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
        held_images = {frame.rgb_digest for frame in held_out.found.frames}
        for trained in training:
            pair = f"validation {held_out.label} and training {trained.label}"
            learnt = trained.frames()
            shared = held & learnt
            copies = held_images & {frame.rgb_digest for frame in trained.found.frames}
            scenes = {(*where, name.split("/")[0]) for *where, name in learnt if "/" in name}
            near = {frame for frame in held if (*frame[:2], frame[2].split("/")[0]) in scenes}
            if shared:
                yield f"{pair} share {len(shared)} of {len(held)} frames"
            elif copies:
                yield f"{pair} share {len(copies)} images, of those looked at"
            elif near:
                yield f"{pair}: {len(near)} of {len(held)} frames are from the same recordings"
