"""A plain convolutional encoder-decoder, trained from nothing: what the others must beat.

The seed's own basic network is not described beyond that. This one has the widths usual in
notebooks on depth (16, 32, 64, 128 and 256 at the bottleneck) and the decoder of the others, so
that a comparison with them is one of encoders alone. U-shape: Ronneberger et al., "U-Net",
MICCAI 2015.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from training.networks.base import DepthNetwork, Normalize
from training.networks.decoder import Decoder, DepthHead, Scale, batch_norm, conv_act


class ConvolutionalEncoder(nn.Module):
    """Pairs of [3x3 convolution, LeakyReLU, BatchNorm] with 2x2 max-pooling between them.

    ``(N, 3, H, W)`` becomes the bottleneck ``(N, widths[-1], H/16, W/16)`` for five widths, and
    the skips at H/8, H/4, H/2 and H, deepest first.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        inputs = [3, *widths[:-1]]
        self.blocks = nn.ModuleList(map(_block, inputs, widths))
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        skips: list[Tensor] = []
        for block in self.blocks:
            x = block(self.pool(x) if skips else x)
            skips.insert(0, x)
        return skips[0], skips[1:]


def _block(channels_in: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        *conv_act(channels_in, channels),
        batch_norm(channels),
        *conv_act(channels, channels),
        batch_norm(channels),
    )


class Basic(DepthNetwork):
    """Image ``(N, 3, H, W)`` float 0..1 RGB to depth ``(N, H, W)`` metres.

    Args:
        widths: channels of the encoder's blocks, the bottleneck's last. H and W are multiples of
            ``2 ** (len(widths) - 1)``: 16.
        pretrained: there are no weights to start from, so only False will do.
    """

    encoder_name = "basic"

    def __init__(
        self,
        *,
        pretrained: bool = False,
        widths: Sequence[int] = (16, 32, 64, 128, 256),
        min_depth: float = 0.0,
        max_depth: float = 10.0,
        scale: Scale = "linear",
    ) -> None:
        super().__init__()
        if pretrained:
            raise ValueError("there are no pretrained weights; set encoder_weights: none")
        self.multiple_of = 2 ** (len(widths) - 1)
        self.normalize = Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
        self.encoder = ConvolutionalEncoder(widths)
        skips = widths[-2::-1]
        self.decoder = Decoder(widths[-1], skips, skips)
        self.head = DepthHead(self.decoder.channels, min_depth, max_depth, scale)

    def forward(self, image: Tensor) -> Tensor:
        bottleneck, skips = self.encoder(self.normalize(image))
        return self.head(self.decoder(bottleneck, skips))
