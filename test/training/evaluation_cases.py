"""Data sets, networks and metrics written out plainly, to hold the real ones against."""

from __future__ import annotations

import math
import statistics

import numpy as np

from depth_estimation_ros.engines.model_card import InputSpec, ModelCard, OutputSpec
from depth_estimation_ros.errors import DatasetError
from depth_estimation_ros.estimation import DepthEstimator
from training.data.sample import Sample, SampleSet

CAMERA = (50.0, 50.0, 20.0, 12.0)


class ListedSamples(SampleSet):
    """Samples held in a list; an error in it is raised where a sample should be."""

    def __init__(
        self, samples: list[Sample | Exception], *, cap_m: float = 10.0, crop: str = "none"
    ) -> None:
        self.name, self.cap_m, self.crop = "listed", cap_m, crop
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        sample = self.samples[index]
        if isinstance(sample, Exception):
            raise sample
        return sample

    def frame_name(self, index: int) -> str:
        return f"frame {index}"


class RedEngine:
    """Depth read off the image: 0.1 m for a unit of red. Notes what it was given."""

    def __init__(self, *, max_depth: float = 30.0, multiple_of: int | None = 1) -> None:
        spec = InputSpec(24, 40, "rgb", "uint8", "NHWC", multiple_of)
        output = OutputSpec("metric_depth", "m", 0.05, max_depth)
        self.card = ModelCard("red", "MIT", spec, output)
        self.description = "red on nothing"
        self.max_batch = None
        self.runs = 0

    def infer(self, batch: np.ndarray) -> np.ndarray:
        self.runs += 1
        return batch[..., 0].astype(np.float32) * np.float32(0.1)

    def close(self) -> None:
        pass


def red_pipeline(**card: float) -> DepthEstimator:
    return DepthEstimator(RedEngine(**card))  # type: ignore[arg-type]


def red_sample(predicted: np.ndarray, depth: np.ndarray, camera: object = CAMERA) -> Sample:
    """A sample for which `RedEngine` predicts these metres, rounded to 0.1 m."""
    rgb = np.zeros((*depth.shape, 3), np.uint8)
    rgb[..., 0] = np.rint(10 * predicted).astype(np.uint8)
    return Sample(rgb, depth.astype(np.float32), camera)  # type: ignore[arg-type]


def random_sample(seed: int, height: int = 24, width: int = 40) -> Sample:
    """Truth from 0.3 to 20 m, a third of it missing or beyond range, and a noisy prediction."""
    rng = np.random.default_rng(seed)
    depth = np.exp(rng.uniform(math.log(0.3), math.log(20.0), (height, width)))
    predicted = np.clip(depth * np.exp(rng.normal(0.1, 0.3, depth.shape)), 0.2, 24.0)
    kind = rng.random(depth.shape)
    depth[kind < 0.2] = np.nan
    depth[(kind >= 0.2) & (kind < 0.3)] = np.inf
    return red_sample(predicted, depth)


def unreadable(name: str) -> DatasetError:
    return DatasetError(f"image {name}", found="7 bytes that are no image")


def plain_metrics(
    pred: np.ndarray,
    gt: np.ndarray,
    *,
    max_depth: float,
    min_depth: float = 1e-3,
    median: bool = False,
    rows: range | None = None,
    columns: range | None = None,
) -> dict[str, float]:
    """The metrics of the field pixel by pixel, in Python's floats, from their definitions."""
    pairs = []
    valid = 0
    for y in rows if rows is not None else range(gt.shape[0]):
        for x in columns if columns is not None else range(gt.shape[1]):
            truth, value = float(gt[y, x]), float(pred[y, x])
            if min_depth < truth < max_depth:
                valid += 1
                if not math.isnan(value):
                    pairs.append((truth, value))
    result = {"valid_pixels": float(len(pairs))}
    result["coverage"] = len(pairs) / valid if valid else math.nan
    if median and pairs:
        middle = statistics.median(value for _, value in pairs)
        if math.isfinite(middle) and middle > 0:
            factor = statistics.median(truth for truth, _ in pairs) / middle
            pairs = [(truth, value * factor) for truth, value in pairs]
    pairs = [(t, min(max(p, min_depth), max_depth)) for t, p in pairs]
    logs = [math.log(p / t) for t, p in pairs]
    count = len(pairs) or math.nan
    result["abs_rel"] = math.fsum(abs(p - t) / t for t, p in pairs) / count
    result["sq_rel"] = math.fsum((p - t) ** 2 / t for t, p in pairs) / count
    result["rmse"] = math.sqrt(math.fsum((p - t) ** 2 for t, p in pairs) / count)
    result["rmse_log"] = math.sqrt(math.fsum(d * d for d in logs) / count)
    result["log10"] = math.fsum(abs(d) / math.log(10) for d in logs) / count
    result["silog"] = 100 * statistics.pstdev(logs) if logs else math.nan
    for k in (1, 2, 3):
        close = sum(t / p < 1.25**k and p / t < 1.25**k for t, p in pairs)
        result[f"delta{k}"] = close / count
    return result


def assert_same(found: dict[str, float], wanted: dict[str, float]) -> None:
    """Every metric of both equal to 1e-6; NaN equals NaN."""
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-6, err_msg=name)
