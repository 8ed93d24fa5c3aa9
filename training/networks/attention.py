"""Additive attention gates on skip connections.

Source: Oktay et al., "Attention U-Net: Learning Where to Look for the Pancreas", MIDL 2018,
arXiv 1804.03999, section 2.1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class AttentionGate(nn.Module):
    """Weighs each pixel of a skip by how much the decoder wants it.

    ``a = sigmoid(psi(relu(W_x skip + W_g gating + b_g)) + b_psi)``, with 1x1 convolutions W_x, W_g
    to ``channels_skip / 2`` channels and psi to one. The original gates with the coarser feature
    and enlarges the weights; here the decoder's feature is enlarged already.

    Args:
        channels_skip: channels of the skip ``(N, S, H, W)``.
        channels_gating: channels of the decoder's feature ``(N, C, H, W)``.
    """

    def __init__(self, channels_skip: int, channels_gating: int) -> None:
        super().__init__()
        between = channels_skip // 2
        self.from_skip = nn.Conv2d(channels_skip, between, kernel_size=1, bias=False)
        self.from_gating = nn.Conv2d(channels_gating, between, kernel_size=1)
        self.psi = nn.Conv2d(between, 1, kernel_size=1)

    def weights(self, skip: Tensor, gating: Tensor) -> Tensor:
        """``(N, 1, H, W)``, 0..1."""
        both = functional.relu(self.from_skip(skip) + self.from_gating(gating))
        return torch.sigmoid(self.psi(both))

    def forward(self, skip: Tensor, gating: Tensor) -> Tensor:
        return skip * self.weights(skip, gating)
