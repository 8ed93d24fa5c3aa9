"""The decoder shared by every encoder: bilinear x2, skip connection, two convolutions, repeated.

Source: Das, Das and Sadaf, "Enhanced Encoder-Decoder Architecture for Accurate Monocular Depth
Estimation", arXiv 2410.11610. Of separable convolutions: Wofk et al., "FastDepth: Fast Monocular
Depth Estimation on Embedded Systems", ICRA 2019, arXiv 1903.03273.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import interpolate


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
        """Return ``(N, 1, H, W)``, 0..1."""
        both = functional.relu(self.from_skip(skip) + self.from_gating(gating))
        return torch.sigmoid(self.psi(both))

    def forward(self, skip: Tensor, gating: Tensor) -> Tensor:
        return skip * self.weights(skip, gating)


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


Scale = Literal["linear", "log"]


class DepthHead(nn.Module):
    """3x3 convolution and sigmoid, then a fixed mapping to metres.

    Args:
        channels: channels of the decoder's last feature.
        min_depth, max_depth: depth in metres at sigmoid 0 and 1.
        scale: ``linear`` (the paper's sigmoid, times the range of the data set) or ``log``
            (equal steps of the logarithm: equal relative precision near and far).
        enlarge: how many times as high and wide as the feature the depth is; bilinear, of the
            sigmoid, which is then computed on fewer pixels, and linear in what `scale` says.

    ``(N, C, H, W)`` becomes depth ``(N, H * enlarge, W * enlarge)`` in metres.
    """

    def __init__(
        self,
        channels: int,
        min_depth: float,
        max_depth: float,
        scale: Scale,
        enlarge: int = 1,
    ) -> None:
        super().__init__()
        if scale == "log" and min_depth <= 0.0:
            raise ValueError(f"a log head needs min_depth > 0, found {min_depth}")
        self.conv = nn.Conv2d(channels, 1, kernel_size=3, padding=1)
        self.min_depth = min_depth
        self.max_depth = max_depth
        self.scale = scale
        self.enlarge = enlarge

    def forward(self, x: Tensor) -> Tensor:
        # bfloat16 has steps of 1 % in depth on a log scale: the head stays in float32.
        with torch.autocast(x.device.type, enabled=False):
            unit = torch.sigmoid(self.conv(x.float()))
            if self.enlarge > 1:
                unit = interpolate(
                    unit, scale_factor=float(self.enlarge), mode="bilinear", align_corners=False
                )
            unit = unit.squeeze(1)
        if self.scale == "linear":
            return self.min_depth + (self.max_depth - self.min_depth) * unit
        low, high = math.log(self.min_depth), math.log(self.max_depth)
        return torch.exp(low + (high - low) * unit)
