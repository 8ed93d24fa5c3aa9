"""The networks: the paper's, exactly, and its decoder on other encoders."""

import pytest
import torch

from depth_estimation_ros.errors import ParameterError
from training.networks import build_network
from training.networks.enc_dec_irv2 import InceptionResNetV2Encoder
from training.networks.head import DepthHead

COMPACT = {
    "encoder": "efficientnet_lite0",
    "widths": (128, 64, 32, 24, 12),
    "pretrained": False,
}


@pytest.fixture(scope="module")
def irv2():
    return build_network("enc_dec_irv2", pretrained=False, max_depth=10.0).eval()


def trainable(module):
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def test_enc_dec_irv2_has_the_papers_parameter_count(irv2):
    assert trainable(irv2) == 31_138_753


@torch.no_grad()
def test_irv2_taps_are_padded_to_powers_of_two():
    encoder = InceptionResNetV2Encoder(pretrained=False).eval()
    bottleneck, skips = encoder(torch.zeros(1, 3, 240, 320))
    assert bottleneck.shape == (1, 288, 15, 20)
    assert [tuple(s.shape[1:]) for s in skips] == [(256, 30, 40), (80, 60, 80), (32, 120, 160)]


@torch.no_grad()
def test_irv2_pads_with_zeros_where_the_paper_does():
    encoder = InceptionResNetV2Encoder(pretrained=False).eval()
    bottleneck, (eighth, quarter, half) = encoder(torch.rand(1, 3, 240, 320))
    for feature, top, bottom in ((bottleneck, 1, 1), (eighth, 2, 1), (quarter, 1, 1), (half, 1, 0)):
        height, width = feature.shape[2:]
        inside = feature[:, :, top : height - bottom, top : width - bottom]
        # Everything that is not zero lies inside the frame, so the frame itself is zero.
        assert torch.count_nonzero(feature) == torch.count_nonzero(inside)
        assert torch.count_nonzero(inside) > 0


@torch.no_grad()
def test_irv2_shares_the_branch_it_taps_with_timms_own_result():
    encoder = InceptionResNetV2Encoder(pretrained=False).eval()
    x = torch.rand(1, 320, 27, 37)
    tap = encoder.mixed_6a.branch1[:2](x)
    torch.testing.assert_close(encoder._mixed_6a(x, tap), encoder.mixed_6a(x))


@torch.no_grad()
@pytest.mark.parametrize("size", [(240, 320), (352, 1216), (96, 112)])
def test_irv2_takes_any_multiple_of_16(irv2, size):
    depth = irv2(torch.rand(1, 3, *size))
    assert depth.shape == (1, *size)
    assert depth.min() >= 0.0
    assert depth.max() <= 10.0


@torch.no_grad()
def test_compact_network_is_small_and_full_resolution():
    network = build_network("timm_unet", **COMPACT).eval()
    assert 3_000_000 < trainable(network) < 5_000_000
    assert network(torch.rand(2, 3, 64, 96)).shape == (2, 64, 96)
    assert network.multiple_of == 32


@torch.no_grad()
def test_heads_span_their_range():
    for scale, middle in (("linear", 50.05), ("log", (0.1 * 100.0) ** 0.5)):
        head = DepthHead(4, 0.1, 100.0, scale)
        head.conv.weight.zero_()
        for bias, depth in ((-40.0, 0.1), (0.0, middle), (40.0, 100.0)):
            head.conv.bias.fill_(bias)
            torch.testing.assert_close(
                head(torch.zeros(1, 4, 2, 2)), torch.full((1, 2, 2), depth), rtol=1e-5, atol=1e-6
            )


def test_wrong_names_and_widths_are_refused():
    with pytest.raises(ParameterError, match="'resnet', expected enc_dec_irv2 or timm_unet"):
        build_network("resnet")
    with pytest.raises(ParameterError, match=r"unexpected keyword argument 'depth'.*widths"):
        build_network("timm_unet", **COMPACT, depth=3)
    with pytest.raises(ParameterError, match="as many decoder widths"):
        build_network("timm_unet", **{**COMPACT, "widths": (8, 8)})
    with pytest.raises(ValueError, match="min_depth > 0"):
        DepthHead(4, 0.0, 10.0, "log")
