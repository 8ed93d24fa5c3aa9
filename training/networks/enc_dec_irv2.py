"""Enc-Dec-IRv2: Inception-ResNet-v2 cut at stride 16, and the multi-scale decoder with skips.

Source: arXiv 2410.11610. timm's Inception-ResNet-v2 uses valid convolutions, so each tap is a
little smaller than the power-of-two size and is zero-padded to it:

=====================  =============  ===================
tap                    at 240 x 320   padded to
=====================  =============  ===================
input                  240 x 320      240 x 320 (skip)
conv2d_1a              119 x 159      120 x 160 (skip)
conv2d_3b              58 x 78        60 x 80 (skip)
mixed_6a.branch1[1]    27 x 37        30 x 40 (skip)
mixed_7a.branch2[1]    13 x 18        15 x 20 (bottleneck)
=====================  =============  ===================
"""

from __future__ import annotations

from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.networks.base import DepthNetwork
from training.networks.decoder import Decoder, DepthHead, Scale


class InceptionResNetV2Encoder(nn.Module):
    """timm's Inception-ResNet-v2 up to ``mixed_7a.branch2[1]``.

    ``(N, 3, H, W)``, H and W multiples of 16, becomes the bottleneck ``(N, 288, H/16, W/16)`` and
    three skips with 256, 80 and 32 channels at H/8, H/4, H/2, deepest first.
    """

    bottleneck = 288
    skips = (256, 80, 32)

    def __init__(self, pretrained: bool = True) -> None:
        super().__init__()
        full: Any = timm.create_model("inception_resnet_v2", pretrained=pretrained)
        self.conv2d_1a: nn.Module = full.conv2d_1a
        self.to_stride_4 = nn.Sequential(
            full.conv2d_2a, full.conv2d_2b, full.maxpool_3a, full.conv2d_3b
        )
        self.to_stride_8 = nn.Sequential(
            full.conv2d_4a, full.maxpool_5a, full.mixed_5b, full.repeat
        )
        self.mixed_6a: Any = full.mixed_6a
        self.repeat_1: nn.Module = full.repeat_1
        # Only these two layers of mixed_7a feed the decoder; the other branches are left out.
        self.bottleneck_convs: nn.Module = full.mixed_7a.branch2[:2]

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        half = self.conv2d_1a(x)
        quarter = self.to_stride_4(half)
        eighth = self.to_stride_8(quarter)
        eighth_tap = self.mixed_6a.branch1[:2](eighth)
        sixteenth = self.repeat_1(self._mixed_6a(eighth, eighth_tap))
        bottleneck = self.bottleneck_convs(sixteenth)
        # functional.pad counts (left, right, top, bottom).
        return functional.pad(bottleneck, (1, 1, 1, 1)), [
            functional.pad(eighth_tap, (2, 1, 2, 1)),
            functional.pad(quarter, (1, 1, 1, 1)),
            functional.pad(half, (1, 0, 1, 0)),
        ]

    def _mixed_6a(self, x: Tensor, branch1_tap: Tensor) -> Tensor:
        """``mixed_6a`` with its second branch continued from the tap, so it is not run twice."""
        block = self.mixed_6a
        branches = [block.branch0(x), block.branch1[2](branch1_tap), block.branch2(x)]
        return torch.cat(branches, dim=1)


class EncDecIRv2(DepthNetwork):
    """The paper's network: image ``(N, 3, H, W)`` float 0..1 RGB to depth ``(N, H, W)`` metres.

    H and W are multiples of 16. 31,138,753 trainable parameters.

    Args:
        pretrained: start from timm's ImageNet weights.
        widths: channels of the decoder's blocks, deepest first.
        attention: gates on the encoder's three skips. The last skip, the image itself, has none.
    """

    multiple_of = 16
    encoder_name = "inception_resnet_v2"

    def __init__(
        self,
        *,
        pretrained: bool = True,
        widths: tuple[int, ...] = (256, 128, 64, 32),
        min_depth: float = 0.0,
        max_depth: float = 10.0,
        scale: Scale = "linear",
        attention: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = InceptionResNetV2Encoder(pretrained)
        skips = self.encoder.skips
        gated = len(skips) if attention else 0
        self.decoder = Decoder(self.encoder.bottleneck, (*skips, 3), widths, gated)
        self.head = DepthHead(self.decoder.channels, min_depth, max_depth, scale)

    def forward(self, image: Tensor) -> Tensor:
        x = (image - 0.5) / 0.5  # timm's mean and std for this encoder
        bottleneck, skips = self.encoder(x)
        return self.head(self.decoder(bottleneck, [*skips, x]))
