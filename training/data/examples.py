"""Samples turned into tensors in the canonical camera."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset, Sampler

from training.data.augment import Augmentation, random_view
from training.data.sample import Sample

Example = dict[str, torch.Tensor]


class Examples(Dataset[Example]):
    """A row of training examples of one size, drawn from a data set of samples.

    Each is a dict of ``image`` (3, H, W) float32 0..1, ``depth`` (H, W) float32 (NaN invalid,
    +Inf beyond range), ``metric`` bool (False where the scale or the camera is unknown, so that
    depth is known up to a factor only) and ``position`` int64 in the row. With a canonical focal
    length f_c, depth is multiplied by f_c / fx, the depth at which a camera of that focal length
    would see the same image (Metric3D, ICCV 2023).

    An example depends on its position and the seed alone: it is the same in any worker, in any
    process, and after any interruption.

    Args:
        order: the frame at each position; by default each frame once, as they lie.
        seed: of the random views.
    """

    def __init__(
        self,
        samples: Dataset[Sample],
        height: int,
        width: int,
        how: Augmentation,
        canonical_focal_px: float | None,
        *,
        order: Sequence[int] | np.ndarray | None = None,
        seed: int = 0,
    ) -> None:
        self.samples = samples
        self.size = (height, width)
        self.how = how
        self.canonical_focal_px = canonical_focal_px
        self.order = np.arange(len(samples)) if order is None else order  # type: ignore[arg-type]
        self.seed = seed

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, position: int) -> Example:
        rng = np.random.default_rng([self.seed, position])
        sample = self.samples[int(self.order[position])]
        view = random_view(sample, *self.size, self.how, rng)
        depth = view.depth
        if self.canonical_focal_px is not None and view.intrinsics is not None:
            depth = depth * np.float32(self.canonical_focal_px / view.intrinsics[0])
        known = self.canonical_focal_px is None or view.intrinsics is not None
        image = torch.from_numpy(view.rgb).permute(2, 0, 1).float() / 255.0
        return {
            "image": image,
            "depth": torch.from_numpy(depth),
            "metric": torch.tensor(view.metric and known),
            "position": torch.tensor(position),
        }


def draw_order(
    lengths: Sequence[int], weights: Sequence[float], count: int, seed: int
) -> npt.NDArray[np.int64]:
    """The frame at each of ``count`` positions, as an index into the sets laid end to end.

    Set i comes with a share of ``weights[i]`` (of their sum), and all its frames once, in an order
    of their own each time, before one of them comes again. A longer row begins as a shorter one.

    Returns:
        ``(count,)`` int64.
    """
    shares = np.array(weights, np.float64) / np.sum(weights)
    which = np.random.default_rng([seed, 0]).choice(len(lengths), size=count, p=shares)
    order = np.empty(count, np.int64)
    first = 0
    for number, length in enumerate(lengths):
        places = np.flatnonzero(which == number)
        for round_, begin in enumerate(range(0, places.size, length)):
            frames = np.random.default_rng([seed, 1, number, round_]).permutation(length)
            part = places[begin : begin + length]
            order[part] = first + frames[: part.size]
        first += length
    return order


def capped_weights(
    lengths: Sequence[int], weights: Sequence[float], count: int, max_passes: float | None
) -> list[float]:
    """Return weights lowered so that no set is expected to be seen more than ``max_passes`` times.

    Args:
        lengths: frames of each set.
        weights: shares of the ``count`` drawn frames, of their sum; the other sets share what a
            capped one gives up.
    """
    wanted = np.array(weights, np.float64) / np.sum(weights)
    if max_passes is None:
        return list(wanted)
    most = max_passes * np.array(lengths) / count
    shares, capped = wanted.copy(), np.zeros(len(wanted), bool)
    while np.any(over := ~capped & (shares > most)):
        capped |= over
        free = wanted[~capped].sum()
        if free == 0.0:  # all are capped: each is seen as often as the others
            return list(most / most.sum())
        shares = np.where(capped, most, wanted * (1.0 - most[capped].sum()) / free)
    return list(shares)


def evenly_spaced(length: int, count: int | None) -> npt.NDArray[np.int64]:
    """``count`` of ``length`` indices with equal gaps; all of them for None or a larger count."""
    if count is None or count >= length:
        return np.arange(length)
    return (np.arange(count) * length) // count


class StepBatches(Sampler[list[int]]):
    """The positions that one of several processes computes, in each part of each step.

    Step s takes positions ``s * batch_size`` to ``(s + 1) * batch_size - 1``, cut into ``parts``
    and each of these among the processes. So a step is over the same images however it is cut.

    Args:
        steps: of the whole run.
        batch_size: images of a step, a multiple of ``parts * processes``.
        start: steps done before; they are passed over without loading anything.
    """

    def __init__(
        self, steps: int, batch_size: int, *, parts: int, rank: int, processes: int, start: int
    ) -> None:
        self.steps, self.start = steps, start
        self.batch_size, self.parts = batch_size, parts
        self.rank, self.share = rank, batch_size // (parts * processes)

    def __iter__(self) -> Iterator[list[int]]:
        per_part = self.batch_size // self.parts
        for part in range(self.start * self.parts, self.steps * self.parts):
            first = part * per_part + self.rank * self.share
            yield list(range(first, first + self.share))

    def __len__(self) -> int:
        # Of the whole run, as Lightning counts on after a resume; and one more, as the last batch
        # of a loader is the end of an epoch to it: a run that is made longer would begin another.
        return self.steps * self.parts + 1
