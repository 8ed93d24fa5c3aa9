"""Attention gates on the skips of the paper's network."""

import pytest
import torch

from training.networks import build_network
from training.networks.decoder import AttentionGate, Decoder

BOTTLENECK, SKIPS, WIDTHS = 24, (16, 8, 3), (12, 8, 4)


def features():
    """What an encoder gives to a decoder: the deepest feature, and skips, deepest first."""
    deepest = torch.randn(2, BOTTLENECK, 4, 5)
    return deepest, [torch.randn(2, c, 8 * 2**i, 10 * 2**i) for i, c in enumerate(SKIPS)]


def decoders():
    """A plain decoder, and one with two gates and for the rest the same weights."""
    torch.manual_seed(0)
    plain = Decoder(BOTTLENECK, SKIPS, WIDTHS).eval()
    gated = Decoder(BOTTLENECK, SKIPS, WIDTHS, gated=2).eval()
    missing, unexpected = gated.load_state_dict(plain.state_dict(), strict=False)
    assert unexpected == []
    assert all(".gate." in name for name in missing)
    return plain, gated


@torch.no_grad()
def test_weights_lie_between_0_and_1_one_for_each_pixel():
    torch.manual_seed(0)
    gate = AttentionGate(channels_skip=8, channels_gating=6)
    weights = gate.weights(10 * torch.randn(2, 8, 5, 7), 10 * torch.randn(2, 6, 5, 7))
    assert weights.shape == (2, 1, 5, 7)
    assert 0.0 < weights.min() < 0.3
    assert 0.7 < weights.max() < 1.0


@torch.no_grad()
def test_a_gate_is_the_formula_of_its_paper():
    torch.manual_seed(0)
    gate = AttentionGate(channels_skip=4, channels_gating=3)
    skip, gating = torch.randn(4), torch.randn(3)
    w_x, w_g = gate.from_skip.weight[:, :, 0, 0], gate.from_gating.weight[:, :, 0, 0]
    psi = gate.psi.weight[0, :, 0, 0]
    q = psi @ torch.relu(w_x @ skip + w_g @ gating + gate.from_gating.bias) + gate.psi.bias
    expected = skip / (1.0 + torch.exp(-q))
    found = gate(skip.view(1, 4, 1, 1), gating.view(1, 3, 1, 1)).flatten()
    torch.testing.assert_close(found, expected)


@torch.no_grad()
def test_with_open_gates_the_decoder_is_the_plain_one():
    plain, gated = decoders()
    deepest, skips = features()
    assert not torch.allclose(gated(deepest, skips), plain(deepest, skips), atol=1e-3)
    for block in gated.blocks[:2]:
        block.gate.psi.weight.zero_()
        block.gate.psi.bias.fill_(40.0)  # its sigmoid is 1 in float32
    torch.testing.assert_close(gated(deepest, skips), plain(deepest, skips), rtol=0, atol=0)


@torch.no_grad()
def test_a_closed_gate_hides_its_skip():
    _, gated = decoders()
    deepest, skips = features()
    gated.blocks[0].gate.psi.weight.zero_()
    gated.blocks[0].gate.psi.bias.fill_(-200.0)
    other = [torch.randn_like(skips[0]), *skips[1:]]
    torch.testing.assert_close(gated(deepest, skips), gated(deepest, other), rtol=0, atol=0)


def test_the_network_gates_the_encoders_skips_and_not_the_image():
    network = build_network("enc_dec_irv2_attention", pretrained=False)
    gates = [block.gate for block in network.decoder.blocks]
    assert [gate and gate.from_skip.in_channels for gate in gates] == [256, 80, 32, None]


@pytest.mark.parametrize("gated", [0, 2])
def test_each_gate_adds_its_own_parameters_alone(gated):
    plain, _ = decoders()
    count = sum(p.numel() for p in Decoder(BOTTLENECK, SKIPS, WIDTHS, gated).parameters())
    # W_x without bias, W_g with, psi with.
    pairs = zip(SKIPS, WIDTHS, strict=True)
    gate = [s // 2 * s + (s // 2 * w + s // 2) + (s // 2 + 1) for s, w in pairs]
    assert count - sum(p.numel() for p in plain.parameters()) == sum(gate[:gated])
