"""Samples turned into tensors in the canonical camera."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from training.data.augment import Augmentation, random_view
from training.data.sample import Sample

Example = dict[str, torch.Tensor]


class Examples(Dataset[Example]):
    """A row of training examples of one size, drawn from a data set of samples.

    Each is a dict of ``image`` (3, H, W) float32 0..1, ``depth`` (H, W) float32 (NaN invalid,
    +Inf beyond range), ``metric`` bool (False where the scale or the camera is unknown, so that
    depth is known up to a factor only) and ``position`` int64 in the row. With a canonical focal
    length f_c, depth is multiplied by f_c / fx, the depth at which a camera of that focal length
    would see the same picture (Metric3D, ICCV 2023).

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
