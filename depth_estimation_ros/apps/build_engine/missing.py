"""The engine that the cache lacks, built for the GPU of this machine."""

from __future__ import annotations

from pathlib import Path

from depth_estimation_ros.apps.build_engine.conversion import compare_built, convert_unattended
from depth_estimation_ros.apps.build_engine.parity import check_parity
from depth_estimation_ros.engines import EngineOptions, Log
from depth_estimation_ros.engines.tensorrt.api import find_tensorrt
from depth_estimation_ros.engines.tensorrt.builder import LogProgress
from depth_estimation_ros.engines.tensorrt.cache import (
    cache_directory,
    find_or_build,
    timing_cache_path,
)
from depth_estimation_ros.engines.tensorrt.cuda import Gpu
from depth_estimation_ros.engines.tensorrt.engine import choose
from depth_estimation_ros.engines.tensorrt.engine_file import Sidecar
from depth_estimation_ros.engines.tensorrt.make import make_engine, read_model_file, wanted_engine
from depth_estimation_ros.engines.tensorrt.profile import make_profile


def build_missing(path: Path, options: EngineOptions, log: Log) -> None:
    """Builds an engine for one image at the size of the card, for minutes, if none fits.

    Args:
        path: of the ONNX file.
        options: device, precision and cache.
        log: told how the build goes on.

    Raises:
        EngineError: building fails; TensorRT, pycuda, the driver or the GPU is missing.
        ModelError: the ONNX file cannot be used.
    """
    model = read_model_file(path)
    wanted = wanted_engine(model, options.precision, make_profile(model.card.input))
    find_tensorrt()  # says what to install before the GPU's driver is asked
    gpu = Gpu(options.device)
    try:
        directory = cache_directory(options.engine_cache)
        api, here, found, _ = choose(directory, wanted, gpu)

        def make(out: Path) -> None:
            converted = convert_unattended(model, wanted, log)

            def check(plan: bytes, sidecar: Sidecar) -> None:
                parity = compare_built(
                    out, plan, sidecar, model, converted.images, api, options.device
                )
                fix = "Set 'backend' to onnxruntime, or another 'precision'"
                check_parity(parity, wanted.precision, f"the engine built of {model.name}", fix)

            make_engine(
                out,
                wanted,
                converted.onnx,
                path,
                api,
                gpu,
                timing_cache=timing_cache_path(directory, here),
                progress=LogProgress(log),
                check=check,
            )

        if found is None:
            find_or_build(directory, wanted, here, make, say=log)
    finally:
        gpu.close()
