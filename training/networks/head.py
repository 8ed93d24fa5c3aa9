"""The last convolution and the step from a sigmoid to metres."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

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
