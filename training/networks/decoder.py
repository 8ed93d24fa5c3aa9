"""The decoder shared by every encoder: bilinear x2, skip connection, two convolutions, repeated.

Source: Das, Das and Sadaf, "Enhanced Encoder-Decoder Architecture for Accurate Monocular Depth
Estimation", arXiv 2410.11610.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    # Keras' defaults in torch's terms: its momentum 0.99 is torch's 0.01.
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def _conv_act(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1),
        nn.LeakyReLU(0.2, inplace=True),
    )


class UpBlock(nn.Module):
    """Doubles the resolution and merges one skip.

    ``(N, C, H, W)`` and a skip ``(N, S, 2H, 2W)`` become ``(N, channels, 2H, 2W)``.
    """

    def __init__(self, channels_in: int, channels_skip: int, channels: int) -> None:
        super().__init__()
        self.upsample = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.reduce = _conv_act(channels_in, channels)
        self.merge = nn.Sequential(
            *_conv_act(channels + channels_skip, channels),
            _batch_norm(channels),
            *_conv_act(channels, channels),
            _batch_norm(channels),
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.merge(torch.cat([self.reduce(self.upsample(x)), skip], dim=1))


class Decoder(nn.Module):
    """A chain of :class:`UpBlock`, deepest first.

    Args:
        bottleneck: channels of the deepest encoder feature.
        skips: channels of the skips, deepest first; the last is the input image's 3.
        widths: channels of each block, as many as there are skips.
    """

    def __init__(self, bottleneck: int, skips: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        if len(skips) != len(widths):
            raise ValueError(f"decoder needs a width per skip: {len(widths)} != {len(skips)}")
        inputs = [bottleneck, *widths[:-1]]
        self.blocks = nn.ModuleList(map(UpBlock, inputs, skips, widths))
        self.channels = widths[-1]

    def forward(self, bottleneck: Tensor, skips: Sequence[Tensor]) -> Tensor:
        x = bottleneck
        for block, skip in zip(self.blocks, skips, strict=True):
            x = block(x, skip)
        return x
