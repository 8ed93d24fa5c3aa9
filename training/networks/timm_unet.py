"""The same decoder on any timm encoder that gives a feature pyramid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import timm
from torch import Tensor

from training.networks.base import DepthNetwork, Normalize
from training.networks.decoder import Decoder, DepthHead, Scale


class TimmUNet(DepthNetwork):
    """timm encoder, the paper's decoder, a depth head.

    Image ``(N, 3, H, W)`` float 0..1 RGB to depth ``(N, H, W)`` metres; H and W are multiples of
    the encoder's deepest stride.

    Args:
        encoder: a timm model name with ``features_only`` support and strides 2, 4, 8, ...
        widths: decoder channels, deepest first, one a doubling of the resolution: as many as the
            encoder has stages end at the image's resolution, fewer end before, and the head
            enlarges its one channel by the rest.
        stages: this many of the encoder's stages, the finest first; None takes all.
        separable: the decoder's cheaper blocks, for the smallest networks.
        pretrained: start from timm's ImageNet weights.
        mean, std: normalisation of the image; by default that of timm's weights.
    """

    def __init__(
        self,
        encoder: str,
        *,
        widths: Sequence[int],
        stages: int | None = None,
        separable: bool = False,
        pretrained: bool = True,
        min_depth: float = 0.1,
        max_depth: float = 100.0,
        scale: Scale = "log",
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.encoder_name = encoder
        part: dict[str, Any] = {} if stages is None else {"out_indices": tuple(range(stages))}
        pyramid: Any = timm.create_model(encoder, pretrained=pretrained, features_only=True, **part)
        if stages is not None:
            _cut_after_last_feature(pyramid)
        strides = pyramid.feature_info.reduction()
        if strides != [2 ** (i + 1) for i in range(len(strides))]:
            raise ValueError(f"{encoder} gives strides {strides}; the decoder needs 2, 4, 8, ...")
        if not 0 < len(widths) <= len(strides):
            raise ValueError(f"{encoder} has {len(strides)} stages: give 1 to as many widths")
        self.multiple_of = strides[-1]
        self.encoder = pyramid
        channels = pyramid.feature_info.channels()
        skips = (*reversed(channels[:-1]), 3)[: len(widths)]
        self.decoder = Decoder(channels[-1], skips, widths, separable=separable)
        enlarge = 2 ** (len(strides) - len(widths))
        self.head = DepthHead(self.decoder.channels, min_depth, max_depth, scale, enlarge)
        weights = pyramid.pretrained_cfg
        self.normalize = Normalize(mean or weights["mean"], std or weights["std"])

    def forward(self, image: Tensor) -> Tensor:
        x = self.normalize(image)
        *skips, bottleneck = self.encoder(x)
        skips = [*reversed(skips), x][: len(self.decoder.blocks)]
        return self.head(self.decoder(bottleneck, skips))


def _cut_after_last_feature(pyramid: Any) -> None:
    """timm computes the stages behind the last feature all the same."""
    last = pyramid.feature_info.module_name()[-1]
    kind, _, place = last.partition(".")
    if kind != "blocks" or not place.isdigit():
        raise ValueError(f"stages works for encoders made of numbered blocks, not with {last}")
    pyramid.blocks = pyramid.blocks[: int(place) + 1]
