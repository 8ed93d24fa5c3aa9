"""Engines for the checks, built on the GPU of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from depth_estimation_ros.engines.tensorrt.api import find_tensorrt
from depth_estimation_ros.engines.tensorrt.cuda import Gpu
from depth_estimation_ros.engines.tensorrt.make import in_precision, make_engine, wanted_engine
from depth_estimation_ros.engines.tensorrt.model_file import ModelFile, read_model_file
from depth_estimation_ros.engines.tensorrt.request import make_profile
from depth_estimation_ros.precision.graph import load
from depth_estimation_ros.precision.pictures import network_batch
from depth_estimation_ros.precision.quantize import to_int8

CALIBRATION_PICTURES = 8


def build(
    model: Path,
    precision: str,
    batches: tuple[int, int, int],
    size: tuple[int, int],
    folder: Path,
) -> Path:
    """Builds an engine file.

    Args:
        model: the ONNX file.
        precision: fp32, fp16 or int8; int8 is calibrated with noise, for its time and not for its
            depth.
        batches: smallest, best and largest.
        size: height and width of the input.
        folder: where it is put.
    """
    source = read_model_file(model)
    wanted = wanted_engine(source, precision, make_profile(source.card.input, batches, [size]))
    onnx = _int8(source) if precision == "int8" else in_precision(source, wanted)
    out = folder / f"{model.stem}-{precision}.engine"
    gpu = Gpu(0)
    try:
        make_engine(out, wanted, onnx, model, find_tensorrt(), gpu)
    finally:
        gpu.close()
    return out


def _int8(source: ModelFile) -> bytes:
    spec = source.card.input
    batches = (network_batch(picture, spec, nominal=True) for picture in _clouds())
    return to_int8(load(source.path), batches).SerializeToString()


def _clouds() -> Iterator[np.ndarray]:
    """Pictures of smooth noise, 480x640."""
    random = np.random.default_rng(0)
    for _ in range(CALIBRATION_PICTURES):
        coarse = random.integers(0, 256, (15, 20, 3), np.uint8)
        yield cv2.resize(coarse, (640, 480), interpolation=cv2.INTER_CUBIC)
