"""What every depth network has, whatever its encoder."""

from __future__ import annotations

from torch import nn

from training.networks.head import DepthHead


class DepthNetwork(nn.Module):
    """Image ``(N, 3, H, W)`` float 0..1 RGB to depth ``(N, H, W)`` float32 metres.

    Attributes:
        encoder: the pretrained part, trained at a learning rate of its own.
        head: the last step to metres; holds the range of depth.
        encoder_name: timm's name of the encoder.
        multiple_of: H and W must be multiples of this.
    """

    encoder: nn.Module
    head: DepthHead
    encoder_name: str
    multiple_of: int
