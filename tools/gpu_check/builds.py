"""Engines for the checks, built on the GPU of this machine."""

from __future__ import annotations

import functools
from pathlib import Path

from depth_estimation_ros.apps.build_engine.calibration_images import network_batch, own_images
from depth_estimation_ros.apps.demo.sources import BUNDLED_BAG
from depth_estimation_ros.engines.precision.quantize import to_int8
from depth_estimation_ros.engines.tensorrt.api import find_tensorrt
from depth_estimation_ros.engines.tensorrt.cuda import Gpu
from depth_estimation_ros.engines.tensorrt.make import (
    ModelFile,
    in_precision,
    make_engine,
    network_of,
    read_model_file,
    wanted_engine,
)
from depth_estimation_ros.engines.tensorrt.profile import make_profile
from depth_estimation_ros.estimation import Rgb

CALIBRATION_IMAGES = 8


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
        precision: fp32, fp16 or int8; int8 is calibrated on the demo's recording.
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
    images = calibration_images()
    batches = (network_batch(image, spec, nominal=True) for image in images)
    return to_int8(network_of(source), batches).SerializeToString()


@functools.cache
def calibration_images() -> list[Rgb]:
    """Some images from all over the recording that the demo brings along: rendered rooms."""
    return own_images(str(BUNDLED_BAG))[:CALIBRATION_IMAGES]
