"""What in a data set looks wrong enough to be looked at before training."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from training.data_check.survey import SetSurvey

NEAREST_MEDIAN_M = 0.2
EIGHT_BITS = 256
ENOUGH_DEPTHS = 20_000
PILED_UP = 0.01  # share of the depths that are the one largest value
PLAUSIBLE_HFOV_DEG = (15.0, 150.0)
OFF_CENTRE = 0.25  # of the picture's width or height


def doubts(found: SetSurvey) -> list[str]:
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
        yield f"{count - len(digests)} of {count} pictures are copies of another one"


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
                f"{width}x{height}: are the intrinsics of another picture size?"
            )
            return
