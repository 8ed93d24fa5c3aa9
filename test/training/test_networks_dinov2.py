"""DINOv2-S with a DPT head: what timm's encoder gives, at any size."""

import pytest
import torch

from training.networks.dpt import TAPS, DinoV2Encoder, DptHead, Fusion


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return DinoV2Encoder(pretrained=False, image_size=(98, 126)).eval()


@torch.no_grad()
def test_features_are_timms_own_at_the_stored_size(encoder):
    image = torch.randn(2, 3, 98, 126)
    features = encoder(image)
    expected = encoder.vit.forward_intermediates(
        image, indices=list(TAPS), norm=True, intermediates_only=True
    )
    for feature, timms in zip(features, expected, strict=True):
        assert feature.shape == (2, 384, 7, 9)
        torch.testing.assert_close(feature, timms, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_positions_keep_their_place_at_another_size(encoder):
    stored = encoder._positions(7, 9)
    torch.testing.assert_close(stored, encoder.vit.pos_embed[:, 1:])
    # A ramp from top to bottom still rises, from row to row alone, and is as steep on both sides.
    ramp = torch.linspace(0.0, 1.0, 7).repeat_interleave(9)
    kept = encoder.vit.pos_embed.clone()
    encoder.vit.pos_embed[:, 1:] = ramp[:, None]
    larger = encoder._positions(14, 5)[0, :, 0].view(14, 5)
    encoder.vit.pos_embed.copy_(kept)
    rows = larger.mean(dim=1)
    assert (rows.diff() > 0.0).all()
    torch.testing.assert_close(larger, rows[:, None].expand(14, 5))
    torch.testing.assert_close(rows + rows.flip(0), torch.ones(14))


def test_the_default_stores_the_grid_of_the_published_weights():
    assert DinoV2Encoder(pretrained=False, image_size=(518, 518)).stored_grid == (37, 37)


@torch.no_grad()
@pytest.mark.parametrize("grid", [(2, 3), (7, 9)])
def test_the_head_reassembles_four_scales_and_ends_at_the_images_size(grid):
    head = DptHead(channels_in=16, reassembled=(4, 6, 8, 10), channels=12).eval()
    features = [torch.randn(1, 16, *grid) for _ in range(4)]
    rows, columns = grid
    scales = [module(x).shape for module, x in zip(head.reassemble, features, strict=True)]
    assert scales == [
        (1, 4, 4 * rows, 4 * columns),
        (1, 6, 2 * rows, 2 * columns),
        (1, 8, rows, columns),
        (1, 10, -(-rows // 2), -(-columns // 2)),
    ]
    size = (14 * rows, 14 * columns)
    assert head(features, size).shape == (1, 32, *size)


@torch.no_grad()
def test_projecting_before_the_resize_gives_what_the_paper_gets_after_it():
    torch.manual_seed(0)
    block = Fusion(6, deepest=False)
    feature, deeper = torch.randn(1, 6, 5, 4), torch.randn(1, 6, 5, 4)
    summed = block.unit_sum(deeper + block.unit_feature(feature))
    resized = torch.nn.functional.interpolate(summed, size=(10, 8), mode="bilinear")
    torch.testing.assert_close(block(feature, deeper, (10, 8)), block.project(resized))
