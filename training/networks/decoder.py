"""The decoder shared by every encoder: bilinear x2, skip connection, two convolutions, repeated.

Source: Das, Das and Sadaf, "Enhanced Encoder-Decoder Architecture for Accurate Monocular Depth
Estimation", arXiv 2410.11610. Of separable convolutions: Wofk et al., "FastDepth: Fast Monocular
Depth Estimation on Embedded Systems", ICRA 2019, arXiv 1903.03273.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.networks.attention import AttentionGate


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation as the paper's framework sets it."""
    # Keras' defaults in torch's terms: its momentum 0.99 is torch's 0.01.
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def conv_act(channels_in: int, channels_out: int) -> nn.Sequential:
    """3x3 convolution that keeps the size, and LeakyReLU 0.2."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1),
        nn.LeakyReLU(0.2, inplace=True),
    )


class UpBlock(nn.Module):
    """Doubles the resolution and merges one skip.

    ``(N, C, H, W)`` and a skip ``(N, S, 2H, 2W)`` become ``(N, channels, 2H, 2W)``.

    Args:
        gated: the skip goes through an :class:`AttentionGate` first.
    """

    def __init__(self, channels_in: int, channels_skip: int, channels: int, gated: bool) -> None:
        super().__init__()
        self.upsample = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.reduce = conv_act(channels_in, channels)
        self.gate = AttentionGate(channels_skip, channels) if gated else None
        self.merge = nn.Sequential(
            *conv_act(channels + channels_skip, channels),
            batch_norm(channels),
            *conv_act(channels, channels),
            batch_norm(channels),
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.reduce(self.upsample(x))
        if self.gate is not None:
            skip = self.gate(skip, x)
        return self.merge(torch.cat([x, skip], dim=1))


class SeparableUpBlock(nn.Module):
    """As :class:`UpBlock`, of depthwise and 1x1 convolutions: about a tenth of its cost.

    The first convolution goes before the upsampling, with which a 1x1 convolution commutes, and so
    runs on a quarter of the pixels.
    """

    def __init__(self, channels_in: int, channels_skip: int, channels: int) -> None:
        super().__init__()
        both = channels + channels_skip
        self.reduce = nn.Conv2d(channels_in, channels, kernel_size=1, bias=False)
        self.upsample = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        # BatchNorm straight behind each convolution: runtimes fold it into the weights.
        self.merge = nn.Sequential(
            nn.Conv2d(both, both, kernel_size=3, padding=1, groups=both, bias=False),
            batch_norm(both),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(both, channels, kernel_size=1, bias=False),
            batch_norm(channels),
            nn.LeakyReLU(0.2, inplace=True),
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.upsample(self.reduce(x))
        return self.merge(torch.cat([x, skip], dim=1))


class Decoder(nn.Module):
    """A chain of :class:`UpBlock` or :class:`SeparableUpBlock`, deepest first.

    Args:
        bottleneck: channels of the deepest encoder feature.
        skips: channels of the skips, deepest first.
        widths: channels of each block, as many as there are skips.
        gated: how many of the skips, from the deepest on, have an attention gate; separable blocks
            have none.
        separable: the cheaper blocks.
    """

    def __init__(
        self,
        bottleneck: int,
        skips: Sequence[int],
        widths: Sequence[int],
        gated: int = 0,
        separable: bool = False,
    ) -> None:
        super().__init__()
        if len(skips) != len(widths):
            raise ValueError(f"decoder needs a width per skip: {len(widths)} != {len(skips)}")
        inputs = [bottleneck, *widths[:-1]]
        if separable:
            self.blocks = nn.ModuleList(map(SeparableUpBlock, inputs, skips, widths))
        else:
            gates = [index < gated for index in range(len(skips))]
            self.blocks = nn.ModuleList(map(UpBlock, inputs, skips, widths, gates))
        self.channels = widths[-1]

    def forward(self, bottleneck: Tensor, skips: Sequence[Tensor]) -> Tensor:
        x = bottleneck
        for block, skip in zip(self.blocks, skips, strict=True):
            x = block(x, skip)
        return x
