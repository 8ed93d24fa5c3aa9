"""Pipelines over tiny networks whose depth is known for every pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tiny_models import constant_depth, red_depth

from depth_estimation_ros.engines import open_engine
from depth_estimation_ros.engines.model_card import ModelCard
from depth_estimation_ros.estimation import (
    DepthEstimator,
    EstimatorSettings,
)

H, W = 96, 128  # twice the network's size in each direction


def red(values: np.ndarray) -> np.ndarray:
    """An image whose red channel is `values` and whose green and blue must not matter."""
    image = np.full((*values.shape, 3), 99, np.uint8)
    image[..., 0] = values
    return image


def depth_of(red_value: float) -> float:
    return 1.0 + 8.0 * red_value / 255.0


def red_pipeline(
    tmp_path: Path, card: ModelCard | None = None, **settings: object
) -> DepthEstimator:
    engine = open_engine(red_depth(tmp_path / "red.onnx", card))
    return DepthEstimator(engine, EstimatorSettings(**settings))  # type: ignore[arg-type]


def constant_pipeline(
    tmp_path: Path, value: float, card: ModelCard | None = None, **settings: object
) -> DepthEstimator:
    engine = open_engine(constant_depth(tmp_path / "constant.onnx", value, card))
    return DepthEstimator(engine, EstimatorSettings(**settings))  # type: ignore[arg-type]
