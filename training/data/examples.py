"""Samples turned into tensors in the canonical camera."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset, WeightedRandomSampler

from training.data.augment import Augmentation, random_view
from training.data.sample import Sample

Example = dict[str, torch.Tensor]


class Examples(Dataset[Example]):
    """Training examples of one size from a data set of samples.

    Each is a dict of ``image`` (3, H, W) float32 0..1, ``depth`` (H, W) float32 (NaN invalid,
    +Inf beyond range), ``metric`` bool (False where the camera is unknown, so that depth is known
    up to a factor only). With a canonical focal length f_c, depth is multiplied by f_c / fx, the
    depth at which a camera of that focal length would see the same picture (Metric3D, ICCV 2023).

    The random view is drawn from torch's generator, which the data loader seeds in each worker:
    the same seed and number of workers give the same examples.
    """

    def __init__(
        self,
        samples: Dataset[Sample],
        height: int,
        width: int,
        how: Augmentation,
        canonical_focal_px: float | None,
    ) -> None:
        self.samples = samples
        self.size = (height, width)
        self.how = how
        self.canonical_focal_px = canonical_focal_px

    def __len__(self) -> int:
        return len(self.samples)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> Example:
        rng = np.random.default_rng(int(torch.randint(2**62, ())))
        view = random_view(self.samples[index], *self.size, self.how, rng)
        depth = view.depth
        if self.canonical_focal_px is not None and view.intrinsics is not None:
            depth = depth * np.float32(self.canonical_focal_px / view.intrinsics[0])
        metric = self.canonical_focal_px is None or view.intrinsics is not None
        image = torch.from_numpy(view.rgb).permute(2, 0, 1).float() / 255.0
        return {"image": image, "depth": torch.from_numpy(depth), "metric": torch.tensor(metric)}


def balanced_sampler(
    folders: Sequence[Dataset[Sample]], weights: Sequence[float], count: int, seed: int
) -> WeightedRandomSampler:
    """Draws ``count`` indices of ``ConcatDataset(folders)``, folder i with share ``weights[i]``."""
    lengths = [len(folder) for folder in folders]  # type: ignore[arg-type]
    each = [w / n for w, n in zip(weights, lengths, strict=True) for _ in range(n)]
    generator = torch.Generator().manual_seed(seed)
    return WeightedRandomSampler(each, count, replacement=True, generator=generator)
