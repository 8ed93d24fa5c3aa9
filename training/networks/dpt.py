"""The dense prediction head for vision transformers.

Source: Ranftl, Bochkovskiy and Koltun, "Vision Transformers for Dense Prediction", ICCV 2021,
arXiv 2103.13413, section 3; sizes of Yang et al., "Depth Anything V2", NeurIPS 2024, arXiv
2406.09414, for its small model. Without batch normalisation, as there.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional


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
        """``(N, C, h, w)`` and the same of ``deeper`` become ``(N, C, *size)``."""
        if self.unit_feature is not None and deeper is not None:
            feature = deeper + self.unit_feature(feature)
        # A 1x1 convolution and a resize commute: projected first, it runs on fewer pixels.
        return _resize(self.project(self.unit_sum(feature)), size)


class DptHead(nn.Module):
    """Four features of one size become one map of the size of the picture.

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
