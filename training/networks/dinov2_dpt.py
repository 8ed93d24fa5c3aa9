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

from training.networks.base import DepthNetwork
from training.networks.dpt import DptHead
from training.networks.head import DepthHead, Scale
from training.networks.normalize import Normalize

TAPS = (2, 5, 8, 11)  # of twelve blocks


class DinoV2Encoder(nn.Module):
    """timm's DINOv2-S: ``(N, 3, H, W)`` to four features ``(N, 384, H/14, W/14)``.

    Args:
        pretrained: start from the weights of Meta AI.
        image_size: of the pictures whose grid the position embedding is stored at. Pictures of
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
        """The position embedding at another grid, ``(1, rows * columns, 384)``.

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
