"""Losses on metric depth with pixels missing and a sky beyond range.

All take ``predicted`` (N, H, W) metres > 0 and ``depth`` (N, H, W) metres, NaN where not measured
and +Inf beyond range, and return a scalar. Pixels that are not finite do not count, but for
:func:`beyond_range`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torchmetrics.functional.image import structural_similarity_index_measure


def log_difference(predicted: Tensor, depth: Tensor) -> tuple[Tensor, Tensor]:
    """``ln predicted - ln depth`` with 0 where depth is not finite, and the finite mask."""
    valid = torch.isfinite(depth)
    safe = torch.where(valid, depth, predicted.detach())
    return torch.log(predicted) - torch.log(safe), valid


def masked_mean(values: Tensor, valid: Tensor) -> Tensor:
    """Mean over the valid pixels of each image, ``(N,)``; 0 for an image without any."""
    count = valid.sum(dim=(1, 2)).clamp(min=1)
    return (values * valid).sum(dim=(1, 2)) / count


def silog(predicted: Tensor, depth: Tensor, metric: Tensor, variance_focus: float) -> Tensor:
    """Scale-invariant log error of each image, averaged (Eigen et al., NIPS 2014, eq. 4).

    ``sqrt(mean(d^2) - f * mean(d)^2)``, d = ln predicted - ln depth. f is ``variance_focus``
    where ``metric`` (N,) is true and 1 elsewhere: there a common factor costs nothing.
    """
    d, valid = log_difference(predicted, depth)
    focus = torch.where(metric, variance_focus, 1.0)
    error = masked_mean(d * d, valid) - focus * masked_mean(d, valid) ** 2
    # The small constant keeps the square root's slope finite when an image fits perfectly.
    return torch.sqrt(error.clamp(min=0.0) + 1e-6).mean()


def gradient_matching(predicted: Tensor, depth: Tensor, scales: int = 4) -> Tensor:
    """Mean absolute slope of the log error over several strides (Li and Snavely, CVPR 2018)."""
    d, valid = log_difference(predicted, depth)
    total = predicted.new_zeros(())
    for scale in range(scales):
        step = 2**scale
        e, v = d[:, ::step, ::step], valid[:, ::step, ::step]
        across = masked_mean((e[:, :, 1:] - e[:, :, :-1]).abs(), v[:, :, 1:] & v[:, :, :-1])
        down = masked_mean((e[:, 1:] - e[:, :-1]).abs(), v[:, 1:] & v[:, :-1])
        total = total + (across + down).mean()
    return total / scales


def beyond_range(predicted: Tensor, depth: Tensor, max_depth: float) -> Tensor:
    """How far, in ln metres, the sky (+Inf) is predicted in front of ``max_depth``."""
    sky = torch.isposinf(depth)
    short = torch.log(max_depth / predicted).clamp(min=0.0)
    return masked_mean(short, sky).mean()


class LogDepthLoss(nn.Module):
    """SILog + weighted gradient matching + weighted sky term: the recipe for mixed ranges."""

    def __init__(
        self,
        max_depth: float,
        variance_focus: float = 0.5,
        gradient_weight: float = 0.5,
        sky_weight: float = 0.2,
    ) -> None:
        super().__init__()
        self.max_depth = max_depth
        self.variance_focus = variance_focus
        self.gradient_weight = gradient_weight
        self.sky_weight = sky_weight

    def forward(self, predicted: Tensor, depth: Tensor, metric: Tensor) -> dict[str, Tensor]:
        terms = {
            "silog": silog(predicted, depth, metric, self.variance_focus),
            "gradient": self.gradient_weight * gradient_matching(predicted, depth),
            "sky": self.sky_weight * beyond_range(predicted, depth, self.max_depth),
        }
        return {"loss": sum(terms.values(), predicted.new_zeros(())), **terms}


class AffineInvariantLoss(nn.Module):
    """Inverse depth up to a scale and a shift (Ranftl et al., TPAMI 2022), for relative depth.

    Prediction and ground truth are each freed of their median and mean absolute deviation over the
    valid pixels, then compared by mean absolute difference and gradient matching.
    """

    def __init__(self, gradient_weight: float = 0.5) -> None:
        super().__init__()
        self.gradient_weight = gradient_weight

    def forward(self, predicted: Tensor, depth: Tensor, metric: Tensor) -> dict[str, Tensor]:
        valid = torch.isfinite(depth)
        p = _normalized(predicted.reciprocal(), valid)
        t = _normalized(torch.where(valid, depth, 1.0).reciprocal(), valid)
        slope_x = ((p - t)[:, :, 1:] - (p - t)[:, :, :-1]).abs()
        slope_y = ((p - t)[:, 1:] - (p - t)[:, :-1]).abs()
        gradient = masked_mean(slope_x, valid[:, :, 1:] & valid[:, :, :-1])
        gradient = gradient + masked_mean(slope_y, valid[:, 1:] & valid[:, :-1])
        terms = {
            "affine": masked_mean((p - t).abs(), valid).mean(),
            "gradient": self.gradient_weight * gradient.mean(),
        }
        return {"loss": sum(terms.values(), predicted.new_zeros(())), **terms}


def _normalized(values: Tensor, valid: Tensor) -> Tensor:
    """Values (N, H, W) less their median, divided by their mean absolute deviation from it."""
    known = torch.where(valid, values, torch.nan).flatten(1)
    median = known.nanmedian(dim=1).values.nan_to_num().view(-1, 1, 1)
    spread = masked_mean((values - median).abs(), valid).clamp(min=1e-6).view(-1, 1, 1)
    return (values - median) / spread


class PaperLoss(nn.Module):
    """The composite of arXiv 2410.11610 on metric depth, with a mask.

    ``w0 * clip((1 - SSIM) / 2, 0, 1) + w1 * mean(|d(dy)| + |d(dx)|) + w2 * mean|d|``, with depth
    divided by ``max_depth`` so that the terms keep the proportions they have on the paper's 0..1
    targets. Images without metric depth do not count.
    """

    def __init__(self, max_depth: float, weights: Sequence[float] = (1.0, 1.0, 0.3)) -> None:
        super().__init__()
        self.max_depth = max_depth
        self.weights = tuple(weights)

    def forward(self, predicted: Tensor, depth: Tensor, metric: Tensor) -> dict[str, Tensor]:
        valid = torch.isfinite(depth) & metric[:, None, None]
        p = predicted / self.max_depth
        # Where nothing was measured the target is the prediction itself: no error, no slope.
        t = torch.where(valid, depth / self.max_depth, p.detach())
        _, similarity = structural_similarity_index_measure(
            p[:, None], t[:, None], data_range=1.0, return_full_image=True
        )
        slope_x = ((p - t)[:, :, 1:] - (p - t)[:, :, :-1]).abs()
        slope_y = ((p - t)[:, 1:] - (p - t)[:, :-1]).abs()
        terms = {
            "ssim": self.weights[0]
            * masked_mean(((1.0 - similarity[:, 0]) / 2.0).clamp(0.0, 1.0), valid).mean(),
            "gradient": self.weights[1]
            * (
                masked_mean(slope_x, valid[:, :, 1:] & valid[:, :, :-1]).mean()
                + masked_mean(slope_y, valid[:, 1:] & valid[:, :-1]).mean()
            ),
            "l1": self.weights[2] * masked_mean((p - t).abs(), valid).mean(),
        }
        return {"loss": sum(terms.values(), predicted.new_zeros(())), **terms}


LOSSES: dict[str, Callable[..., nn.Module]] = {
    "log_depth": LogDepthLoss,
    "affine_invariant": AffineInvariantLoss,
    "paper": PaperLoss,
}
