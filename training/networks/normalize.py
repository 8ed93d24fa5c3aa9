"""The step from RGB 0..1 to what an encoder was trained on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Normalize(nn.Module):
    """``(image - mean) / std`` of each channel of ``(N, 3, H, W)``."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        # Not persistent: properties of the configuration, not of the trained weights.
        self.register_buffer("mean", _per_channel(mean), persistent=False)
        self.register_buffer("std", _per_channel(std), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        return (image - self.mean) / self.std


def _per_channel(values: Sequence[float]) -> Tensor:
    return torch.tensor(values).view(1, 3, 1, 1)
