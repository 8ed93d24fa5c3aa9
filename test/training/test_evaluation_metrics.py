"""Every metric against an implementation of its own: loops over pixels, and torchmetrics."""

import math

import numpy as np
import pytest
import torch
from evaluation_cases import ListedSamples, assert_same, plain_metrics, random_sample, red_pipeline
from torchmetrics.functional import mean_absolute_percentage_error, mean_squared_error
from torchmetrics.functional.regression import mean_squared_log_error

from depth_estimation_ros.estimation.metrics import METRICS, depth_metrics
from training.data.crops import CROPS, crop_box
from training.evaluation import evaluate_set

SHAPE = (24, 40)


def random_pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A prediction with all that a pipeline can give, and truth with all that data can hold."""
    rng = np.random.default_rng(seed)
    gt = np.exp(rng.uniform(-2.0, 3.0, SHAPE))
    pred = gt * np.exp(rng.normal(0.2, 0.4, SHAPE))
    for values, odd in ((gt, (0.0, -1.0, np.nan, np.inf)), (pred, (np.nan, np.inf, -np.inf, -2.0))):
        for value in odd:
            values[rng.random(SHAPE) < 0.05] = value
    return pred.astype(np.float32), gt.astype(np.float32)


def both(pred: np.ndarray, gt: np.ndarray, max_depth: float, median: bool) -> None:
    found = depth_metrics(pred, gt, max_depth=max_depth, align="median" if median else None)
    assert_same(found, plain_metrics(pred, gt, max_depth=max_depth, median=median))


@pytest.mark.parametrize("median", [False, True])
@pytest.mark.parametrize("max_depth", [1.0, 5.0, 10.0, 80.0])
def test_random_images(max_depth: float, median: bool) -> None:
    for seed in range(5):
        both(*random_pair(seed), max_depth, median)


def only_at(place: tuple[int, int], value: float) -> np.ndarray:
    image = np.full(SHAPE, np.nan, np.float32)
    image[place] = value
    return image


TWO = np.full(SHAPE, 2.0, np.float32)
EDGES = {
    "no truth at all": (TWO, np.full(SHAPE, np.nan, np.float32)),
    "all truth zero": (TWO, np.zeros(SHAPE, np.float32)),
    "all truth beyond range": (TWO, np.full(SHAPE, np.inf, np.float32)),
    "all truth at the cap": (TWO, np.full(SHAPE, 10.0, np.float32)),
    "one pixel of truth": (TWO, only_at((3, 7), 3.0)),
    "one pixel of prediction": (only_at((3, 7), 3.0), TWO),
    "truth and prediction never at one pixel": (only_at((3, 7), 3.0), only_at((4, 7), 3.0)),
    "a perfect prediction": (TWO, TWO),
    "everything predicted beyond range": (np.full(SHAPE, np.inf, np.float32), TWO),
    "everything predicted too near": (np.full(SHAPE, -np.inf, np.float32), TWO),
    "a ratio of just 1.25": (TWO, np.full(SHAPE, 2.5, np.float32)),
}


@pytest.mark.parametrize("median", [False, True])
@pytest.mark.parametrize("case", EDGES)
def test_edges(case: str, median: bool) -> None:
    both(*EDGES[case], 10.0, median)


def test_torchmetrics_agrees_where_it_has_the_metric() -> None:
    rng = np.random.default_rng(3)
    gt = rng.uniform(0.5, 9.0, SHAPE)
    pred = np.clip(gt * np.exp(rng.normal(0.0, 0.3, SHAPE)), 0.1, 9.9)
    found = depth_metrics(pred, gt, max_depth=10.0)
    p, t = torch.from_numpy(pred).flatten(), torch.from_numpy(gt).flatten()
    assert found["abs_rel"] == pytest.approx(float(mean_absolute_percentage_error(p, t)), abs=1e-6)
    assert found["rmse"] == pytest.approx(float(mean_squared_error(p, t, squared=False)), abs=1e-6)
    # torchmetrics takes the logarithm of 1 + x.
    squared = float(mean_squared_log_error(p - 1.0, t - 1.0))
    assert found["rmse_log"] == pytest.approx(math.sqrt(squared), abs=1e-6)


@pytest.mark.parametrize("cap", [3.0, 10.0, 80.0])
@pytest.mark.parametrize("crop", CROPS)
def test_a_data_set_with_crop_and_cap(crop: str, cap: float) -> None:
    """The whole path: image, pipeline, crop, cap, both alignments, mean over frames."""
    samples = [random_sample(seed) for seed in range(3)]
    result = evaluate_set(red_pipeline(), ListedSamples(samples), crop=crop, cap=cap)
    top, bottom, left, right = crop_box(crop, *SHAPE)
    where = {"rows": range(top, bottom), "columns": range(left, right)}
    for alignment in ("unaligned", "median"):
        wanted = []
        for sample, frame in zip(samples, result.frames, strict=True):
            predicted = sample.rgb[..., 0].astype(np.float32) * np.float32(0.1)
            median = alignment == "median"
            plain = plain_metrics(predicted, sample.depth, max_depth=cap, median=median, **where)
            assert_same(getattr(frame, alignment), plain)
            wanted.append(plain)
        for name in METRICS:
            mean = math.fsum(plain[name] for plain in wanted) / 3
            assert result.rows[alignment][name] == pytest.approx(mean, abs=1e-6)


def test_a_metric_outside_the_crop_does_not_count() -> None:
    sample = random_sample(4)
    top, bottom, left, right = crop_box("garg", *SHAPE)
    sample.depth[:top] = sample.depth[bottom:] = np.nan
    sample.depth[:, :left] = sample.depth[:, right:] = np.nan
    whole = evaluate_set(red_pipeline(), ListedSamples([sample]), crop="none")
    cut = evaluate_set(red_pipeline(), ListedSamples([random_sample(4)]), crop="garg")
    assert cut.rows == whole.rows
