"""Losses: what they measure, and what they leave alone."""

import math

import numpy as np
import pytest
import torch

from training.losses import LOSSES, LogDepthLoss, PaperLoss, beyond_range, gradient_matching, silog

METRIC = torch.tensor([True])
ANY_SCALE = torch.tensor([False])


def image(*rows):
    return torch.tensor([rows], dtype=torch.float32)


def test_silog_equals_its_formula():
    depth = torch.rand(2, 8, 9) * 5 + 0.5
    predicted = torch.rand(2, 8, 9) * 5 + 0.5
    d = torch.log(predicted / depth).flatten(1)
    expected = torch.sqrt((d**2).mean(1) - 0.5 * d.mean(1) ** 2 + 1e-6).mean()
    both = torch.tensor([True, True])
    torch.testing.assert_close(silog(predicted, depth, both, 0.5), expected)


def test_a_common_factor_is_free_only_where_the_camera_is_unknown():
    depth = torch.rand(1, 6, 6) + 0.5
    assert silog(3.0 * depth, depth, ANY_SCALE, 0.5) < 2e-3
    expected = math.log(3.0) * math.sqrt(0.5)
    assert silog(3.0 * depth, depth, METRIC, 0.5).item() == pytest.approx(expected, rel=1e-4)


def test_gradient_matching_sees_slopes_not_levels():
    depth = torch.full((1, 16, 16), 2.0)
    assert gradient_matching(depth * 1.7, depth) == 0.0
    # ln rises by 0.1 a column: 0.1, 0.2, 0.4, 0.8 at strides 1, 2, 4, 8, none down the rows.
    ramp = depth * torch.exp(0.1 * torch.arange(16.0))
    assert gradient_matching(ramp, depth).item() == pytest.approx(1.5 / 4, rel=1e-4)


def test_sky_costs_until_it_is_predicted_beyond_range():
    depth = image([math.inf, math.inf], [1.0, float("nan")])
    assert beyond_range(torch.full((1, 2, 2), 10.0), depth, 100.0).item() == pytest.approx(
        math.log(10.0)
    )
    assert beyond_range(torch.full((1, 2, 2), 100.0), depth, 100.0) == 0.0


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_invalid_pixels_have_no_say(name):
    torch.manual_seed(0)
    loss = LOSSES[name](**({} if name == "affine_invariant" else {"max_depth": 100.0}))
    depth = torch.rand(2, 48, 48) * 8 + 1
    depth[:, 10:38, 9:40] = float("nan")
    depth[1] = float("nan")
    predicted = (torch.rand(2, 48, 48) * 8 + 1).requires_grad_()
    terms = loss(predicted, depth, torch.tensor([True, True]))
    assert torch.isfinite(terms["loss"])
    terms["loss"].backward()
    assert torch.isfinite(predicted.grad).all()
    assert predicted.grad[1].abs().max() == 0.0
    # SSIM's window of 11 pixels reaches over the border of the hole, not to its middle.
    assert predicted.grad[0, 23:26, 23:26].abs().max() == 0.0
    assert predicted.grad[0, :9].abs().max() > 0.0


@pytest.mark.parametrize("loss", [LogDepthLoss(max_depth=10.0), PaperLoss(max_depth=10.0)])
def test_a_perfect_prediction_costs_next_to_nothing_and_a_worse_one_more(loss):
    torch.manual_seed(0)
    depth = torch.rand(1, 24, 24) * 8 + 1
    costs = [loss(depth * f, depth, METRIC)["loss"].item() for f in (1.0, 1.1, 1.5)]
    assert costs[0] < 2e-3
    assert costs[0] < costs[1] < costs[2]


def test_the_papers_terms_keep_their_weights():
    depth = torch.full((1, 24, 24), 2.0)
    terms = PaperLoss(max_depth=10.0)(depth + 1.0, depth, METRIC)
    assert terms["l1"].item() == pytest.approx(0.3 * 0.1, rel=1e-4)
    assert terms["gradient"].item() == pytest.approx(0.0, abs=1e-6)
    # Two flat images differ in luminance alone: SSIM = (2ab + c) / (a^2 + b^2 + c).
    a, b, c = 0.3, 0.2, 0.01**2
    ssim = (2 * a * b + c) / (a * a + b * b + c)
    assert terms["ssim"].item() == pytest.approx((1 - ssim) / 2, rel=1e-3)


def windowed_ssim(a, b):
    """Wang et al. 2004 written out: an 11 x 11 Gaussian window of sigma 1.5 at each pixel.

    ``(H, W)`` in, the ``(H - 10, W - 10)`` pixels whose window lies inside out. Dynamic range 1.
    """
    line = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window = np.outer(line, line) / np.outer(line, line).sum()
    height, width = a.shape
    similarity = np.empty((height - 10, width - 10))
    for row in range(height - 10):
        for column in range(width - 10):
            p, q = (x[row : row + 11, column : column + 11] for x in (a, b))
            mean_p, mean_q = (window * p).sum(), (window * q).sum()
            var_p = (window * p * p).sum() - mean_p**2
            var_q = (window * q * q).sum() - mean_q**2
            covariance = (window * p * q).sum() - mean_p * mean_q
            c1, c2 = 0.01**2, 0.03**2
            similarity[row, column] = ((2 * mean_p * mean_q + c1) * (2 * covariance + c2)) / (
                (mean_p**2 + mean_q**2 + c1) * (var_p + var_q + c2)
            )
    return similarity


def test_the_papers_loss_equals_the_formula_written_out():
    rng = np.random.default_rng(5)
    predicted, depth = rng.uniform(0.5, 9.5, (2, 26, 31))
    # SSIM is compared where no border is involved: elsewhere nothing was measured.
    measured = np.zeros(depth.shape, bool)
    measured[5:-5, 5:-5] = True
    target = np.where(measured, depth, np.nan)
    terms = PaperLoss(max_depth=10.0)(
        torch.from_numpy(predicted)[None], torch.from_numpy(target)[None], METRIC
    )

    p = predicted / 10.0
    t = np.where(measured, depth / 10.0, p)
    d = (p - t)[5:-5, 5:-5]
    expected = {
        "ssim": np.clip((1 - windowed_ssim(p, t)) / 2, 0, 1).mean(),
        "gradient": np.abs(np.diff(d, axis=1)).mean() + np.abs(np.diff(d, axis=0)).mean(),
        "l1": 0.3 * np.abs(d).mean(),
    }
    for name, value in expected.items():
        assert terms[name].item() == pytest.approx(value, rel=1e-6), name
    assert terms["loss"].item() == pytest.approx(sum(expected.values()), rel=1e-6)


def test_the_log_loss_equals_the_formula_written_out():
    rng = np.random.default_rng(6)
    predicted, depth = rng.uniform(0.5, 60.0, (2, 17, 20))
    depth[3:9, 4:12] = np.nan
    depth[12:, :5] = np.inf
    terms = LogDepthLoss(max_depth=80.0, variance_focus=0.85, gradient_weight=2.0, sky_weight=0.5)(
        torch.from_numpy(predicted)[None], torch.from_numpy(depth)[None], METRIC
    )

    valid = np.isfinite(depth)
    d = np.where(valid, np.log(predicted) - np.log(np.where(valid, depth, 1.0)), np.nan)
    silog_value = math.sqrt(np.nanmean(d**2) - 0.85 * np.nanmean(d) ** 2 + 1e-6)
    slopes = []
    for step in (1, 2, 4, 8):
        e = d[::step, ::step]
        slopes.append(
            np.nanmean(np.abs(np.diff(e, axis=1))) + np.nanmean(np.abs(np.diff(e, axis=0)))
        )
    sky = np.maximum(np.log(80.0 / predicted[np.isinf(depth)]), 0.0).mean()
    assert terms["silog"].item() == pytest.approx(silog_value, rel=1e-6)
    assert terms["gradient"].item() == pytest.approx(2.0 * np.mean(slopes), rel=1e-6)
    assert terms["sky"].item() == pytest.approx(0.5 * sky, rel=1e-6)


def test_the_affine_invariant_loss_ignores_scale_and_shift_of_inverse_depth():
    loss = LOSSES["affine_invariant"]()
    depth = torch.rand(2, 8, 9) * 5 + 0.5
    depth[:, :2] = torch.nan
    predicted = 1 / (3.0 / depth.nan_to_num(nan=2.0) + 0.7)
    assert loss(predicted, depth, ANY_SCALE)["loss"].item() == pytest.approx(0.0, abs=1e-5)
    assert loss(predicted.flip(2), depth, ANY_SCALE)["loss"] > 0.1
