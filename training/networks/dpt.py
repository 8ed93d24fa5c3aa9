"""DINOv2-S with a DPT head: the rival that the paper measures itself against.

Source of the encoder: Oquab et al., "DINOv2: Learning Robust Visual Features without
Supervision", TMLR 2024, arXiv 2304.07193. Together with the head this is the architecture of
Depth Anything V2's small model, but for the last step to metres, which all networks here share.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.networks.base import DepthNetwork, Normalize
from training.networks.decoder import DepthHead, Scale


class ResidualUnit(nn.Module):
    """Twice [ReLU, 3x3 convolution], and the input added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            nn.ReLU(),  # not in place: the input is still needed
            nn.Conv2d(channels, channels, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, kernel_size=3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.convs(x)


class Fusion(nn.Module):
    """Adds the feature of one scale to what comes from the deeper ones, and enlarges the sum.

    The block of Lin et al., "RefineNet", CVPR 2017, as DPT uses it.
    """

    def __init__(self, channels: int, deepest: bool) -> None:
        super().__init__()
        # The deepest has nothing to be added to.
        self.unit_feature = None if deepest else ResidualUnit(channels)
        self.unit_sum = ResidualUnit(channels)
        self.project = nn.Conv2d(channels, channels, kernel_size=1)

    def forward(self, feature: Tensor, deeper: Tensor | None, size: Sequence[int]) -> Tensor:
        """Return ``(N, C, h, w)`` and the same of ``deeper`` become ``(N, C, *size)``."""
        if self.unit_feature is not None and deeper is not None:
            feature = deeper + self.unit_feature(feature)
        # A 1x1 convolution and a resize commute: projected first, it runs on fewer pixels.
        return _resize(self.project(self.unit_sum(feature)), size)


class DptHead(nn.Module):
    """Four features of one size become one map of the size of the image.

    Args:
        channels_in: channels of the transformer.
        reassembled: channels at 1/4, 1/2, 1/1 and 2/1 of the stride of the patches, in this order.
        channels: channels of the fusion.
    """

    def __init__(self, channels_in: int, reassembled: Sequence[int], channels: int) -> None:
        super().__init__()
        quarter, half, same, double = reassembled
        self.reassemble = nn.ModuleList(
            [
                nn.Sequential(
                    nn.Conv2d(channels_in, quarter, kernel_size=1),
                    nn.ConvTranspose2d(quarter, quarter, kernel_size=4, stride=4),
                ),
                nn.Sequential(
                    nn.Conv2d(channels_in, half, kernel_size=1),
                    nn.ConvTranspose2d(half, half, kernel_size=2, stride=2),
                ),
                nn.Conv2d(channels_in, same, kernel_size=1),
                nn.Sequential(
                    nn.Conv2d(channels_in, double, kernel_size=1),
                    nn.Conv2d(double, double, kernel_size=3, stride=2, padding=1),
                ),
            ]
        )
        self.narrow = nn.ModuleList(
            nn.Conv2d(width, channels, kernel_size=3, padding=1, bias=False)
            for width in reassembled
        )
        self.fuse = nn.ModuleList(Fusion(channels, deepest=scale == 3) for scale in range(4))
        self.before_resize = nn.Conv2d(channels, channels // 2, kernel_size=3, padding=1)
        self.after_resize = nn.Sequential(
            nn.Conv2d(channels // 2, 32, kernel_size=3, padding=1), nn.ReLU(inplace=True)
        )
        self.channels = 32

    def forward(self, features: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """Features ``(N, C, h, w)``, shallowest first, become ``(N, 32, *size)``."""
        pyramid = [
            narrow(reassemble(feature))
            for feature, reassemble, narrow in zip(
                features, self.reassemble, self.narrow, strict=True
            )
        ]
        quarter, half, same, double = pyramid
        fuse = self.fuse
        x = fuse[3](double, None, same.shape[2:])
        x = fuse[2](same, x, half.shape[2:])
        x = fuse[1](half, x, quarter.shape[2:])
        x = fuse[0](quarter, x, [2 * length for length in quarter.shape[2:]])
        return self.after_resize(_resize(self.before_resize(x), size))


def _resize(x: Tensor, size: Sequence[int]) -> Tensor:
    return functional.interpolate(x, size=list(size), mode="bilinear", align_corners=False)


TAPS = (2, 5, 8, 11)  # of twelve blocks


class DinoV2Encoder(nn.Module):
    """timm's DINOv2-S: ``(N, 3, H, W)`` to four features ``(N, 384, H/14, W/14)``.

    Args:
        pretrained: start from the weights of Meta AI.
        image_size: of the images whose grid the position embedding is stored at. Images of
            any other size get it interpolated.
    """

    channels = 384

    def __init__(self, pretrained: bool, image_size: Sequence[int]) -> None:
        super().__init__()
        vit: Any = timm.create_model(
            "vit_small_patch14_dinov2",
            pretrained=pretrained,
            img_size=tuple(image_size),
            dynamic_img_size=True,
        )
        self.vit = vit
        self.stored_grid: tuple[int, int] = vit.patch_embed.grid_size

    def forward(self, x: Tensor) -> list[Tensor]:
        vit: Any = self.vit
        patches = vit.patch_embed(x)  # (N, h, w, 384)
        count, rows, columns = patches.shape[:3]
        first = (vit.cls_token + vit.pos_embed[:, :1]).expand(count, -1, -1)
        patches = patches.flatten(1, 2) + self._positions(rows, columns)
        tokens = torch.cat([first, patches], dim=1)
        features = []
        for index, block in enumerate(vit.blocks):
            tokens = block(tokens)
            if index in TAPS:
                feature = vit.norm(tokens)[:, 1:].transpose(1, 2)
                features.append(feature.reshape(count, self.channels, rows, columns))
        return features

    def _positions(self, rows: int, columns: int) -> Tensor:
        """Return the position embedding at another grid, ``(1, rows * columns, 384)``.

        Not timm's own, which smooths while it shrinks: DINOv2 does not, and ONNX cannot before
        opset 18.
        """
        vit: Any = self.vit
        stored = vit.pos_embed[:, 1:].transpose(1, 2)
        stored = stored.reshape(1, self.channels, *self.stored_grid)
        grid = functional.interpolate(
            stored.float(), size=(rows, columns), mode="bicubic", align_corners=False
        )
        return grid.flatten(2).transpose(1, 2)


class DinoV2Dpt(DepthNetwork):
    """Image ``(N, 3, H, W)`` float 0..1 RGB to depth ``(N, H, W)`` metres.

    H and W are multiples of 14. See :class:`DinoV2Encoder` for ``image_size``.
    """

    multiple_of = 14
    encoder_name = "vit_small_patch14_dinov2"

    def __init__(
        self,
        *,
        pretrained: bool = True,
        image_size: Sequence[int] = (518, 518),
        min_depth: float = 0.0,
        max_depth: float = 10.0,
        scale: Scale = "linear",
    ) -> None:
        super().__init__()
        if any(length % self.multiple_of for length in image_size):
            raise ValueError(f"image_size {tuple(image_size)} is not of multiples of 14")
        self.encoder = DinoV2Encoder(pretrained, image_size)
        weights: Any = self.encoder.vit.pretrained_cfg
        self.normalize = Normalize(weights["mean"], weights["std"])
        self.decoder = DptHead(self.encoder.channels, reassembled=(48, 96, 192, 384), channels=64)
        self.head = DepthHead(self.decoder.channels, min_depth, max_depth, scale)

    def forward(self, image: Tensor) -> Tensor:
        features = self.encoder(self.normalize(image))
        return self.head(self.decoder(features, image.shape[2:]))
